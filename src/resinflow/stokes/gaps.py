"""Kernels that tell the gaps of a voxel mask, and the power that a flow dissipates in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.compiled import kernel

NO_GAP = np.iinfo(np.uint16).max
"""Gap of a voxel that no run between two walls contains; wider gaps than this do not occur."""


def voxel_gaps(fluid: NDArray[np.bool_], axes: tuple[int, ...] = (0, 1, 2)) -> NDArray[np.uint16]:
    """Return for every fluid voxel its shortest run of fluid between two walls along any of ``axes``, in voxels.

    0 in the fibres, NO_GAP where no run has two walls (the sides of the box are none).
    """
    shortest = np.where(fluid, np.uint16(NO_GAP), np.uint16(0))
    for axis in axes:
        count = fluid.shape[axis]
        lines = (int(np.prod(fluid.shape[:axis])), count, int(np.prod(fluid.shape[axis + 1 :])))
        _shorten(np.ascontiguousarray(fluid).reshape(lines), shortest.reshape(lines))
    return shortest


@kernel
def _shorten(fluid, shortest):
    """Lower ``shortest`` (outer, along, inner) to the length of every run along the middle axis that has two walls."""
    outer, length, inner = fluid.shape
    begun = np.empty(inner, dtype=np.int64)
    for o in range(outer):
        begun[:] = -1  # the run that holds the first voxel has no wall before it
        for k in range(length):
            for i in range(inner):
                if not fluid[o, k, i]:
                    start = begun[i]
                    size = k - start
                    if start >= 0:
                        for j in range(start, k):
                            if size < shortest[o, j, i]:
                                shortest[o, j, i] = size
                    begun[i] = k + 1


@kernel
def dissipation(through, pressure, gap, narrow):
    """Return the power dissipated across faces normal to the middle axis: all, that in narrow gaps, and the sum of power / gap.

    A face belongs to the narrower of the two voxels beside it. All arrays are (outer, along, inner); ``through``, the velocity
    on the faces, has one place more along the axis than the voxels; its ends are left out.
    """
    outer, length, inner = pressure.shape
    total = in_narrow = inverse = 0.0
    for o in range(outer):
        for k in range(1, length):
            for i in range(inner):
                width = min(gap[o, k - 1, i], gap[o, k, i])
                if width > 0:
                    power = through[o, k, i] * (pressure[o, k - 1, i] - pressure[o, k, i])
                    if power > 0:
                        total += power
                        in_narrow += power if width < narrow else 0.0
                        inverse += power / width if width < NO_GAP else 0.0
    return total, in_narrow, inverse
