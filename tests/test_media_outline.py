"""Claims about fibre surfaces between the pixels: the greys of a micrograph tell them twice as well as its mask."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from resinflow.flow.microstructure import Microstructure
from resinflow.flow.surface import surface_distance, with_surface
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.distance import outline_distance
from resinflow.media.images import from_image
from resinflow.media.micrograph import draw_micrograph
from resinflow.stokes.solve import solve

PIXEL = 50e-6 / 64


def disc(radius: float, count: int = 40) -> np.ndarray:
    """Exact distance to a disc amid one slice, in pixels."""
    y, x = np.indices((count, count)) - (count / 2 - 0.3)
    return (np.hypot(y, x) - radius)[None]


def bundle(seed: int) -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=11e-6, misalignment=8.0, minimum_gap=1.5e-6)
    return fibre_bundle((3, 64, 64), (14e-6, 50e-6, 50e-6), seed=seed, settings=settings)


def read(medium: Microstructure, seed: int) -> Microstructure:
    return from_image(draw_micrograph(medium, seed=seed), pixel_size=PIXEL, depth=14e-6)


@pytest.mark.parametrize("radius", [5.0, 7.3, 12.8])
def test_the_outline_of_a_disc_is_found_to_a_few_hundredths_of_a_pixel(radius: float) -> None:
    exact = disc(radius)
    found = outline_distance(exact < 0, exact)
    beside = np.abs(exact) < 3
    assert np.abs(found - exact)[beside].max() < 0.06
    assert np.array_equal(found < 0, exact < 0)


def test_greys_scaled_by_any_contrast_give_the_same_outline() -> None:
    exact = disc(7.3)
    assert outline_distance(exact < 0, 40 * exact) == pytest.approx(outline_distance(exact < 0, exact))


def test_where_the_mask_was_mended_the_outline_is_half_way_between_the_centres() -> None:
    exact = disc(7.3)
    found = outline_distance(np.abs(exact) < 1.5, np.ones_like(exact))  # a ring of which the greys know nothing
    mask = (np.abs(exact) < 1.5)[0]
    neighbours = mask[:, 1:] != mask[:, :-1]
    sides = np.abs(found[0])
    assert sides[:, 1:][neighbours].max() <= 0.5
    assert np.array_equal(found[0] < 0, mask)


@pytest.mark.parametrize("flip", [False, True])
def test_fibres_that_touch_at_a_corner_are_parted(flip: bool) -> None:
    page = np.zeros((8, 8), dtype=bool)
    page[2:4, 2:4] = page[4:6, 4:6] = True
    mask = (page[:, ::-1] if flip else page)[None]
    found = outline_distance(mask, np.where(mask, -1.0, 1.0))
    inside = mask[0, 3:5, 3:5]  # a line cuts the corner of each fibre off, and the resin passes between
    assert found[0, 3:5, 3:5] == pytest.approx(np.where(inside, -np.sqrt(0.125), 0.5), abs=0.01)


def test_a_slice_without_outline_is_as_far_as_it_is_long() -> None:
    none = np.zeros((1, 16, 20), dtype=bool)
    assert (outline_distance(none, np.ones(none.shape)) == 20).all()
    assert (outline_distance(~none, -np.ones(none.shape)) == -20).all()


def test_greys_tell_the_surface_twice_as_well_as_the_mask() -> None:
    greys, masks = [], []
    for seed in range(3):
        medium = bundle(seed)
        found = read(medium, seed)
        exact, known = (np.asarray(m.signed_distance) / PIXEL for m in (medium, found))
        estimated = surface_distance(Microstructure(found.fluid, found.spacing)) / PIXEL
        beside = (np.abs(exact) < 1.5) & (np.abs(known - exact) < 1)  # but for slivers at the border that are no fibre yet
        assert beside.sum() > 0.97 * (np.abs(exact) < 1.5).sum()
        greys.append((known - exact)[beside])
        masks.append((estimated - exact)[beside])
    grey, mask = (np.sqrt(np.mean(np.concatenate(errors) ** 2)) for errors in (greys, masks))
    assert grey < 0.16
    assert grey < 0.55 * mask


def test_the_permeability_of_a_micrograph_is_nearer_to_its_mediums_than_with_surfaces_estimated_from_the_mask() -> None:
    """Median over eight bundles: in single ones a gap or a sliver of a pixel decides, which no threshold finds."""
    errors = []
    for seed in range(8):
        medium = bundle(seed)
        found = read(medium, seed)
        mask = with_surface(Microstructure(found.fluid, found.spacing))
        truth, known, estimated = (solve(m, tolerance=1e-3, wall_rule="surface").permeability for m in (medium, found, mask))
        errors.append([abs(known / truth - 1), abs(estimated / truth - 1)])
    known_error, estimated_error = np.median(errors, axis=0)
    assert known_error < 0.06
    assert known_error < 0.5 * estimated_error


def test_an_image_knows_its_surfaces_and_a_mask_does_not() -> None:
    medium = bundle(1)
    found = read(medium, 1)
    assert found.signed_distance is not None
    assert np.array_equal(found.signed_distance > 0, found.fluid)
    assert found.provenance["surface"] == "read from the greys by the classical segmentation"
    mask = from_image(medium.fluid, pixel_size=PIXEL, depth=14e-6)
    assert mask.signed_distance is None
    extruded = from_image(draw_micrograph(medium, seed=1)[0], pixel_size=PIXEL, depth=14e-6, slices=4)
    assert extruded.signed_distance is not None
    assert (extruded.signed_distance == extruded.signed_distance[:1]).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_at_every_pixel_the_distance_is_that_to_the_nearest_point_of_the_outline(seed: int) -> None:
    """Against the nearest of many points along the contours, however far off."""
    from skimage.measure import find_contours

    y, x = np.indices((150, 190)).astype(float)
    centres = np.random.default_rng(seed).uniform((30, 30), (120, 160), (4, 2))
    excess = np.min([np.hypot(y - cy, x - cx) for cy, cx in centres], axis=0) - 9.3
    points = np.concatenate(
        [line[:-1] + part * np.diff(line, axis=0) for line in find_contours(excess, 0.0) for part in np.linspace(0, 1, 11)]
    )
    nearest, _ = KDTree(points).query(np.stack([y.ravel(), x.ravel()], axis=1))
    distance = outline_distance(excess[None] < 0, excess[None])
    assert np.abs(np.abs(distance[0]).ravel() - nearest).max() < 0.06
