"""A discrete problem with its preconditioner, made once and used for several fields: solve, then project what others made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from types import TracebackType

import numpy as np

from resinflow.core import ConvergenceError, FlowField, Microstructure, SolverReport
from resinflow.stokes.compiled import Team
from resinflow.stokes.problem import Drive, pose, still, to_flow, to_state
from resinflow.stokes.refine import project, refine
from resinflow.stokes.system import PRESSURE
from resinflow.stokes.twoscale import TwoScale
from resinflow.stokes.walls import WallRule

MAX_ITERATIONS = 300


class PosedStokes:
    """The flow problem of one medium under one drive.

    A context manager, which ends its threads; without one they end when the object is let go.

    Args:
        micro: the medium.
        drive: what drives the flow.
        wall_rule: as :func:`resinflow.solve`.
        threads: number of threads; by default what numba may use.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium.
    """

    def __init__(self, micro: Microstructure, drive: Drive, wall_rule: WallRule, *, threads: int | None = None) -> None:
        self._started = time.perf_counter()
        self._micro, self._drive = micro, drive
        self._team = Team(threads)
        self._problem = pose(micro, drive, wall_rule)

    def __enter__(self) -> PosedStokes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._team.__exit__(kind, error, trace)

    @cached_property
    def _parts(self) -> TwoScale | None:
        return None if self._problem is None else TwoScale(self._team, self._problem.system)

    def solve(
        self,
        tolerance: float,
        max_iterations: int = MAX_ITERATIONS,
        *,
        watch: Callable[[int, float], None] | None = None,
        initial: FlowField | None = None,
    ) -> FlowField:
        """Return the flow to a relative error of K; the report's time runs from when the problem was posed.

        Raises:
            ConvergenceError: the tolerance was not met.
        """
        problem, parts = self._problem, self._parts
        if problem is None or parts is None:
            return still(self._micro, self._drive, self._started)
        state = None if initial is None else to_state(problem, initial)
        outcome = refine(self._team, parts, state, tolerance, max_iterations, watch)
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
            wall_time=time.perf_counter() - self._started,
        )
        return to_flow(problem, outcome.state, report)

    def project(self, flow: FlowField, tolerance: float = 0.0) -> FlowField:
        """Return the field without divergence that is nearest to ``flow``, with staggered velocities; pressure stays.

        Velocities in pores that do not join inlet and outlet are dropped.

        Args:
            flow: a field of the same medium and drive.
            tolerance: largest difference of the flow rate between two planes, relative; 0: what rounding allows.
        """
        problem, parts = self._problem, self._parts
        if problem is None or parts is None:
            zeros = np.zeros_like(flow.velocity)
            nz, ny, nx = flow.microstructure.shape
            faces = (np.zeros((nz, ny, nx + 1)), np.zeros((nz, ny + 1, nx)), np.zeros((nz + 1, ny, nx)))
            return replace(flow, velocity=zeros, face_velocity=faces, report=None)
        state = to_state(problem, flow)
        project(self._team, parts, state, tolerance)
        state[PRESSURE] = 0
        return replace(to_flow(problem, state, None), pressure=flow.pressure)
