"""The staggered (MAC) grid: which faces carry a velocity unknown, and what stands beside them.

All arrays are laid out with the flow along the last axis; :mod:`resinflow.stokes.solve` turns other axes onto it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Boundary, InvalidInputError, Lateral, Microstructure

FLOW = 2
"""Array axis of the flow."""


@dataclass(frozen=True)
class FaceLayer:
    """The faces normal to one array axis.

    Attributes:
        normal: array axis to which the faces are normal.
        unknown: bool, faces whose velocity is solved for. Shape (nz, ny, nx) with one more along ``normal`` unless it wraps.
        solid_beside: int, how many of the two voxels beside a face are solid (a face of an open box side counts its one
            voxel twice).
        share: control volume in voxels: 1, or 0.5 on an open side of the box.
    """

    normal: int
    unknown: NDArray[np.bool_]
    solid_beside: NDArray[np.int8]
    share: NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Voxels with flow, box sides and faces.

    Attributes:
        fluid: bool (nz, ny, nx), voxels that take part in the flow.
        spacing: (dz, dy, dx), m.
        boundary: ``pressure`` or ``periodic`` along the flow.
        lateral: condition on the four other sides.
        faces: one entry per velocity component, ordered by array axis (z, y, x).
        apart: whether every slice is a flow by itself: nothing passes between slices, nor drags across them.
    """

    fluid: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    boundary: Boundary
    lateral: Lateral
    faces: tuple[FaceLayer, FaceLayer, FaceLayer]
    apart: bool = False

    @property
    def wraps(self) -> tuple[bool, bool, bool]:
        """Per array axis: are opposite box sides joined?"""
        return wrapping(self.boundary, self.lateral)


def wrapping(boundary: Boundary, lateral: Lateral) -> tuple[bool, bool, bool]:
    """Return per array axis whether opposite sides of the box are joined."""
    sides = lateral == "periodic" or boundary == "periodic"
    return sides, sides, boundary == "periodic"


def build_grid(fluid: NDArray[np.bool_], spacing: tuple[float, float, float], boundary: Boundary, lateral: Lateral) -> Grid:
    """Return the staggered grid over the voxels of ``fluid`` (nz, ny, nx)."""
    wraps = wrapping(boundary, lateral)
    z, y, x = (_faces(fluid, axis, wraps[axis], open_ends=axis == FLOW and boundary == "pressure") for axis in range(3))
    return Grid(fluid, spacing, boundary, lateral, (z, y, x))


def _faces(fluid: NDArray[np.bool_], axis: int, wraps: bool, *, open_ends: bool) -> FaceLayer:
    """FaceLayer normal to ``axis``: face i lies between voxels i - 1 and i."""
    if wraps:
        before, after = np.roll(fluid, 1, axis), fluid
    else:
        edge = "edge" if open_ends else "constant"
        padded = np.pad(fluid, pad_widths(axis), mode=edge)
        before, after = both_sides(padded, axis)
    unknown = before & after
    share = np.ones([count if k == axis else 1 for k, count in enumerate(unknown.shape)])
    if open_ends:
        np.moveaxis(share, axis, 0)[[0, -1]] = 0.5
    solid_beside = 2 - before.astype(np.int8) - after.astype(np.int8)
    return FaceLayer(axis, unknown, solid_beside, np.broadcast_to(share, unknown.shape))


WallRule = Literal["gap", "plain", "surface"]
"""``gap`` and ``plain`` for a mask; ``surface``: from a signed distance (:mod:`resinflow.stokes.problem.cutcell`)."""

WallChoice = Literal["auto", "gap", "plain", "surface"]
"""What a user may ask for; ``auto``: the walls that the medium itself tells of (:func:`wall_rule_of`)."""

MASK_RULE: WallRule = "plain"
"""The rule where no more than the mask is used. Over 20 random planar bundles the plain rule's error of K is the smaller:
the gap coefficient is right for aligned channels, but between round fibres the staircase, which errs the other way, cancels
part of the plain rule's error (``benchmarks/walls.py`` prints the table)."""


def wall_rule_of(micro: Microstructure, choice: WallChoice) -> WallRule:
    """Return the wall rule; for ``auto`` the fibre surfaces where the medium's signed distance has them, else the mask's rule.

    Raises:
        InvalidInputError: an unknown rule.
    """
    if choice not in get_args(WallChoice):
        raise InvalidInputError(f"wall_rule is {choice!r}; needed: one of {', '.join(get_args(WallChoice))}.")
    if choice == "auto":
        return MASK_RULE if micro.signed_distance is None else "surface"
    return choice


def both_sides(padded: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    """Return all places but the last, and all but the first along ``axis``, as views: what is before and after every face."""
    lines = np.moveaxis(padded, axis, 0)
    return np.moveaxis(lines[:-1], 0, axis), np.moveaxis(lines[1:], 0, axis)


def pad_widths(axis: int, before: int = 1, after: int = 1, *, dimensions: int = 3) -> NDArray[np.int64]:
    """Return the widths (dimensions, 2) that add ``before`` and ``after`` layers along ``axis`` and none elsewhere."""
    widths = np.zeros((dimensions, 2), dtype=np.int64)
    widths[axis] = before, after
    return widths
