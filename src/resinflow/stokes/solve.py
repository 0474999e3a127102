"""A posed problem with its preconditioner: the set-up that several solves of one medium share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import (
    ConvergenceError,
    Drive,
    DriveOptions,
    FlowField,
    InvalidInputError,
    Microstructure,
    Remedy,
    SolverReport,
    check_medium,
)
from resinflow.stokes.algebra.outer import Follow, Outcome, outer_iteration
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.prolong import start_state
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.estimate import warn_of_narrow_gaps
from resinflow.stokes.extruded import extended, layer_drive, layer_of, mean_slice
from resinflow.stokes.longitudinal import longitudinal_flow
from resinflow.stokes.problem.mask import MASK_RULE, WallChoice, WallRule, wall_rule_of
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.problem.problem import Problem, rate_permeability, still, to_flow
from resinflow.stokes.state_file import Iterate, StateFile

DEFAULT_TOLERANCE = 1e-6
MAX_ITERATIONS = 300
_LARGEST_RATIO = 1000
"""Longest over shortest edge of a voxel up to which the solver is known to converge."""
SMALLEST_TOLERANCE = 1e-16
"""K is a double: beyond its own rounding there is nothing to ask for."""


@dataclass(frozen=True)
class PosedStokes:
    """A medium that lets resin through, ready to be solved; use it inside :func:`posed_stokes`.

    Attributes:
        problem: the discrete problem.
        preconditioner: its multigrid hierarchies and local response.
        pool: the threads that share the work.
        setup_seconds: what both took.
        wall_rule: where the walls are.
    """

    problem: Problem
    preconditioner: TwoScale
    pool: Pool
    setup_seconds: float
    wall_rule: WallRule

    def solve(
        self,
        tolerance: float = DEFAULT_TOLERANCE,
        *,
        max_iterations: int = MAX_ITERATIONS,
        watch: Callable[[int, float], None] | None = None,
        follow: Follow | None = None,
        initial: FlowField | None = None,
        started_at: float | None = None,
        state: str | Path | None = None,
    ) -> FlowField:
        """Return what :func:`resinflow.solve` does.

        Args:
            tolerance: relative error of K.
            max_iterations: upper bound.
            watch: as :func:`resinflow.solve`.
            follow: as :func:`resinflow.solve`.
            initial: as :func:`resinflow.solve`.
            started_at: ``time.perf_counter()`` from which ``report.wall_time`` counts; by default now, without the set-up.
            state: as :func:`resinflow.solve`.

        Raises:
            InvalidInputError: options out of range, an initial field of another shape, or a state of another flow.
            ConvergenceError: the tolerance was not met.
        """
        check_solver_options(tolerance, max_iterations)
        if started_at is None:
            started_at = time.perf_counter()
        file = None
        if state is not None:
            file = StateFile(state, self.problem.micro, self.problem.drive, self.wall_rule, started_at)
        iterate = None if file is None else file.load(self.problem.system.state_shape)
        start = None if initial is None else start_state(self.problem, self.preconditioner, initial)
        if iterate is not None:
            start = iterate.values
        with nullcontext() if file is None else file.keeping():
            outcome = self._iterated(start, tolerance, max_iterations, watch, follow, file, iterate)
            if not outcome.converged:
                is_kept = file is not None and not outcome.stalled and file.save()
                why, remedies = _why(outcome, tolerance, self.problem, self.wall_rule)
                kept = f" The field so far is kept in {state}." if is_kept else ""
                raise ConvergenceError(why + kept, outcome.error, remedies)
        report = SolverReport(
            status="converged",
            iterations=outcome.iterations + (0 if iterate is None else iterate.iterations),
            residual=outcome.residuals[-1] if outcome.residuals else 0.0,
            residual_history=outcome.residuals,
            permeability_error=outcome.error,
            divergence=outcome.divergence,
            wall_time=time.perf_counter() - started_at + (0.0 if iterate is None else iterate.seconds),
        )
        return to_flow(self.problem, outcome.state, report)

    def _iterated(
        self,
        start: NDArray[np.float64] | None,
        tolerance: float,
        max_iterations: int,
        watch: Callable[[int, float], None] | None,
        follow: Follow | None,
        file: StateFile | None,
        iterate: Iterate | None,
    ) -> Outcome:
        """What the iteration reaches from a start; ``iterate`` is that of a solve that goes on."""
        scale = rate_permeability(self.problem)
        made = 0 if iterate is None else iterate.iterations

        def follow_rate(rate: float, error: float) -> None:
            if follow is not None:
                follow(scale * rate, error)

        def keep(values: NDArray[np.float64], iterations: int, residuals: Sequence[float]) -> None:
            if file is not None:
                file.note(values, made + iterations, residuals)

        earlier = () if iterate is None else iterate.residuals
        return outer_iteration(
            self.pool, self.preconditioner, start, tolerance, max_iterations, watch, follow_rate, keep, earlier
        )


def _why(outcome: Outcome, tolerance: float, problem: Problem, wall_rule: WallRule) -> tuple[str, tuple[Remedy, ...]]:
    """What happened where the tolerance was not met, what is needed, and what helps: in words and by name."""
    edges = problem.micro.spacing
    ratio = max(edges) / min(edges)
    reached = (
        f"the solver reached an estimated relative error of K of {outcome.error:.1e} in {outcome.iterations} iterations; "
        f"needed: {tolerance:g}."
    )
    if outcome.error - outcome.rounding <= tolerance:
        return (
            f"{reached} Of it {outcome.rounding:.1e} is rounding: the longest edge of a voxel is {ratio:.0f} times the "
            "shortest, and walls across it are next to nothing beside other terms. Use voxels more like cubes, or a looser "
            "tolerance."
        ), ("voxels like cubes", "looser tolerance")
    if ratio > _LARGEST_RATIO:
        words = f"{reached} The longest edge of a voxel is {ratio:.0f} times the shortest. Use voxels more like cubes."
        return words, ("voxels like cubes",)
    if not outcome.stalled:
        words = f"{reached} It was falling: allow more iterations or a looser tolerance."
        return words, ("more iterations", "looser tolerance")
    stalled = f"{reached} It no longer falls: more iterations or a looser tolerance will not help."
    if wall_rule == "surface":
        return f"{stalled} Use the voxel mask alone (wall rule plain) or smaller voxels.", ("voxel mask", "smaller voxels")
    return f"{stalled} Use smaller voxels.", ("smaller voxels",)


@contextmanager
def posed_stokes(
    micro: Microstructure, drive: Drive, wall_rule: WallRule, threads: int | None = None
) -> Iterator[PosedStokes | None]:
    """Yield the posed problem, or None where nothing percolates along the axis (then K = 0).

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium, or a number of threads below 1.
    """
    if threads is not None and threads < 1:
        raise InvalidInputError(f"threads is {threads}; needed: 1 or more, or None.")
    started_at = time.perf_counter()
    problem = pose(micro, drive, wall_rule)
    if problem is None:
        yield None
        return
    with Pool(threads) as pool:
        preconditioner = TwoScale(pool, problem.system)
        yield PosedStokes(problem, preconditioner, pool, time.perf_counter() - started_at, wall_rule)


def check_solver_options(tolerance: float, max_iterations: int) -> None:
    """Raise InvalidInputError unless both are in range."""
    if not SMALLEST_TOLERANCE <= tolerance < 1:
        raise InvalidInputError(f"tolerance is {tolerance}; needed: {SMALLEST_TOLERANCE:g} to 1, a relative error of K.")
    if max_iterations < 1:
        raise InvalidInputError(f"max_iterations is {max_iterations}; needed: 1 or more.")


def solve(
    micro: Microstructure,
    drive: Drive | None = None,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    wall_rule: WallChoice = "auto",
    watch: Callable[[int, float], None] | None = None,
    follow: Follow | None = None,
    initial: FlowField | None = None,
    threads: int | None = None,
    state: str | Path | None = None,
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return the steady Stokes flow: velocity zero in the fibres and on their faces, equal flux through every plane.

    Args:
        micro: the medium.
        drive: direction, pressure drop, viscosity and the conditions on the box; by default those of :class:`Drive`.
        tolerance: relative error of K, estimated from above, at which the iteration stops. The error of the field in the
            energy norm is at most its square root.
        max_iterations: the solver raises when it needs more.
        wall_rule: ``surface``: walls at the fibre surfaces, where the medium's signed distance has them; ``plain``: walls half
            a voxel away, from the mask alone; ``gap``: from the mask, exact for aligned channels of any width. ``auto`` (the
            default) is ``surface`` for a medium with a signed distance, else ``plain``.
        watch: called with the iteration number and the relative residual.
        follow: called before ``watch`` with K of the iterate, m^2, and about its relative error: estimates, to look
            at while it works; K of the result and its error are surer.
        initial: a field of the same medium to start from, such as a model's, on the same grid or on one coarser by whole
            factors along every axis; by default the response flow.
        threads: number of threads; by default what numba may use. The result does not depend on it.
        state: a file (.npz) for long solves: the field so far is written there at intervals that cost less than 2 % of the
            time, and when the solve is interrupted (KeyboardInterrupt); a solve of the same flow goes on from it, whatever
            ``initial`` and the tolerance; where the solve succeeds it is removed. A solve that needs more iterations leaves it,
            too. Iterations and time of the report count from the first start on.
        conditions: single values of the drive, in the place of its own.

    Returns:
        A field with ``face_velocity`` and a :class:`SolverReport`, which warns when the pixels of a mask or an image are too
        large for the gaps that carry the flow
        (:func:`resinflow.stokes.estimate.gap_statistics`). The field is free of divergence (the flow
        rates of any two planes differ by less than 1e-5 of it) and of best amplitude, so that its K is a lower bound of the
        discrete K, and low by no more than ``report.permeability_error``. A medium that does not percolate gives K = 0 and says
        so.

    Raises:
        InvalidInputError: all-solid media, media without any wall, options out of range, or a state of another medium, drive
            or wall rule.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> flow = rf.solve(micro, axis="x", pressure_drop=1e5, viscosity=0.1)
        >>> flow.velocity.shape  # m/s
        (3, 3, 16, 16)
        >>> flow.permeability > 0  # m^2
        True
    """
    check_medium(micro)
    drive = Drive.of(drive, **conditions)
    rule = wall_rule_of(micro, wall_rule)
    flow = solve_discrete(
        micro,
        drive,
        tolerance,
        max_iterations,
        rule,
        watch=watch,
        follow=follow,
        initial=initial,
        threads=threads,
        state=state,
    )
    # surfaces of a generator are exact; those that an image tells are off by a part of a pixel
    exact = rule == "surface" and "surface" not in micro.provenance
    return flow if exact else warn_of_narrow_gaps(flow, surfaces=rule == "surface")


def rest_flow(micro: Microstructure, drive: Drive | None = None, **conditions: Unpack[DriveOptions]) -> FlowField:
    """Return the flow through a medium that nothing flows through: no velocity, K = 0, and a report that says so.

    Args:
        micro: the medium.
        drive: as :func:`solve`.
        conditions: single values of the drive, in the place of its own.
    """
    return still(micro, Drive.of(drive, **conditions), time.perf_counter())


def solve_discrete(
    micro: Microstructure,
    drive: Drive,
    tolerance: float,
    max_iterations: int = MAX_ITERATIONS,
    wall_rule: WallRule = MASK_RULE,
    *,
    watch: Callable[[int, float], None] | None = None,
    follow: Follow | None = None,
    initial: FlowField | None = None,
    threads: int | None = None,
    state: str | Path | None = None,
) -> FlowField:
    """Return what :func:`solve` does, without a word on how well the voxels resolve the gaps."""
    check_solver_options(tolerance, max_iterations)
    layer, single = layer_of(micro), layer_drive(micro, drive)
    if layer is not None and single is not None and single.axis == "z":
        flow = longitudinal_flow(
            layer, single, tolerance, max_iterations, wall_rule, watch=watch, follow=follow, threads=threads, state=state
        )
        return extended(flow, micro, drive)
    if layer is not None and single is not None and layer is not micro:
        start = None if initial is None else mean_slice(initial)
        flow = solve_discrete(
            layer,
            single,
            tolerance,
            max_iterations,
            wall_rule,
            watch=watch,
            follow=follow,
            initial=start,
            threads=threads,
            state=state,
        )
        return extended(flow, micro, drive)
    started_at = time.perf_counter()
    with posed_stokes(micro, drive, wall_rule, threads) as posed:
        if posed is None:
            return still(micro, drive, started_at)
        return posed.solve(
            tolerance,
            max_iterations=max_iterations,
            watch=watch,
            follow=follow,
            initial=initial,
            started_at=started_at,
            state=state,
        )
