"""Random bundles hold what was asked of them, measured on their fibres; wavy and periodic ones too."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, draw_fibres, fibre_bundle
from resinflow.media.fibres import Fibres, Wave
from tests.measures import bundle_statistics, fibre_fraction, hard_disc_nearest_neighbour

SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
GAP = 0.5e-6
KINDS = {
    "aligned": {"misalignment": 0.0},
    "tilted": {"misalignment": 15.0, "strict_gap": True},
    "strongly tilted": {"misalignment": 30.0, "strict_gap": True},
    "wavy": {"misalignment": 0.0, "waviness": 15.0, "wavelength": 60e-6},
    "tilted and wavy": {"misalignment": 15.0, "waviness": 10.0, "wavelength": 60e-6},
    "periodic": {"misalignment": 15.0, "boundary": "periodic"},
    "periodic and wavy": {"misalignment": 10.0, "waviness": 10.0, "wavelength": 80e-6, "boundary": "periodic"},
}


def drawn(seed: int, fraction: float, diameter: float, scatter: float = 0.08, **kind) -> Fibres:
    return draw_fibres(SHAPE, EXTENT, seed=seed, settings=BundleSettings(fraction, diameter, scatter, minimum_gap=GAP, **kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fraction", "diameter"), [(0.3, 15e-6), (0.55, 9e-6)])
def test_fraction_gap_and_diameters_are_as_asked_over_many_seeds(kind, fraction, diameter):
    for seed in range(5):
        fibres = drawn(seed, fraction, diameter, **KINDS[kind])
        found = bundle_statistics(fibres)
        assert found.fibre_fraction == pytest.approx(fraction, abs=0.006)
        assert found.smallest_gap >= GAP
        assert found.nearest_neighbour_least >= fibres.diameters.min() + GAP
        assert found.nearest_neighbour_mean >= found.nearest_neighbour_least
        # the radii of a bundle shrink or grow together to meet the fraction
        assert 0.69 * diameter <= found.diameter_mean <= 1.06 * diameter
        assert found.diameter_scatter <= 0.08 * 1.8


@pytest.mark.parametrize("diameter", [5e-6, 8e-6, 11e-6, 15e-6])
def test_a_fraction_of_two_thirds_is_reached_at_every_diameter(diameter):
    for seed, kind in enumerate(("aligned", "tilted")):
        found = bundle_statistics(drawn(seed, 0.65, diameter, **KINDS[kind]))
        assert found.fibre_fraction == pytest.approx(0.65, abs=0.006)
        assert found.smallest_gap >= GAP


@pytest.mark.slow
@pytest.mark.parametrize(("fraction", "diameter"), [(0.65, 5e-6), (0.65, 8e-6), (0.68, 11e-6), (0.7, 15e-6)])
def test_dense_bundles_are_found_for_every_seed(fraction, diameter):
    for seed in range(20):
        for kind in ("aligned", "tilted"):
            assert bundle_statistics(drawn(seed, fraction, diameter, **KINDS[kind])).smallest_gap >= GAP


@pytest.mark.slow
def test_without_strict_gaps_one_bundle_in_eighty_comes_closer_than_asked():
    rng = np.random.default_rng(0)
    gaps = []
    for seed in range(240):
        kind = {"misalignment": rng.uniform(0, 15)}
        gaps.append(bundle_statistics(drawn(seed, rng.uniform(0.3, 0.6), rng.uniform(8e-6, 15e-6), **kind)).smallest_gap)
    assert np.mean(np.array(gaps) < GAP) < 0.03
    assert min(gaps) > 0.2 * GAP


def test_diameters_scatter_as_asked():
    diameters = [drawn(seed, 0.3, 6e-6, 0.1, misalignment=0.0).radius * 2 for seed in range(4)]
    together = np.concatenate(diameters)
    assert together.mean() == pytest.approx(6e-6, rel=0.02)
    assert together.std() / together.mean() == pytest.approx(0.1, rel=0.12)
    assert np.ptp(drawn(1, 0.3, 6e-6, 0.0).radius) == 0


def test_the_misalignment_is_the_largest_tilt_of_a_bundle_and_fibres_scatter_by_a_sixth():
    """Slopes of bundles are even over a disc: the mean of their squares is half the square of the largest."""
    limit = np.tan(np.radians(15.0))
    fibres = [drawn(seed, 0.3, 12e-6, misalignment=15.0) for seed in range(150)]
    means = np.array([one.slopes.mean(axis=0) for one in fibres])
    largest = max(bundle_statistics(one, heights=1, resolution=16).bundle_tilt for one in fibres[:20])
    assert largest < 16.5  # the mean of scattered fibres strays a little
    assert (np.hypot(*means.T) < 1.15 * limit).all()
    assert (means**2).sum(axis=1).mean() == pytest.approx(limit**2 / 2, rel=0.2)
    assert np.abs(means.mean(axis=0)).max() < 0.2 * limit  # no direction is preferred
    singles = np.concatenate([one.slopes - mean for one, mean in zip(fibres, means, strict=True)])
    assert singles.std() == pytest.approx(limit / 6, rel=0.15)


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.6])
def test_nearest_neighbours_are_about_as_far_as_those_of_hard_discs(fraction):
    ratios = []
    for seed in range(12):
        found = bundle_statistics(drawn(seed, fraction, 8e-6, 0.0, misalignment=0.0))
        core = found.diameter_mean + GAP
        discs = hard_disc_nearest_neighbour(found.fibre_fraction * (core / found.diameter_mean) ** 2, core)
        ratios.append(found.nearest_neighbour_mean / discs)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.06)
    assert max(ratios) < 1.2
    assert min(ratios) > 0.8


def test_the_hard_disc_reference_has_its_limits():
    dilute = 1e-4  # a Poisson process of density n: 1 / (2 sqrt n)
    assert hard_disc_nearest_neighbour(dilute, 1.0) == pytest.approx(0.5 / np.sqrt(dilute * 4 / np.pi), rel=2e-3)
    touching = np.sqrt(np.pi / (2 * np.sqrt(3) * 0.65))  # no arrangement is further apart than the hexagonal one
    assert 1.0 < hard_disc_nearest_neighbour(0.65, 1.0) < touching
    with pytest.raises(InvalidInputError, match="freeze"):
        hard_disc_nearest_neighbour(0.8, 1.0)


def test_statistics_of_fibres_laid_by_hand():
    """Two parallel fibres that tilt along x by 3 to 4: 10 um apart in the slice plane, 8 um across."""
    bottom = np.array([[10e-6, 25e-6], [20e-6, 25e-6]])
    top = bottom + np.array([0.75 * 20e-6, 0.0])
    found = bundle_statistics(Fibres(bottom, top, np.array([3e-6, 2e-6]), (20e-6, 50e-6, 50e-6)), heights=5)
    assert found.smallest_gap == pytest.approx(3e-6, rel=1e-12)
    assert found.nearest_neighbour_mean == pytest.approx(10e-6, rel=1e-12)
    assert found.bundle_tilt == pytest.approx(np.degrees(np.arctan(0.75)))
    assert found.tilt_rms == pytest.approx(found.tilt_largest)
    assert found.diameter_mean == pytest.approx(5e-6)
    assert found.diameter_scatter == pytest.approx(0.2)
    ellipses = np.pi * (9 + 4) * 1.25e-12 / 2500e-12  # sections are longer by 1 / cos(tilt)
    assert found.fibre_fraction == pytest.approx(ellipses, rel=2e-3)


def sampled_axes(fibres: Fibres, count: int) -> np.ndarray:
    """Points (fibre, count, 3) along every axis, a little beyond bottom and top."""
    z = np.linspace(-0.2, 1.2, count) * fibres.extent[0]
    points = fibres.points_at(z)
    return np.concatenate([points, np.broadcast_to(z[:, None, None], (*points.shape[:2], 1))], axis=2).swapaxes(0, 1)


def test_the_smallest_gap_between_wavy_fibres_is_that_between_points_of_their_axes():
    fibres = drawn(3, 0.5, 14e-6, misalignment=15.0, waviness=15.0, wavelength=70e-6)
    axes = sampled_axes(fibres, 1401)
    inside = (axes[0, :, 2] >= 0) & (axes[0, :, 2] <= fibres.extent[0])
    closest = np.inf
    for i, j in combinations(range(len(fibres)), 2):
        if np.hypot(*(axes[i] - axes[j]).mean(axis=0)[:2]) < 25e-6:
            apart = np.linalg.norm(axes[i][inside][::10, None] - axes[j][None], axis=2).min()
            closest = min(closest, apart - fibres.radii[i] - fibres.radii[j])
    assert bundle_statistics(fibres, heights=201).smallest_gap == pytest.approx(closest, abs=2e-9)


def test_the_signed_distance_to_wavy_fibres_is_that_to_points_of_their_axes():
    fibres = drawn(5, 0.45, 10e-6, misalignment=12.0, waviness=15.0, wavelength=60e-6)
    shape = (6, 20, 20)
    distance = fibres.signed_distance(shape)
    grid = np.meshgrid(*((np.arange(n) + 0.5) * edge / n for n, edge in zip(shape, EXTENT, strict=True)), indexing="ij")
    points = np.stack(grid[::-1], axis=-1).reshape(-1, 3)
    expected = np.full(len(points), np.inf)
    for axis, radius in zip(sampled_axes(fibres, 1401), fibres.radii, strict=True):
        near = np.flatnonzero(np.linalg.norm(points[:, None] - axis[None, ::50], axis=2).min(axis=1) < 25e-6)
        apart = np.linalg.norm(points[near, None] - axis[None], axis=2).min(axis=1)
        expected[near] = np.minimum(expected[near], apart - radius)
    assert np.abs(distance.ravel() - expected).max() < 1e-9  # 0.05 um between the points of an axis


def test_waves_are_as_steep_and_as_long_as_asked():
    fibres = drawn(2, 0.4, 10e-6, misalignment=0.0, waviness=12.0, wavelength=40e-6)
    z = np.linspace(0, 40e-6, 801)
    sway = fibres.points_at(z)[:, 0] - fibres.bottom[0]
    steepest = np.hypot(*np.diff(sway, axis=0).T).max() / np.diff(z)[0]
    assert np.degrees(np.arctan(steepest)) == pytest.approx(12.0, rel=1e-3)
    assert sway[0] == pytest.approx(sway[-1], abs=1e-15)
    assert np.hypot(*np.ptp(sway, axis=0)) / 2 == pytest.approx(40e-6 * np.tan(np.radians(12.0)) / (2 * np.pi), rel=1e-3)
    assert bundle_statistics(fibres, heights=1, resolution=16).wave_angle == pytest.approx(12.0)


def test_a_wave_of_no_height_changes_nothing():
    straight, wavy = (
        fibre_bundle((4, 32, 32), EXTENT, seed=3, settings=BundleSettings(0.4, 10e-6, wavelength=wavelength))
        for wavelength in (100e-6, 20e-6)
    )
    assert np.array_equal(straight.signed_distance, wavy.signed_distance)


@pytest.mark.parametrize("kind", ["periodic", "periodic and wavy"])
def test_a_periodic_bundle_moved_by_half_a_box_is_the_rolled_bundle(kind):
    fibres = drawn(1, 0.5, 11e-6, **KINDS[kind])
    half = np.array([25e-6, 25e-6])
    moved = Fibres(
        fibres.bottom + half, fibres.top + half, fibres.radius, EXTENT, fibres.growth, fibres.boundary, fibres.wave
    ).signed_distance((4, 32, 32))
    rolled = np.roll(fibres.signed_distance((4, 32, 32)), (16, 16), axis=(1, 2))
    assert np.abs(moved - rolled).max() < 1e-15


def test_a_cut_bundle_does_not_repeat():
    fluid = drawn(1, 0.5, 11e-6, misalignment=0.0).signed_distance(SHAPE)[0] > 0
    assert (fluid[:, 0] != fluid[:, -1]).mean() > 0.05


def test_the_fibres_of_a_bundle_are_its_medium_and_the_same_on_every_grid():
    settings = BundleSettings(0.45, 9e-6, waviness=8.0)
    fibres = draw_fibres((4, 24, 24), EXTENT, seed=8, settings=settings)
    coarse, fine = fibres.microstructure((4, 24, 24)), fibres.microstructure((12, 72, 72))
    whole = fibre_bundle((4, 24, 24), EXTENT, seed=8, settings=settings)
    assert np.array_equal(coarse.signed_distance, whole.signed_distance)
    assert whole.provenance["radius_change"] == fibres.growth
    assert fine.signed_distance[1::3, 1::3, 1::3] == pytest.approx(coarse.signed_distance, abs=1e-12)
    assert fibre_fraction(fibres, 256) == pytest.approx(0.45, abs=0.02)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: BundleSettings(waviness=25.0), "waviness"),
        (lambda: BundleSettings(wavelength=0.0), "wavelength"),
        (lambda: BundleSettings(waviness=15.0, wavelength=10e-6), "wavelength of at least"),
        (lambda: BundleSettings(boundary="open"), "boundary"),
        (
            lambda: draw_fibres((4, 16, 16), (2e-5, 1.2e-5, 1.2e-5), seed=1, settings=BundleSettings(boundary="periodic")),
            "periodic",
        ),
        (lambda: drawn(1, 0.7, 5e-6), "pack the plane"),
        (lambda: Fibres(np.zeros((2, 2)), np.zeros((2, 2)), np.ones(3), EXTENT), "shapes"),
        (lambda: Fibres(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(1), EXTENT), "thinnest"),
        (lambda: Fibres(np.zeros((1, 2)), np.zeros((1, 2)), np.ones(1), EXTENT, boundary="open"), "boundary"),
        (lambda: bundle_statistics(drawn(1, 0.3, 11e-6), heights=0), "heights"),
    ],
)
def test_impossible_bundles_are_refused_in_one_line(build, match):
    with pytest.raises(InvalidInputError, match=match) as refusal:
        build()
    assert "\n" not in str(refusal.value)


def test_the_slope_of_a_wave_is_the_change_of_its_shift():
    wave = Wave((2e-6, -1e-6), 50e-6, 0.7)
    z = np.linspace(0, 50e-6, 11)
    step = 1e-10
    assert (wave.shift(z + step) - wave.shift(z - step)) / (2 * step) == pytest.approx(wave.slope(z), abs=1e-6)
    assert np.hypot(*wave.slope(z).T).max() <= np.hypot(*wave.swing) * (1 + 1e-12)
