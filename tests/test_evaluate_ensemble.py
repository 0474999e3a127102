import numpy as np
import pytest
from scipy.stats import norm

from resinflow.evaluate.ensemble import (
    coverage,
    crps,
    interval_coverage,
    mean_ranks,
    nominal_coverage,
    rank_shares,
    score_ensemble,
    spread_skill,
)
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure


def test_crps_is_the_double_sum_of_its_definition():
    rng = np.random.default_rng(0)
    samples, observed = rng.normal(size=(7, 4, 3)), rng.normal(size=(4, 3))
    pairs = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1))
    np.testing.assert_allclose(crps(samples, observed), np.abs(samples - observed).mean(0) - pairs / (2 * 7 * 6))


def test_crps_of_two_samples_is_known():
    assert crps(np.array([0.0, 2.0]), np.array(1.0)) == pytest.approx(0.0)
    assert crps(np.array([0.0, 2.0]), np.array(5.0)) == pytest.approx(3.0)


@pytest.mark.parametrize("count", [2, 4, 16])
def test_mean_crps_of_normal_samples_is_the_closed_form_at_any_ensemble_size(count):
    rng = np.random.default_rng(1)
    y = 0.7
    # Gneiting & Raftery 2007, eq. 21, for a standard normal forecast
    exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    found = crps(rng.normal(size=(count, 200_000)), np.full(200_000, y)).mean()
    assert found == pytest.approx(exact, abs=0.006)


def test_crps_of_equal_samples_is_the_absolute_error():
    assert crps(np.full((5, 2), 3.0), np.array([1.0, 4.0])).tolist() == [2.0, 1.0]


@pytest.mark.parametrize("count", [3, 8, 19, 40])
def test_a_calibrated_ensemble_covers_as_often_as_it_claims(count):
    rng = np.random.default_rng(2)
    found = coverage(rng.normal(size=(count, 60_000)), rng.normal(size=60_000), 0.9)
    assert found == pytest.approx(nominal_coverage(count, 0.9), abs=0.008)


def test_eight_samples_cannot_claim_ninety_per_cent():
    assert nominal_coverage(8) == pytest.approx(7 / 9)
    assert nominal_coverage(19) == nominal_coverage(100) == 0.9


@pytest.mark.parametrize("count", [2, 8, 32])
def test_spread_over_skill_of_a_calibrated_ensemble_is_one_at_any_size(count):
    rng = np.random.default_rng(3)
    assert spread_skill(rng.normal(size=(count, 50_000)), rng.normal(size=50_000)) == pytest.approx(1.0, abs=0.02)


def test_an_overconfident_ensemble_has_too_little_spread_and_coverage():
    rng = np.random.default_rng(4)
    samples, observed = 0.25 * rng.normal(size=(20, 20_000)), rng.normal(size=20_000)
    assert spread_skill(samples, observed) == pytest.approx(0.25, abs=0.02)
    assert coverage(samples, observed) < 0.4


def test_the_scores_of_fields_take_fluid_voxels_only():
    rng = np.random.default_rng(5)
    fluid = rng.random((3, 12, 12)) > 0.4
    velocity = rng.normal(size=(3, 3, 12, 12)) * 1e-5 * fluid
    truth = FlowField(Microstructure(fluid, (1e-6, 1e-6, 1e-6)), velocity, np.zeros(fluid.shape), "x", 1.0, 1.0)
    samples = rng.normal(size=(10, 3, 3, 12, 12)) * 1e-5
    scores = score_ensemble(samples, truth)
    assert scores.samples == 10
    assert scores.spread_skill == pytest.approx(1.0, abs=0.1)
    assert scores.coverage == pytest.approx(scores.nominal_coverage, abs=0.05)
    assert scores.normalised_crps == pytest.approx(scores.crps / np.abs(velocity[:, fluid]).mean())
    dirty = samples + 7.0 * ~fluid
    assert score_ensemble(dirty, truth) == scores


def test_the_rank_of_a_value_is_the_number_of_samples_below_it():
    samples = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    assert rank_shares(samples, np.array([0.0, 1.5, 9.0])).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert rank_shares(samples, np.array([9.0, 9.0, 9.0])).tolist() == [0.0, 0.0, 1.0]


def test_a_value_that_equals_samples_counts_in_equal_parts_in_the_ranks_that_it_may_have():
    assert rank_shares(np.array([[1.0], [1.0], [2.0]]), np.array([1.0])).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])


@pytest.mark.parametrize("count", [2, 4, 7])
def test_the_ranks_of_a_calibrated_ensemble_are_equally_frequent_and_its_intervals_cover_what_they_claim(count):
    rng = np.random.default_rng(6)
    shares = rank_shares(rng.normal(size=(count, 60_000)), rng.normal(size=60_000))
    assert shares == pytest.approx(np.full(count + 1, 1 / (count + 1)), abs=0.008)
    pairs = interval_coverage(shares)
    assert pairs[0][0] == pytest.approx((count - 1) / (count + 1))
    assert all(found == pytest.approx(nominal, abs=0.01) for nominal, found in pairs)


def test_ranks_are_averaged_over_the_ensembles_of_one_size():
    truth = FlowField(
        Microstructure(np.ones((1, 2, 2), dtype=bool), (1e-6, 1e-6, 1e-6)),
        np.ones((3, 1, 2, 2)),
        np.zeros((1, 2, 2)),
        "x",
        1.0,
        1.0,
    )
    below, above = (score_ensemble(np.full((3, 3, 1, 2, 2), value), truth) for value in (0.0, 2.0))
    assert (below.ranks, above.ranks) == ((0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0))
    assert mean_ranks([below, above]) == [0.5, 0.0, 0.0, 0.5]
    assert "ranks" not in below.to_dict()


def test_one_sample_is_no_ensemble():
    with pytest.raises(InvalidInputError, match="at least 2"):
        crps(np.zeros((1, 3)), np.zeros(3))
    with pytest.raises(InvalidInputError, match="at least 2"):
        spread_skill(np.zeros(()), np.zeros(()))


def test_samples_of_another_grid_are_refused():
    truth = FlowField(
        Microstructure(np.ones((1, 4, 4), dtype=bool), (1e-6, 1e-6, 1e-6)),
        np.zeros((3, 1, 4, 4)),
        np.zeros((1, 4, 4)),
        "x",
        1.0,
        1.0,
    )
    with pytest.raises(InvalidInputError, match=r"needed: \(samples, 3, 1, 4, 4\)"):
        score_ensemble(np.zeros((5, 3, 1, 4, 5)), truth)
    with pytest.raises(InvalidInputError, match="level"):
        coverage(np.zeros((5, 3)), np.zeros(3), level=90)
