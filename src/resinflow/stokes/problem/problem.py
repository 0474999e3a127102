"""From a microstructure and boundary conditions to a grid with the flow along the last axis, and back."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import (
    Drive,
    Faces,
    FlowField,
    InvalidInputError,
    Microstructure,
    SolverReport,
)
from resinflow.stokes.problem.mask import FLOW, Grid, wrapping
from resinflow.stokes.problem.pores import Pores, find_pores
from resinflow.stokes.problem.system import PRESSURE, StokesSystem


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


def to_flow(problem: Problem, state: NDArray[np.float64], report: SolverReport | None) -> FlowField:
    """Return the flow field of a state for unit viscosity and unit load, in SI and in the medium's axes."""
    drive, turned = problem.drive, problem.drive.turned
    faces = to_faces(problem, state)
    whole = _whole_pressure(problem, state[PRESSURE]) * drive.pressure_drop
    return FlowField(
        microstructure=problem.micro,
        velocity=faces.centres(),
        pressure=np.ascontiguousarray(whole.transpose(turned)),
        **asdict(drive),
        face_velocity=faces.components,
        report=report,
    )


def to_faces(problem: Problem, state: NDArray[np.float64]) -> Faces:
    """Return the velocities of a state on the x, y and z faces, m/s, in the medium's axes.

    Velocities of partly open faces, means over the open part in the state, become flow rates per area of the whole face.
    """
    rows, turned = problem.system.rows, problem.drive.turned
    scale = _velocity_scale(problem)
    faces: list[NDArray[np.float64]] = []
    for axis, field in enumerate(state[:PRESSURE]):
        shape = tuple(count + (k == axis) for k, count in enumerate(problem.grid.fluid.shape))
        values = rows.unpack(field * problem.system.openness[axis], (shape[0], shape[1], shape[2]))
        if problem.grid.wraps[axis]:
            np.moveaxis(values, axis, 0)[-1] = np.moveaxis(values, axis, 0)[0]
        values *= scale
        faces.append(values)
    z, y, x = (faces[turned[axis]].transpose(turned) for axis in range(3))
    return Faces(x, y, z, problem.micro.spacing)


def rate_permeability(problem: Problem) -> float:
    """Return K (m^2) of a state whose ``load . velocity`` is 1 (:meth:`StokesSystem.work`)."""
    planes = _load_count(problem)
    height, width, count = problem.grid.fluid.shape
    length = problem.grid.spacing[FLOW] * count
    return problem.grid.spacing[FLOW] * length / (height * width * planes**2)


def _load_count(problem: Problem) -> int:
    """Unit loads per unit pressure drop, inverted: in a periodic box every layer of faces carries its share of the drop."""
    return problem.grid.fluid.shape[FLOW] if problem.system.free_level else 1


def _velocity_scale(problem: Problem) -> float:
    """Velocity in m/s of a state's velocity 1."""
    drive = problem.drive
    return problem.grid.spacing[FLOW] * drive.pressure_drop / drive.viscosity / _load_count(problem)


def to_state(problem: Problem, flow: FlowField) -> NDArray[np.float64]:
    """Return the state of a flow field on the free faces and voxels of a problem; the inverse of :func:`to_flow`.

    The field's own pressure drop and viscosity are scaled out. Without staggered velocities a face gets the mean of its two
    voxels, an open side of the box its one voxel's value.

    Raises:
        InvalidInputError: the field's medium has another shape.
    """
    if flow.microstructure.shape != problem.micro.shape:
        raise InvalidInputError(
            f"the field has {flow.microstructure.shape} voxels, the medium {problem.micro.shape}; needed: the same."
        )
    system, turned = problem.system, problem.drive.turned
    loads = _load_count(problem)
    scale = flow.viscosity / flow.pressure_drop / problem.grid.spacing[FLOW] * loads
    velocities = staggered_velocity(flow, problem)
    state = system.new_state(np.float64)
    for axis in range(3):
        values = np.asarray(velocities.components[2 - turned[axis]], dtype=np.float64).transpose(turned) * scale
        openness = np.where(system.unknown(axis), system.openness[axis], 1.0)
        state[axis] = np.where(system.unknown(axis), system.rows.pack(values, np.float64) / openness, 0.0)
    pressure = np.asarray(flow.pressure, dtype=np.float64).transpose(turned) / flow.pressure_drop
    if system.free_level:
        pressure = pressure - _falling(pressure.shape)
    state[PRESSURE] = np.where(system.labels > 0, system.rows.pack(pressure * loads, np.float64), 0.0)
    return state


def staggered_velocity(flow: FlowField, problem: Problem) -> Faces:
    """Return the velocities on the faces: the field's own, or else those at voxel centres averaged onto faces.

    ``problem`` tells along which axes the box repeats; it may be one of another grid.
    """
    if flow.faces is not None:
        return flow.faces
    z, y, x = (problem.grid.wraps[axis] for axis in problem.drive.turned)
    return Faces.of_centres(flow.velocity, flow.microstructure.spacing, (z, y, x))


def still(micro: Microstructure, drive: Drive, started_at: float) -> FlowField:
    """Return the flow through a medium that does not percolate: no velocity, K = 0 and said so, pressure at rest in every pore.

    ``started_at``: ``time.perf_counter()`` when the solve began.
    """
    message = f"no pore joins the faces normal to {drive.axis}: K = 0 along {drive.axis}"
    report = SolverReport("converged", 0, 0.0, (), 0.0, 0.0, time.perf_counter() - started_at, (message,))
    fluid = micro.fluid.transpose(drive.turned)
    pores = find_pores(fluid, wrapping(drive.boundary, drive.lateral))
    pressure = _resting_pressure(pores) * drive.pressure_drop
    return FlowField(
        microstructure=micro,
        velocity=np.zeros((3, *micro.shape)),
        pressure=np.ascontiguousarray(pressure.transpose(drive.turned)),
        **asdict(drive),
        face_velocity=Faces.at_rest(micro.shape, micro.spacing).components,
        report=report,
    )


def _whole_pressure(problem: Problem, pressure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pressure of all voxels for a unit drop: solved where resin flows, at rest elsewhere, zero in the fibres."""
    whole = _resting_pressure(problem.pores)
    carrying = problem.grid.fluid
    solved = problem.system.rows.unpack(pressure, (carrying.shape[0], carrying.shape[1], carrying.shape[2]))
    if problem.system.free_level:  # add the mean gradient, which the periodic part leaves out
        solved = solved / _load_count(problem) + _falling(carrying.shape)
    np.copyto(whole, solved, where=carrying)
    return whole


def _falling(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A pressure that falls evenly from 1 at the inlet face to 0 at the outlet face, at voxel centres."""
    return 1.0 - (np.arange(shape[FLOW]) + 0.5) / shape[FLOW]


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
