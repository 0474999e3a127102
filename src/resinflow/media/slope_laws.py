"""Laws that slopes of fibres are drawn by where their sections in one plane are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError
from resinflow.media.bundles import BundleSettings, packed_fibres
from resinflow.media.neighbourhood import Discs
from resinflow.media.tilts import draw_slopes

__all__ = ["PackedSlopes", "SlopeLaw", "Stand"]

Floats = NDArray[np.float64]

_PACKED_DIAMETERS = 6.0
"""Edge, in diameters, of the bundle that is packed for the slopes of its fibres."""
_ALIKE = 4
"""Ranks by which a fibre may be less or more crowded than that whose slope it takes."""


@dataclass(frozen=True, eq=False)
class Stand:
    """Fibres whose sections in one plane are known, and the box that they run through.

    Attributes:
        discs: the sections.
        settings: of bundles like this one.
        below: from the plane to the bottom of the box, m.
        above: from the plane to its top, m.
    """

    discs: Discs
    settings: BundleSettings
    below: float
    above: float


class SlopeLaw(Protocol):
    """Draws slopes of fibres."""

    def slopes(self, stand: Stand, rng: np.random.Generator) -> Floats:
        """Return slopes dx/dz and dy/dz of the fibres of a stand, (n, 2); they may still lead fibres into one another."""
        ...


@dataclass(frozen=True)
class PackedSlopes:
    """The slopes of fibres that are packed as :func:`resinflow.media.fibre_bundle` packs them."""

    def slopes(self, stand: Stand, rng: np.random.Generator) -> Floats:
        """Return slopes (n, 2) like those of a bundle that is packed for the stand.

        Fibres that are pushed apart turn, most of all past one another: their slopes scatter more than they were drawn, by one
        or two degrees in boxes that are some diameters deep. Each fibre takes the slope of one of a bundle that is packed for
        it, one as crowded as itself, seen from its nearest neighbour; or a slope as drawn where nothing can be packed.
        """
        settings, seen = stand.settings, stand.discs
        edge = _PACKED_DIAMETERS * settings.diameter
        count = len(seen.radii)
        try:
            packed = packed_fibres((stand.below + stand.above, edge, edge), settings, rng)
        except InvalidInputError:  # too dense for its gaps
            packed = None
        if packed is None or len(packed[0]) < 2 or count < 2:
            return draw_slopes(settings.misalignment, count, rng)
        fibres, _ = packed
        bundle = fibres.slopes.mean(axis=0)
        gaps, ways = _nearest(Discs(fibres.centres[:, :2], fibres.radii))
        own_gaps, own_ways = _nearest(seen)
        order = np.argsort(gaps)
        rank = np.searchsorted(gaps[order], own_gaps) + rng.integers(-_ALIKE, _ALIKE + 1, count)
        donors = order[np.clip(rank, 0, len(order) - 1)]
        deviation = fibres.slopes[donors] - bundle
        towards = (deviation * ways[donors]).sum(axis=1)
        past = deviation[:, 1] * ways[donors, 0] - deviation[:, 0] * ways[donors, 1]
        across = np.stack([-own_ways[:, 1], own_ways[:, 0]], axis=1)
        return bundle + towards[:, None] * own_ways + past[:, None] * across


def _nearest(discs: Discs) -> tuple[Floats, Floats]:
    """Gap to the nearest neighbour over the mean radius (n,), and the direction to it (n, 2)."""
    from scipy.spatial import KDTree

    count = min(len(discs.radii), 7)
    distance, index = (np.asarray(each) for each in KDTree(discs.centres).query(discs.centres, k=count))
    gaps = distance[:, 1:] - discs.radii[:, None] - discs.radii[index[:, 1:]]
    place = gaps.argmin(axis=1)[:, None]
    neighbour = np.take_along_axis(index[:, 1:], place, axis=1)[:, 0]
    way = discs.centres[neighbour] - discs.centres
    length = np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-30)
    return np.take_along_axis(gaps, place, axis=1)[:, 0] / float(discs.radii.mean()), way / length
