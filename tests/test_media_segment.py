"""Segmentation finds the fibres of drawn micrographs, whose truth is known, and of a real CT slice with a hand mask."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.images import read_stack
from resinflow.media.micrograph import draw_micrograph
from resinflow.media.segment import SegmentationSettings, segment
from tests.measures import dice

REAL = Path(__file__).parents[1].parent / "shared" / "real"
PIXEL = 0.5e-6

# blur (pixels), noise (of the contrast), rim, illumination gradient
CONDITIONS = {
    "clean": (0.5, 0.03, 0.0, 0.0),
    "noisy": (0.7, 0.25, 0.2, 0.2),
    "rimmed": (0.8, 0.10, 0.6, 0.0),
    "uneven": (0.6, 0.12, 0.2, 0.5),
}


def cross_section(diameter: float, fraction: float, sections: float, seed: int):
    """One slice of straight parallel fibres, ``sections`` diameters wide (at least 64 pixels)."""
    side = max(64, round(sections * diameter))
    settings = BundleSettings(fraction, diameter * PIXEL, 0.08, 0.0, 0.06 * diameter * PIXEL)
    extent = (40 * diameter * PIXEL, side * PIXEL, side * PIXEL)  # deep: pushes between fibres then tilt them little
    return fibre_bundle((1, side, side), extent, seed=seed, settings=settings)


def drawn(medium, *, dark: bool = True, contrast: float = 60.0, condition: str = "clean", seed: int = 0):
    blur, noise, rim, gradient = CONDITIONS[condition]
    half = contrast / 2 if dark else -contrast / 2
    return draw_micrograph(
        medium,
        seed=seed,
        fibre_grey=125 - half,
        matrix_grey=125 + half,
        blur=blur,
        noise=noise * contrast,
        rim=rim,
        gradient=gradient,
    )


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "bright"])
@pytest.mark.parametrize("fraction", [0.3, 0.45, 0.6])
@pytest.mark.parametrize("diameter", [8, 15, 25, 40])
def test_fibres_of_any_size_fraction_and_polarity_are_found_with_the_defaults(diameter, fraction, dark):
    medium = cross_section(diameter, fraction, 5, seed=diameter)
    for index, condition in enumerate(CONDITIONS):
        found = segment(drawn(medium, dark=dark, contrast=45 + 15 * index, condition=condition))
        assert found.polarity == ("dark" if dark else "bright"), condition
        assert dice(found.fibre, ~medium.fluid) >= 0.9, condition
        # a pixel of outline is a tenth of the area of an 8-pixel section
        assert found.fibre.mean() == pytest.approx(medium.fibre_fraction, abs=0.07 if diameter == 8 else 0.04), condition


@pytest.mark.skipif(not REAL.exists(), reason="the CT slice is not at hand")
def test_real_ct_slice_agrees_with_its_hand_mask():
    import skimage.io

    grey = read_stack(REAL / "ud_composite_ct_slice.tif")
    hand = skimage.io.imread(REAL / "ud_composite_ct_slice_mask.png")[..., :3].max(axis=-1)[None] > 0
    found = segment(grey)
    assert found.polarity == "dark"
    assert dice(found.fibre, hand) >= 0.88
    assert found.fibre.mean() == pytest.approx(0.379, abs=0.03)
    assert found.fibre_diameter == pytest.approx(14.9, rel=0.1)
    transposed = segment(grey.swapaxes(1, 2)).fibre.swapaxes(1, 2)
    assert dice(transposed, hand) >= 0.88


@pytest.fixture(scope="module")
def small_stack():
    """A stack of 11 slices of 64 x 64 pixels with tilted fibres of 14 pixels that the borders cut."""
    return fibre_bundle((11, 64, 64), (50e-6, 50e-6, 50e-6), seed=2, volume_fraction=0.5)


def test_small_stack_of_tilted_fibres_is_segmented_within_two_seconds(small_stack):
    grey = draw_micrograph(small_stack, seed=1)
    start = time.process_time()
    found = segment(grey)
    assert time.process_time() - start < 2.0
    assert dice(found.fibre, ~small_stack.fluid) >= 0.95
    worst = min(dice(page, truth) for page, truth in zip(found.fibre, ~small_stack.fluid, strict=True))
    assert worst >= 0.93
    assert found.fibre.mean() == pytest.approx(small_stack.fibre_fraction, abs=0.03)


def test_slices_of_different_brightness_are_segmented_alike(small_stack):
    grey = draw_micrograph(small_stack, seed=1).astype(float)
    drift = grey + np.linspace(-40, 40, len(grey))[:, None, None]
    assert dice(segment(drift).fibre, segment(grey).fibre) > 0.995


def test_scaled_shifted_and_inverted_greys_give_the_same_fibres(small_stack):
    grey = draw_micrograph(small_stack, seed=1).astype(float)
    found, scaled, inverted = segment(grey), segment(0.5 * grey + 8), segment(255 - grey)
    assert np.array_equal(scaled.fibre, found.fibre)
    assert scaled.threshold == pytest.approx(0.5 * found.threshold + 8)
    assert (found.polarity, inverted.polarity) == ("dark", "bright")
    assert dice(inverted.fibre, found.fibre) > 0.99  # pixels at the very threshold change sides
    assert inverted.threshold == pytest.approx(255 - found.threshold, abs=1)


def test_bright_pores_and_dust_do_not_move_the_fibres():
    medium = cross_section(16, 0.4, 8, seed=4)
    grey = drawn(medium).copy()
    free = np.asarray(ndimage.distance_transform_edt(medium.fluid[0]))
    spot = np.unravel_index(free.argmax(), free.shape)
    grey[0, spot[0] - 3 : spot[0] + 4, spot[1] - 3 : spot[1] + 4] = 255
    assert dice(segment(grey).fibre, ~medium.fluid) >= 0.96


def test_measured_diameter_noise_and_threshold_are_those_of_the_image():
    medium = cross_section(24, 0.45, 8, seed=1)
    found = segment(drawn(medium, condition="noisy", contrast=80))
    assert found.fibre_diameter == pytest.approx(24, rel=0.1)
    assert found.noise == pytest.approx(0.25, abs=0.06)
    assert found.threshold == pytest.approx(125, abs=10)


def test_level_moves_the_outline_towards_the_matrix():
    grey = drawn(cross_section(15, 0.4, 6, seed=2), condition="rimmed")
    areas = [segment(grey, SegmentationSettings(level=level)).fibre.mean() for level in (0.35, 0.55, 0.75)]
    assert areas[0] < areas[1] < areas[2]


def test_given_polarity_and_diameter_are_used():
    medium = cross_section(15, 0.4, 6, seed=2)
    found = segment(drawn(medium), SegmentationSettings(fibres="dark", fibre_diameter=15))
    assert found.fibre_diameter == 15
    assert dice(found.fibre, ~medium.fluid) >= 0.96
    with_wrong_polarity = segment(drawn(medium), SegmentationSettings(fibres="bright"))
    assert dice(with_wrong_polarity.fibre, ~medium.fluid) < 0.2


def test_dice_of_equal_disjoint_and_half_shared_masks():
    a = np.array([True, True, False, False])
    assert dice(a, a) == 1
    assert dice(a, ~a) == 0
    assert dice(a, np.array([False, True, True, False])) == 0.5
    assert dice(a & ~a, a & ~a) == 1
    with pytest.raises(InvalidInputError, match="shapes"):
        dice(a, a[:2])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((1, 40, 40), 7), "every pixel has grey 7"),
        (np.zeros((40,)), "needed: "),
        (np.zeros((1, 8, 40)), "at least 16 pixels"),
        (np.where(np.eye(40) > 0, np.nan, 1.0), "NaN"),
    ],
)
def test_images_without_two_phases_are_refused_in_one_line(image, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        segment(image)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [{"fibres": "grey"}, {"level": 2}, {"fibre_diameter": 1}, {"roundness": 1}, {"smallest": -1}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(InvalidInputError, match=next(iter(bad))):
        SegmentationSettings(**bad)


def test_caps_of_few_pixels_that_the_border_cuts_off_fibres_are_kept() -> None:
    """A cap as thin as a pixel may close the gap along a side of the box, so that K hangs on it."""
    y, x = np.indices((64, 64))
    fibre = np.zeros((64, 64), dtype=bool)
    for centre in ((-5.8, 20.0), (20.0, 69.6), (30.0, 30.0), (50.0, 12.0), (12.0, 44.0), (50.0, 50.0)):
        fibre |= np.hypot(y - centre[0], x - centre[1]) < 7.5
    found = segment(draw_micrograph(~fibre, seed=3, noise=3.0)).fibre[0]
    assert fibre[0, 17:24].all()
    assert found[0, 18:23].all()
    assert found[17:24, 63].all()
