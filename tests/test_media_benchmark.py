"""The benchmark's twin, and the formulas of the literature beside exact arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from resinflow.flow import InvalidInputError
from resinflow.media import (
    Arrangement,
    Direction,
    benchmark_tow,
    berdichevsky_cai_permeability,
    draw_fibres,
    drummond_tahir_permeability,
)
from resinflow.media.benchmark import BENCHMARK_TOW, BENCHMARK_VOXEL
from resinflow.media.cases import array_permeability

RADIUS = 5e-6


def test_the_tow_has_the_numbers_of_the_benchmark() -> None:
    shape = (16, 60, 80)
    micro = benchmark_tow(shape, seed=3)
    assert micro.shape == shape
    assert micro.spacing == pytest.approx((BENCHMARK_VOXEL,) * 3)
    assert micro.fibre_fraction == pytest.approx(0.565, abs=0.005)
    fibres = draw_fibres(shape, micro.extent, seed=3, settings=BENCHMARK_TOW)
    drawn = 2 * np.asarray(fibres.radius)  # before the box is given its exact fraction
    assert 7.499e-6 < drawn.min() < 8e-6
    assert 8.8e-6 < drawn.max() < 9.301e-6
    assert fibres.wave.amplitude != (0.0, 0.0)


def test_one_seed_is_one_tow() -> None:
    first, again, other = (benchmark_tow((2, 40, 40), seed=seed).fluid for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arrangement", "direction", "fraction", "error"),
    [
        ("hexagonal", "longitudinal", 0.1, 0.01),
        ("hexagonal", "longitudinal", 0.6, 0.01),
        ("square", "longitudinal", 0.3, 0.005),
        ("square", "longitudinal", 0.5, 0.04),
        ("hexagonal", "transverse", 0.1, 0.005),
        ("hexagonal", "transverse", 0.4, 0.02),
        ("hexagonal", "transverse", 0.5, 0.12),
        ("square", "transverse", 0.1, 0.005),
        ("square", "transverse", 0.3, 0.05),
    ],
)
def test_drummond_and_tahir_are_near_the_exact_array(
    arrangement: Arrangement, direction: Direction, fraction: float, error: float
) -> None:
    exact = array_permeability(arrangement, fraction, direction) * RADIUS**2
    value = drummond_tahir_permeability(fraction, 2 * RADIUS, arrangement, direction)
    assert value == pytest.approx(exact, rel=error)
    assert abs(value / exact - 1) > error / 30  # a formula, not the array itself


def test_the_self_consistent_method_is_the_thin_array_along_fibres_and_a_third_above_it_across() -> None:
    along, across = (array_permeability("hexagonal", 0.1, way) * RADIUS**2 for way in ("longitudinal", "transverse"))
    assert berdichevsky_cai_permeability(0.1, 2 * RADIUS, "longitudinal") == pytest.approx(along, rel=0.01)
    assert berdichevsky_cai_permeability(0.1, 2 * RADIUS) == pytest.approx(1.32 * across, rel=0.01)


@pytest.mark.parametrize("formula", [drummond_tahir_permeability, berdichevsky_cai_permeability])
def test_formulas_scale_with_the_squared_diameter_and_refuse_what_has_no_value(formula: Callable[..., float]) -> None:
    assert formula(0.5, 4e-6) == pytest.approx(4 * formula(0.5, 2e-6))
    for fraction, diameter in ((0.95, 1e-6), (0.0, 1e-6), (0.5, 0.0), (0.5, float("nan"))):
        with pytest.raises(InvalidInputError):
            formula(fraction, diameter)
