"""Turning a sample by 90 degrees in the slice plane, so that a flow along y becomes one along x."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.data.schema import ALL_FIELDS, GRID, PLANAR_VECTOR, VECTOR


def turn_y_onto_x(name: str, value: NDArray) -> NDArray:
    """Return field ``name`` of one sample with y turned onto x: the new x is the old y, the new y runs against the old x.

    Arrays turn with the medium, (vx, vy, vz) becomes (vy, -vx, vz), voxel edges along x and y change places. Fields without
    direction come back as they are.
    """
    return _turned(name, value, turns=1)


def turn_x_onto_y(name: str, value: NDArray) -> NDArray:
    """Return what :func:`turn_y_onto_x` was given: its inverse, bit for bit."""
    return _turned(name, value, turns=-1)


def _turned(name: str, value: NDArray, turns: int) -> NDArray:
    dims = ALL_FIELDS[name].dims
    if name == "spacing":
        return np.asarray(value)[[0, 2, 1]]
    if dims[-len(GRID) :] != GRID:
        return value
    turned = np.rot90(value, turns, axes=(-2, -1))
    if dims[0] not in (VECTOR, PLANAR_VECTOR):
        return turned
    x, y = (turned[1], -turned[0]) if turns == 1 else (-turned[1], turned[0])
    return np.stack([x, y, *turned[2:]])
