"""From a medium and its drive to the discrete problem, whatever the walls."""

from __future__ import annotations

from typing import get_args

import numpy as np

from resinflow.flow import (
    Drive,
    InvalidInputError,
    Microstructure,
)
from resinflow.stokes.problem.cutsystem import pose_cut
from resinflow.stokes.problem.mask import FLOW, Grid, WallRule, build_grid, wrapping
from resinflow.stokes.problem.pores import find_pores
from resinflow.stokes.problem.problem import Problem
from resinflow.stokes.problem.system import build_system


def pose(micro: Microstructure, drive: Drive, rule: WallRule) -> Problem | None:
    """Return the discrete problem, or None where nothing percolates along the axis (then K = 0).

    Raises:
        InvalidInputError: an all-solid box, or a box without any wall (K unbounded).
    """
    if rule not in get_args(WallRule):
        raise InvalidInputError(f"wall_rule is {rule!r}; needed: one of {', '.join(get_args(WallRule))}.")
    if rule == "surface":
        return pose_cut(micro, drive)
    fluid = micro.fluid.transpose(drive.turned)
    if not fluid.any():
        raise InvalidInputError("the medium is all solid; needed: some fluid voxels. Is the mask inverted (True is fluid)?")
    walled = drive.boundary == "pressure" and drive.lateral == "no-slip"
    if fluid.all() and not walled:
        raise InvalidInputError(
            "the medium is all fluid and its sides have no wall, so K is unbounded; needed: some fibres, or no-slip sides."
        )
    spacing = tuple(micro.spacing[axis] for axis in drive.turned)
    pores = find_pores(fluid, wrapping(drive.boundary, drive.lateral))
    if not pores.through.any():
        return None
    carrying = pores.through[pores.labels]
    grid = build_grid(carrying, (spacing[0], spacing[1], spacing[2]), drive.boundary, drive.lateral)
    if not grid.faces[FLOW].unknown.any():
        return None
    if not walled and _free_channel(grid):
        raise InvalidInputError(
            "the medium holds a through channel that touches no fibre and no wall, so K is unbounded; "
            "needed: a fibre in every connected pore, or no-slip sides."
        )
    return Problem(micro, drive, pores, grid, build_system(grid, np.where(carrying, pores.labels, 0), rule))


def _free_channel(grid: Grid) -> bool:
    """Whether the flow could slide through as a block: no face unknown of the flow direction feels a wall."""
    return bool(grid.fluid.all())
