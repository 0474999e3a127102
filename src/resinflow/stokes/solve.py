"""Steady Stokes flow through a microstructure."""

from __future__ import annotations

import time
from collections.abc import Callable

from resinflow.core import ConvergenceError, FlowField, InvalidInputError, Microstructure, SolverReport
from resinflow.core.flow import Boundary, Lateral
from resinflow.core.microstructure import Axis
from resinflow.stokes.compiled import Team
from resinflow.stokes.estimate import warn_of_narrow_gaps
from resinflow.stokes.problem import Drive, pose, still, to_flow, to_state
from resinflow.stokes.refine import refine
from resinflow.stokes.twoscale import TwoScale
from resinflow.stokes.walls import MASK_RULE, WallRule

DEFAULT_TOLERANCE = 1e-6
MAX_ITERATIONS = 300
SMALLEST_TOLERANCE = 1e-16
"""K is a double: beyond its own rounding there is nothing to ask for."""


def solve(
    micro: Microstructure,
    *,
    axis: Axis = "x",
    pressure_drop: float = 1e5,
    viscosity: float = 0.1,
    boundary: Boundary = "pressure",
    lateral: Lateral = "symmetry",
    tolerance: float = DEFAULT_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    wall_rule: WallRule = MASK_RULE,
    watch: Callable[[int, float], None] | None = None,
    initial: FlowField | None = None,
    threads: int | None = None,
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
        tolerance: relative error of K, estimated from above, at which the iteration stops. The error of the field in the
            energy norm is at most its square root.
        max_iterations: the solver raises when it needs more.
        wall_rule: for a mask ``plain`` (the default: walls half a voxel away) or ``gap`` (exact for aligned channels of any
            width); ``surface``: fibre surfaces where the medium's signed distance has them.
        watch: called with the iteration number and the relative residual.
        initial: a field of the same medium to start from, such as a model's; by default the response flow.
        threads: number of threads; by default what numba may use. The result does not depend on it.

    Returns:
        A field with ``face_velocity`` and a :class:`SolverReport`, which warns when the voxels of a mask are too large for the
        gaps that carry the flow (:func:`resinflow.stokes.estimate.gap_statistics`). The field is free of divergence (the flow
        rates of any two planes differ by less than 1e-5 of it) and of best amplitude, so that its K is a lower bound of the
        discrete K, and low by no more than ``report.permeability_error``. A medium that does not percolate gives K = 0 and says
        so.

    Raises:
        InvalidInputError: all-solid media, media without any wall, options out of range.
        ConvergenceError: the tolerance was not met.
    """
    drive = Drive(axis, pressure_drop, viscosity, boundary, lateral)
    flow = solve_discrete(micro, drive, tolerance, max_iterations, wall_rule, watch=watch, initial=initial, threads=threads)
    # a signed distance tells more of narrow gaps than the voxels do
    return flow if wall_rule == "surface" else warn_of_narrow_gaps(flow)


def solve_discrete(
    micro: Microstructure,
    drive: Drive,
    tolerance: float,
    max_iterations: int = MAX_ITERATIONS,
    wall_rule: WallRule = MASK_RULE,
    *,
    watch: Callable[[int, float], None] | None = None,
    initial: FlowField | None = None,
    threads: int | None = None,
) -> FlowField:
    """Return what :func:`solve` does, without a word on how well the voxels resolve the gaps."""
    if not SMALLEST_TOLERANCE <= tolerance < 1:
        raise InvalidInputError(f"tolerance is {tolerance}; needed: {SMALLEST_TOLERANCE:g} to 1, a relative error of K.")
    if max_iterations < 1:
        raise InvalidInputError(f"max_iterations is {max_iterations}; needed: 1 or more.")
    if threads is not None and threads < 1:
        raise InvalidInputError(f"threads is {threads}; needed: 1 or more, or None.")
    started = time.perf_counter()
    problem = pose(micro, drive, wall_rule)
    if problem is None:
        return still(micro, drive, started)
    state = None if initial is None else to_state(problem, initial)
    with Team(threads) as team:
        outcome = refine(team, TwoScale(team, problem.system), state, tolerance, max_iterations, watch)
    if not outcome.converged:
        raise ConvergenceError(
            f"the solver reached an estimated relative error of K of {outcome.error:.1e} in {outcome.iterations} "
            f"iterations; needed: {tolerance:g}. Raise max_iterations or loosen the tolerance."
        )
    report = SolverReport(
        status="converged",
        iterations=outcome.iterations,
        residual=outcome.residuals[-1] if outcome.residuals else 0.0,
        residual_history=outcome.residuals,
        permeability_error=outcome.error,
        divergence=outcome.divergence,
        wall_time=time.perf_counter() - started,
    )
    return to_flow(problem, outcome.state, report)
