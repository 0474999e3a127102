"""Steady Stokes flow through a microstructure."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from resinflow.core import ConvergenceError, FlowField, InvalidInputError, Microstructure, SolverReport
from resinflow.core.flow import Boundary, Lateral
from resinflow.core.microstructure import Axis
from resinflow.stokes.krylov import KrylovResult, minres
from resinflow.stokes.preconditioner import TwoScale, two_scale
from resinflow.stokes.problem import Drive, Problem, pose, still, to_flow
from resinflow.stokes.walls import WallRule

DEFAULT_TOLERANCE = 1e-6


def solve(
    micro: Microstructure,
    *,
    axis: Axis = "x",
    pressure_drop: float = 1e5,
    viscosity: float = 0.1,
    boundary: Boundary = "pressure",
    lateral: Lateral = "symmetry",
    tolerance: float = DEFAULT_TOLERANCE,
    max_iterations: int = 300,
    wall_rule: WallRule = "gap",
    watch: Callable[[int, float], None] | None = None,
) -> FlowField:
    """Return the steady Stokes flow: velocity zero in the fibres and on their faces, equal flux through every plane.

    Args:
        micro: the medium.
        axis: direction of the pressure drop.
        pressure_drop: Pa over the length of the box along ``axis``.
        viscosity: Pa s.
        boundary: ``pressure``: pressure on the inlet and outlet face, zero normal gradient of the velocity there;
            ``periodic``: periodic in all three directions, driven by the mean pressure gradient.
        lateral: the other faces of a pressure-driven box: ``symmetry``, ``periodic`` or ``no-slip``.
        tolerance: energy norm of the field's error, relative to the field's own, at which the iteration stops. The error
            of K is smaller.
        max_iterations: the solver raises when it needs more.
        wall_rule: ``gap`` (exact for aligned channels of any width) or ``plain`` (walls half a voxel away).
        watch: called with the iteration number and the relative residual.

    Returns:
        A field with ``face_velocity`` and a :class:`SolverReport`; a medium that does not percolate gives K = 0 and says so.

    Raises:
        InvalidInputError: all-solid media, media without any wall, options out of range.
        ConvergenceError: the tolerance was not met.
    """
    if not 1e-12 <= tolerance < 1:
        raise InvalidInputError(f"tolerance is {tolerance}; needed: 1e-12 to 1.")
    started = time.perf_counter()
    drive = Drive(axis, pressure_drop, viscosity, boundary, lateral)
    problem = pose(micro, drive, wall_rule)
    if problem is None:
        message = f"no pore joins the faces normal to {axis}: K = 0 along {axis}"
        return still(micro, drive, SolverReport("converged", 0, 0.0, (), 0.0, 0.0, time.perf_counter() - started, (message,)))
    preconditioner = two_scale(problem.system)
    result = _iterate(problem, preconditioner, tolerance, max_iterations, watch)
    if not result.converged:
        raise ConvergenceError(
            f"the solver reached a relative residual of {result.residuals[-1] / result.residuals[0]:.1e} in {max_iterations} "
            f"iterations; needed: {tolerance:g}. Raise max_iterations or loosen the tolerance."
        )
    count = problem.system.load.size
    velocity, pressure = result.solution[:count], preconditioner.project(result.solution[count:])
    report = _report(problem, result, velocity, time.perf_counter() - started)
    return to_flow(problem, velocity, pressure, report)


def _iterate(
    problem: Problem,
    preconditioner: TwoScale,
    tolerance: float,
    max_iterations: int,
    watch: Callable[[int, float], None] | None,
) -> KrylovResult:
    system = problem.system
    count = system.load.size
    rhs = np.concatenate([system.load, np.zeros(system.gradient.shape[1])])

    def matrix(x: NDArray[np.float64]) -> NDArray[np.float64]:
        velocity, pressure = x[:count], x[count:]
        return np.concatenate([system.apply_viscous(velocity) + system.gradient @ pressure, system.gradient.T @ velocity])

    def stop(residual: float, x: NDArray[np.float64]) -> bool:
        # load . u is the dissipated power, the square of the energy norm in which sqrt(r . P r) measures the error
        power = float(system.load @ x[:count])
        return power > 0 and residual <= tolerance * np.sqrt(power)

    return minres(matrix, rhs, preconditioner.apply, stop=stop, max_iterations=max_iterations, watch=watch)


def _report(problem: Problem, result: KrylovResult, velocity: NDArray[np.float64], seconds: float) -> SolverReport:
    """State convergence. The load equals the output functional, so that K computed as ``b.x + x.r`` has an error quadratic
    in the field's: its distance to the mean flux is an estimate of the latter's error.
    """
    system, count = problem.system, problem.system.load.size
    pressure = result.solution[count:]
    outflow = system.gradient.T @ velocity
    momentum = system.load - system.apply_viscous(velocity) - system.gradient @ pressure
    power = float(system.load @ velocity)
    corrected = power + float(velocity @ momentum) - float(pressure @ outflow)
    flow_unknowns = system.split(velocity)[2] * problem.grid.face_area(2)
    layers = problem.grid.fluid.shape[2]
    shares = problem.grid.faces[2].share[problem.grid.faces[2].unknown]
    mean_flux = float((flow_unknowns * shares).sum()) / layers
    quadratic = (result.residuals[-1] ** 2) / abs(corrected)
    error = abs(mean_flux - corrected) / abs(corrected) + quadratic
    typical = mean_flux / max(np.count_nonzero(problem.grid.faces[2].unknown) / layers, 1)
    return SolverReport(
        status="converged",
        iterations=result.iterations,
        residual=result.residuals[-1] / result.residuals[0],
        residual_history=tuple(value / result.residuals[0] for value in result.residuals),
        permeability_error=error,
        divergence=float(np.abs(outflow).max(initial=0.0)) / abs(typical),
        wall_time=seconds,
    )
