"""What a medium of fibres looks like from outside: tilt, its scatter, distances of neighbours, evenness along z, gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resinflow.flow import Microstructure
from resinflow.media.section_fields import Section, sections_of
from resinflow.media.tracks import follow

_STEEPEST = 0.7
"""Slope up to which fibres are followed from slice to slice."""


@dataclass(frozen=True)
class BundleShape:
    """Numbers of a medium, measured on its voxels.

    Attributes:
        tilt: of the bundle from z, degrees.
        scatter: standard deviation of single fibres about that, along x and y, degrees; NaN where fewer than three are seen.
        nearest: mean distance of a fibre to its nearest neighbour over the mean diameter, in the lowest slice.
        fraction_scatter: standard deviation of the fibre fraction between the slices.
        chord: mean length of the lines along x in the resin, over the mean diameter.
        roundness: mean ratio of the radii of the circles of the same area and of the same reach, 1 for discs.
    """

    tilt: float
    scatter: float
    nearest: float
    fraction_scatter: float
    chord: float
    roundness: float


def measure_bundle(micro: Microstructure) -> BundleShape:
    """Return the shape of a medium whose fibres run about along z, from its lowest, middle and highest slice."""
    nz = micro.shape[0]
    places = sorted({0, nz // 2, nz - 1})
    slices = tuple(sections_of(micro.slice_at(place)) for place in places)
    heights = (np.array(places) + 0.5) * micro.spacing[0]
    whole = [section for page in slices for section in page if section.whole]
    diameter = 2 * float(np.mean([section.radius for section in whole])) if whole else float("nan")
    tilt = scatter = 0.0
    if len(places) > 1:
        tracks = follow(slices, heights, _STEEPEST)
        mean = tracks.drifts.sum(axis=0) / (heights[-1] - heights[0])
        tilt = float(np.degrees(np.arctan(np.hypot(*mean))))
        through = [
            np.array(slices[-1][members[-1]].centre) - slices[0][members[0]].centre
            for members in tracks.members
            if members.min() >= 0 and slices[0][members[0]].whole and slices[-1][members[-1]].whole
        ]
        slopes = np.array(through) / (heights[-1] - heights[0]) - mean if through else np.empty((0, 2))
        scatter = float(np.degrees(slopes.std())) if len(slopes) > 2 else float("nan")
    fluid = micro.fluid
    runs = np.count_nonzero(fluid[..., 1:] & ~fluid[..., :-1]) + np.count_nonzero(fluid[..., 0])
    chord = float(fluid.sum() / max(runs, 1)) * micro.spacing[2] / diameter
    return BundleShape(
        tilt, scatter, _nearest(slices[0], diameter), float((~fluid).mean(axis=(1, 2)).std()), chord, _roundness(whole)
    )


def _nearest(sections: tuple[Section, ...], diameter: float) -> float:
    """Mean distance of sections that a border does not cut to their nearest neighbours, in diameters."""
    from scipy.spatial import KDTree

    centres = np.array([section.centre for section in sections])
    inner = np.array([section.whole for section in sections])
    if len(centres) < 2 or not inner.any():
        return float("nan")
    distance, _ = KDTree(centres).query(centres[inner], k=2)
    return float(np.asarray(distance)[:, 1].mean()) / diameter


def _roundness(sections: list[Section]) -> float:
    if not sections:
        return float("nan")
    return float(np.mean([section.radius / max(float(section.support.max()), 1e-30) for section in sections]))
