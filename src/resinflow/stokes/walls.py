"""What a wall half a voxel away does to a velocity unknown.

With walls half a voxel away the plain scheme (coefficient 2) makes a gap N unknowns wide ``1 + 2 / N^2`` too permeable. The
gap coefficient ``6 N / (3 N - 2)`` makes the flow of every aligned channel exact, whatever N: read the unknowns as averages
over their control volumes; second differences of the averages of a parabola are exact inside, so that only the wall term
needs correcting.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

WallRule = Literal["gap", "plain", "surface"]
MASK_RULE: WallRule = "plain"
"""The default where no more than the mask is used. Over 20 random planar bundles the plain rule's error of K is the smaller: the
gap coefficient is right for aligned channels, but between round fibres the staircase, which errs the other way, cancels part of
the plain rule's error (``benchmarks/walls.py`` prints the table)."""
"""``gap`` and ``plain`` for a mask; ``surface``: fibre surfaces from a signed distance (:mod:`resinflow.stokes.cutcell`)."""
PLAIN_WALL = 2.0
CORNER_WALL = 1.0
"""At a staircase corner (one of the two voxels beside is solid) the neighbour is a wall face a whole voxel away."""


def wall_coefficient(width: NDArray[np.integer], rule: WallRule) -> NDArray[np.float64]:
    """Return the wall coefficient for gaps of ``width`` unknowns."""
    if rule == "plain":
        return np.full(width.shape, PLAIN_WALL)
    safe = np.maximum(width, 1)
    return 6.0 * safe / (3.0 * safe - 2.0)


def gap_width(unknown: NDArray[np.bool_], axis: int, *, wraps: bool, mirrored: bool) -> NDArray[np.int64]:
    """Return for every unknown how many consecutive unknowns its row along ``axis`` has (0 where there is none).

    ``mirrored``: the first and last layer lie beside symmetry planes, so that a row which ends there counts twice.
    A row that goes round a periodic axis without meeting a wall has no wall to correct; its width is then of no account.
    """
    rows = np.moveaxis(unknown, axis, 0)
    if wraps:
        rows = np.concatenate([rows, rows, rows])
    before = _run_length(rows)
    after = _run_length(rows[::-1])[::-1]
    width = np.where(rows, before + after - 1, 0)
    if mirrored:
        count = len(rows)
        index = np.arange(count).reshape(-1, *[1] * (rows.ndim - 1))
        at_first = rows & (before == index + 1)
        at_last = rows & (after == count - index)
        width = np.where(at_first | at_last, 2 * width, width)
    if wraps:
        width = width[len(unknown.swapaxes(0, axis)) : 2 * len(unknown.swapaxes(0, axis))]
    return np.moveaxis(width, 0, axis)


def _run_length(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the run of True that ends at each place along the first axis."""
    length = rows.astype(np.int64)
    for k in range(1, len(rows)):
        length[k] *= length[k - 1] + 1
    return length
