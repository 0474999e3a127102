"""Sections of fibres in the mask of one slice, whose objects go on beyond its borders: parted, cleaned, measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import Microstructure

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_OPENING_SLACK = 0.5  # pixels: a digital disc has corners that an exact opening would cut
_WIDENING = 1.5
"""Beyond a border a fibre is as far as this times the distance to the border: it grows wider by 48 degrees on both sides."""


def on_border(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the labels that stand on the border of a page, in rising order."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))


def split_objects(page: Mask, radius: float) -> tuple[NDArray[np.integer], Floats]:
    """Return the objects of one slice, touching ones cut at their necks by a watershed of the depth, and the depth (pixels)."""
    depth = page_depth(page, 2 * radius)
    smooth = ndimage.gaussian_filter(depth, 0.15 * radius)
    seeds = _peaks(smooth, page, round(0.6 * radius))
    parts = np.zeros(page.shape, dtype=np.int32)
    ndimage.label(page, output=parts)
    # the peak of a small object does not count beside a larger one's: such an object is its own
    alone = np.setdiff1d(np.arange(1, parts.max() + 1), parts[tuple(seeds.T)])
    peaks = np.array(ndimage.maximum_position(depth, parts, alone), dtype=np.int64).reshape(-1, 2)
    seeds = np.concatenate([seeds, peaks])
    return _parted(smooth, page, seeds), depth


def _peaks(depth: Floats, page: Mask, reach: int) -> NDArray[np.int64]:
    """Row and column of the deepest points of a page, (peaks, 2), the deepest first, no two of them within ``reach`` pixels.

    These are the peaks of ``skimage.feature.peak_local_max``, which compares every peak with all others, several times.
    """
    reach = max(1, reach)
    inside = np.where(page, depth, -np.inf)
    highest = ndimage.maximum_filter(inside, size=2 * reach + 1, mode="nearest")
    places = np.argwhere((inside == highest) & (depth > depth.min()) & page)
    places = places[np.argsort(-depth[tuple(places.T)], kind="stable")]
    free = np.ones(page.shape, dtype=bool)
    peaks = []
    for row, column in places:
        if free[row, column]:
            free[max(row - reach + 1, 0) : row + reach, max(column - reach + 1, 0) : column + reach] = False
            peaks.append((row, column))
    return np.array(peaks, dtype=np.int64).reshape(-1, 2)


def _parted(depth: Floats, page: Mask, seeds: NDArray[np.int64]) -> NDArray[np.integer]:
    """Labels 1.. of the parts that grow from the seeds by a watershed of the depth, 0 outside the page."""
    from skimage.segmentation import watershed

    markers = np.zeros(page.shape, dtype=np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    return watershed(-depth, markers, mask=page)


def without_small_holes(page: Mask, area: float) -> Mask:
    """Return the page with the holes filled that have fewer pixels than ``area`` and do not touch the border."""
    labels = np.zeros(page.shape, dtype=np.int32)
    ndimage.label(~page, output=labels)
    sizes = np.bincount(labels.ravel())
    small = sizes < area
    small[np.append(on_border(labels), 0)] = False  # what the border cuts goes on outside; 0 is the fibres
    return page | small[labels]


def page_opening(page: Mask, disc: float) -> Mask:
    """Return the opening of a page as if fibres that a border cuts grew wider outside: a cap is a whole fibre's."""
    margin = int(3 * disc) + 1
    inside = np.pad(np.ones(page.shape, dtype=bool), margin)
    fibre = np.pad(page, margin)
    to_page, to_fibre = (np.asarray(ndimage.distance_transform_edt(~area)) for area in (inside, fibre))
    grown = fibre | (~inside & (to_fibre <= _WIDENING * to_page)) if page.any() else fibre
    return opening(grown, disc)[margin:-margin, margin:-margin]


def opening(area: Mask, disc: float) -> Mask:
    """Return where a disc of radius ``disc`` (pixels) fits inside ``area``."""
    core = inside_distance(area) > disc
    return area & (inside_distance(~core) <= disc + _OPENING_SLACK) if core.any() else core


def inside_distance(area: Mask) -> Floats:
    """Return the distance (pixels) of ``area``'s pixels to the nearest one outside (the length if there is none), 0 outside."""
    if area.all():
        return np.full(area.shape, float(max(area.shape)))
    return np.asarray(ndimage.distance_transform_edt(area), dtype=np.float64)


def page_depth(page: Mask, reach: float) -> Floats:
    """Return :func:`inside_distance` of a page as if what touches the border went on outside for ``reach`` pixels and more."""
    margin = int(reach) + 1
    return inside_distance(np.pad(page, margin, mode="edge"))[margin:-margin, margin:-margin]


_SECTIONS = 5
_ROUND = (0.7, 1.4)  # radius by area over radius of the largest inscribed circle, of a section of one fibre


@dataclass(frozen=True, eq=False)
class Sections:
    """The sections of fibres that slices across them show.

    Attributes:
        counts: (slices,), sections in each slice that was looked at, those cut by its border included; slices that are alike
            are looked at once.
        diameters: (n,), m, of the sections that lie whole in their slice and are about round: of the circle of the same area.
    """

    counts: NDArray[np.int64]
    diameters: NDArray[np.float64]


def fibre_sections(microstructure: Microstructure) -> Sections:
    """Return the sections of fibres in up to five z slices, at even distances from the first to the last.

    Touching sections are parted by a watershed of their distance transform; the diameter of a section counts if it stays
    clear of the slice's border and is about round. It is that of the circle of the same area, which is free of bias on a
    voxel grid. Meant for fibres within some 30 degrees of z.
    """
    slices = np.unique(np.linspace(0, microstructure.shape[0] - 1, _SECTIONS).round().astype(int))
    _, dy, dx = microstructure.spacing
    pages = [_page_sections(~microstructure.fluid[index], dy, dx) for index in _unlike(microstructure.fluid, slices)]
    return Sections(np.array([count for count, _ in pages]), np.concatenate([diameters for _, diameters in pages]))


def _unlike(fluid: Mask, slices: NDArray[np.integer]) -> list[int]:
    """The slices without those that are like the one before: an extruded medium has one."""
    first, *others = (int(index) for index in slices)
    chosen = [first]
    for index in others:
        if not np.array_equal(fluid[index], fluid[chosen[-1]]):
            chosen.append(index)
    return chosen


def estimate_fibre_diameter(microstructure: Microstructure) -> float | None:
    """Return the median diameter (m) of the fibres that a few z slices cut whole; None if there is no such fibre."""
    diameters = fibre_sections(microstructure).diameters
    return float(np.median(diameters)) if diameters.size else None


@dataclass(frozen=True, eq=False)
class SectionMap:
    """The sections of fibres in one slice.

    Attributes:
        labels: (ny, nx), from 1 up in the sections, 0 in the resin.
        diameters: (sections,), m, of the circle of the same area.
        whole: (sections,), whether a section stays clear of the slice's border and is about round.
    """

    labels: NDArray[np.integer]
    diameters: NDArray[np.float64]
    whole: NDArray[np.bool_]


def section_map(microstructure: Microstructure, index: int) -> SectionMap:
    """Return the sections of slice ``index``, counted from 0, as :func:`fibre_sections` parts and measures them.

    Raises:
        InvalidInputError: no such slice.
    """
    page = microstructure.slice_at(index)
    _, dy, dx = microstructure.spacing
    return map_sections(~page.fluid[0], dy, dx)


def _page_sections(solid: NDArray[np.bool_], dy: float, dx: float) -> tuple[int, NDArray[np.float64]]:
    """Number of sections in a slice, and the diameters of the whole ones, m."""
    sections = map_sections(solid, dy, dx)
    return len(sections.diameters), sections.diameters[sections.whole]


def map_sections(solid: NDArray[np.bool_], dy: float, dx: float) -> SectionMap:
    """The sections of a slice; one that is not whole where all is solid."""
    if not solid.any() or solid.all():
        count = int(solid.any())
        sides = np.full(count, 2.0 * np.sqrt(solid.size * dy * dx / pi))
        return SectionMap(solid.astype(np.int32), sides, np.zeros(count, dtype=bool))
    depth = np.asarray(ndimage.distance_transform_edt(solid, sampling=(dy, dx)), dtype=np.float64)
    # Maxima closer than half the largest radius belong to one fibre: a voxelised circle may have several.
    peaks = _peaks(depth, solid, int(0.5 * depth.max() / max(dy, dx)))
    labels = _parted(depth, solid, peaks)
    number = np.arange(1, len(peaks) + 1)
    area = np.bincount(labels.ravel(), minlength=len(peaks) + 1)[1:] * dy * dx
    inscribed = np.asarray(ndimage.maximum(depth, labels, number), dtype=np.float64)
    by_area = np.sqrt(area / pi)
    whole = ~np.isin(number, on_border(labels)) & (by_area >= _ROUND[0] * inscribed) & (by_area <= _ROUND[1] * inscribed)
    return SectionMap(labels, 2.0 * by_area, whole)
