"""Pushing overlapping fibres apart until none overlaps: the compiled loop behind :func:`resinflow.media.bundles.fibre_bundle`.

Random insertion alone jams at a fraction of 0.55; relaxation of the two end points of every axis goes beyond. The pairs that
can touch are kept in a list (Verlet, Phys. Rev. 159 (1967) 98), which is made anew before any other pair could have come into
reach: the result is that of looking at all pairs, bit for bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

_SKIN = 0.5
"""How much further than contact the list looks, in smallest reaches."""
_MARGIN = 1.002
"""Fibres are pushed a little further apart than needed, so that the iteration ends."""

# no fastmath: a bundle must be the same on every machine, and the same as it was
_compiled = numba.njit(nogil=True, cache=True)


class _Packing(NamedTuple):
    """What the compiled functions know of a packing; lengths in m.

    Attributes:
        reach: (n,) half of the smallest distance to an equal neighbour's axis.
        cell: (2,) periods along x and y.
        depth: from bottom to top.
        lever: how much of a push at one end stays away from the other, 0 to 1.
        tolerance: overlap that may remain.
        parallel: squared change of an offset from bottom to top below which two axes are parallel, m^2.
        images: periods beyond its nearest image in which a neighbour is looked for.
        swing: largest slopes (along x, along y) of a common wave.
        strict: whether distances are measured to either axis instead of across the mean direction.
        skin: how far a distance may shrink before the list of pairs is made anew.
    """

    reach: NDArray[np.float64]
    cell: NDArray[np.float64]
    depth: float
    lever: float
    tolerance: float
    parallel: float
    images: int
    swing: tuple[float, float]
    strict: bool
    skin: float


def relax(
    ends: NDArray[np.float64],
    reach: NDArray[np.float64],
    cell: NDArray[np.float64],
    depth: float,
    *,
    steps: int,
    images: int = 0,
    swing: tuple[float, float] = (0.0, 0.0),
    strict: bool = False,
) -> NDArray[np.float64] | None:
    """Push overlapping pairs apart where they are closest until none overlaps by more than a thousandth of a radius.

    ``ends`` (2, n, 2) are the axes' points at the bottom and the top; a push at height t moves the bottom by 1 - t and
    the top by t, so that tilts adapt where the packing leaves no room for them. Distances are taken across the fibres: a
    tilted fibre's section is an ellipse, longer than its diameter.

    Args:
        ends: where the axes pierce bottom and top, m; not changed.
        reach: (n,) half of the smallest distance to an equal neighbour's axis, m.
        cell: (2,) periods along x and y, m.
        depth: m from bottom to top.
        steps: after how many the attempt is given up.
        images: how many periods beyond its nearest image a neighbour is looked for as well; 0 does for cells that are wide
            against the fibres' reach and sway.
        swing: largest slope (along x, along y) of a wave that all fibres make together, on top of their own slope. Offsets
            of two fibres are the same at every height then, but must do for the slopes on both flanks of the wave.
        strict: measure from every point of one axis to the other axis, which is exact. Otherwise across the mean direction of
            both where their offset in the slice plane is the least: some percent more for strongly tilted fibres that turn
            against each other.

    Returns:
        The new ends, or None where overlaps remain after all steps.
    """
    tolerance = 1e-3 * reach.min()
    lever = min(1.0, 0.25 * depth / reach.min())  # in a thin slab fibres shift rather than turn
    moved = np.array(ends, dtype=np.float64)
    skin = _SKIN * reach.min()
    packing = _Packing(reach, cell, depth, lever, tolerance, tolerance**2, images, swing, strict, skin)
    return moved if _relax(moved, packing, steps) else None


@_compiled
def _offset(ends, cell, i, j, ox, oy):
    """Offset of fibre j's image from fibre i at the bottom, and its change to the top."""
    image_x = cell[0] * (np.rint(((ends[0, j, 0] + ends[1, j, 0]) / 2 - (ends[0, i, 0] + ends[1, i, 0]) / 2) / cell[0]) + ox)
    image_y = cell[1] * (np.rint(((ends[0, j, 1] + ends[1, j, 1]) / 2 - (ends[0, i, 1] + ends[1, i, 1]) / 2) / cell[1]) + oy)
    low_x = ends[0, j, 0] - ends[0, i, 0] - image_x
    low_y = ends[0, j, 1] - ends[0, i, 1] - image_y
    change_x = ends[1, j, 0] - ends[1, i, 0] - image_x - low_x
    change_y = ends[1, j, 1] - ends[1, i, 1] - image_y - low_y
    return low_x, low_y, change_x, change_y


@_compiled
def _direction(ends, depth, i, j):
    """Mean slope of two fibres."""
    return (
        0.5 * ((ends[1, i, 0] - ends[0, i, 0]) / depth + (ends[1, j, 0] - ends[0, j, 0]) / depth),
        0.5 * ((ends[1, i, 1] - ends[0, i, 1]) / depth + (ends[1, j, 1] - ends[0, j, 1]) / depth),
    )


@_compiled
def _across(ax, ay, dx, dy):
    """Length of an offset (in the plane) across the direction of slope (dx, dy)."""
    along = ax * dx + ay * dy
    return math.sqrt(ax * ax + ay * ay - along * along / (1 + (dx * dx + dy * dy)))


@_compiled
def _widest_limit(ends, reach, depth, swing, skin):
    """The largest distance at mid height at which any pair is listed."""
    total = len(reach)
    mean_x, mean_y = (ends[1, :, 0] - ends[0, :, 0]).mean(), (ends[1, :, 1] - ends[0, :, 1]).mean()
    steepest, turn = 0.0, 0.0
    for i in range(total):
        lean_x, lean_y = ends[1, i, 0] - ends[0, i, 0], ends[1, i, 1] - ends[0, i, 1]
        steepest = max(steepest, math.hypot(lean_x, lean_y) / depth)
        turn = max(turn, math.hypot(lean_x - mean_x, lean_y - mean_y))
    return 2 * reach.max() * _MARGIN * math.sqrt(1 + (steepest + turn / depth + swing) ** 2) + turn + skin


@_compiled
def _list_pairs(ends, packing, listed):
    """Write the pairs that can touch before any end has moved by more than the skin allows; return their number."""
    reach, cell, depth, images, skin = packing.reach, packing.cell, packing.depth, packing.images, packing.skin
    swing = math.hypot(packing.swing[0], packing.swing[1])
    count = 0
    total = len(reach)
    widest = _widest_limit(ends, reach, depth, swing, skin)
    furthest_x, furthest_y = widest + images * cell[0], widest + images * cell[1]
    middle = 0.5 * (ends[0] + ends[1])
    for i in range(total):
        for j in range(i + 1, total):
            away_x = abs(middle[j, 0] - middle[i, 0] - cell[0] * np.rint((middle[j, 0] - middle[i, 0]) / cell[0]))
            away_y = abs(middle[j, 1] - middle[i, 1] - cell[1] * np.rint((middle[j, 1] - middle[i, 1]) / cell[1]))
            if away_x > furthest_x or away_y > furthest_y:
                continue
            needed = (reach[i] + reach[j]) * _MARGIN
            for ox in range(-images, images + 1):
                for oy in range(-images, images + 1):
                    low_x, low_y, change_x, change_y = _offset(ends, cell, i, j, ox, oy)
                    dx, dy = _direction(ends, depth, i, j)
                    slope = math.hypot(dx, dy) + 0.5 * math.hypot(change_x, change_y) / depth + swing
                    limit = needed * math.sqrt(1 + slope**2) + 0.5 * math.hypot(change_x, change_y) + skin
                    if math.hypot(low_x + 0.5 * change_x, low_y + 0.5 * change_y) < limit:
                        listed[count, 0], listed[count, 1], listed[count, 2], listed[count, 3] = i, j, ox, oy
                        count += 1
    return count


@_compiled
def _largest_move(ends, before):
    largest = 0.0
    for end in range(2):
        for i in range(ends.shape[1]):
            move = math.hypot(ends[end, i, 0] - before[end, i, 0], ends[end, i, 1] - before[end, i, 1])
            largest = max(largest, move)
    return largest


@_compiled
def _loosely_closest(offset, dx, dy, parallel):
    """Height (0 to 1) of the least offset in the slice plane, and the distance there across a direction."""
    low_x, low_y, change_x, change_y = offset
    turn = change_x * change_x + change_y * change_y
    height = 0.5  # equally close everywhere: push both ends alike
    if not turn < parallel:
        height = min(max(-(low_x * change_x + low_y * change_y) / turn, 0.0), 1.0)
    return height, _across(low_x + height * change_x, low_y + height * change_y, dx, dy)


@_compiled
def _closest(offset, dx, dy, parallel):
    """Height (0 to 1) and length of the shortest way from a point of one axis to the straight line of another.

    The squared distance of an offset ``a`` to a line of slope ``d`` is ``a.a - (a.d)^2 / (1 + d.d)``, and ``a`` is linear in
    the height.
    """
    low_x, low_y, change_x, change_y = offset
    weight = 1 / (1 + (dx * dx + dy * dy))
    along = change_x * dx + change_y * dy
    turn = change_x * change_x + change_y * change_y - weight * along * along
    height = 0.5
    if not turn < parallel:
        slide = low_x * change_x + low_y * change_y - weight * along * (low_x * dx + low_y * dy)
        height = min(max(-slide / turn, 0.0), 1.0)
    return height, _across(low_x + height * change_x, low_y + height * change_y, dx, dy)


@_compiled
def _strictly_closest(offset, dx, dy, packing):
    """The shortest way for the slopes of either axis, on both flanks of the wave."""
    _, _, change_x, change_y = offset
    depth = packing.depth
    swing_x, swing_y = packing.swing
    flanks = 3 if swing_x != 0.0 or swing_y != 0.0 else 1
    height, distance = 0.5, np.inf
    for side in (-0.5, 0.5):  # the slopes of both differ from the mean by half of what the offset changes
        for flank in range(flanks):
            sign = 0.0 if flank == 0 else 2.0 * flank - 3.0
            slope_x, slope_y = dx + side * change_x / depth + sign * swing_x, dy + side * change_y / depth + sign * swing_y
            place, way = _closest(offset, slope_x, slope_y, packing.parallel)
            if way < distance:
                height, distance = place, way
    return height, distance


@_compiled
def _find_pushes(ends, packing, listed, count, pushes):
    """Write (pair, height, push x, push y) of every overlapping pair; return their number and the largest overlap."""
    reach = packing.reach
    touching, largest = 0, -1.0
    for pair in range(count):
        i, j = listed[pair, 0], listed[pair, 1]
        offset = _offset(ends, packing.cell, i, j, listed[pair, 2], listed[pair, 3])
        low_x, low_y, change_x, change_y = offset
        dx, dy = _direction(ends, packing.depth, i, j)
        if packing.strict:
            height, distance = _strictly_closest(offset, dx, dy, packing)
        else:
            height, distance = _loosely_closest(offset, dx, dy, packing.parallel)
        overlap = (reach[i] + reach[j]) * _MARGIN - distance
        largest = max(largest, overlap)
        if overlap > 0:
            strength = 0.5 * overlap / max(distance, 1e-12)
            pushes[touching, 0], pushes[touching, 1] = pair, height
            pushes[touching, 2] = strength * (low_x + height * change_x)
            pushes[touching, 3] = strength * (low_y + height * change_y)
            touching += 1
    return touching, largest


@_compiled
def _push(ends, lever, listed, pushes, touching):
    """Move the ends of all touching pairs, first all second partners, then all first ones."""
    for partner in (1, 0):
        for k in range(touching):
            fibre = listed[int(pushes[k, 0]), partner]
            lean = lever * (pushes[k, 1] - 0.5)
            for end in range(2):
                share = 0.5 + lean if end == 1 else 0.5 - lean
                for axis in range(2):
                    push = pushes[k, 2 + axis] if partner == 1 else -pushes[k, 2 + axis]
                    ends[end, fibre, axis] += push * share


@_compiled
def _relax(ends, packing, steps):
    """Relax in place; whether it came to an end."""
    reach, images = packing.reach, packing.images
    total = len(reach)
    listed = np.empty((total * (total - 1) // 2 * (2 * images + 1) ** 2, 4), dtype=np.int32)
    pushes = np.empty((len(listed), 4))
    before = ends.copy()
    # moves by s change the offset at mid height by 2 s, its change by 4 s, half of which counts, and the slope by 4 s / depth
    stretch = 4 + 4 * 2 * reach.max() * _MARGIN / packing.depth
    count = _list_pairs(ends, packing, listed)
    fresh = True
    for _ in range(steps):
        touching, largest = _find_pushes(ends, packing, listed, count, pushes)
        if largest <= packing.tolerance:
            if fresh or images == 0:
                return True
            # periods were counted from the image that was the nearest when the list was made
            count = _list_pairs(ends, packing, listed)
            fresh = True
            continue
        _push(ends, packing.lever, listed, pushes, touching)
        fresh = False
        if stretch * _largest_move(ends, before) > packing.skin:
            count = _list_pairs(ends, packing, listed)
            before[:] = ends
            fresh = True
    return False
