"""Certificates: exact statements about the discrete problem for any velocity field, however it was obtained.

A velocity is admissible if it is discretely free of divergence and zero on the fibres. For every admissible ``v`` minimum
dissipation gives ``2 f.v - v.A v <= f.u`` with the exact ``u``; scaled to its best amplitude ``(f.v)^2 / (v.A v) <= f.u``. As
``f.u`` is the flow rate under a unit pressure drop, this is a rigorous lower bound on the discrete K, with an error
quadratic in the field's. Any field becomes admissible by ``v - diag(w) G phi`` with ``L_w phi = G^T v``, ``L_w = G^T diag(w) G``:
the projection that changes it least in the norm weighted by ``1 / w``. The weight is the local Stokes response, so that
corrections go where resin flows easily; they vanish on the fibres since only free faces have a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.core import ConvergenceError, FlowField, InvalidInputError
from resinflow.core.microstructure import AXES
from resinflow.stokes.preconditioner import TwoScale, two_scale
from resinflow.stokes.problem import Drive, Problem, pose, to_flow
from resinflow.stokes.walls import WallRule

_POISSON_TOLERANCE = 1e-10
_ROUNDS = 3
"""Rounds of the Poisson solve, each on what the last one left: the divergence falls to rounding."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Certificate:
    """What can be said for certain of a velocity field.

    Attributes:
        permeability_bound: lower bound (m^2) on the K of the exact discrete flow; 0 if the medium does not percolate.
        correction: L2 norm of what the projection changed, over that of the field; 0 if the field was admissible.
        residual: norm of the momentum residual under the best pressure, over that of the load, weighted by the local response;
            0 for the exact flow, 1 for no flow.
        divergence: largest net outflow of a voxel after the projection, over the largest flow through a voxel face.
    """

    permeability_bound: float
    correction: float
    residual: float
    divergence: float


def project(flow: FlowField, *, wall_rule: WallRule = "gap") -> FlowField:
    """Return the admissible field nearest to ``flow``, with staggered velocities; pressure and conditions stay.

    Guarantees no net outflow of any voxel and no velocity on fibre faces (to rounding). Projecting twice changes nothing.
    Velocities in pores that do not join inlet and outlet are dropped.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium.
        ConvergenceError: the Poisson solve failed.
    """
    problem = pose(flow.microstructure, _drive(flow), wall_rule)
    if problem is None:
        zeros = np.zeros_like(flow.velocity)
        faces = tuple(np.zeros(shape) for shape in _face_shapes(flow))
        return replace(flow, velocity=zeros, face_velocity=(faces[0], faces[1], faces[2]), report=None)
    velocity, _ = _admissible(two_scale(problem.system), face_unknowns(problem, flow))
    field = to_flow(problem, velocity, np.zeros(problem.system.gradient.shape[1]), None)
    return replace(field, pressure=flow.pressure)


def certify(flow: FlowField, *, wall_rule: WallRule = "gap") -> Certificate:
    """Return the lower bound on K, the size of the projection and the momentum residual of a velocity field.

    The statements concern the discrete problem on the field's own medium and boundary conditions, under ``wall_rule``.

    Args:
        flow: a solver's or a model's field; its staggered velocities are used if present, else its velocity at voxel centres.
        wall_rule: as :func:`resinflow.solve`.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium.
        ConvergenceError: the Poisson solve failed.
    """
    problem = pose(flow.microstructure, _drive(flow), wall_rule)
    if problem is None:
        return Certificate(0.0, float(bool(flow.velocity.any())), 0.0, 0.0)
    system = problem.system
    parts = two_scale(system)
    given = face_unknowns(problem, flow)
    velocity, outflow = _admissible(parts, given)
    viscous = system.apply_viscous(velocity)
    work, dissipation = float(system.load @ velocity), float(velocity @ viscous)
    # |pressure| is of the order of 1 for a unit drop: what divergence is left may feign this much flow
    margin = 2.0 * float(np.abs(outflow).sum())
    flow_rate = max(work, 0.0) ** 2 / dissipation - margin if dissipation > 0 else 0.0
    length = problem.grid.fluid.shape[2] * problem.grid.spacing[2]
    section = problem.grid.fluid.size * problem.grid.voxel_volume / length
    largest = float(np.abs(velocity).max(initial=0.0)) * system.voxel_volume ** (2 / 3)
    size = float(np.sqrt((system.volume * given**2).sum()))
    change = float(np.sqrt((system.volume * (velocity - given) ** 2).sum()))
    return Certificate(
        permeability_bound=max(flow_rate, 0.0) * length / section,
        correction=change / size if size > 0 else 0.0,
        residual=_momentum_residual(parts, system.load - viscous),
        divergence=float(np.abs(outflow).max(initial=0.0)) / largest if largest > 0 else 0.0,
    )


def face_unknowns(problem: Problem, flow: FlowField) -> Vector:
    """Return a field's velocities on the free faces of a problem, for unit viscosity and unit pressure drop.

    Without staggered velocities a face gets the mean of its two voxels, an open side of the box its one voxel's value.

    Raises:
        InvalidInputError: the field belongs to another medium.
    """
    if flow.microstructure.shape != problem.micro.shape:
        raise InvalidInputError(
            f"the field has {flow.microstructure.shape} voxels, the medium {problem.micro.shape}; needed: the same."
        )
    turned = problem.drive.turned
    fields = flow.face_velocity if flow.face_velocity is not None else _on_faces(flow, problem.grid.wraps, turned)
    parts = []
    for axis, numbers in enumerate(problem.system.face_numbers):
        values = np.asarray(fields[2 - turned[axis]], dtype=np.float64).transpose(turned)
        if problem.grid.wraps[axis]:  # the last layer of faces repeats the first
            values = np.delete(values, -1, axis)
        parts.append(values[numbers >= 0])
    return np.concatenate(parts) * (flow.viscosity / flow.pressure_drop)


def _on_faces(flow: FlowField, wraps: tuple[bool, bool, bool], turned: tuple[int, int, int]) -> list[NDArray[np.float64]]:
    """Velocities at voxel centres averaged onto faces, components (x, y, z); ``wraps`` is in turned axes."""
    fields = []
    for component, name in enumerate(("x", "y", "z")):
        axis = AXES.index(name)
        mode = "wrap" if wraps[turned[axis]] else "edge"
        padded = np.pad(flow.velocity[component], [(1, 1) if k == axis else (0, 0) for k in range(3)], mode=mode)
        fields.append(0.5 * (np.delete(padded, 0, axis) + np.delete(padded, -1, axis)))
    return fields


def _admissible(parts: TwoScale, velocity: Vector) -> tuple[Vector, Vector]:
    """Return the projected velocity and the net outflow that rounding leaves in its voxels."""
    system = parts.system
    rounding = 1e-15 * system.voxel_volume ** (2 / 3) * float(np.abs(velocity).max(initial=0.0))
    for _ in range(_ROUNDS):
        outflow = parts.project(system.gradient.T @ velocity)
        if float(np.abs(outflow).max(initial=0.0)) <= rounding:
            break
        velocity = velocity - parts.response * (system.gradient @ _poisson(parts, outflow))
    return velocity, system.gradient.T @ velocity


def _momentum_residual(parts: TwoScale, rest: Vector) -> float:
    """Norm of ``rest - G p`` with the pressure that makes it least, over that of the load; both weighted by the response."""
    gradient, weight = parts.system.gradient, parts.response
    pressure = _poisson(parts, parts.project(gradient.T @ (weight * rest)))
    left = rest - gradient @ pressure
    load = parts.system.load
    reference = load - gradient @ _poisson(parts, parts.project(gradient.T @ (weight * load)))
    return float(np.sqrt((weight * left**2).sum() / (weight * reference**2).sum()))


def _poisson(parts: TwoScale, right: Vector) -> Vector:
    """Solve ``L_w phi = right``."""
    if not right.any():
        return np.zeros_like(right)
    residuals: list[float] = []
    solution = parts.poisson_solver.solve(right, tol=_POISSON_TOLERANCE, accel="cg", maxiter=100, residuals=residuals)
    reached = residuals[-1] / residuals[0]
    if reached > 1e-3:
        raise ConvergenceError(f"the Poisson solve of the projection stopped at {reached:.1e}; needed: {_POISSON_TOLERANCE:g}.")
    return parts.project(solution)


def _drive(flow: FlowField) -> Drive:
    return Drive(flow.axis, flow.pressure_drop, flow.viscosity, flow.boundary, flow.lateral)


def _face_shapes(flow: FlowField) -> list[tuple[int, int, int]]:
    nz, ny, nx = flow.microstructure.shape
    return [(nz, ny, nx + 1), (nz, ny + 1, nx), (nz + 1, ny, nx)]
