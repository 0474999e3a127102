"""Multigrid on the pores: a fixed symmetric positive definite V-cycle for a Poisson operator on a pore space.

Blocks of a grid mix what fibres separate, and sums over them make throats between pores too narrow; both leave slow modes, one
for every pore. Here the finest level is a stencil, and coarser ones are networks of aggregates that flow joins
(:mod:`resinflow.stokes.algebra.network`). Smoothing is that of :mod:`resinflow.stokes.algebra.multigrid`.
Networks of slices are solved directly (:mod:`resinflow.stokes.algebra.factors`): there the hierarchy has two levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra import aggregates
from resinflow.stokes.algebra import network as kernels
from resinflow.stokes.algebra.aggregates import Sums
from resinflow.stokes.algebra.factors import NetworkFactors
from resinflow.stokes.algebra.level import Field, Pairing, pair_up
from resinflow.stokes.algebra.multigrid import Stencil, Tuning, strong_axes, typical_conductance
from resinflow.stokes.algebra.network import Network, Values, in_fours
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.problem.mask import FLOW

_DIRECT, _DIRECT_IN_PLANES = 1500, 1 << 18
"""Networks of at most this many points are solved directly; in planes their factors stay small."""

_SWEEPS_ABOVE_FACTORS = 4
"""Smoothing sweeps of the stencil where the finest network is solved directly, before and after."""

_STRONG = 0.25
"""Part of the smaller of two points' largest conductances from which on they are strongly joined."""

_SLOW = 0.7
"""Where more than this part of the points would remain, blocks are joined by any conductance."""

_VALUES = 8
"""Values that a point of a network costs a kernel, about."""


@dataclass(frozen=True)
class NetworkLevel:
    """A network, how its points lie on a grid of blocks, and how the finer level is aggregated to it.

    Attributes:
        network: the operator.
        sums: what its construction added up.
        shape: blocks (z, y, x).
        block: (points,), the block of every point.
        parent: the point of every place of the finer level, a field, or (finer points,).
        first: where the points of a row of blocks begin, or the children of a point.
        child: (finer points,), their children; empty on the finest network.
    """

    network: Network
    sums: Sums
    shape: tuple[int, int, int]
    block: NDArray[np.int64]
    parent: NDArray[np.int32]
    first: NDArray[np.int64]
    child: NDArray[np.int64]

    @property
    def points(self) -> int:
        """Number of points."""
        return self.block.size


@dataclass(frozen=True)
class _Visited:
    """What a cycle needs of a :class:`NetworkLevel`; the rest was for the next coarser one."""

    network: Network
    points: int
    parent: NDArray[np.int32]
    first: NDArray[np.int64]
    child: NDArray[np.int64]

    @classmethod
    def of(cls, level: NetworkLevel, network: Network) -> _Visited:
        return cls(network, level.points, level.parent, level.first, level.child)


class PoreGrid:
    """A hierarchy of networks below a stencil, and its cycle.

    Attributes:
        coarsest: the network that is solved directly.
    """

    def __init__(self, pool: Pool, finest: Stencil, tuning: Tuning, spare: Field) -> None:
        """``spare``: a field to work in, that nobody else uses during a cycle."""
        self._pool, self._finest, self._spare = pool, finest, spare
        self._pairing = pair_up(finest.rows, strong_axes(finest.rows.shape, typical_conductance(finest)))
        levels = [_finest_network(pool, finest, self._pairing)]
        while levels[-1].points > _most_points(levels[-1]):
            coarser = _coarser(levels[-1])
            if coarser.points == levels[-1].points:
                break
            levels.append(coarser)
        self.coarsest = levels[-1]
        self._factors = NetworkFactors(self.coarsest.network, self.coarsest.sums.slack)
        self._levels = [_Visited.of(level, in_fours(level.network)) for level in levels[:-1]]
        self._levels.append(_Visited.of(self.coarsest, self.coarsest.network))
        self._damping = [tuning.damping(depth) for depth in range(len(self._levels) + 1)]
        if len(self._levels) == 1:  # the only modes that are slow are those that the network does not see
            self._damping[0] = replace(tuning, sweeps=max(tuning.sweeps, _SWEEPS_ABOVE_FACTORS)).damping(0)
        self._vectors = [np.zeros((3, level.points), dtype=np.float32) for level in self._levels]

    @property
    def networks(self) -> int:
        """Number of networks."""
        return len(self._levels)

    def cycle(self, right: Field, out: Field) -> None:
        """Write one cycle from zero for ``operator out = right``."""
        level, pool, rows = self._finest, self._pool, self._finest.rows
        omegas = self._damping[0]
        now, then = (self._spare, out) if (2 * len(omegas) - 1) % 2 else (out, self._spare)
        level.first_sweep(pool, right, now, omegas[0])
        for omega in omegas[1:]:
            level.sweep(pool, now, right, then, omega)
            now, then = then, now
        below = self._levels[0]
        coarse_right, coarse_out, _ = self._vectors[0]
        children, width = self._pairing.transfer.children, 4 * rows.points
        parts = (level.level, children, below.parent, below.first, now, right, coarse_right)
        pool.run(kernels.restrict_to_network, self._pairing.coarse.count, width, *parts)
        self._visit(0, coarse_right, coarse_out)
        pool.run(kernels.prolong_from_network, rows.count, rows.points, rows.layout, below.parent, coarse_out, now)
        for omega in reversed(omegas):
            level.sweep(pool, now, right, then, omega)
            now, then = then, now

    def _visit(self, depth: int, right: Values, out: Values) -> None:
        """Write one cycle from zero from network ``depth`` down."""
        pool = self._pool
        if depth == len(self._levels) - 1:
            self._factors.solve(right, out)
            return
        network, count = self._levels[depth].network, self._levels[depth].points
        omegas = self._damping[depth + 1]
        now, then = (self._vectors[depth][2], out)
        pool.run(kernels.first_sweep_network, count, _VALUES, network, right, now, omegas[0])
        for omega in omegas[1:]:
            pool.run(kernels.sweep_network, count, _VALUES, network, now, right, then, omega)
            now, then = then, now
        below = self._levels[depth + 1]
        coarse_right, coarse_out, _ = self._vectors[depth + 1]
        parts = (network, below.first, below.child, now, right, coarse_right)
        pool.run(kernels.restrict_network, below.points, 8 * _VALUES, *parts)
        self._visit(depth + 1, coarse_right, coarse_out)
        pool.run(kernels.prolong_network, count, 2, below.parent, coarse_out, now)
        for omega in reversed(omegas):
            pool.run(kernels.sweep_network, count, _VALUES, network, now, right, then, omega)
            now, then = then, now


def _finest_network(pool: Pool, fine: Stencil, pairing: Pairing) -> NetworkLevel:
    """The network of a stencil."""
    rows, coarse, transfer = fine.rows, pairing.coarse, pairing.transfer
    parent = np.full(rows.array_shape, -1, dtype=np.int32)
    counts = np.zeros((coarse.count, coarse.points), dtype=np.int8)
    pool.run(aggregates.join_blocks, coarse.count, 8 * rows.points, fine.level, transfer, np.float32(_STRONG), parent, counts)
    ends = np.cumsum(counts, dtype=np.int64)
    base = np.zeros((coarse.count, coarse.points + 1), dtype=np.int64)
    base[:, 1:] = ends.reshape(counts.shape)
    base[1:, 0] = base[:-1, -1]
    pool.run(aggregates.number_points, coarse.count, 4 * rows.points, transfer, rows.points, base, parent)
    rows.wrap(parent)
    total = int(ends[-1])

    network, sums = _empty(total, np.zeros(total + 1, dtype=np.uint32))
    for fill in (False, True):
        parts = (fine.level, transfer, parent, base, fill, network, sums)
        pool.run(aggregates.edges_of_stencil, coarse.count, 8 * rows.points, *parts)
        if not fill:
            network, sums = _empty(total, np.cumsum(network.start, dtype=np.uint32))
    aggregates.put_in_series(0, total, network, sums, FLOW)
    first = np.append(base[:, 0], total)
    block = np.repeat(np.arange(counts.size), counts.ravel())
    return NetworkLevel(network, sums, coarse.shape, block, parent, first, np.empty(0, dtype=np.int64))


def _coarser(fine: NetworkLevel) -> NetworkLevel:
    """The network of the aggregates of a network."""
    paired = strong_axes(fine.shape, _typical(fine))
    shape = tuple((count + 1) // 2 if halve else count for count, halve in zip(fine.shape, paired, strict=True))
    z, y, x = (place // (1 + halve) for place, halve in zip(np.unravel_index(fine.block, fine.shape), paired, strict=True))
    block = (z * shape[1] + y) * shape[2] + x
    root = np.empty(fine.points, dtype=np.int64)
    for threshold in (_STRONG, 0.0):
        aggregates.join_points(fine.network, block, np.float32(threshold), root)
        roots = np.flatnonzero(root == np.arange(root.size))
        if roots.size <= _SLOW * fine.points:
            break
    roots = roots[np.argsort(block[roots], kind="stable")]
    number = np.empty(fine.points, dtype=np.int32)
    number[roots] = np.arange(roots.size, dtype=np.int32)
    parent = number[root]
    child = np.argsort(parent, kind="stable")
    first = np.zeros(roots.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(parent, minlength=roots.size), out=first[1:])
    start = np.zeros(roots.size + 1, dtype=np.uint32)
    place = np.full(roots.size, -1, dtype=np.int64)
    aggregates.count_network_edges(fine.network, first, child, parent, place, start)
    network, sums = _empty(roots.size, np.cumsum(start, dtype=np.uint32))
    place[:] = -1
    aggregates.edges_of_network(fine.network, fine.sums.axis, first, child, parent, place, network, sums)
    np.add.at(sums.slack, parent, fine.sums.slack)
    aggregates.put_in_series(0, roots.size, network, sums, FLOW)
    return NetworkLevel(network, sums, (shape[0], shape[1], shape[2]), block[roots], parent, first, child)


def _empty(points: int, start: NDArray[np.uint32]) -> tuple[Network, Sums]:
    """A network whose edges begin at ``start``, not yet filled."""
    edges = int(start[-1])
    network = Network(
        start, np.empty(edges, dtype=np.uint32), np.empty(edges, dtype=np.float32), np.empty(points, dtype=np.float32)
    )
    sums = Sums(np.empty(edges, dtype=np.int8), np.zeros((3, points), dtype=np.float32), np.zeros(points, dtype=np.float32))
    return network, sums


def _most_points(level: NetworkLevel) -> int:
    """How many points of a network like this one are solved directly."""
    axes = np.count_nonzero(np.bincount(level.sums.axis, minlength=3))
    return _DIRECT if axes == 3 else _DIRECT_IN_PLANES


def _typical(level: NetworkLevel) -> list[float]:
    """Mean conductance of a network along every array axis."""
    axis, conductance = level.sums.axis, level.network.conductance
    count = np.bincount(axis, minlength=3)
    return list(np.bincount(axis, weights=conductance, minlength=3) / np.maximum(count, 1))
