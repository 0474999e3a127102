"""The law of the fibres' tilts in a bundle, and slopes of fibres through given points that keep them apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats = NDArray[np.float64]

SCATTER = 1 / 6
"""Standard deviation of a fibre's slope, along x and along y, over the largest slope of its bundle."""
LARGEST_SCATTER = 2.0
"""Standard deviations by which a fibre's slope differs from its bundle's at most."""

_STEPS, _FEWEST_STEPS, _WORK = 150, 8, 3e7
"""Steps of the pushes, and pairs times heights times steps above which they are fewer."""
_ROUNDS = 12
_CALMING = 0.7
"""Of fibres that are not parted in so many steps the scatter is reduced by this factor: without scatter none can meet."""
_WIDENINGS, _ENOUGH, _WIDEST = 4, 1.08, 1.5
"""Fibres that are parted lose some of their scatter. It is given back, in so many steps and by so much at most, until only such
a part is missing: the fibres of a bundle have their scatter and yet do not meet."""
_MOST_HEIGHTS = 9
_FURTHEST = 1.3
"""Largest deviation of a slope from the mean after the pushes, in largest ones before."""
_TOLERANCE = 2e-3
"""Overlap that may remain, in mean radii."""


def draw_slopes(misalignment: float, count: int, rng: np.random.Generator) -> Floats:
    """Return slopes dx/dz and dy/dz of the fibres of a bundle, (count, 2).

    The slope of the bundle is drawn evenly from the disc whose radius is the tangent of ``misalignment`` (degrees); single
    fibres scatter about it by a sixth of that, a third at most, along x and along y.
    """
    limit = np.tan(np.radians(misalignment))
    azimuth = rng.uniform(0, 2 * np.pi)
    bundle = limit * np.sqrt(rng.uniform()) * np.array([np.cos(azimuth), np.sin(azimuth)])
    single = np.clip(rng.standard_normal((count, 2)), -LARGEST_SCATTER, LARGEST_SCATTER) * limit * SCATTER
    return bundle + single


def steepest_slope(misalignment: float) -> float:
    """Return the largest slope that :func:`draw_slopes` can give to a fibre."""
    return float(np.tan(np.radians(misalignment))) * (1 + np.sqrt(2) * LARGEST_SCATTER * SCATTER)


class _Pairs(NamedTuple):
    """Pairs of fibres that may meet.

    Attributes:
        steps: in which they are parted: fewer where they are very many, as among specks that are no fibres.
        first: (pairs,), number of a fibre.
        second: (pairs,), number of the other.
        gap: (pairs,), m, that they must keep: what they have at height 0, ``minimum_gap`` at most.
    """

    steps: int
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    gap: Floats


def part_slopes(centres: Floats, support: Floats, slopes: Floats, heights: Floats, minimum_gap: float) -> Floats:
    """Return slopes (n, 2) near those asked for with which no two fibres meet at any height.

    A fibre is its own outline carried along its axis. Two outlines keep apart where a line across the way from centre to
    centre parts them. Fibres that are nearer at height 0 than the gap must not come nearer than they are there, so that equal
    slopes always do.

    Args:
        centres: (n, 2), x and y (m) of the axes at height 0.
        support: (n, directions), m, how far the outlines reach from there in evenly spread directions, the first along x.
        slopes: (n, 2), dx/dz and dy/dz asked for.
        heights: m, from height 0.
        minimum_gap: m, that fibres keep.
    """
    span = np.unique(np.linspace(float(heights.min()), float(heights.max()), min(len(heights), _MOST_HEIGHTS)))
    span = span[span != 0]
    if len(centres) < 2 or not len(span):
        return slopes
    mean = slopes.mean(axis=0)
    reach = 2 * float(np.linalg.norm(slopes - mean, axis=1).max()) * float(np.abs(span).max())
    indices = KDTree(centres).query_pairs(2 * float(support.max()) + minimum_gap + 2 * reach, output_type="ndarray")
    first, second = indices[:, 0], indices[:, 1]
    clear, _ = _clearance(centres[second] - centres[first], support, first, second)
    steps = int(np.clip(_WORK / max(len(first) * len(span), 1), _FEWEST_STEPS, _STEPS))
    pairs = _Pairs(steps, first, second, np.minimum(clear, minimum_gap))
    tolerance = _TOLERANCE * float(support.mean())
    scatter = _scatter(slopes)
    wanted = slopes
    best = np.repeat(mean[None], len(slopes), axis=0)
    for _ in range(_WIDENINGS if steps == _STEPS else 1):
        moved = _calmed(centres, support, wanted, span, pairs, tolerance)
        if moved is None:
            return best
        best = moved
        lost = scatter / max(_scatter(moved), 1e-12)
        if lost < _ENOUGH:
            return best
        centre = moved.mean(axis=0)
        wanted = centre + min(lost, _WIDEST) * (moved - centre)
    return best


def _scatter(slopes: Floats) -> float:
    """Root mean square deviation of slopes from their mean."""
    return float(np.sqrt(((slopes - slopes.mean(axis=0)) ** 2).mean()))


def _calmed(centres: Floats, support: Floats, slopes: Floats, span: Floats, pairs: _Pairs, tolerance: float) -> Floats | None:
    """Slopes with which no two fibres meet; fibres that are not parted scatter less and less. None where that fails."""
    mean = slopes.mean(axis=0)
    wanted, moved = slopes.copy(), slopes
    furthest = _FURTHEST * float(np.linalg.norm(slopes - mean, axis=1).max())
    for _ in range(_ROUNDS):
        moved, crowded = _parted(centres, support, moved, span, pairs, tolerance)
        crowded |= np.linalg.norm(moved - mean, axis=1) > furthest  # outlines that hook into one another push without end
        if not crowded.any():
            return moved
        wanted[crowded] = mean + _CALMING * (wanted[crowded] - mean)
        moved[crowded] = wanted[crowded]
    return None


def _clearance(offset: Floats, support: Floats, first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Gap (...) between the outlines of pairs whose centres lie ``offset`` (..., 2) apart, m, and its direction (..., 2)."""
    distance = np.maximum(np.hypot(offset[..., 0], offset[..., 1]), 1e-12)
    count = support.shape[1]
    place = np.arctan2(offset[..., 1], offset[..., 0]) * (count / (2 * np.pi))
    reach = _support_at(support, first, place) + _support_at(support, second, place + count / 2)
    return distance - reach, offset / distance[..., None]


def _support_at(support: Floats, fibres: NDArray[np.int64], place: Floats) -> Floats:
    """Reach of the outlines of fibres (pairs,) in directions (..., pairs), counted in steps of the table."""
    count = support.shape[1]
    below = np.floor(place).astype(np.int64)
    part = place - below
    return (1 - part) * support[fibres, below % count] + part * support[fibres, (below + 1) % count]


def _parted(
    centres: Floats, support: Floats, slopes: Floats, span: Floats, pairs: _Pairs, tolerance: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Slopes of which pairs that meet were turned apart, and which fibres still meet others."""
    moved = slopes.copy()
    count = len(moved)
    base = centres[pairs.second] - centres[pairs.first]
    crowded = np.zeros(count, dtype=bool)
    for _ in range(pairs.steps):
        offset = base + span[:, None, None] * (moved[pairs.second] - moved[pairs.first])
        clear, direction = _clearance(offset, support, pairs.first, pairs.second)
        overlap = pairs.gap - clear
        worst = overlap.argmax(axis=0)
        touching = np.flatnonzero(np.take_along_axis(overlap, worst[None], axis=0)[0] > tolerance)
        crowded[:] = False
        if not len(touching):
            break
        crowded[pairs.first[touching]] = crowded[pairs.second[touching]] = True
        place = worst[touching]
        height = span[place]
        push = (0.5 * overlap[place, touching] / height)[:, None] * direction[place, touching]
        for axis in range(2):
            moved[:, axis] += np.bincount(pairs.second[touching], push[:, axis], count)
            moved[:, axis] -= np.bincount(pairs.first[touching], push[:, axis], count)
    return moved, crowded
