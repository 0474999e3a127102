"""The response flow: Darcy's law with the local Stokes response, for the price of one Poisson solve."""

from __future__ import annotations

import time

import numpy as np

from resinflow.core import ConvergenceError, FlowField, Microstructure, SolverReport
from resinflow.core.flow import Boundary, Lateral
from resinflow.core.microstructure import Axis
from resinflow.stokes.preconditioner import two_scale
from resinflow.stokes.problem import Drive, pose, still, to_flow
from resinflow.stokes.walls import WallRule

_POISSON_TOLERANCE = 1e-8
_RESPONSE_TOLERANCE = 1e-6
"""The field itself is made of the response: it must not depend on how its solver happens to converge."""


def response_flow(
    micro: Microstructure,
    *,
    axis: Axis = "x",
    pressure_drop: float = 1e5,
    viscosity: float = 0.1,
    boundary: Boundary = "pressure",
    lateral: Lateral = "symmetry",
    wall_rule: WallRule = "gap",
) -> FlowField:
    """Return an approximate 3-D flow: mass conserving, no slip, K from below.

    With ``w = A^-1 (volume 1) / volume`` (the velocity under a unit uniform pressure gradient if pressure did not react)
    solve ``L_w p = G^T (w f)``, then ``u_w = w (f - G p)``. The field overshoots by a factor that minimum dissipation gives,
    ``a = f.u_w / u_w.A u_w``; ``a u_w`` is returned. Its K is a lower bound of the discrete K, since for any admissible v
    ``(f.v)^2 / v.A v <= f.u``.

    Raises:
        InvalidInputError: as :func:`resinflow.solve`.
        ConvergenceError: the Poisson solve failed.
    """
    started = time.perf_counter()
    drive = Drive(axis, pressure_drop, viscosity, boundary, lateral)
    problem = pose(micro, drive, wall_rule)
    if problem is None:
        message = f"no pore joins the faces normal to {axis}: K = 0 along {axis}"
        return still(micro, drive, SolverReport("converged", 0, 0.0, (), 0.0, 0.0, time.perf_counter() - started, (message,)))
    system = problem.system
    parts = two_scale(system, _RESPONSE_TOLERANCE)
    residuals: list[float] = []
    right = parts.project(system.gradient.T @ (parts.response * system.load))
    pressure = parts.poisson_solver.solve(right, tol=_POISSON_TOLERANCE, accel="cg", maxiter=100, residuals=residuals)
    reached = residuals[-1] / residuals[0]
    if reached > 10 * _POISSON_TOLERANCE:
        raise ConvergenceError(f"the Poisson solve of the response flow stopped at {reached:.1e}; needed: {_POISSON_TOLERANCE:g}.")
    pressure = parts.project(pressure)
    velocity = parts.response * (system.load - system.gradient @ pressure)
    velocity *= float(system.load @ velocity) / float(velocity @ system.apply_viscous(velocity))
    typical = float(system.load @ velocity) / max(np.count_nonzero(system.load), 1)
    report = SolverReport(
        status="approximate: response flow",
        iterations=len(residuals) - 1,
        residual=reached,
        residual_history=tuple(value / residuals[0] for value in residuals),
        permeability_error=float("nan"),
        divergence=float(np.abs(system.gradient.T @ velocity).max(initial=0.0)) / abs(typical),
        wall_time=time.perf_counter() - started,
    )
    return to_flow(problem, velocity, pressure, report)
