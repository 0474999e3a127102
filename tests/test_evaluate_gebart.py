from math import pi
from pathlib import Path

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.plausibility import fibre_diameter_warning, gebart_permeability, gebart_warning
from resinflow.media.sections import estimate_fibre_diameter


@pytest.mark.parametrize(("fraction", "drag"), [(0.3, 96.793), (0.4, 185.771), (0.5, 382.223)])
def test_hexagonal_gebart_is_within_one_per_cent_of_the_exact_array(fraction, drag):
    exact = pi / (fraction * drag)  # K / a^2 from the drag F* of the periodic array
    assert gebart_permeability(fraction, 2.0) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("fraction", "drag", "excess"), [(0.3, 102.90, 0.18), (0.4, 217.89, 0.13), (0.5, 532.55, 0.10)])
def test_square_gebart_is_ten_to_eighteen_per_cent_above_sangani_and_acrivos(fraction, drag, excess):
    exact = pi / (fraction * drag)
    assert gebart_permeability(fraction, 2.0, "square") / exact - 1 == pytest.approx(excess, abs=0.01)


def test_permeability_grows_with_the_square_of_the_diameter():
    assert gebart_permeability(0.5, 20e-6) == pytest.approx(4 * gebart_permeability(0.5, 10e-6))


@pytest.mark.parametrize(
    ("fraction", "diameter", "arrangement"), [(0.8, 1e-5, "square"), (0.0, 1e-5, "hexagonal"), (0.5, -1, "square")]
)
def test_impossible_arrays_are_refused(fraction, diameter, arrangement):
    with pytest.raises(InvalidInputError, match="needed"):
        gebart_permeability(fraction, diameter, arrangement)


def test_an_unknown_arrangement_is_refused():
    with pytest.raises(InvalidInputError, match="hexagonal, square"):
        gebart_permeability(0.5, 1e-5, "random")  # pyright: ignore[reportArgumentType]


def test_a_plausible_permeability_draws_no_warning():
    assert gebart_warning(gebart_permeability(0.5, 10e-6) * 3, 0.5, 10e-6) is None


@pytest.mark.parametrize("slip", [1e6, 1e-4, 11, 1 / 11])
def test_a_unit_slip_draws_one_line_that_names_the_units(slip):
    warning = gebart_warning(gebart_permeability(0.5, 10e-6) * slip, 0.5, 10e-6)
    assert warning is not None
    assert "units" in warning
    assert "\n" not in warning


def test_no_flow_is_no_slip_but_backward_flow_is():
    assert gebart_warning(0.0, 0.5, 10e-6) is None
    assert "negative" in (gebart_warning(-1e-13, 0.5, 10e-6) or "")


@pytest.mark.parametrize(("arrangement", "factors"), [("hexagonal", (2.64, 2.14, 1.95)), ("square", (2.27, 1.58, 1.22))])
def test_along_the_fibres_gebart_is_up_to_two_and_a_half_times_the_exact_array(arrangement, factors):
    exact = {"hexagonal": (0.21789, 0.035283, 0.013791), "square": (0.23519, 0.044452, 0.020407)}[arrangement]
    for fraction, value, factor in zip((0.3, 0.5, 0.6), exact, factors, strict=True):
        ratio = gebart_permeability(fraction, 2.0, arrangement, "longitudinal") / value
        assert ratio == pytest.approx(factor, abs=0.01)


def test_the_warning_compares_with_the_formula_of_the_same_direction():
    along = 9 * gebart_permeability(0.65, 10e-6, direction="longitudinal")
    assert gebart_warning(along, 0.65, 10e-6) is not None
    assert gebart_warning(along, 0.65, 10e-6, "longitudinal") is None


def test_no_warning_where_the_formula_has_no_value():
    assert gebart_warning(1e-13, 0.95, 10e-6) is None
    assert gebart_warning(1e-13, 0.0, 10e-6) is None


def discs(centres, radius, shape=(1, 96, 96), step=0.5e-6):
    y, x = np.mgrid[: shape[1], : shape[2]] * step
    solid = np.zeros(shape, dtype=bool)
    for (cy, cx), r in zip(centres, np.broadcast_to(radius, len(centres)), strict=True):
        solid |= ((y - cy) ** 2 + (x - cx) ** 2 <= r**2)[None]
    return Microstructure(~solid, (2e-6, step, step))


@pytest.mark.parametrize("radius", [3e-6, 5.2e-6, 8e-6])
def test_the_diameter_of_one_fibre_is_found_within_three_per_cent(radius):
    micro = discs([(23.7e-6, 24.1e-6)], radius, shape=(3, 96, 96))
    assert estimate_fibre_diameter(micro) == pytest.approx(2 * radius, rel=0.03)


def test_touching_fibres_are_parted():
    micro = discs([(16e-6, 16e-6), (16e-6, 26e-6), (25e-6, 21e-6)], 5.1e-6)
    assert estimate_fibre_diameter(micro) == pytest.approx(10.2e-6, rel=0.08)


def test_fibres_cut_by_the_border_do_not_count():
    micro = discs([(0.0, 20e-6), (47e-6, 30e-6), (24e-6, 24e-6)], [9e-6, 9e-6, 5e-6])
    assert estimate_fibre_diameter(micro) == pytest.approx(10e-6, rel=0.03)


def test_the_median_of_the_fibres_is_told():
    micro = discs([(12e-6, 12e-6), (12e-6, 34e-6), (34e-6, 12e-6)], [3e-6, 5e-6, 8e-6])
    assert estimate_fibre_diameter(micro) == pytest.approx(10e-6, rel=0.03)


def test_without_a_whole_fibre_there_is_no_diameter():
    assert estimate_fibre_diameter(discs([(0.0, 0.0)], 9e-6)) is None
    assert estimate_fibre_diameter(Microstructure(np.ones((2, 8, 8), dtype=bool), (1e-6, 1e-6, 1e-6))) is None
    assert estimate_fibre_diameter(Microstructure(np.zeros((2, 8, 8), dtype=bool), (1e-6, 1e-6, 1e-6))) is None
    channel = np.ones((1, 20, 20), dtype=bool)
    channel[:, 8:12] = False
    assert estimate_fibre_diameter(Microstructure(channel, (1e-6, 1e-6, 1e-6))) is None


def test_the_fibres_of_a_real_section_have_the_diameter_that_was_measured_by_hand():
    path = Path(__file__).parents[1].parent / "shared" / "real" / "ud_composite_ct_slice_mask.png"
    if not path.exists():
        pytest.skip("the real section is not here")
    from skimage.io import imread

    solid = imread(path)[..., :3].max(axis=-1) > 0
    pixel = 0.47e-6
    micro = Microstructure(~solid[None], (pixel, pixel, pixel))
    assert estimate_fibre_diameter(micro) == pytest.approx(14.9 * pixel, rel=0.02)


def test_a_wrong_pixel_size_shows_in_the_diameter():
    assert fibre_diameter_warning(7e-6) is None
    assert "pixel size" in (fibre_diameter_warning(7e-3) or "")
    assert "pixel size" in (fibre_diameter_warning(7e-9) or "")
