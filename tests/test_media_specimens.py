"""Claims about random specimens: known surfaces, and images that show them."""

from __future__ import annotations

import numpy as np
import pytest

from resinflow.media.imaging import Imaging, draw_imaging, image_of, normalised_greys
from resinflow.media.specimens import SpecimenRanges, draw_specimen

SHAPE = (4, 48, 48)
GREYS, MASKS = SpecimenRanges(masks=0.0), SpecimenRanges(masks=1.0)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_specimen_depends_on_its_seed_alone(stacked: bool) -> None:
    first, again, other = (draw_specimen(SHAPE, np.random.default_rng(seed), GREYS, stacked=stacked) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.distance, again.distance)
    assert not np.array_equal(first.distance, other.distance)
    assert first.stacked is stacked


def test_its_distance_grows_by_a_pixel_a_pixel_beside_the_surface() -> None:
    """Tilted, elliptic and warped sections included: the median over many, since ridges between fibres have no slope."""
    slopes = []
    for seed in range(40):
        distance = draw_specimen(SHAPE, np.random.default_rng(seed), GREYS).distance
        slope = np.hypot(*np.gradient(distance, axis=(1, 2)))
        near = (np.abs(distance) < 1.5)[:, 2:-2, 2:-2]
        if near.any():
            slopes.append(np.median(slope[:, 2:-2, 2:-2][near]))
    assert len(slopes) > 30
    assert 0.93 < np.median(slopes) < 1.03
    assert min(slopes) > 0.75


def test_a_mask_shows_the_sign_of_the_distance() -> None:
    specimen = draw_specimen(SHAPE, np.random.default_rng(5), MASKS)
    np.testing.assert_array_equal(specimen.image, np.where(specimen.distance > 0, 1.0, -1.0))


def test_fibres_are_the_darker_phase_of_nearly_all_images() -> None:
    """A void or a strong gradient of the light may turn one over."""
    darker = []
    for seed in range(60):
        specimen = draw_specimen(SHAPE, np.random.default_rng(seed), GREYS)
        fibre = specimen.distance < -0.5
        if 0.02 < fibre.mean() < 0.98:
            darker.append(specimen.image[fibre].mean() < specimen.image[specimen.distance > 0.5].mean())
    assert len(darker) > 40
    assert np.mean(darker) > 0.95


def test_blur_and_noise_are_those_that_were_asked() -> None:
    """A straight edge, where the blurred step and the noise of the flat part are known."""
    x = np.arange(64) + 0.5 - 32
    distance = np.broadcast_to(x, (1, 64, 64))
    rng = np.random.default_rng(0)
    sharp = image_of(distance, 1, Imaging(20.0, blur=2.0, noise=0.0, levels=0), rng)[0, 10]
    step = np.diff(sharp / np.ptp(sharp))
    width = np.sqrt((step * (np.arange(63) - (step * np.arange(63)).sum()) ** 2).sum())
    assert width == pytest.approx(2.0, rel=0.05)
    noisy = image_of(distance, 1, Imaging(20.0, blur=0.5, noise=0.1, levels=0), rng)[0]
    dark, bright = noisy[:, :24], noisy[:, 40:]
    assert dark.std() / (bright.mean() - dark.mean()) == pytest.approx(0.1, rel=0.1)


def test_greys_are_normalised_whatever_their_scale() -> None:
    specimen = draw_specimen(SHAPE, np.random.default_rng(1), GREYS)
    greys = normalised_greys(specimen.image)
    np.testing.assert_allclose(normalised_greys(40.0 + 7.0 * specimen.image), greys, atol=1e-9)
    assert np.quantile(greys, 0.03) == pytest.approx(-1, abs=1e-6)
    assert np.abs(greys).max() <= 2


def test_ways_of_imaging_span_the_ranges_that_are_promised() -> None:
    ways = [draw_imaging(np.random.default_rng(seed), 15.0) for seed in range(300)]
    blurs = np.array([way.blur for way in ways]) / 15
    assert blurs.min() < 0.04
    assert blurs.max() > 0.17
    assert {bool(way.quality) for way in ways} == {bool(way.hollow) for way in ways} == {True, False}
