"""Measures of media that tests compare: bundles in numbers, from their fibres alone, and the overlap of two masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from resinflow.flow import InvalidInputError
from resinflow.media.distance import distance_to_fibres
from resinflow.media.fibres import Fibres

Array = NDArray[np.float64]

_ROUNDING = 1 + 1e-9
_SUBSLICES = 8
"""Slices over which the fibre fraction is averaged: they change little from slice to slice."""


@dataclass(frozen=True)
class BundleStatistics:
    """A bundle in numbers; lengths in m, angles in degrees.

    Attributes:
        fibres: number of fibres, those beside the box of a ``cut`` bundle included.
        fibre_fraction: fibre volume over box volume.
        nearest_neighbour_mean: distance in the slice planes from a fibre's centre to the nearest other one, averaged over the
            fibres in the box and over heights.
        nearest_neighbour_least: the smallest such distance.
        smallest_gap: smallest clear distance between two fibre surfaces, straight across (not in the slice planes); inf for a
            single fibre.
        bundle_tilt: angle between the mean axis and z.
        tilt_mean: mean angle between the axes and z, waves apart.
        tilt_rms: root mean square of it.
        tilt_largest: the largest.
        wave_angle: largest angle between a wavy axis and its own mean direction (exact for axes whose mean is along z).
        diameter_mean: mean diameter.
        diameter_scatter: standard deviation of the diameters over their mean.
    """

    fibres: int
    fibre_fraction: float
    nearest_neighbour_mean: float
    nearest_neighbour_least: float
    smallest_gap: float
    bundle_tilt: float
    tilt_mean: float
    tilt_rms: float
    tilt_largest: float
    wave_angle: float
    diameter_mean: float
    diameter_scatter: float


def bundle_statistics(fibres: Fibres, *, heights: int = 17, resolution: int = 256) -> BundleStatistics:
    """Return the statistics of the fibres of a bundle.

    Args:
        fibres: a drawn bundle (:func:`resinflow.media.bundles.draw_fibres`).
        heights: planes at which distances are taken, from bottom to top.
        resolution: samples along x and y for the fibre fraction, whose error is about a tenth of a sample's width over the
            diameter.

    Raises:
        InvalidInputError: less than one height or sample.
    """
    if heights < 1 or resolution < 1:
        raise InvalidInputError(f"heights is {heights} and resolution {resolution}; needed: 1 or more.")
    z = np.linspace(0.0, fibres.extent[0], heights) if heights > 1 else np.array([fibres.extent[0] / 2])
    tilts = np.degrees(np.arctan(np.hypot(*fibres.slopes.T)))
    neighbours = nearest_neighbour_distances(fibres, z)
    diameters = fibres.diameters
    return BundleStatistics(
        fibres=len(fibres),
        fibre_fraction=fibre_fraction(fibres, resolution),
        nearest_neighbour_mean=float(neighbours.mean()) if neighbours.size else float("inf"),
        nearest_neighbour_least=float(neighbours.min(initial=np.inf)),
        smallest_gap=min(_smallest_gap(fibres, float(height)) for height in z),
        bundle_tilt=float(np.degrees(np.arctan(np.hypot(*fibres.slopes.mean(axis=0))))),
        tilt_mean=float(tilts.mean()),
        tilt_rms=float(np.sqrt((tilts**2).mean())),
        tilt_largest=float(tilts.max()),
        wave_angle=float(np.degrees(np.arctan(np.hypot(*fibres.wave.swing)))),
        diameter_mean=float(diameters.mean()),
        diameter_scatter=float(diameters.std() / diameters.mean()),
    )


def fibre_fraction(fibres: Fibres, resolution: int = 256) -> float:
    """Return fibre volume over box volume, from the signed distance at ``resolution`` x ``resolution`` points a slice.

    A point counts by how far it lies on either side of the surface, up to half a sample's width.
    """
    distance = fibres.signed_distance((_SUBSLICES, resolution, resolution))
    width = max(fibres.extent[1:]) / resolution
    return float(np.clip(0.5 - distance / width, 0.0, 1.0).mean())


def nearest_neighbour_distances(fibres: Fibres, heights: Array) -> Array:
    """Return the distances (m) from the centres in the box to the nearest other ones in the slice plane, at all heights."""
    size = np.array([fibres.extent[2], fibres.extent[1]])
    distances = []
    for own, all_centres in zip(fibres.points_at(heights), _with_images(fibres, heights), strict=True):
        if fibres.boundary == "cut":
            own = own[((own >= 0) & (own <= size)).all(axis=1)]
        if len(own) and len(all_centres) > 1:
            distances.append(KDTree(all_centres).query(own, k=2)[0][:, 1])
    return np.concatenate(distances) if distances else np.empty(0)


def hard_disc_nearest_neighbour(fraction: float, diameter: float) -> float:
    """Return the mean nearest-neighbour distance (m) of equal hard discs in equilibrium, of area fraction ``fraction``.

    ``diameter`` is that of the discs, m.

    Torquato, Phys. Rev. E 51 (1995) 3170: beyond contact the probability to find no neighbour within ``x`` diameters is
    ``exp(-4 f (a0 (x^2 - 1) + 2 a1 (x - 1)))`` with ``a0 = (1 + 0.128 f) / (1 - f)^2`` and ``a1 = -0.564 f / (1 - f)^2``;
    below the freezing point (f = 0.69).

    Raises:
        InvalidInputError: a fraction at which discs freeze.
    """
    if not 0 < fraction < 0.69:
        raise InvalidInputError(f"the fraction of the discs is {fraction}; needed: above 0 and below 0.69, where they freeze.")
    a0, a1 = (1 + 0.128 * fraction) / (1 - fraction) ** 2, -0.564 * fraction / (1 - fraction) ** 2
    x = np.linspace(1.0, 1.0 + 6.0 / np.sqrt(fraction), 20_001)
    empty = np.exp(-4 * fraction * (a0 * (x**2 - 1) + 2 * a1 * (x - 1)))
    return diameter * (1.0 + float(np.trapezoid(empty, x)))


def _with_images(fibres: Fibres, heights: Array) -> Array:
    """Centres at the heights (k, m, 2), those of the periodic images included."""
    points = fibres.points_at(heights)
    if fibres.boundary == "cut":
        return points
    return (points[:, None] + fibres.image_shifts()[:, None]).reshape(len(heights), -1, 2)


def _smallest_gap(fibres: Fibres, height: float) -> float:
    """Smallest clear distance (m) between the axis points at a height and all other axes, less both radii."""
    z = np.array([height])
    own, all_centres = fibres.points_at(z)[0], _with_images(fibres, z)[0]
    if len(all_centres) < 2:
        return float("inf")
    count = len(own)
    number = np.arange(len(all_centres)) % count
    home = np.flatnonzero((all_centres == own[number]).all(axis=1))
    radii = fibres.radii
    tree = KDTree(all_centres)
    nearest, partner = (np.asarray(values) for values in tree.query(own, k=2))
    # no other pair can be closer than what these leave, straight across a slope
    bound = float((nearest[:, 1] - radii - radii[number[partner[:, 1]]]).min())
    steepest = float(np.hypot(*fibres.slopes.T).max() + np.hypot(*fibres.wave.swing))
    reach = (bound + 2 * radii.max()) * np.sqrt(1 + steepest**2) * _ROUNDING
    pairs = [(i, j) for i, near in enumerate(tree.query_ball_point(own, reach)) for j in near if j != home[i]]
    first, second = np.array(pairs).T
    other = number[second]
    wave = (*fibres.wave.amplitude, fibres.wave.wavenumber, fibres.wave.phase)
    starts = all_centres[second] - fibres.wave.shift(z) - height * fibres.slopes[other]  # of the straight axes, at z = 0
    apart = [
        distance_to_fibres((start[None], fibres.slopes[[axis]], np.zeros(1)), wave, (z, point[1:], point[:1])).item()
        for start, axis, point in zip(starts, other, own[first], strict=True)
    ]
    return float((apart - radii[first] - radii[other]).min())


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the Dice overlap 2 |A and B| / (|A| + |B|) of two masks: 1 for equal masks (two empty ones too), 0 for disjoint.

    Raises:
        InvalidInputError: masks of different shapes.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape:
        raise InvalidInputError(f"the masks have shapes {a.shape} and {b.shape}; needed: equal shapes.")
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else 1.0
