"""The law of the fibres' tilts in a bundle, and slopes of fibres through given points that keep them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.media.slope_pushes import Bundle, gaps_at_rest, push_apart

Floats = NDArray[np.float64]

SCATTER = 1 / 6
"""Standard deviation of a fibre's slope, along x and along y, over the largest slope of its bundle."""
LARGEST_SCATTER = 2.0
"""Standard deviations by which a fibre's slope differs from its bundle's at most."""

_STEPS, _FEWEST_STEPS, _WORK = 150, 8, 1e9
"""Steps of the pushes, and pairs times heights times steps above which they are fewer."""
_ROUNDS, _CALMING = 12, 0.7
_STILL_ROUNDS, _STILLING = 60, 0.7
"""Of fibres that are not parted the scatter is reduced by a factor, in so many rounds with pushes and then without any: fibres
without scatter cannot meet."""
_WIDENINGS, _ENOUGH, _WIDEST, _PROGRESS = 5, 1.08, 1.5, 1.1
"""Fibres that are parted lose some of their scatter. It is given back, in so many steps less one and by so much at most, until
only such a part is missing, or a step gives little: the fibres of a bundle have their scatter and yet do not meet."""
_MOST_HEIGHTS = 9
_FURTHEST = 1.3
"""Largest deviation of a slope from the mean after the pushes, in largest ones before."""
_TOLERANCE = 2e-3
"""Overlap that may remain, in mean radii."""


def draw_slopes(misalignment: float, count: int, rng: np.random.Generator) -> Floats:
    """Return slopes dx/dz and dy/dz of the fibres of a bundle, (count, 2).

    Single fibres scatter about the slope of the bundle (:func:`draw_bundle_slope`) by a sixth of its largest one, a third at
    most, along x and along y.
    """
    limit = np.tan(np.radians(misalignment))
    bundle = draw_bundle_slope(misalignment, rng)
    single = np.clip(rng.standard_normal((count, 2)), -LARGEST_SCATTER, LARGEST_SCATTER) * limit * SCATTER
    return bundle + single


def draw_bundle_slope(misalignment: float, rng: np.random.Generator) -> Floats:
    """Return the slope (2,) of a bundle, drawn evenly from the disc of radius tan(``misalignment``), which is in degrees."""
    azimuth = rng.uniform(0, 2 * np.pi)
    return np.tan(np.radians(misalignment)) * np.sqrt(rng.uniform()) * np.array([np.cos(azimuth), np.sin(azimuth)])


def steepest_slope(misalignment: float) -> float:
    """Return the largest slope that :func:`draw_slopes` can give to a fibre."""
    return float(np.tan(np.radians(misalignment))) * (1 + np.sqrt(2) * LARGEST_SCATTER * SCATTER)


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
    from scipy.spatial import KDTree

    span = np.unique(np.linspace(float(heights.min()), float(heights.max()), min(len(heights), _MOST_HEIGHTS)))
    span = span[span != 0]
    if len(centres) < 2 or not len(span):
        return slopes
    mean = slopes.mean(axis=0)
    furthest = _FURTHEST * float(np.linalg.norm(slopes - mean, axis=1).max())
    reach = 2 * (float(support.max()) + furthest * float(np.abs(span).max()))
    pairs = KDTree(centres).query_pairs(reach + minimum_gap, output_type="ndarray")
    steps = int(np.clip(_WORK / max(len(pairs) * len(span), 1), _FEWEST_STEPS, _STEPS))
    gaps = np.minimum(gaps_at_rest(centres, support, pairs), minimum_gap)
    bundle = Bundle(centres, support, span, pairs, gaps, mean, furthest, _TOLERANCE * float(support.mean()))
    scatter, best = _scatter(slopes), np.repeat(mean[None], len(slopes), axis=0)
    wanted = slopes
    for _ in range(_WIDENINGS):
        before = _scatter(best)
        moved = _calmed(bundle, wanted, steps)
        if _scatter(moved) <= before:
            break
        best = moved
        lost = scatter / max(_scatter(moved), 1e-12)
        if lost < _ENOUGH or _scatter(moved) < _PROGRESS * before:
            break
        centre = moved.mean(axis=0)
        wanted = centre + min(lost, _WIDEST) * (moved - centre)
    return best


def _scatter(slopes: Floats) -> float:
    """Root mean square deviation of slopes from their mean."""
    return float(np.sqrt(((slopes - slopes.mean(axis=0)) ** 2).mean()))


def _calmed(bundle: Bundle, wanted: Floats, steps: int) -> Floats:
    """Slopes with which no two fibres meet; fibres that are not parted scatter less and less, and at last are not pushed."""
    mean = bundle.mean
    wanted, moved = wanted.copy(), wanted.copy()
    crowded = np.ones(len(wanted), dtype=bool)
    for number in range(_ROUNDS + _STILL_ROUNDS):
        still = number >= _ROUNDS
        crowded = push_apart(bundle, moved, crowded, 0 if still else steps)
        if not crowded.any():
            return moved
        factor = _STILLING if still else _CALMING
        base = moved if still else wanted
        wanted[crowded] = mean + factor * (base[crowded] - mean)
        moved[crowded] = wanted[crowded]
    return np.repeat(mean[None], len(wanted), axis=0)
