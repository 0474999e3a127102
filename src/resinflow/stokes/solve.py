"""Steady Stokes flow through a microstructure."""

from __future__ import annotations

import time
from collections.abc import Callable

from resinflow.core import FlowField, Microstructure
from resinflow.core.flow import Boundary, Lateral
from resinflow.core.microstructure import Axis
from resinflow.stokes.estimate import warn_of_narrow_gaps
from resinflow.stokes.posed import (
    DEFAULT_TOLERANCE,
    MAX_ITERATIONS,
    SMALLEST_TOLERANCE,
    check_solver_options,
    posed_stokes,
)
from resinflow.stokes.problem import Drive, still
from resinflow.stokes.walls import MASK_RULE, WallRule

__all__ = ["DEFAULT_TOLERANCE", "MAX_ITERATIONS", "SMALLEST_TOLERANCE", "solve", "solve_discrete"]


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
        initial: a field of the same medium to start from, such as a model's, on the same grid or on one coarser by whole
            factors along every axis; by default the response flow.
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
    check_solver_options(tolerance, max_iterations)
    started = time.perf_counter()
    with posed_stokes(micro, drive, wall_rule, threads) as posed:
        if posed is None:
            return still(micro, drive, started)
        return posed.solve(tolerance, max_iterations=max_iterations, watch=watch, initial=initial, started=started)
