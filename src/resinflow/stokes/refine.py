"""The outer iteration: single-precision Krylov runs around a double-precision field, each ended by an exact statement about K.

After a run the velocity is projected onto fields without divergence and scaled to its best amplitude. Such a field ``v`` has
``K(v) = (f.v)^2 / (v.A v)``, a lower bound of K that misses ``|u - v|_A^2`` only; and with the momentum residual
``r = f - A v - G p`` of any pressure, ``|u - v|_A^2 <= r.A^-1 r``. The multigrid cycle bounds ``A^-1``, so that the error
of K is known from above when the field is handed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.bramble_pasciak import BramblePasciak
from resinflow.stokes.compiled import Team
from resinflow.stokes.system import PRESSURE, StokesSystem
from resinflow.stokes.twoscale import TwoScale
from resinflow.stokes.vectors import dot

INFLATION = 1.8
"""One over the smallest eigenvalue of the velocity cycle times ``A``, with some room (measured: 0.58 and more)."""

_GROWTH = 1.4
"""What the inflation is multiplied by should it prove too small."""

_FLUX_TOLERANCE = 1e-6
"""Largest difference of the flow rate between two planes, relative."""

_PROJECTIONS = 6
_EAGERNESS = 0.5
"""The Krylov run ends when the square of its residual falls below this part of the tolerance times the dissipated power."""

Watch = Callable[[int, float], None]


@dataclass(frozen=True)
class Outcome:
    """What the outer iteration reached.

    Attributes:
        state: velocity (free of divergence, of best amplitude) and pressure, for a unit load.
        error: upper estimate of the relative error of K.
        divergence: largest net outflow of a voxel, relative to the mean flow through a face.
        residuals: of the Krylov iterations, relative to the first.
        converged: whether the tolerance was met.
    """

    state: NDArray[np.float64]
    error: float
    divergence: float
    residuals: tuple[float, ...]
    converged: bool


def refine(
    team: Team,
    preconditioner: TwoScale,
    state: NDArray[np.float64],
    tolerance: float,
    max_iterations: int,
    watch: Watch | None = None,
) -> Outcome:
    """Improve ``state`` (in place) until the relative error of K is estimated below ``tolerance``."""
    system = preconditioner.system
    krylov = BramblePasciak(team, preconditioner)
    residuals: list[float] = []
    inflation, goal = INFLATION, _EAGERNESS * tolerance
    error, divergence = np.inf, np.inf
    residual = system.new_state()
    while len(residuals) <= max_iterations:
        momentum_residual(team, system, state, residual)

        def stop(size: float) -> bool:
            residuals.append(size)
            if watch is not None:
                watch(len(residuals), size / residuals[0])
            return size**2 <= goal * abs(system.work(state))

        run = krylov.run(
            residual, state, inflation=inflation, stop=stop, max_iterations=max_iterations - len(residuals)
        )
        if run.end == "indefinite" and inflation < 10 * INFLATION:
            inflation *= _GROWTH
            continue
        if run.end == "limit":
            break
        divergence = project(team, preconditioner, state)
        error = energy_error(team, preconditioner, state, residual, inflation)
        if error <= tolerance:
            break
        goal = min(goal, _EAGERNESS * tolerance) * max(0.05, min(0.5, tolerance / error))
    first = residuals[0] if residuals else 1.0
    relative = tuple(size / first for size in residuals)
    return Outcome(state, float(error), float(divergence), relative, bool(error <= tolerance))


def momentum_residual(
    team: Team, system: StokesSystem, state: NDArray[np.float64], out: NDArray[np.float32]
) -> None:
    """``out = load - system state``, formed in double precision and rounded once."""
    out[...] = 0
    system.add_load(out, 1.0)
    system.apply(team, state, out, scale=-1.0, keep=1.0)


def project(team: Team, preconditioner: TwoScale, state: NDArray[np.float64]) -> float:
    """Make the velocity free of divergence, in place: ``u -= diag(w) G phi`` with ``L_w phi = G^T u``.

    Returns:
        The largest net outflow of a voxel that is left, relative to the mean flow through a face of the flow direction.
    """
    system = preconditioner.system
    image, potential = system.new_state(), system.rows.zeros()
    left = np.inf
    for _ in range(_PROJECTIONS):
        system.apply(team, state, image)
        outflow = image[PRESSURE]
        spread, left = flux_spread(system, outflow, system.work(state))
        if spread <= _FLUX_TOLERANCE:
            break
        preconditioner.solve_darcy(outflow, potential, max(1e-4, 0.1 * _FLUX_TOLERANCE / spread))
        preconditioner.subtract_darcy(state[:PRESSURE], potential)
    return left


def flux_spread(system: StokesSystem, outflow: NDArray[np.float32], work: float) -> tuple[float, float]:
    """Return the largest flow gained or lost up to any plane, over the flow rate, and the largest outflow over a face's flow."""
    body = outflow[:-1, 1 : system.voxels + 1]
    layers = system.voxels if system.free_level else 1
    rate = abs(work) / layers
    if rate == 0.0:
        return np.inf, np.inf
    gained = np.cumsum(body.sum(axis=0, dtype=np.float64))
    faces = max(np.count_nonzero(system.labels[:-1, 1 : system.voxels + 1]) / system.voxels, 1.0)
    return float(np.abs(gained).max()) / rate, float(np.abs(body).max()) / rate * faces


def energy_error(
    team: Team, preconditioner: TwoScale, state: NDArray[np.float64], work_space: NDArray[np.float32], inflation: float
) -> float:
    """Scale the velocity to its best amplitude, in place; return an upper estimate of the relative error of its K."""
    system = preconditioner.system
    work = system.work(state)
    momentum_residual(team, system, state, work_space)
    pressure = state[PRESSURE].copy()
    state[PRESSURE] = 0
    image = np.zeros_like(work_space)
    dissipation = system.apply(team, state, image)
    state[PRESSURE] = pressure
    amplitude = work / dissipation
    state[:PRESSURE] *= amplitude
    image[:PRESSURE] *= np.float32(amplitude - 1)
    work_space[:PRESSURE] -= image[:PRESSURE]
    preconditioner.apply_velocity(work_space, image, inflation)
    return dot(team, work_space[:PRESSURE], image[:PRESSURE]) / (amplitude * work)
