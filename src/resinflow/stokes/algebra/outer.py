"""The outer iteration: single-precision Krylov runs around a double-precision field, each ended by an exact statement about K.

After a run the velocity is projected onto fields without divergence and scaled to its best amplitude. Such a field ``v`` has
``K(v) = (f.v)^2 / (v.A v)``, a lower bound of K that misses ``|u - v|_A^2`` only; and with the momentum residual
``r = f - A v - G p`` of any pressure, ``|u - v|_A^2 <= r.A^-1 r``. The multigrid cycle bounds ``A^-1``, so that the error
of K is known from above when the field is handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.krylov import BramblePasciak
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.algebra.vectors import dot
from resinflow.stokes.problem.system import PRESSURE, StokesSystem

INFLATION = 1.8
"""One over the smallest eigenvalue of the velocity cycle times ``A``, with some room (measured: 0.58 and more)."""

GROWTH = 1.4
LARGEST_INFLATION = 10.0
"""What the inflation is multiplied by should it prove too small, and where that ends."""

FLUX_TOLERANCE = 1e-5
"""Largest difference of the flow rate between two planes, relative."""

LOCAL = 100.0
"""Largest net outflow of a voxel, relative to the mean flow through a face, over the former."""

_START_TOLERANCE = 1e-2
"""The same for the field the iteration starts from."""

PROJECTIONS = 6
_EAGERNESS = 0.5
"""The Krylov run ends when the square of its residual falls below this part of the tolerance times the dissipated power."""

DEEPEST = 1e-5
"""How far one run may lower its residual: beyond it single precision tells no more, and a new run on the residual formed in
double precision does."""

_RUNS = 3
"""Krylov runs that lower the error by less than half together: the iteration has come to a halt."""

DOUBLE = 1e-12
"""Relative error of K that is not counted: that of sums of doubles over a field."""

Watch = Callable[[int, float], None]
Follow = Callable[[float, float], None]
Keep = Callable[[NDArray[np.float64], int, Sequence[float]], None]


@dataclass(frozen=True)
class Outcome:
    """What the outer iteration reached.

    Attributes:
        state: velocity (free of divergence, of best amplitude) and pressure, for a unit load.
        error: upper estimate of the relative error of K, rounding included.
        rounding: what rounding of the equations and of double arithmetic makes of it: large on very flat or tall voxels.
        divergence: largest net outflow of a voxel, relative to the mean flow through a face.
        iterations: Krylov steps made.
        residuals: norms of the Krylov residual, relative to the first.
        converged: whether the tolerance was met.
        stalled: whether more iterations would not help: the error is infinite, or has not fallen by half over three runs.
    """

    state: NDArray[np.float64]
    error: float
    rounding: float
    divergence: float
    iterations: int
    residuals: tuple[float, ...]
    converged: bool
    stalled: bool


def outer_iteration(
    pool: Pool,
    preconditioner: TwoScale,
    initial: NDArray[np.float64] | None,
    tolerance: float,
    max_iterations: int,
    watch: Watch | None = None,
    follow: Follow | None = None,
    keep: Keep | None = None,
    earlier: Sequence[float] = (),
) -> Outcome:
    """Iterate from ``initial`` (overwritten) or the response flow until the error of K is estimated below ``tolerance``.

    ``follow`` is called with the flow rate ``f.v`` of every iterate and about its relative error, before ``watch``. They are
    estimates: the error that ends the iteration is that of the projected field.

    The velocity of an ``initial`` field first follows its pressure (:func:`follow_pressure`), which counts as no iteration;
    not so that of an iteration that goes on: ``earlier`` are the residuals before. ``keep`` is called with every iterate (its
    array, which the iteration goes on to change), the number of steps from ``initial`` and all residuals.
    """
    system = preconditioner.system
    krylov = BramblePasciak(pool, preconditioner)
    residuals = list(earlier)
    iterations, inflation, goal = 0, INFLATION, _EAGERNESS * tolerance
    error, divergence, start = np.inf, np.inf, 0
    errors: list[float] = []
    residual = system.new_state()
    state = system.new_state(np.float64) if initial is None else initial
    if initial is None:
        respond(pool, preconditioner, state, _START_TOLERANCE, krylov.vectors)
        energy_error(pool, preconditioner, state, residual, krylov.vectors)
    elif not earlier:
        follow_pressure(pool, preconditioner, state, residual, krylov.vectors[0])

    def met(size: float, work: float) -> bool:
        return size**2 <= goal * abs(work)

    def stop(size: float) -> bool:
        residuals.append(size)
        work = system.work(state)
        if keep is not None:
            keep(state, iterations + len(residuals) - start - 1, residuals)
        if follow is not None:
            follow(work, size**2 / abs(work) if work != 0 else np.inf)
        if watch is not None:
            watch(len(residuals) - 1, size / residuals[0] if residuals[0] > 0 else 0.0)
        return size <= DEEPEST * residuals[start] or met(size, work)

    while error > tolerance and iterations < max_iterations:
        momentum_residual(pool, system, state, residual)
        start = len(residuals)
        run = krylov.run(residual, state, inflation=inflation, stop=stop, max_iterations=max_iterations - iterations)
        iterations += run.iterations
        if run.end == "indefinite" and inflation < LARGEST_INFLATION and iterations < max_iterations:
            inflation *= GROWTH
            continue
        flux_tolerance = min(FLUX_TOLERANCE, 0.1 * tolerance)
        divergence, _ = remove_divergence(pool, preconditioner, state, flux_tolerance, work=krylov.vectors)
        error = energy_error(pool, preconditioner, state, residual, krylov.vectors, inflation)
        errors.append(error)
        if error > tolerance and met(run.residuals[-1], system.work(state)):
            goal *= max(0.05, min(0.35, tolerance / error))
        if error > tolerance and run.iterations == 0:
            iterations += 1  # nothing but the goal has changed: let even that come to an end
    first = residuals[0] if residuals and residuals[0] > 0 else 1.0
    relative = tuple(size / first for size in residuals)
    work = system.work(state)
    rounding = _beyond_double(system.rounding(state) / work) if work > 0 else 0.0
    error = float(error) + rounding
    return Outcome(state, error, rounding, float(divergence), iterations, relative, error <= tolerance, _stalled(errors))


def _stalled(errors: Sequence[float]) -> bool:
    """Whether the last runs did not lower the error."""
    earlier, latest = errors[:-_RUNS], errors[-_RUNS:]
    return not np.isfinite(min(latest, default=np.inf)) or (len(earlier) > 0 and min(latest) > 0.5 * min(earlier))


def respond(
    pool: Pool,
    preconditioner: TwoScale,
    state: NDArray[np.float64],
    tolerance: float,
    work: Sequence[NDArray[np.float32]] = (),
) -> tuple[float, int]:
    """Write the response flow ``w (f - G p)``, ``L_w p = G^T (w f)``, before scaling; return as :func:`remove_divergence`."""
    state[...] = 0
    preconditioner.system.add_load(state, 1.0)
    preconditioner.respond(state)
    return remove_divergence(pool, preconditioner, state, tolerance, state[PRESSURE], work)


def follow_pressure(
    pool: Pool,
    preconditioner: TwoScale,
    state: NDArray[np.float64],
    residual: NDArray[np.float32],
    step: NDArray[np.float32],
) -> None:
    """Let the velocity follow the pressure, in place: one multigrid cycle of ``A u = f - G p``.

    A field that was made elsewhere (averaged, interpolated, predicted) has its energy error beside the walls, where few voxels
    hold steep gradients; its pressure is smooth and as good as any. One cycle takes the error of K from half of it to less
    than 1 % on grids twice as fine as the field's, for half the price of a Krylov step. ``residual`` and ``step`` are work
    space.
    """
    momentum_residual(pool, preconditioner.system, state, residual)
    preconditioner.apply_velocity(residual, step, 1.0)
    state[:PRESSURE] += step[:PRESSURE]


def momentum_residual(pool: Pool, system: StokesSystem, state: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """``out = load - system state``, formed in double precision and rounded once."""
    out[...] = 0
    system.add_load(out, 1.0)
    system.apply(pool, state, out, scale=-1.0, keep=1.0)


def remove_divergence(
    pool: Pool,
    preconditioner: TwoScale,
    state: NDArray[np.float64],
    tolerance: float = FLUX_TOLERANCE,
    potential: NDArray[np.float64] | None = None,
    work: Sequence[NDArray[np.float32]] = (),
) -> tuple[float, int]:
    """Make the velocity free of divergence, in place: ``u -= diag(w) G phi`` with ``L_w phi = G^T u``.

    Args:
        pool: the threads.
        preconditioner: knows the system and ``L_w``.
        state: its velocity is projected.
        tolerance: largest difference of the flow rate between two planes, relative; 0: what rounding allows. The net outflow
            of a voxel may be a hundred times as much of the mean flow through a face.
        potential: receives phi, added.
        work: up to three states to use as work space.

    Returns:
        The largest net outflow of a voxel that remains, relative to the mean flow through a face of the flow direction, and
        the iterations of the Poisson solver.
    """
    system = preconditioner.system
    image, vectors, steps = (*work[:3], *(system.new_state() for _ in range(3 - len(work[:3]))))
    step = steps[0]
    iterations, outflow_ratio, previous = 0, np.inf, np.inf
    for _ in range(PROJECTIONS):
        system.apply(pool, state, image)
        outflow = image[PRESSURE]
        work_done = system.work(state)
        spread, outflow_ratio = flux_spread(system, outflow, work_done)
        # planes may pass the same flow though voxels gain and lose: those count as well
        amount = max(spread, outflow_ratio / LOCAL)
        # in absolute terms: the flow rate that the amount is relative to may fall by orders of magnitude at first
        gained = amount * abs(work_done)
        if amount <= tolerance or gained > 0.5 * previous:
            break
        previous = gained
        _, count = preconditioner.solve_darcy(outflow, step, min(max(1e-5, 0.3 * tolerance / amount), 0.1), vectors)
        iterations += count
        preconditioner.subtract_darcy(state[:PRESSURE], step)
        if potential is not None:
            potential += step
    return outflow_ratio, iterations


def flux_spread(system: StokesSystem, outflow: NDArray[np.float32], work: float) -> tuple[float, float]:
    """Return the largest flow gained up to any plane, over the flow rate, and the largest outflow over the flow of a face."""
    body = outflow[:-1, 1 : system.voxels + 1]
    layers = system.voxels if system.free_level else 1
    rate = abs(work) / layers
    if rate == 0.0:
        return np.inf, np.inf
    gained = np.cumsum(body.sum(axis=0, dtype=np.float64))
    faces = max(np.count_nonzero(system.labels[:-1, 1 : system.voxels + 1]) / system.voxels, 1.0)
    return float(np.abs(gained).max()) / rate, float(np.abs(body).max()) / rate * faces


def energy_error(
    pool: Pool,
    preconditioner: TwoScale,
    state: NDArray[np.float64],
    residual: NDArray[np.float32],
    work: Sequence[NDArray[np.float32]],
    inflation: float = INFLATION,
) -> float:
    """Scale the velocity to its best amplitude, in place; return an upper estimate of the relative error of its K.

    With the momentum residual r, the outflow ``G^T v`` that the projection left, and the spread of the flow between planes

        |K(v) - K| <= r.A^-1 r + 2 |p.G^T v| + spread

    ``residual`` and two states of ``work`` are work space.
    """
    system = preconditioner.system
    rate = system.work(state)
    momentum_residual(pool, system, state, residual)
    image, spare = work[:2]
    pressure = spare[:2].reshape(-1).view(np.float64).reshape(state[PRESSURE].shape)  # the memory of two fields
    pressure[...] = state[PRESSURE]
    try:
        state[PRESSURE] = 0
        dissipation = system.apply(pool, state, image)
    finally:  # a signal that comes here must find the state whole
        state[PRESSURE] = pressure
    if not rate > 0 or not dissipation > 0:
        return np.inf
    amplitude = rate / dissipation
    spread, _ = flux_spread(system, residual[PRESSURE], rate)
    leak = 2 * abs(dot(pool, residual[PRESSURE], pressure)) / rate + spread
    spare[:2] = 0
    state[:PRESSURE] *= amplitude
    image[:PRESSURE] *= np.float32(amplitude - 1)
    residual[:PRESSURE] -= image[:PRESSURE]
    preconditioner.apply_velocity(residual, image, inflation)
    return dot(pool, residual[:PRESSURE], image[:PRESSURE]) / (amplitude * rate) + _beyond_double(leak)


def _beyond_double(error: float) -> float:
    """A part of the error of K, 0 where it is no more than that of any sum of doubles."""
    return error if error > DOUBLE else 0.0
