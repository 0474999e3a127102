"""Claims about fibres that are fitted to surfaces that were read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import surface_distance
from resinflow.media import BundleSettings, FibreSurfaces, fibre_bundle, fitted_surfaces

SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
PIXEL = EXTENT[1] / SHAPE[1]
STEP = EXTENT[0] / SHAPE[0] / PIXEL
NOISE = 0.1


def exact(seed: int, fraction: float = 0.5, misalignment: float = 10.0) -> NDArray[np.float64]:
    """Distance to the surfaces of a bundle, pixels."""
    settings = BundleSettings(volume_fraction=fraction, diameter=11e-6, misalignment=misalignment)
    return surface_distance(fibre_bundle(SHAPE, EXTENT, seed=seed, settings=settings)).astype(np.float64) / PIXEL


def grain(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Errors of standard deviation NOISE that neighbours share."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, *(0.7,) * (len(shape) - 1)))
    return NOISE * noise / noise.std()


def read(distance: NDArray[np.float64], seed: int, samples: int = 0) -> FibreSurfaces:
    """A distance as a front end reads it: with noise, and an expectation of its size."""
    error = np.full(distance.shape, NOISE * np.sqrt(2 / np.pi), dtype=np.float32)
    shifts = np.stack([grain(distance.shape, 1000 + k) for k in range(samples)]).astype(np.float16) if samples else None
    return FibreSurfaces((distance + grain(distance.shape, seed)).astype(np.float32), error, shifts)


@pytest.mark.parametrize("step", [STEP, None])
def test_round_fibres_are_found_to_a_fraction_of_the_errors_of_the_reading(step: float | None) -> None:
    truth = exact(1)
    surfaces = read(truth, 2)
    inside = np.zeros(truth.shape, dtype=bool)
    inside[:, 6:-6, 6:-6] = True  # fibres that the border cuts show less of themselves
    near = inside & (np.abs(truth) < 1)
    before, after = (np.abs(each.distance - truth)[near].mean() for each in (surfaces, fitted_surfaces(surfaces, step)))
    assert after < (0.55 if step else 0.75) * before


def test_the_expected_error_of_a_fit_is_that_which_it_has() -> None:
    truth = exact(3)
    surfaces = fitted_surfaces(read(truth, 4), STEP)
    near = np.abs(truth) < 1
    assert surfaces.error[near].mean() == pytest.approx(np.abs(surfaces.distance - truth)[near].mean(), rel=0.5)


def test_fibres_that_bend_and_are_oval_are_followed() -> None:
    """Waves of two pixels over the depth, sections 20 % longer along x."""
    z, y, x = np.meshgrid((np.arange(11) - 5) * STEP, np.arange(64.0), np.arange(64.0), indexing="ij")
    depth = 5 * STEP
    truth = np.full(SHAPE, np.inf)
    for row in range(8, 64, 16):
        for column in range(9, 64, 18):
            away = np.hypot((x - column - 2 * (z / depth) ** 2) / 1.2, y - row)
            truth = np.minimum(truth, (away - 5.5) * 1.1)
    surfaces = read(truth, 5)
    near = np.abs(truth) < 1
    before, after = (np.abs(each.distance - truth)[near].mean() for each in (surfaces, fitted_surfaces(surfaces, STEP)))
    assert after < 0.65 * before


def test_what_is_no_round_fibre_stays_as_it_was_read() -> None:
    """Squares and long sections among round ones."""
    _, y, x = np.meshgrid(np.arange(11.0), np.arange(64.0), np.arange(64.0), indexing="ij")
    square = np.maximum(np.abs(x - 14), np.abs(y - 14)) - 8
    long = np.maximum(np.abs(x - 32) - 26, np.abs(y - 50) - 5)
    discs = [np.hypot(x - column, y - row) - 6 for row, column in ((12, 34), (12, 52), (30, 16), (30, 34), (30, 52))]
    truth = np.minimum.reduce([square, long, *discs])
    surfaces = read(truth, 6)
    fit = fitted_surfaces(surfaces, STEP)
    odd = (np.minimum(square, long) < 1.5) & (np.minimum.reduce(discs) > 3)
    change = np.abs(fit.distance - surfaces.distance)
    assert change[odd].mean() < 0.02
    assert change[(np.minimum.reduce(discs) < 1)].mean() > 0.03


def test_samples_that_move_a_wall_as_a_whole_stay_and_grain_is_taken_off() -> None:
    truth = exact(7)
    surfaces = read(truth, 8, samples=6)
    assert surfaces.displacements is not None
    whole = FibreSurfaces(surfaces.distance, surfaces.error, np.full((2, *truth.shape), 0.1, dtype=np.float16))
    near = np.abs(truth) < 1
    moved, grains = (fitted_surfaces(each, STEP).displacements for each in (whole, surfaces))
    assert moved is not None
    assert grains is not None
    assert moved[:, near].mean() == pytest.approx(0.1, abs=0.01)
    assert grains[:, near].astype(np.float32).std() < 0.5 * NOISE


@pytest.mark.parametrize("axes", [(1,), (2,), (0,)])
def test_the_fit_of_a_mirrored_reading_is_the_mirrored_fit(axes: tuple[int, ...]) -> None:
    surfaces = read(exact(9, fraction=0.35), 10)
    mirrored = FibreSurfaces(np.flip(surfaces.distance, axes).copy(), np.flip(surfaces.error, axes).copy())
    one, other = fitted_surfaces(surfaces, STEP).distance, np.flip(fitted_surfaces(mirrored, STEP).distance, axes)
    assert np.mean(np.abs(one - other) > 0.02) < 0.01  # seeds of sections that lie alike are taken in the order of the page


@pytest.mark.parametrize("value", [-3.0, 3.0])
def test_an_image_without_fibres_or_resin_stays(value: float) -> None:
    surfaces = FibreSurfaces(np.full((2, 16, 16), value, dtype=np.float32), np.full((2, 16, 16), 0.1, dtype=np.float32))
    assert np.array_equal(fitted_surfaces(surfaces, 2.0).distance, surfaces.distance)


def test_one_pixel_and_one_slice_are_no_fault() -> None:
    surfaces = FibreSurfaces(np.array([[[-0.5, 0.5], [0.5, 0.5]]], dtype=np.float32), np.full((1, 2, 2), 0.1, dtype=np.float32))
    assert np.array_equal(fitted_surfaces(surfaces, None).distance, surfaces.distance)
