"""The reference cases: their geometry, their answers, and what they refuse."""

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.media.cases import (
    array_permeability,
    duct_permeability,
    fibre_array,
    plane_channel,
    rectangular_duct,
    table_fractions,
)

ARRANGEMENTS = ("square", "hexagonal")
DIRECTIONS = ("transverse", "longitudinal")


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_mask_fraction_approaches_the_asked_fraction(arrangement, fraction):
    errors = [abs(fibre_array(arrangement, fraction, d).microstructure.fibre_fraction - fraction) for d in (8, 64)]
    assert errors[1] < 0.002
    assert errors[1] <= errors[0]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_signed_distance_is_that_of_round_fibres(arrangement):
    micro = fibre_array(arrangement, 0.4, 64).microstructure
    distance = micro.signed_distance[0]
    assert np.array_equal(distance > 0, micro.fluid[0])
    gy, gx = np.gradient(distance, *micro.spacing[1:])
    slope = np.hypot(gy, gx)
    near = np.abs(distance) < 4 * max(micro.spacing[1:])
    assert np.abs(slope[near] - 1).max() < 0.02
    assert distance.min() == pytest.approx(-5e-6, abs=2 * max(micro.spacing[1:]))  # a fibre centre lies a radius deep


def test_array_cell_is_periodic():
    for arrangement in ARRANGEMENTS:
        distance = fibre_array(arrangement, 0.3, 32).microstructure.signed_distance[0]
        across_seam = np.abs(distance[0] - distance[-1]).max()
        within = np.abs(np.diff(distance, axis=0)).max()
        assert across_seam <= within * 1.01


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_voxels_of_arrays_are_nearly_cubic(direction):
    for arrangement in ARRANGEMENTS:
        for fraction in table_fractions(direction):
            _, dy, dx = fibre_array(arrangement, fraction, 16, direction).microstructure.spacing
            assert dy / dx == pytest.approx(1.0, abs=0.03)


def test_drag_of_the_square_array_is_sangani_and_acrivos():
    for fraction, drag in zip((0.05, 0.1, 0.2, 0.3, 0.4, 0.5), (15.56, 24.83, 51.53, 102.90, 217.89, 532.55), strict=True):
        assert array_permeability("square", fraction, "transverse") == pytest.approx(np.pi / (fraction * drag), rel=1e-12)


def test_dilute_drag_of_the_square_array_meets_its_asymptote():
    """Sangani and Acrivos (1982), dilute square array: F = 4 pi / (-ln(c)/2 - 0.738 + c - 0.887 c^2 + 2.038 c^3)."""
    c = 0.05
    drag = 4 * np.pi / (-0.5 * np.log(c) - 0.738 + c - 0.887 * c**2 + 2.038 * c**3)
    assert array_permeability("square", c, "transverse") == pytest.approx(np.pi / (c * drag), rel=2e-3)


def test_dilute_longitudinal_permeability_meets_its_asymptote():
    """Drummond and Tahir (1984), square: K/a^2 = (-ln c - 1.476 + 2c - c^2/2 - ...) / (4 c)."""
    c = 0.1
    assert array_permeability("square", c, "longitudinal") == pytest.approx(
        (-np.log(c) - 1.476336 + 2 * c - c**2 / 2 - 0.0509713 * c**4) / (4 * c), rel=1e-3
    )


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_interpolation_between_table_fractions_agrees_with_gebart(arrangement):
    """Gebart (1992) is a smooth law: the ratio to it may not wiggle between the tabulated fractions."""
    largest, factor = (np.pi / 4, np.sqrt(2)) if arrangement == "square" else (np.pi / (2 * np.sqrt(3)), np.sqrt(6))
    fractions = np.linspace(0.3, 0.5, 21)
    law = 16 / (9 * np.pi * factor) * (np.sqrt(largest / fractions) - 1) ** 2.5
    ratio = np.array([array_permeability(arrangement, c, "transverse") for c in fractions]) / law
    assert np.abs(np.diff(ratio, 2)).max() < 1e-3
    assert (0.84 if arrangement == "square" else 0.97) < ratio.min() <= ratio.max() < 1.03


def test_permeability_falls_with_fraction_and_is_larger_along_the_fibres():
    for arrangement in ARRANGEMENTS:
        across = [array_permeability(arrangement, c, "transverse") for c in (0.1, 0.2, 0.3, 0.4, 0.5)]
        along = [array_permeability(arrangement, c, "longitudinal") for c in (0.1, 0.2, 0.3, 0.4, 0.5)]
        assert (np.diff(across) < 0).all()
        assert (np.diff(along) < 0).all()
        assert (np.array(along) > across).all()


def test_square_duct_has_the_known_permeability():
    assert duct_permeability(1.0, 1.0) == pytest.approx(0.0351443, rel=1e-5)  # flow rate 0.140577 a^4 for half width a


def test_wide_duct_is_a_plane_channel():
    assert duct_permeability(1.0, 1000.0) == pytest.approx((1 - 0.630e-3) / 12, rel=1e-5)
    assert duct_permeability(2.0, 3.0) == duct_permeability(3.0, 2.0)


def test_channel_counts_its_walls_into_the_box():
    case = plane_channel(3, spacing=(1e-6, 2e-6, 1e-6))
    assert case.microstructure.shape == (4, 5, 4)
    assert case.permeability == pytest.approx((6e-6) ** 3 / (12 * 10e-6))
    assert case.microstructure.signed_distance.max() == pytest.approx(3e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: plane_channel(0), "0 voxels wide"),
        (lambda: plane_channel(2, axis="y", normal="y"), "normal"),
        (lambda: rectangular_duct(0, 3), "duct"),
        (lambda: fibre_array("cubic", 0.3, 16), "cubic"),
        (lambda: fibre_array("square", 0.7, 16), "0.05 to 0.5"),
        (lambda: fibre_array("square", 0.3, 1), "at least 2"),
    ],
)
def test_impossible_cases_are_refused_in_one_line(build, message):
    with pytest.raises(InvalidInputError, match=message) as refusal:
        build()
    assert "\n" not in str(refusal.value)
    assert "needed" in str(refusal.value)
