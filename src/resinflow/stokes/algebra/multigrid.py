"""Geometric multigrid by pairs: a fixed symmetric positive definite V- or W-cycle for one scalar seven-point operator.

Transfer is piecewise constant, so that every level keeps a seven-point stencil. Summed (Galerkin) conductances of such
aggregates are too stiff by 2 along every paired axis, since the distance between aggregates has doubled: they are halved there
(Braess, Computing 55 (1995) 379: over-correction). Only axes along which the coupling is strong are paired, so that thin or
deep voxels are no harder than cubes. Smoothing is Jacobi's with the damping factors of a Chebyshev polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra import stencil, viscous
from resinflow.stokes.algebra.level import Field, Level, Pairing, Rows, ViscousLevel, pair_up
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.stencil import BLOCKED

_LARGEST = 2.0
"""Gershgorin's bound of ``operator / diagonal`` for a diagonally dominant stencil."""


@dataclass(frozen=True)
class Tuning:
    """Numbers chosen by measurement (see ``benchmarks/solver.py``).

    Attributes:
        sweeps: smoothing sweeps before and after the coarse correction.
        smallest: lower end of the part of the spectrum (of ``operator / diagonal``, at most 2) that smoothing reduces.
        stiffness: factor on summed conductances along a paired axis.
        slack: factor on summed slack (walls) where any axis is paired.
        visits: coarse corrections per visit of a level from ``revisit`` on: 1 a V-cycle, 2 a W-cycle.
        revisit: first level (0 is the finest) whose coarse level is visited ``visits`` times.
        growth: factor by which sweeps grow from level to level; they then reach down to a part of the spectrum smaller by
            its square. What coarse aggregates cannot tell apart (pores on both sides of a thin wall) is left to them.
        most: largest number of sweeps.
    """

    sweeps: int = 2
    smallest: float = 0.5
    stiffness: float = 0.5
    slack: float = 0.5
    visits: int = 1
    revisit: int = 1
    growth: float = 1.0
    most: int = 8

    def damping(self, depth: int) -> list[np.float32]:
        """Damping factors of the sweeps on a level: inverse roots of a Chebyshev polynomial."""
        sweeps = min(round(self.sweeps * self.growth**depth), self.most)
        smallest = self.smallest * (self.sweeps / sweeps) ** 2
        middle, half = (_LARGEST + smallest) / 2, (_LARGEST - smallest) / 2
        angles = (2 * np.arange(sweeps) + 1) * np.pi / (2 * sweeps)
        return [np.float32(value) for value in 1 / (middle + half * np.cos(angles))]


_STRONG = 0.25
"""An axis is paired where its conductance is at least this part of the strongest."""

_DIRECT = 64
"""Levels of at most this many points are solved directly."""


class Operator(Protocol):
    """An operator that can be smoothed and whose residual can be restricted."""

    @property
    def rows(self) -> Rows:
        """Layout of the level's fields."""
        ...

    @property
    def diagonal(self) -> Field:
        """BLOCKED where there is no unknown."""
        ...

    def first_sweep(self, pool: Pool, right: Field, out: Field, omega: np.float32) -> None:
        """Damped Jacobi from zero."""
        ...

    def sweep(self, pool: Pool, u: Field, right: Field, out: Field, omega: np.float32) -> None:
        """Damped Jacobi."""
        ...

    def restrict(self, pool: Pool, u: Field, right: Field, out: Field, pairing: Pairing) -> None:
        """Sum the residual over the aggregates."""
        ...

    def apply(self, pool: Pool, u: Field, out: Field) -> float:
        """Apply the operator; return ``u . operator u``."""
        ...

    def full(self, pool: Pool) -> tuple[Stencil, Field]:
        """Return the stencil with all its conductances, and its slack."""
        ...


@dataclass(frozen=True)
class Stencil:
    """A seven-point stencil with all its conductances."""

    rows: Rows
    cx: Field
    cy: Field
    cz: Field
    diagonal: Field

    @cached_property
    def level(self) -> Level:
        """What kernels need to know."""
        return Level(self.cx, self.cy, self.cz, self.diagonal, self.rows.layout)

    def first_sweep(self, pool: Pool, right: Field, out: Field, omega: np.float32) -> None:
        """Damped Jacobi from zero."""
        rows = self.rows
        pool.run(stencil.first_sweep, rows.count, rows.points, self.level, right, out, omega)

    def sweep(self, pool: Pool, u: Field, right: Field, out: Field, omega: np.float32) -> None:
        """Damped Jacobi."""
        rows = self.rows
        pool.run(stencil.sweep, rows.count, rows.points, self.level, u, right, out, omega)

    def restrict(self, pool: Pool, u: Field, right: Field, out: Field, pairing: Pairing) -> None:
        """Sum the residual over the aggregates."""
        width = 4 * self.rows.points
        pool.run(stencil.restrict, pairing.coarse.count, width, self.level, pairing.transfer, u, right, out)

    def apply(self, pool: Pool, u: Field, out: Field) -> float:
        """Apply the operator; return ``u . operator u``."""
        rows = self.rows
        partial = np.empty(rows.count)
        pool.run(stencil.apply_stencil, rows.count, rows.points, self.level, u, out, partial)
        return float(partial.sum())

    def full(self, pool: Pool) -> tuple[Stencil, Field]:
        """Return itself and no slack but that of conductances to places that are no unknowns."""
        return self, self.rows.zeros()


@dataclass(frozen=True)
class Viscous:
    """The viscous operator of one component: constant conductances, an excess per face, a share of volume per place."""

    rows: Rows
    diagonal: Field
    """The excess: only BLOCKED is told from the others, as with a diagonal."""
    rest: Field | None
    """What single precision leaves out of the excess, if anything; the coarse levels need it."""
    share: NDArray[np.float32]
    conductance: NDArray[np.float32]

    @cached_property
    def level(self) -> ViscousLevel:
        """What kernels need to know."""
        return ViscousLevel(self.diagonal, self.share, self.conductance, self.rows.layout)

    def first_sweep(self, pool: Pool, right: Field, out: Field, omega: np.float32) -> None:
        """Damped Jacobi from zero."""
        rows = self.rows
        pool.run(viscous.first_sweep_viscous, rows.count, rows.points, self.level, right, out, omega)

    def sweep(self, pool: Pool, u: Field, right: Field, out: Field, omega: np.float32) -> None:
        """Damped Jacobi."""
        rows = self.rows
        pool.run(viscous.sweep_viscous, rows.count, rows.points, self.level, u, right, out, omega)

    def restrict(self, pool: Pool, u: Field, right: Field, out: Field, pairing: Pairing) -> None:
        """Sum the residual over the aggregates."""
        width = 4 * self.rows.points
        pool.run(viscous.restrict_viscous, pairing.coarse.count, width, self.level, pairing.transfer, u, right, out)

    def apply(self, pool: Pool, u: Field, out: Field) -> float:
        """Apply the operator; return ``u . operator u``."""
        rows = self.rows
        partial = np.empty(rows.count)
        pool.run(viscous.apply_viscous, rows.count, rows.points, self.level, u, out, partial)
        return float(partial.sum())

    def full(self, pool: Pool) -> tuple[Stencil, Field]:
        """Return the stencil with all its conductances, and its slack."""
        rows = self.rows
        cx, cy, cz, slack = (rows.zeros() for _ in range(4))
        diagonal = np.full(rows.array_shape, BLOCKED)
        full = Stencil(rows, cx, cy, cz, diagonal)
        pool.run(
            viscous.expand,
            rows.count,
            rows.points,
            self.level,
            rows.zeros() if self.rest is None else self.rest,
            full.level,
            slack,
        )
        rows.wrap(diagonal)
        return full, slack


def closed_stencil(pool: Pool, rows: Rows, cx: Field, cy: Field, cz: Field, points: int) -> Stencil:
    """Return the stencil with the diagonal that belongs to its conductances, over the first ``points`` of a row."""
    full = Stencil(rows, cx, cy, cz, np.full(rows.array_shape, BLOCKED))
    _close(pool, full, rows.zeros(), points)
    return full


def _close(pool: Pool, full: Stencil, slack: Field, points: int) -> None:
    """Write the diagonal that belongs to conductances and slack."""
    rows = full.rows
    for field in (full.cx, full.cy, full.cz):
        rows.wrap(field)
    pool.run(stencil.close, rows.count, rows.points, full.level, slack, points)
    rows.wrap(full.diagonal)


def _coarsened(pool: Pool, fine: Stencil, fine_slack: Field, tuning: Tuning) -> tuple[Stencil, Field, Pairing]:
    paired = strong_axes(fine.rows.shape, typical_conductance(fine))
    pairing = pair_up(fine.rows, paired)
    rows = pairing.coarse
    # a periodic axis that is down to one aggregate would join it to itself
    stiffness = [(tuning.stiffness if p else 1.0) * (n > 1) for p, n in zip(paired, rows.shape, strict=True)]
    factors = np.array([*stiffness, tuning.slack], dtype=np.float32)
    coarse = Stencil(rows, rows.zeros(), rows.zeros(), rows.zeros(), np.full(rows.array_shape, BLOCKED))
    slack = rows.zeros()
    parts = (fine.level, fine_slack, pairing.transfer, factors, coarse.level, slack)
    pool.run(stencil.aggregate, rows.count, 4 * fine.rows.points, *parts)
    _close(pool, coarse, slack, rows.points)
    return coarse, slack, pairing


def typical_conductance(fine: Stencil) -> list[float]:
    """Mean conductance of a stencil along every array axis."""
    means = []
    for values in (fine.cz, fine.cy, fine.cx):
        joined = int(np.count_nonzero(values[:-1]))
        means.append(float(values[:-1].sum(dtype=np.float64)) / max(joined, 1))
    return means


def strong_axes(shape: tuple[int, int, int], typical: Sequence[float]) -> tuple[bool, bool, bool]:
    """Return the axes worth pairing: more than one point, and a typical conductance near the strongest."""
    strongest = max(value for value, count in zip(typical, shape, strict=True) if count > 1)
    least = _STRONG * strongest if strongest > 0 else -1.0  # nothing is joined: pair whatever can be
    z, y, x = (count > 1 and value >= least for value, count in zip(typical, shape, strict=True))
    return z, y, x


class Multigrid:
    """A hierarchy of levels and its cycle."""

    def __init__(self, pool: Pool, finest: Operator, tuning: Tuning, buffers: dict[tuple[int, ...], list[Field]]) -> None:
        """``buffers``: work space, shared between hierarchies that are not used at the same time."""
        self.levels: list[Operator] = [finest]
        self.pairings: list[Pairing] = []
        self._pool, self._tuning, self._buffers = pool, tuning, buffers
        level, slack = finest.full(pool)
        while np.prod(level.rows.shape) > _DIRECT:
            level, slack, pairing = _coarsened(pool, level, slack, tuning)
            self.levels.append(level)
            self.pairings.append(pairing)
        rows = level.rows
        self._inverse = np.zeros((rows.count * rows.points,) * 2)
        stencil.invert(level.level, slack, self._inverse)
        self._damping = [tuning.damping(depth) for depth in range(len(self.levels))]

    def cycle(self, right: Field, out: Field) -> None:
        """Write one cycle from zero for ``operator out = right``."""
        self._visit(0, right, out, fresh=True)

    def _buffer(self, depth: int, number: int) -> Field:
        rows = self.levels[depth].rows
        fields = self._buffers.setdefault((*rows.shape, min(depth, 1)), [])
        while len(fields) <= number:
            fields.append(rows.zeros())
        return fields[number]

    def _visit(self, depth: int, right: Field, out: Field, *, fresh: bool) -> None:
        """Improve ``out`` (or start from zero when ``fresh``) by one cycle from level ``depth`` down."""
        level, pool = self.levels[depth], self._pool
        if depth == len(self.pairings):
            stencil.solve_directly(self._inverse, level.rows.layout, right, out)
            return
        pairing = self.pairings[depth]
        spare = self._buffer(depth, 0)
        omegas = self._damping[depth]
        sweeps = 2 * len(omegas) - fresh
        now, then = (spare, out) if sweeps % 2 else (out, spare)
        if not fresh and sweeps % 2:
            spare[...] = out
        if fresh:
            level.first_sweep(pool, right, now, omegas[0])
        for omega in omegas[fresh:]:
            level.sweep(pool, now, right, then, omega)
            now, then = then, now
        coarse_right, coarse_out = self._buffer(depth + 1, 1), self._buffer(depth + 1, 2)
        level.restrict(pool, now, right, coarse_right, pairing)
        for visit in range(self._tuning.visits if depth >= self._tuning.revisit else 1):
            self._visit(depth + 1, coarse_right, coarse_out, fresh=visit == 0)
        rows = level.rows
        parts = (level.diagonal, rows.layout, pairing.transfer, coarse_out, now)
        pool.run(stencil.prolong, rows.count, rows.points, *parts)
        for omega in reversed(omegas):
            level.sweep(pool, now, right, then, omega)
            now, then = then, now
