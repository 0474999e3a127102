"""From a microstructure and boundary conditions to a grid with the flow along the last axis, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.core import InvalidInputError, Microstructure
from resinflow.core.flow import Boundary, FlowField, Lateral, check_positive
from resinflow.core.microstructure import AXES, Axis
from resinflow.core.report import SolverReport
from resinflow.stokes.grid import FLOW, Grid, build_grid, wrapping
from resinflow.stokes.operators import StokesSystem, assemble
from resinflow.stokes.pores import Pores, find_pores
from resinflow.stokes.walls import WallRule

FaceFields = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Drive:
    """What drives the flow: direction, pressure drop (Pa), viscosity (Pa s) and the conditions on the box."""

    axis: Axis = "x"
    pressure_drop: float = 1e5
    viscosity: float = 0.1
    boundary: Boundary = "pressure"
    lateral: Lateral = "symmetry"

    def __post_init__(self) -> None:
        check_positive("pressure_drop", self.pressure_drop, "Pa")
        check_positive("viscosity", self.viscosity, "Pa s")
        for name, value, allowed in (
            ("axis", self.axis, ("x", "y", "z")),
            ("boundary", self.boundary, ("pressure", "periodic")),
            ("lateral", self.lateral, ("symmetry", "periodic", "no-slip")),
        ):
            if value not in allowed:
                raise InvalidInputError(f"{name} is {value!r}; needed: one of {', '.join(allowed)}.")

    @property
    def turned(self) -> tuple[int, int, int]:
        """Permutation of the array axes that brings the flow onto the last one; it is its own inverse."""
        order = [0, 1, 2]
        flow = AXES.index(self.axis)
        order[flow], order[FLOW] = order[FLOW], order[flow]
        return order[0], order[1], order[2]


@dataclass(frozen=True)
class Problem:
    """A medium that lets resin through, on its grid.

    Attributes:
        micro: the medium as given.
        drive: what drives the flow.
        pores: connected pores, flow along the last axis.
        grid: the staggered grid over the pores that carry flow.
        system: its discrete Stokes system.
    """

    micro: Microstructure
    drive: Drive
    pores: Pores
    grid: Grid
    system: StokesSystem


def pose(micro: Microstructure, drive: Drive, rule: WallRule) -> Problem | None:
    """Return the discrete problem, or None where nothing percolates along the axis (then K = 0).

    Raises:
        InvalidInputError: an all-solid box, or a box without any wall (K unbounded).
    """
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
    return Problem(micro, drive, pores, grid, assemble(grid, rule))


def _free_channel(grid: Grid) -> bool:
    """Whether the flow could slide through as a block: no face unknown of the flow direction feels a wall."""
    return bool(grid.fluid.all())


def to_flow(
    problem: Problem, velocity: NDArray[np.float64], pressure: NDArray[np.float64], report: SolverReport | None
) -> FlowField:
    """Return the flow field of a solution for unit viscosity and unit pressure drop, in SI and in the medium's axes."""
    drive, system = problem.drive, problem.system
    scale = drive.pressure_drop / drive.viscosity
    faces: list[NDArray[np.float64]] = []
    for part, numbers in zip(system.split(velocity), system.face_numbers, strict=True):
        field = np.zeros(numbers.shape)
        field[numbers >= 0] = part * scale
        faces.append(field)
    faces = [
        np.concatenate([field, np.take(field, [0], axis)], axis) if wraps else field
        for axis, (field, wraps) in enumerate(zip(faces, problem.grid.wraps, strict=True))
    ]
    turned = drive.turned
    faces = [faces[turned[axis]].transpose(turned) for axis in range(3)]
    centred = [0.5 * (np.delete(field, 0, axis) + np.delete(field, -1, axis)) for axis, field in enumerate(faces)]
    whole = _whole_pressure(problem, pressure) * drive.pressure_drop
    return FlowField(
        microstructure=problem.micro,
        velocity=np.stack(centred[::-1]),
        pressure=np.ascontiguousarray(whole.transpose(turned)),
        axis=drive.axis,
        pressure_drop=drive.pressure_drop,
        viscosity=drive.viscosity,
        boundary=drive.boundary,
        lateral=drive.lateral,
        face_velocity=(faces[2], faces[1], faces[0]),
        report=report,
    )


def still(micro: Microstructure, drive: Drive, report: SolverReport) -> FlowField:
    """Return the flow through a medium that does not percolate: no velocity, K = 0, pressure at rest in every pore."""
    fluid = micro.fluid.transpose(drive.turned)
    pores = find_pores(fluid, wrapping(drive.boundary, drive.lateral))
    pressure = _resting_pressure(pores) * drive.pressure_drop
    nz, ny, nx = micro.shape
    return FlowField(
        microstructure=micro,
        velocity=np.zeros((3, nz, ny, nx)),
        pressure=np.ascontiguousarray(pressure.transpose(drive.turned)),
        axis=drive.axis,
        pressure_drop=drive.pressure_drop,
        viscosity=drive.viscosity,
        boundary=drive.boundary,
        lateral=drive.lateral,
        face_velocity=(np.zeros((nz, ny, nx + 1)), np.zeros((nz, ny + 1, nx)), np.zeros((nz + 1, ny, nx))),
        report=report,
    )


def _whole_pressure(problem: Problem, pressure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pressure of all voxels for a unit drop: solved where resin flows, at rest elsewhere, zero in the fibres."""
    whole = _resting_pressure(problem.pores)
    carrying = problem.system.voxel_numbers >= 0
    solved = pressure
    if problem.drive.boundary == "periodic":  # add the mean gradient, which the periodic part leaves out
        length = carrying.shape[FLOW]
        falling = 1.0 - (np.arange(length) + 0.5) / length
        solved = pressure + np.broadcast_to(falling, carrying.shape)[carrying]
    whole[carrying] = solved
    return whole


def _resting_pressure(pores: Pores) -> NDArray[np.float64]:
    """Pressure of pores without flow: the inlet's or the outlet's, and in closed pores the linear profile at their centre."""
    labels = pores.labels
    length = labels.shape[FLOW]
    falling = np.broadcast_to(1.0 - (np.arange(length) + 0.5) / length, labels.shape)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=pores.count + 1), 1)
    level = np.bincount(labels.ravel(), weights=falling.ravel(), minlength=pores.count + 1) / sizes
    level[pores.inlet & ~pores.outlet] = 1.0
    level[pores.outlet & ~pores.inlet] = 0.0
    level[0] = 0.0
    return level[labels]
