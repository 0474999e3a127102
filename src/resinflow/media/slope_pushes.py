"""Pairs of leaning fibres pushed apart: compiled, each step over the pairs of which a fibre has moved."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PATIENCE, _LESS = 20, 0.98
"""Steps without progress after which pushes end, and what of the least sum of overlaps so far counts as progress."""


class Bundle(NamedTuple):
    """Leaning fibres, and what keeps them apart.

    Attributes:
        centres: (n, 2), m, x and y of the axes at height 0.
        support: (n, directions), m, reach of the outlines in evenly spread directions, the first along x.
        heights: (nz,), m, rising, without 0.
        pairs: (pairs, 2), numbers of fibres that may meet.
        gaps: (pairs,), m, that they must keep.
        mean: (2,), slope that the fibres scatter about.
        furthest: largest deviation from that; outlines that hook into one another would push without end.
        tolerance: m, overlap that may remain.
    """

    centres: Floats
    support: Floats
    heights: Floats
    pairs: NDArray[np.int64]
    gaps: Floats
    mean: Floats
    furthest: float
    tolerance: float


# no fastmath: a medium must be the same on every machine
_compiled = numba.njit(nogil=True, cache=True)


@_compiled
def _reach_at(support, fibre, place):
    """Reach of the outline of a fibre in a direction counted in steps of the table, which is periodic."""
    count = support.shape[1]
    below = math.floor(place)
    part = place - below
    low = int(below) % count
    return (1.0 - part) * support[fibre, low] + part * support[fibre, (low + 1) % count]


@_compiled
def gap_between(support, i, j, x, y):
    """Return the gap between two outlines whose centres lie (x, y) apart, m: what a line across that way leaves."""
    count = support.shape[1]
    place = math.atan2(y, x) * (count / (2.0 * math.pi))
    return math.hypot(x, y) - _reach_at(support, i, place) - _reach_at(support, j, place + 0.5 * count)


@_compiled
def gaps_at_rest(centres, support, pairs):
    """Return the gap of every pair at height 0, (pairs,), m."""
    gaps = np.empty(len(pairs))
    for k in range(len(pairs)):
        i, j = pairs[k, 0], pairs[k, 1]
        gaps[k] = gap_between(support, i, j, centres[j, 0] - centres[i, 0], centres[j, 1] - centres[i, 1])
    return gaps


@_compiled
def _come_near(x, y, turn_x, turn_y, lowest, highest, limit):
    """Whether two axes come nearer than a limit anywhere from the lowest to the highest height."""
    square = turn_x * turn_x + turn_y * turn_y
    height = 0.0
    if square > 0.0:
        height = min(max(-(x * turn_x + y * turn_y) / square, lowest), highest)
    away_x, away_y = x + height * turn_x, y + height * turn_y
    return away_x * away_x + away_y * away_y < limit * limit


@_compiled
def _deepest(support, i, j, offset, turn, heights, gap, limit):
    """The largest overlap of a pair at the heights, m (-1 where they stay clear), and its height."""
    worst, place = -1.0, 0.0
    for height in heights:
        x, y = offset[0] + height * turn[0], offset[1] + height * turn[1]
        if x * x + y * y < limit * limit:
            overlap = gap - gap_between(support, i, j, x, y)
            if overlap > worst:
                worst, place = overlap, height
    return worst, place


@_compiled
def _draw_in(slopes, mean, furthest):
    """Bring slopes that differ from the mean by more than the largest deviation back to it."""
    for n in range(len(slopes)):
        x, y = slopes[n, 0] - mean[0], slopes[n, 1] - mean[1]
        away = math.hypot(x, y)
        if away > furthest:
            slopes[n, 0], slopes[n, 1] = mean[0] + furthest / away * x, mean[1] + furthest / away * y


@_compiled
def push_apart(bundle, slopes, moved, steps):
    """Turn the fibres of pairs that meet apart, in place; return which fibres still meet others (n,).

    All pairs of a step push at once, each where it overlaps the most. A pair is looked at again where one of its fibres has
    moved. Pushes that have not reduced the sum of the overlaps for a while end: the fibres are jammed.

    Args:
        bundle: the fibres.
        slopes: (n, 2), changed.
        moved: (n,), which fibres may meet others.
        steps: at most; with 0 nothing is turned.
    """
    centres, support, heights, pairs, gaps = bundle.centres, bundle.support, bundle.heights, bundle.pairs, bundle.gaps
    count = len(centres)
    furthest_reach = np.empty(count)
    for n in range(count):
        furthest_reach[n] = support[n].max()
    shift = np.zeros((count, 2))
    moved, crowded = moved.copy(), np.zeros(count, dtype=np.bool_)
    least, since = np.inf, 0
    for step in range(steps + 1):
        shift[:] = 0.0
        crowded[:] = False
        total = 0.0
        for k in range(len(pairs)):
            i, j = pairs[k, 0], pairs[k, 1]
            if not (moved[i] or moved[j]):
                continue
            x, y = centres[j, 0] - centres[i, 0], centres[j, 1] - centres[i, 1]
            turn_x, turn_y = slopes[j, 0] - slopes[i, 0], slopes[j, 1] - slopes[i, 1]
            limit = furthest_reach[i] + furthest_reach[j] + gaps[k]
            if limit <= 0.0 or not _come_near(x, y, turn_x, turn_y, heights[0], heights[-1], limit):
                continue
            overlap, height = _deepest(support, i, j, (x, y), (turn_x, turn_y), heights, gaps[k], limit)
            if overlap <= bundle.tolerance:
                continue
            total += overlap
            crowded[i] = crowded[j] = True
            away_x, away_y = x + height * turn_x, y + height * turn_y
            strength = 0.5 * overlap / (height * max(math.hypot(away_x, away_y), 1e-12))
            shift[j, 0] += strength * away_x
            shift[j, 1] += strength * away_y
            shift[i, 0] -= strength * away_x
            shift[i, 1] -= strength * away_y
        since += 1
        if total < _LESS * least:
            least, since = total, 0
        if total == 0.0 or step == steps or since > _PATIENCE:
            break
        slopes += shift
        _draw_in(slopes, bundle.mean, bundle.furthest)
        moved[:] = crowded
    return crowded
