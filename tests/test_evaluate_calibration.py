"""Claims about fitted spreads: they cover what they say, whatever the errors' distribution, and use only what helps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from resinflow.evaluate.roc import roc_area, roc_curve
from resinflow.evaluate.spread import fit_relative_spread, fit_spread, gaussian_crps, score_spread
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.report import REACH, RelativeSpread, Spread


def overconfident_ensembles(cases: int, factor: float, floor: float, members: int = 6, seed: int = 0):
    """Deviations of small Gaussian ensembles, and errors whose true deviation is ``hypot(factor s, floor)``."""
    rng = np.random.default_rng(seed)
    true = rng.lognormal(-2.0, 1.0, cases)
    drawn = (true * rng.normal(size=(members, cases))).std(axis=0, ddof=1)
    return drawn, rng.normal(size=cases) * np.hypot(factor * true, floor)


def test_calibrated_gaussian_ensembles_cover_ninety_percent():
    law = fit_spread(*overconfident_ensembles(20_000, 4.0, 0.1))
    drawn, errors = overconfident_ensembles(20_000, 4.0, 0.1, seed=1)
    before, after = score_spread(drawn, errors), score_spread(law.deviation(drawn), errors)
    assert before.coverage < 0.5
    assert after.coverage == pytest.approx(0.9, abs=0.01)
    assert after.crps < 0.9 * before.crps
    assert after.spread_skill == pytest.approx(1.0, abs=0.2)


def test_the_fit_finds_factor_and_floor_of_large_ensembles():
    law = fit_spread(*overconfident_ensembles(20_000, 3.0, 0.2, members=200))
    assert law.factor == pytest.approx(3.0, rel=0.05)
    assert law.floor == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("shape", ["laplace", "student", "uniform"])
def test_the_interval_covers_ninety_percent_of_errors_of_any_distribution(shape):
    rng = np.random.default_rng(2)
    noise = {"laplace": rng.laplace(size=30_000), "student": rng.standard_t(3, 30_000), "uniform": rng.uniform(-1, 1, 30_000)}
    drawn = rng.lognormal(-2.0, 0.5, 30_000)
    errors = noise[shape] * drawn
    law = fit_spread(drawn[::2], errors[::2])
    assert score_spread(law.deviation(drawn[1::2]), errors[1::2]).coverage == pytest.approx(0.9, abs=0.01)


def test_without_any_spread_between_samples_the_floor_alone_covers():
    errors = np.random.default_rng(3).normal(size=5000) * 0.3
    law = fit_spread(np.zeros(5000), errors)
    assert law.factor == 0.0
    assert law.floor == pytest.approx(0.3, rel=0.05)


def test_the_law_scales_with_the_unit_of_its_data():
    drawn, errors = overconfident_ensembles(3000, 2.0, 0.1)
    law, small = fit_spread(drawn, errors), fit_spread(1e-6 * drawn, 1e-6 * errors)
    assert fit_spread(drawn.reshape(30, -1), errors.reshape(30, -1)) == law
    assert small.factor == pytest.approx(law.factor, rel=1e-3)
    assert small.floor == pytest.approx(1e-6 * law.floor, rel=1e-3)


@pytest.mark.parametrize(("deviation", "error"), [(1.0, 0.0), (0.5, 0.7), (2.0, -3.0)])
def test_the_crps_is_the_integral_that_defines_it(deviation, error):
    def squared(x: float) -> float:
        return (norm.cdf(x, scale=deviation) - (x >= error)) ** 2

    expected = sum(quad(squared, *ends)[0] for ends in ((-40.0, error), (error, 40.0)))
    assert gaussian_crps(np.array([deviation]), np.array([error]))[0] == pytest.approx(expected, rel=1e-6)


def test_the_crps_of_a_certain_prediction_is_its_absolute_error():
    assert gaussian_crps(np.zeros(2), np.array([-0.3, 0.0])).tolist() == [0.3, 0.0]


def relative_errors(cases: int, seed: int = 0):
    """Errors whose deviation depends on the first of three features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(cases, 3))
    return features, rng.normal(size=cases) * np.exp(-3.0 + 0.8 * features[:, 0])


def test_the_relative_spread_follows_the_feature_that_matters_and_no_other():
    law = fit_relative_spread(*relative_errors(225))
    assert law.coefficients[1] == pytest.approx(0.8, abs=0.25)
    assert law.coefficients[2:] == (0.0, 0.0)
    features, errors = relative_errors(5000, seed=1)
    assert score_spread(law.deviation(features), errors).coverage == pytest.approx(0.9, abs=0.05)
    constant = fit_relative_spread(np.zeros((225, 0)), relative_errors(225)[1])
    alike = np.full(5000, constant.deviation(np.zeros(0)))
    assert score_spread(law.deviation(features), errors).crps < 0.95 * score_spread(alike, errors).crps


def test_a_feature_of_pure_chance_is_left_out():
    rng = np.random.default_rng(4)
    law = fit_relative_spread(rng.normal(size=(225, 4)), rng.normal(size=225) * 0.02)
    assert law.coefficients[1:] == (0.0,) * 4
    assert np.exp(law.coefficients[0]) == pytest.approx(0.02, rel=0.2)


def test_a_feature_beyond_the_data_of_the_fit_is_not_extrapolated():
    law = RelativeSpread((-3.0, 1.0), (-1.0,), (2.0,))
    assert law.deviation([50.0]) == law.deviation([2.0])
    assert law.deviation([-50.0]) == law.deviation([-1.0])


def test_the_interval_of_a_normal_distribution_reaches_to_its_quantile():
    assert norm.ppf(0.95) == pytest.approx(REACH)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_spread(np.ones(30), np.ones(31)), "the same shape"),
        (lambda: fit_spread(np.ones(5), np.ones(5)), "at least 20"),
        (lambda: fit_spread(np.ones(30), np.zeros(30)), "all errors are zero"),
        (lambda: fit_spread(-np.ones(30), np.ones(30)), "negative"),
        (lambda: fit_relative_spread(np.ones(30), np.ones(30)), r"\(cases, features\)"),
        (lambda: fit_relative_spread(np.full((30, 1), np.nan), np.ones(30)), "features hold NaN"),
        (lambda: Spread(0.0, 0.0), "not both 0"),
        (lambda: Spread(float("nan"), 0.1), "finite numbers"),
        (lambda: RelativeSpread((1.0,), (0.0,), (1.0,)), "one coefficient more"),
        (lambda: RelativeSpread((float("inf"),), (), ()), "infinite coefficients"),
        (lambda: roc_area(np.zeros(0), np.ones(2)), "at least one each"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


def test_the_area_is_the_probability_that_a_foreign_case_scores_higher():
    familiar, foreign = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 5.0])
    pairs = [(a < b) + 0.5 * (a == b) for a in familiar for b in foreign]
    assert roc_area(familiar, foreign) == pytest.approx(np.mean(pairs))
    false, true = roc_curve(familiar, foreign)
    assert np.trapezoid(true, false) == pytest.approx(roc_area(familiar, foreign))
    assert (false[0], true[0], false[-1], true[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert roc_area(familiar, familiar) == 0.5
