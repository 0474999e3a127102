"""The two-scale block preconditioner.

Below the pore size the Schur complement of the Stokes system acts like ``volume / viscosity`` times the identity; above it
like Darcy's law with the local permeability, a Poisson operator weighted by the local Stokes response ``w``. The sum of
both inverses is right on both scales (the idea of Cahouet and Chabard, Int. J. Numer. Meth. Fluids 8 (1988) 869, carried
from the time step to the pore size). Iteration counts then depend neither on size nor on resolution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra import saddle
from resinflow.stokes.algebra.level import ABOVE, NORTH, Field
from resinflow.stokes.algebra.multigrid import Multigrid, Operator, Tuning, closed_stencil
from resinflow.stokes.algebra.pool import Pool, kernel
from resinflow.stokes.algebra.poregrid import PoreGrid
from resinflow.stokes.algebra.stencil import BLOCKED, LIMIT
from resinflow.stokes.algebra.vectors import combine, dot
from resinflow.stokes.problem.mask import FLOW
from resinflow.stokes.problem.system import PRESSURE, StokesSystem

_RESPONSE_TOLERANCE = 1e-2
"""Where the response only weights the preconditioner, a loose solve is enough."""

VISCOUS_TUNING = Tuning(slack=1.0)
DARCY_TUNING = Tuning(growth=2.0)


class TwoScale:
    """The preconditioner, the local response and the Darcy operator of a system.

    Attributes:
        system: the Stokes system.
        darcy: ``L_w = G^T diag(w) G`` with ``w = A^-1 (volume 1) / volume``; its conductances are ``w (area o)^2``. Here
            ``volume`` is ``share o``, the open part of a face's control volume, and o the open fraction of the face.
    """

    def __init__(
        self,
        pool: Pool,
        system: StokesSystem,
        *,
        response_tolerance: float = _RESPONSE_TOLERANCE,
        viscous: Tuning = VISCOUS_TUNING,
        darcy: Tuning = DARCY_TUNING,
    ) -> None:
        """Build the multigrid hierarchies and the response, by one solve a component."""
        self.system, self._pool = system, pool
        buffers: dict[tuple[int, ...], list[Field]] = {}
        response = np.zeros((3, *system.rows.array_shape), dtype=np.float32)
        self._cycles: list[Multigrid | None] = []
        for number in range(3):
            unknown = system.unknown(number)
            if not unknown.any():
                self._cycles.append(None)
                continue
            level = system.component(number)
            grid = Multigrid(pool, level, viscous, buffers)
            share = system.shares[int(number == FLOW)] * system.openness[number]
            right = np.where(unknown, share, np.float32(0))
            conjugate_gradients(pool, level, grid.cycle, right, response[number], response_tolerance, 100)
            np.maximum(response[number], 0, out=response[number])
            np.divide(response[number], share, out=response[number], where=unknown)
            self._cycles.append(grid)
        rows = system.rows
        pool.run(saddle.darcy_conductance, rows.count, 3 * rows.points, system.saddle(), response)
        joined = [field if area > 0 else rows.zeros() for field, area in zip(response, system.area(), strict=True)]
        self.darcy = closed_stencil(pool, rows, joined[2], joined[1], joined[0], system.voxels)
        self.darcy.diagonal[system.labels == 0] = BLOCKED
        self._conductance = response
        spare = buffers.setdefault((*rows.shape, 0), [rows.zeros()])[0]
        self._pressure = PoreGrid(pool, self.darcy, darcy, spare)
        self._small_scale = pressure_scale(system) if system.partly_open else None

    def apply_velocity(self, residual: NDArray[np.float32], out: NDArray[np.float32], factor: float) -> None:
        """Write ``factor`` times one cycle of every velocity component."""
        for number, grid in enumerate(self._cycles):
            if grid is None:
                out[number] = 0
            else:
                grid.cycle(residual[number], out[number])
                combine(self._pool, out[number], out[number], factor, 0.0)

    def apply_pressure(self, right: Field, out: Field) -> None:
        """Write the approximate inverse of the Schur complement times ``right``: ``out = cycle(L_w) right + scale right``.

        ``scale`` is 1 amid the fluid and :func:`resinflow.stokes.algebra.twoscale.pressure_scale` in cut voxels.

        In a periodic box the mean over every pore is removed from both (from ``right`` in place).
        """
        self.remove_mean(right)
        self._pressure.cycle(right, out)
        if self._small_scale is None:
            combine(self._pool, right, out, 1.0, 1.0)
        else:
            out += self._small_scale * right
        self.remove_mean(out)

    def remove_mean(self, pressure: Field) -> None:
        """Remove in place the mean over every pore whose pressure level is free."""
        if self.system.free_level:
            _remove_means(pressure, self.system.labels, self.system.pores, self.system.rows.points)
            self.system.rows.wrap(pressure)

    def solve_darcy(
        self, right: Field, out: Field, tolerance: float, work: NDArray[np.float32] | None = None, limit: int = 100
    ) -> tuple[float, int]:
        """Solve ``L_w out = right`` from zero; return the relative residual reached and the iterations.

        ``work``: a state to use as work space.
        """
        self.remove_mean(right)
        reached = conjugate_gradients(self._pool, self.darcy, self._pressure.cycle, right, out, tolerance, limit, work)
        self.remove_mean(out)
        return reached

    def subtract_darcy(self, velocity: NDArray, potential: Field) -> None:
        """``velocity -= diag(w) G potential`` in place."""
        system, rows = self.system, self.system.rows
        parts = (system.saddle(), self._conductance, potential, velocity)
        self._pool.run(saddle.subtract_darcy, rows.count, 4 * rows.points, *parts)

    def response(self, component: int) -> NDArray[np.float64]:
        """Return w on the faces of a component (rows + 1, width), 0 where there is no unknown."""
        response = self.system.rows.zeros(np.float64)
        for some in self.system.rows.portions:
            response[some] = self._response(component, some)
        return response

    def respond(self, state: NDArray[np.float64]) -> None:
        """Multiply the velocities of a state by w, in place."""
        for component in range(PRESSURE):
            for some in self.system.rows.portions:
                state[component, some] *= self._response(component, some)

    def _response(self, component: int, some: slice) -> NDArray[np.float64]:
        """The response in some rows."""
        system = self.system
        unknown = system.excess[component, some] < LIMIT
        area = float(system.area(np.float64)[component])
        openness = system.openness[component, some] if system.partly_open else system.openness[component]
        weight = np.where(unknown, openness * (area if area > 0 else 1.0), 1.0)
        return np.where(unknown, self._conductance[component, some] / weight**2, 0.0)


def conjugate_gradients(
    pool: Pool,
    level: Operator,
    precondition: Callable[[Field, Field], None],
    right: Field,
    out: Field,
    tolerance: float,
    limit: int,
    work: NDArray[np.float32] | None = None,
) -> tuple[float, int]:
    """Solve ``level out = right`` from zero to a relative residual in the preconditioner's norm.

    Returns:
        The relative residual reached and the iterations made.
    """
    work = np.empty((4, *right.shape), dtype=np.float32) if work is None else work
    residual, search, image, direction = work
    residual[...] = right
    for field in (search, image, direction, out):
        field[...] = 0
    precondition(residual, direction)
    first = norm = dot(pool, residual, direction)
    previous, iteration = np.inf, 0
    for iteration in range(limit):
        if norm <= tolerance**2 * first:
            return float(np.sqrt(max(norm, 0.0) / first)) if first > 0 else 0.0, iteration
        combine(pool, direction, search, 1.0, norm / previous)
        curvature = level.apply(pool, search, image)
        if not curvature > 0:  # nothing left to do but rounding
            break
        combine(pool, search, out, norm / curvature, 1.0)
        combine(pool, image, residual, -norm / curvature, 1.0)
        precondition(residual, direction)
        previous, norm = norm, dot(pool, residual, direction)
    else:
        iteration = limit
    return float(np.sqrt(max(norm, 0.0) / first)) if first > 0 else 0.0, iteration


@kernel
def _remove_means(pressure, labels, count, points):
    total, size = np.zeros(count + 1), np.zeros(count + 1)
    for r in range(labels.shape[0] - 1):
        for j in range(1, points + 1):
            total[labels[r, j]] += pressure[r, j]
            size[labels[r, j]] += 1
    for k in range(count + 1):
        total[k] = total[k] / size[k] if size[k] > 0 else 0.0
    for r in range(labels.shape[0] - 1):
        for j in range(1, points + 1):
            if labels[r, j] > 0:
                pressure[r, j] -= total[labels[r, j]]


_SMALLEST = 1e-6
"""Of the value amid the fluid: voxels with next to no open face are not amplified beyond its inverse. Voxels that a single face
open by 2 % joins to the flow have 1e-5 and less: held at 1e-4, each was a slow mode of its own."""


def pressure_scale(system: StokesSystem) -> NDArray[np.float32]:
    """Return what the small-scale part of the Schur complement's inverse must be multiplied by in every voxel, as a row field.

    1 amid the fluid. At the smallest scale the Schur complement is like ``G^T diag(A)^-1 G``; in a voxel with little open
    face it is smaller than amid the fluid, by the factor that this returns the inverse of (0 in voxels without flow):

        scale_v = D / max(D_v, 1e-6 D),    D_v = sum over the six faces f of v of (area o_f)^2 / diag(A)_f,    D: amid the fluid
    """
    rows, voxels = system.rows, system.voxels
    conductance = system.conductance(np.float64)
    complement = np.zeros(rows.array_shape)
    for number in range(3):
        share = system.shares[int(number == FLOW)].astype(np.float64)
        across = sum(conductance[k] for k in range(3) if k != number)
        diagonal = 2 * (conductance[number] + across * share) + system.excess[number]
        part = np.where(system.unknown(number), conductance[number] * system.openness[number] ** 2 / diagonal, 0.0)
        complement += part
        if number == FLOW:
            complement[:, :-1] += part[:, 1:]
        else:
            complement[:-1] += part[rows.near[:, NORTH if number == 1 else ABOVE]]
    amid = float(np.sum(2 * conductance / (2 * conductance.sum())))
    scale = np.zeros(rows.array_shape, dtype=np.float32)
    carrying = system.labels > 0
    carrying[:, [0, *range(voxels + 1, carrying.shape[1])]] = False
    scale[carrying] = amid / np.maximum(complement[carrying], _SMALLEST * amid)
    rows.wrap(scale)
    return scale
