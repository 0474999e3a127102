"""A posed problem with its preconditioner: the set-up that several solves of one medium share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from resinflow.core import ConvergenceError, FlowField, InvalidInputError, Microstructure, SolverReport
from resinflow.stokes.compiled import Team
from resinflow.stokes.problem import Drive, Problem, pose, to_flow
from resinflow.stokes.prolong import start_state
from resinflow.stokes.refine import refine
from resinflow.stokes.twoscale import TwoScale
from resinflow.stokes.walls import WallRule

DEFAULT_TOLERANCE = 1e-6
MAX_ITERATIONS = 300
SMALLEST_TOLERANCE = 1e-16
"""K is a double: beyond its own rounding there is nothing to ask for."""


@dataclass(frozen=True)
class PosedStokes:
    """A medium that lets resin through, ready to be solved; use it inside :func:`posed_stokes`.

    Attributes:
        problem: the discrete problem.
        preconditioner: its multigrid hierarchies and local response.
        team: threads that share the work.
        setup_seconds: what both took.
    """

    problem: Problem
    preconditioner: TwoScale
    team: Team
    setup_seconds: float

    def solve(
        self,
        tolerance: float = DEFAULT_TOLERANCE,
        *,
        max_iterations: int = MAX_ITERATIONS,
        watch: Callable[[int, float], None] | None = None,
        initial: FlowField | None = None,
        started: float | None = None,
    ) -> FlowField:
        """Return what :func:`resinflow.solve` does.

        Args:
            tolerance: relative error of K.
            max_iterations: upper bound.
            watch: as :func:`resinflow.solve`.
            initial: as :func:`resinflow.solve`.
            started: ``time.perf_counter()`` from which ``report.wall_time`` counts; by default now, without the set-up.

        Raises:
            InvalidInputError: options out of range, or an initial field of another shape.
            ConvergenceError: the tolerance was not met.
        """
        check_solver_options(tolerance, max_iterations)
        begun = time.perf_counter() if started is None else started
        state = None if initial is None else start_state(self.problem, self.preconditioner, initial)
        outcome = refine(self.team, self.preconditioner, state, tolerance, max_iterations, watch)
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
            wall_time=time.perf_counter() - begun,
        )
        return to_flow(self.problem, outcome.state, report)


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
    started = time.perf_counter()
    problem = pose(micro, drive, wall_rule)
    if problem is None:
        yield None
        return
    with Team(threads) as team:
        preconditioner = TwoScale(team, problem.system)
        yield PosedStokes(problem, preconditioner, team, time.perf_counter() - started)


def check_solver_options(tolerance: float, max_iterations: int) -> None:
    """Raise InvalidInputError unless both are in range."""
    if not SMALLEST_TOLERANCE <= tolerance < 1:
        raise InvalidInputError(f"tolerance is {tolerance}; needed: {SMALLEST_TOLERANCE:g} to 1, a relative error of K.")
    if max_iterations < 1:
        raise InvalidInputError(f"max_iterations is {max_iterations}; needed: 1 or more.")
