"""Fibres fitted to surfaces that were read from an image: nearly round, and going on from slice to slice.

A pixel says little of where a surface is, and a front end that looks at pixels leaves each of them an error of its own. A fibre
is seen by hundreds. Each is a cylinder here, along an axis that may bend, whose section may be elliptic or have three corners;
how far axes and sections of this image are off from straight, round and alike is learned from all of its fibres (empirical
Bayes). Where a fibre is not like that, what was read stays.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.media.cylinders import (
    COUNT,
    Cylinders,
    Readings,
    cylinder_moves,
    fit_cylinders,
    lay_cylinders,
    mix_moves,
    squared_differences,
)
from resinflow.media.front_end import FibreSurfaces
from resinflow.media.sections import map_sections, on_border

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]
Mask = NDArray[np.bool_]

_NEAR = 1.5
"""Pixels from the surface within which readings count."""
_REPLACED = 2.0
"""Pixels from the surface within which they are replaced."""
_BESIDE = 3
"""Pixels from a section up to which the resin is its own."""
_ALIKE = (7.0, 30.0)
"""Readings near a surface that err alike: in single images, and in stacks, where they do so across slices as well."""
_SMALLEST_ERROR = 0.02
_POPULATION = 3
"""Fibres that show what the others are like, at least."""
_ANYWHERE = 1e4
"""Pixels: deviation of the places of axes."""
_FEWEST = 12
"""Readings of a fibre, at least."""
_OVERLAP = 0.4
"""Share of the larger of two sections of successive slices that both cover, if they are one fibre's."""
_LONGEST = 12.0
"""Radii of the usual fibre over which an axis is one curve."""
_ROUNDS = (6, 2, 2, 2)
"""Gauss-Newton steps between which the spread of the fibres is estimated."""
_WINDOW = (0.7, 1.5, 1.5)
"""Standard deviation (slices, pixels) of the window in which readings must agree with the fit."""
_TOLERATED, _DISTRUST = 0.6, 2.0
"""Square of their mean difference there over that of the expected error, and by how much more makes a fit less certain."""
_CLIPPED = 5.0
"""Expected errors at which single differences from a fit are cut off when they are summed."""
_WELL = 1.2
"""Square of the differences over that of the expected errors, of a fibre that is as the fit says."""


class _Kind(NamedTuple):
    """Parameters of one kind: which, the standard deviation that they are taken to have at first, the least and the largest."""

    part: slice
    first: float
    least: float
    largest: float


_SLOPE = _Kind(slice(2, 4), 0.3, 0.01, 1.0)
_BEND = _Kind(slice(4, 6), 0.5, 0.003, 5.0)
"""Pixels that an axis bends by over half of the depth."""
_SIZE = _Kind(slice(6, 7), 0.3, 0.01, 0.5)
"""Over the usual radius, as are the two shapes."""
_OVAL = _Kind(slice(7, 9), 0.05, 0.002, 0.3)
_CORNERS = _Kind(slice(9, 11), 0.03, 0.002, 0.3)
_KINDS = (_SLOPE, _BEND, _SIZE, _OVAL, _CORNERS)


class _Population(NamedTuple):
    """Means and standard deviations of the parameters of an image's fibres, and the units of the latter, (COUNT,) each."""

    mean: Floats
    deviation: Floats
    unit: Floats


def fitted_surfaces(surfaces: FibreSurfaces, step: float | None) -> FibreSurfaces:
    """Return surfaces with those of fibres that are nearly round replaced by fits, as far as fit and reading agree.

    The two are weighed by their expected errors, in every voxel within two pixels of a surface; the expected error and the
    samples of the displacement are what the same weighing leaves of them.

    Args:
        surfaces: as they were read.
        step: distance between slices in pixels; None: the slices are images of their own.
    """
    distance, error, shifts = surfaces.distance, surfaces.error, surfaces.displacements
    sections = np.stack([map_sections(page < 0, 1.0, 1.0).labels for page in distance])
    parts = [
        _fitted(FibreSurfaces(distance[part], error[part], None if shifts is None else shifts[:, part]), sections[part], step)
        for part in _parts(sections, step)
    ]
    moved = [part.displacements for part in parts if part.displacements is not None]
    return FibreSurfaces(
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate(moved, axis=1) if moved else None,
    )


def _parts(sections: Labels, step: float | None) -> list[slice]:
    """Parts of a stack over which the axis of a fibre is one curve, of about the same depth; single images, each by itself."""
    count, longest = len(sections), 1
    if step is not None:
        usual = _usual_radius(sections[[0, count // 2, count - 1]])
        longest = count if usual is None else max(int(_LONGEST * usual / step), 1)
    edges = np.linspace(0, count, -(-count // longest) + 1).round().astype(int)
    return [slice(*edge) for edge in itertools.pairwise(edges)]


def _fitted(surfaces: FibreSurfaces, sections: Labels, step: float | None) -> FibreSurfaces:
    """:func:`fitted_surfaces` of a part of a stack; ``sections`` of its fibres, from 1 up in every slice, 0 in the resin."""
    distance = surfaces.distance.astype(np.float64)
    usual = _usual_radius(sections)
    if usual is None:
        return surfaces
    fibres = _followed(sections)
    heights = np.arange(len(distance), dtype=np.float64) * (step or 0.0)
    owners = np.stack([_expanded(page) for page in fibres])
    error = np.maximum(surfaces.error, _SMALLEST_ERROR).astype(np.float64)
    alike = _ALIKE[0 if step is None else 1]
    readings = _readings(distance, error, owners, heights, alike)
    cylinders = _cylinders(readings, fibres, usual, alike)
    fit, variance, owner = _laid(cylinders, fibres, heights)
    known = np.isfinite(np.append(np.inf, cylinders.misfit))[owners]  # beside a fibre without a cylinder what was read stays
    fits = (owner >= 0) & (np.abs(distance) < _REPLACED) & known
    share = _shares(
        np.where(fits, distance - fit, 0.0), np.abs(distance) < _NEAR, fits, variance, error, stacked=step is not None
    )
    shifts = surfaces.displacements
    if shifts is not None:
        mixed = shifts.astype(np.float32)
        mix_moves(mixed, cylinder_moves(mixed, readings, cylinders), cylinders, heights, owner, share)
        shifts = mixed.astype(shifts.dtype)
    left = surfaces.error * np.sqrt(1.0 - share).astype(np.float32)
    return FibreSurfaces(_mixed(surfaces.distance, fit, share), left, shifts)


def _mixed(read: NDArray[np.floating], fit: Floats, share: Floats) -> NDArray[np.floating]:
    """What was read with a share of the fit in its place, in the precision of the former."""
    return (read + share * np.where(share > 0, fit - read, 0.0)).astype(read.dtype)


def _usual_radius(sections: Labels) -> float | None:
    """The median radius of the sections, pixels; None where there are none."""
    sizes = np.concatenate([np.bincount(page.ravel())[1:] for page in sections])
    return float(np.sqrt(np.median(sizes[sizes > 0]) / np.pi)) if sizes.any() else None


def _followed(sections: Labels) -> Labels:
    """Sections (nz, ny, nx) by the number of their fibre, from 1 up.

    A fibre goes on in the section of the next slice that covers the most of it, if it is the one that covers that the most.
    """
    result, last, names = np.zeros(sections.shape, dtype=np.int32), 0, np.zeros(1, dtype=np.int32)
    for z, page in enumerate(sections):
        own = _names_of_next(sections[z - 1], page, names) if z else np.zeros(int(page.max()) + 1, dtype=np.int32)
        fresh = np.flatnonzero(own[1:] == 0) + 1
        own[fresh] = last + 1 + np.arange(len(fresh))
        last, names = last + len(fresh), own
        result[z] = own[page]
    return result


def _names_of_next(before: Labels, page: Labels, names: Labels) -> Labels:
    """Names of the sections of a page by those of the page before; 0: a new fibre."""
    count = int(page.max()) + 1
    both = (before > 0) & (page > 0)
    pairs, shared = np.unique(before[both].astype(np.int64) * count + page[both], return_counts=True)
    first, second = np.divmod(pairs, count)
    most_of_first, most_of_second = np.zeros(int(before.max()) + 1), np.zeros(count)
    np.maximum.at(most_of_first, first, shared)
    np.maximum.at(most_of_second, second, shared)
    larger = np.maximum(np.bincount(before.ravel())[first], np.bincount(page.ravel())[second])
    mutual = (shared == most_of_first[first]) & (shared == most_of_second[second]) & (shared >= _OVERLAP * larger)
    result = np.zeros(count, dtype=np.int32)
    result[second[mutual]] = names[first[mutual]]
    return result


def _expanded(page: Labels) -> Labels:
    """A page of sections with the resin beside each as its own."""
    from skimage.segmentation import expand_labels

    return expand_labels(page, _BESIDE)


def _readings(distance: Floats, error: Floats, owners: Labels, heights: Floats, alike: float) -> Readings:
    """The readings near the surfaces, fibre after fibre; of fibres with too few, none."""
    z, y, x = np.nonzero((np.abs(distance) < _NEAR) & (owners > 0))
    own = owners[z, y, x]
    counts = np.bincount(own, minlength=int(owners.max()) + 1)
    counts[counts < _FEWEST] = 0
    order = np.flatnonzero(counts[own] > 0)
    order = order[np.argsort(own[order], kind="stable")]
    z, y, x = z[order], y[order], x[order]
    weight = 1.0 / (alike * error[z, y, x] ** 2)
    return Readings(z, y, x, heights[z], distance[z, y, x], weight, np.concatenate([[0], np.cumsum(counts[1:])]))


def _cylinders(readings: Readings, fibres: Labels, usual: float, alike: float) -> Cylinders:
    """The cylinders that fit the readings best, given what all fibres of the image are like."""
    counts = np.diff(readings.bounds)
    seen = counts > 0
    error = 1.0 / np.sqrt(alike * readings.weight)
    heights, squares = _means(readings.height, readings.bounds), _means(error**2, readings.bounds)
    parameters = _first_parameters(fibres, usual)
    half = max(0.5 * float(np.ptp(readings.height)) if len(error) else 0.0, 1.0)
    population = _Population(np.zeros(COUNT), np.full(COUNT, _ANYWHERE), np.ones(COUNT))
    population.mean[_SIZE.part] = usual
    population.unit[_BEND.part] = 1.0 / half**2
    population.unit[_SIZE.part.start :] = usual
    for kind in _KINDS:
        population.deviation[kind.part] = kind.first
    covariance, ratio = np.zeros((len(seen), COUNT, COUNT)), np.zeros(len(seen))
    for steps in _ROUNDS:
        deviation = population.deviation * population.unit
        covariance = fit_cylinders(readings, parameters, heights, population.mean, deviation, steps)
        ratio = squared_differences(readings, parameters, heights, error, _CLIPPED)
        well = seen & (ratio < 2 * _WELL)
        if well.sum() >= _POPULATION:
            _learn(population, parameters[well], covariance[well])
    return Cylinders(parameters, covariance, heights, np.where(seen, np.maximum(ratio - _WELL, 0.0) * squares, np.inf))


def _means(values: Floats, bounds: NDArray[np.int64]) -> Floats:
    """Means over the readings of every fibre; 0 where there are none."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.diff(sums[bounds]) / np.maximum(np.diff(bounds), 1)


def _first_parameters(fibres: Labels, usual: float) -> Floats:
    """Round cylinders along z about the middles of the sections, (fibres, COUNT); those at a border are of the usual size."""
    count = int(fibres.max())
    z, y, x = np.nonzero(fibres)
    own = fibres[z, y, x]
    voxels = np.maximum(np.bincount(own, minlength=count + 1), 1)
    slices = np.maximum(np.bincount(np.concatenate([np.unique(page) for page in fibres]), minlength=count + 1), 1)
    radii = np.sqrt(voxels / slices / np.pi)
    radii[np.unique(np.concatenate([on_border(page) for page in fibres]))] = usual
    parameters = np.zeros((count + 1, COUNT))
    parameters[:, 0], parameters[:, 1] = (np.bincount(own, places, minlength=count + 1) / voxels for places in (x, y))
    parameters[:, 6] = radii
    return parameters[1:]


def _learn(population: _Population, parameters: Floats, covariance: Floats) -> None:
    """Set means and deviations of a population to those that the fibres show: a step of expectation maximisation.

    Axes may be anywhere, and bend and depart from circles to any side; parts of a kind have one deviation.
    """
    mean, deviation, unit = population
    variance = np.diagonal(covariance, axis1=1, axis2=2) / unit**2
    confidence = 1.0 / (variance + deviation**2)
    for part, *_ in (_SLOPE, _SIZE):
        mean[part] = np.average(parameters[:, part], axis=0, weights=confidence[:, part])
    squares = (((parameters - mean) / unit) ** 2 + variance).mean(axis=0)
    for part, _, least, largest in _KINDS:
        deviation[part] = np.clip(np.sqrt(squares[part].mean()), least, largest)


def _laid(cylinders: Cylinders, fibres: Labels, heights: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Distance to the nearest cylinder (nz, ny, nx), the variance of its error, and whose it is, -1 where it is none's."""
    count = len(cylinders.height)
    spans = np.tile(np.array([len(fibres), -1]), (count + 1, 1))
    for z, page in enumerate(fibres):
        present = np.unique(page)
        spans[present, 0] = np.minimum(spans[present, 0], z)
        spans[present, 1] = z
    distance, variance = np.full(fibres.shape, np.inf), np.zeros(fibres.shape)
    owner = np.full(fibres.shape, -1)
    lay_cylinders(cylinders, heights, spans[1:], distance, variance, owner)
    return distance, variance, owner


def _shares(away: Floats, near: Mask, fits: Mask, variance: Floats, error: Floats, *, stacked: bool) -> Floats:
    """How much of each voxel's distance is the fit's: by the variances of both, less where they disagree all around.

    Args:
        away: what was read less the fit; 0 where there is none.
        near: where readings count.
        fits: where there is a fit.
        variance: of the fit.
        error: expected of what was read.
        stacked: whether slices belong together.
    """
    window = _WINDOW if stacked else (0.0, *_WINDOW[1:])
    weight = (near & fits).astype(np.float64)
    around, amount = (ndimage.gaussian_filter(field, window, mode="nearest") for field in (away * weight, weight))
    disagreement = (around / np.maximum(amount, 1e-3) / error) ** 2
    distrust = _DISTRUST * np.maximum(disagreement - _TOLERATED, 0.0)
    return np.where(fits, 1.0 / (1.0 + variance / error**2 + distrust), 0.0)
