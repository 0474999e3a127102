"""Slices that are flows by themselves, all solved at once: one system whose slices do not see one another.

The conductances between slices are zero, so that operators, multigrid and Krylov steps act on every slice alone, and one pass
over all of them takes the place of thousands over each. What must tell slices apart are numbers: each has its own flow rate,
best amplitude and error of K. The steps of conjugate gradients are common to all; for them every slice is scaled to the
same power, and those that have reached the tolerance drop out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import ConvergenceError, Drive, FlowField, Microstructure, SolverReport
from resinflow.stokes.algebra.krylov import BramblePasciak
from resinflow.stokes.algebra.outer import (
    DEEPEST,
    DOUBLE,
    FLUX_TOLERANCE,
    GROWTH,
    INFLATION,
    LARGEST_INFLATION,
    LOCAL,
    PROJECTIONS,
    momentum_residual,
)
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.problem.mask import FLOW, MASK_RULE, build_grid, wrapping
from resinflow.stokes.problem.pores import find_pores
from resinflow.stokes.problem.problem import Problem, still, to_flow
from resinflow.stokes.problem.system import PRESSURE, build_system

_AT_ONCE = 16
"""Most slices that are solved at once: the coarsest level of the multigrid hierarchy then still has some places of each."""
_VOXELS_AT_ONCE = 1 << 17
"""Voxels from which on more slices at once leave the processor's cache, and take longer."""
_STEPS = 300
_EAGERNESS, _START_TOLERANCE = 0.3, 3e-2
"""As in :mod:`resinflow.stokes.algebra.outer`, for each slice."""

Array = NDArray[np.float64]


def slices_at_once(micro: Microstructure) -> int:
    """Return the number of slices of a medium that are best solved at once."""
    return max(1, min(_AT_ONCE, _VOXELS_AT_ONCE // micro.fluid[0].size))


def solve_slices(micro: Microstructure, drive: Drive, tolerance: float) -> FlowField:
    """Return the flows of the slices of a medium, each by itself, as one field; slices that do not percolate are at rest.

    Args:
        micro: the medium, at most as many slices as :func:`slices_at_once`.
        drive: along x or y, between a pressure and the other and between symmetry planes.
        tolerance: relative error of the K of each slice.

    Raises:
        ConvergenceError: the tolerance was not met.
    """
    started_at = time.perf_counter()
    problem = _posed(micro, drive)
    if problem is None:
        return still(micro, drive, started_at)
    with Pool() as pool:
        solver = _Slices(pool, problem)
        state, report = solver.solve(tolerance)
    return to_flow(problem, state, replace(report, wall_time=time.perf_counter() - started_at))


def _posed(micro: Microstructure, drive: Drive) -> Problem | None:
    fluid = micro.fluid.transpose(drive.turned)
    dz, dy, dx = (micro.spacing[axis] for axis in drive.turned)
    pores = find_pores(fluid, wrapping(drive.boundary, drive.lateral), apart=True)
    if not pores.through.any():
        return None
    carrying = pores.through[pores.labels]
    grid = build_grid(carrying, (dz, dy, dx), drive.boundary, drive.lateral)
    between, across, along = grid.faces
    closed = replace(between, unknown=np.zeros_like(between.unknown))
    grid = replace(grid, faces=(closed, across, along), apart=True)
    return Problem(micro, drive, pores, grid, build_system(grid, np.where(carrying, pores.labels, 0), MASK_RULE))


@dataclass
class _Slices:
    """The solver: numbers a slice are (slices,), 0 for slices at rest."""

    pool: Pool
    problem: Problem

    def __post_init__(self) -> None:
        self.system = self.problem.system
        self.preconditioner = TwoScale(self.pool, self.system)
        self.krylov = BramblePasciak(self.pool, self.preconditioner)
        carrying = self.problem.grid.fluid
        self.moving = np.asarray(carrying.any(axis=(1, 2)))
        self.faces = np.maximum(carrying.sum(axis=(1, 2)) / carrying.shape[FLOW], 1.0)
        self.residual = self.system.new_state()
        self.inflation = INFLATION

    def solve(self, tolerance: float) -> tuple[Array, SolverReport]:
        """Return the state, and a report without its time."""
        system = self.system
        state = system.new_state(np.float64)
        system.add_load(state, 1.0)
        for component in range(PRESSURE):
            state[component] *= self.preconditioner.response(component)
        self._remove_divergence(state, _START_TOLERANCE, keep_potential=True)
        errors = self._scale_to_best(state)
        goal, steps, sizes, divergence = _EAGERNESS * tolerance, 0, [1.0], 0.0
        while (worst := float(errors.max())) > tolerance and steps < _STEPS:
            latest = self._descend(state, errors > tolerance, goal, _STEPS - steps)
            steps += max(len(latest) - 1, 1)
            sizes += [size / latest[0] * sizes[-1] for size in latest[1:]]
            divergence = self._remove_divergence(state, max(min(FLUX_TOLERANCE, 0.1 * tolerance), 0.01 * tolerance))
            errors = self._scale_to_best(state)
            goal *= max(0.05, min(0.35, tolerance / max(float(errors.max()), 1e-300)))
            if not np.isfinite(errors).all():
                break
        worst = float(errors.max())
        if not worst <= tolerance:
            raise ConvergenceError(
                f"slice {int(errors.argmax())} reached an estimated relative error of K of {worst:.1e} in {steps} iterations; "
                f"needed: {tolerance:g}. Use a looser tolerance, or resinflow.solve for the whole medium.",
                worst,
                ("solver", "looser tolerance"),
            )
        return state, SolverReport("converged", steps, sizes[-1], tuple(sizes), worst, divergence, 0.0)

    def _descend(self, state: Array, active: NDArray[np.bool_], goal: float, limit: int) -> tuple[float, ...]:
        """Krylov steps for the active slices, each scaled to unit power; return the norms of the residual."""
        momentum_residual(self.pool, self.system, state, self.residual)
        power = self._work(state)
        scale = np.where(active, 1 / np.sqrt(np.where(power > 0, power, 1.0)), 0.0)
        self._multiply(self.residual, scale)
        change = self.system.new_state(np.float64)
        first: list[float] = []

        def stop(size: float) -> bool:
            first.append(size)
            return size <= DEEPEST * first[0] or size**2 <= goal * np.count_nonzero(active)

        run = self.krylov.run(self.residual, change, inflation=self.inflation, stop=stop, max_iterations=limit)
        if run.end == "indefinite" and self.inflation < LARGEST_INFLATION:
            self.inflation *= GROWTH
        self._multiply(change, np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0))
        state += change
        return run.residuals if run.residuals[0] > 0 else (1.0, 0.0)

    def _remove_divergence(self, state: Array, tolerance: float, *, keep_potential: bool = False) -> float:
        """As :func:`resinflow.stokes.algebra.outer.remove_divergence`, every slice for itself."""
        system, parts = self.system, self.preconditioner
        image, vectors, steps = self.krylov.vectors[:3]
        step, previous, local = steps[0], np.full(len(self.moving), np.inf), np.zeros(1)
        for _ in range(PROJECTIONS):
            system.apply(self.pool, state, image)
            rate = np.abs(self._work(state))
            spread, local = self._outflow(image[PRESSURE], rate)
            amount = np.maximum(spread, local / LOCAL)
            gained = amount * rate
            open_slices = (amount > tolerance) & (gained <= 0.5 * previous)
            if not open_slices.any():
                break
            previous = np.where(open_slices, gained, previous)
            scale = np.where(open_slices, 1 / np.where(gained > 0, gained, 1.0), 0.0)
            self._multiply(image[PRESSURE], scale)
            within = min(max(1e-5, 0.1 * tolerance, 0.3 * tolerance / float(amount[open_slices].max())), 0.1)
            parts.solve_darcy(image[PRESSURE], step, within, vectors)
            self._multiply(step, np.where(open_slices, gained, 0.0))
            parts.subtract_darcy(state[:PRESSURE], step)
            if keep_potential:
                state[PRESSURE] += step
        return float(local.max())

    def _scale_to_best(self, state: Array) -> Array:
        """Scale every slice to its best amplitude (:func:`resinflow.stokes.algebra.outer.energy_error`); return errors of K."""
        system, image, residual = self.system, self.krylov.vectors[0], self.residual
        work = self._work(state)
        momentum_residual(self.pool, system, state, residual)
        pressure = state[PRESSURE].copy()
        state[PRESSURE] = 0
        dissipation = self._by_slice(system.apply_rows(self.pool, state, image))
        state[PRESSURE] = pressure
        sound = (work > 0) & (dissipation > 0)
        amplitude = np.where(sound, work / np.where(sound, dissipation, 1.0), 0.0)
        safe = np.where(sound, work, 1.0)
        outflow = residual[PRESSURE]
        leak = 2 * np.abs(self._dot(outflow[None], pressure[None])) / safe + self._outflow(outflow, safe)[0]
        self._multiply(state[:PRESSURE], amplitude)
        self._multiply(image[:PRESSURE], amplitude - 1)
        residual[:PRESSURE] -= image[:PRESSURE]
        self.preconditioner.apply_velocity(residual, image, self.inflation)
        gained = self._dot(residual[:PRESSURE], image[:PRESSURE]) / (np.where(sound, amplitude, 1.0) * safe)
        errors = gained + np.where(leak > DOUBLE, leak, 0.0)
        return np.where(self.moving, np.where(sound, errors, np.inf), 0.0)

    def _outflow(self, outflow: NDArray, rate: Array) -> tuple[Array, Array]:
        """Largest flow gained up to any plane, and largest outflow of a voxel in that of a face, over the flow rates."""
        body = outflow[:-1, 1 : self.system.voxels + 1].reshape(len(self.moving), -1, self.system.voxels)
        safe = np.where(rate > 0, rate, 1.0)
        gained = np.abs(np.cumsum(body.sum(axis=1, dtype=np.float64), axis=1)).max(axis=1)
        return gained / safe, np.maximum(body.max(axis=(1, 2)), -body.min(axis=(1, 2))) / safe * self.faces

    def _work(self, state: Array) -> Array:
        """The flow rates."""
        return self._by_slice(state[FLOW][:-1, 1] * np.where(self.system.unknown(FLOW)[:-1, 1], 1.0, 0.0))

    def _by_slice(self, rows: Array) -> Array:
        return rows.reshape(len(self.moving), -1).sum(axis=1)

    def _dot(self, one: NDArray, other: NDArray) -> Array:
        return self._by_slice(np.einsum("krj,krj->r", one[:, :-1], other[:, :-1], dtype=np.float64))

    def _multiply(self, fields: NDArray, factors: Array) -> None:
        """Multiply (..., rows + 1, width) by a factor a slice, in place."""
        body = fields[..., :-1, :]
        split = body.reshape(*body.shape[:-2], len(factors), -1, body.shape[-1])
        split *= factors.astype(fields.dtype)[:, None, None]
