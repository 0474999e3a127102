"""Networks: coarse levels of a Poisson operator on the pores, whose points are aggregates that flow joins.

A point of a network is a set of voxels in one block of the grid that strong conductances join: blocks that a fibre cuts in two
have two points, and so have two sides of a throat. The operator is, as in :mod:`resinflow.stokes.algebra.stencil`,

    (operator u)_i = d_i u_i - sum over the edges of i of c_e u_other(e),    d_i = slack_i + sum over the edges of i of c_e

but edges are stored point by point. Conductances are made in :mod:`resinflow.stokes.algebra.aggregates`.

Kernels that sweep take edges in fours (:func:`in_fours`): loops of a few edges, each of another length, take twice as long for
the turns that the processor does not foresee. Numbers of points and edges have no sign, since every index that has one is
checked for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.algebra.stencil import LIMIT, pull_row

Values = NDArray[np.float32]


class Network(NamedTuple):
    """The operator of a network.

    Attributes:
        start: (points + 1,), where the edges of a point begin.
        other: (edges,), the point at the other end; every edge is there twice, once for each of its ends. Edges that fill up
            fours lead from a point to itself, and conduct nothing.
        conductance: (edges,).
        diagonal: (points,); BLOCKED for a point without edges and slack.
    """

    start: NDArray[np.uint32]
    other: NDArray[np.uint32]
    conductance: Values
    diagonal: Values


def in_fours(network: Network) -> Network:
    """Return the network with the edges of every point filled up to a multiple of four."""
    count = np.diff(network.start)
    start = np.zeros_like(network.start)
    np.cumsum((count + 3) // 4 * 4, out=start[1:])
    other, conductance = np.empty(int(start[-1]), dtype=np.uint32), np.zeros(int(start[-1]), dtype=np.float32)
    _fill_up(network, start, other, conductance)
    return Network(start, other, conductance, network.diagonal)


@kernel
def _fill_up(network, start, other, conductance):
    for i in range(network.diagonal.size):
        first = network.start[i]
        count = network.start[i + 1] - first
        for k in range(start[i + 1] - start[i]):
            other[start[i] + k] = network.other[first + k] if k < count else i
            conductance[start[i] + k] = network.conductance[first + k] if k < count else np.float32(0)


@kernel
def first_sweep_network(lo, hi, network, right, out, omega):
    """Damped Jacobi sweep from zero."""
    diagonal = network.diagonal
    for i in range(lo, hi):
        out[i] = omega * right[i] / diagonal[i] if diagonal[i] < LIMIT else np.float32(0)


@kernel
def sweep_network(lo, hi, network, u, right, out, omega):
    """Damped Jacobi sweep: ``out = u + omega (right - operator u) / diagonal``."""
    start, other, conductance, diagonal = network.start, network.other, network.conductance, network.diagonal
    for i in range(lo, hi):
        pull = right[i]
        for e in range(start[i], start[i + 1], 4):
            first = conductance[e] * u[other[e]] + conductance[e + 1] * u[other[e + 1]]
            pull += first + (conductance[e + 2] * u[other[e + 2]] + conductance[e + 3] * u[other[e + 3]])
        out[i] = u[i] + omega * (pull / diagonal[i] - u[i]) if diagonal[i] < LIMIT else np.float32(0)


@kernel
def restrict_network(lo, hi, network, first, child, u, right, out):
    """Sum the residual over every aggregate; ``lo, hi`` count aggregates, whose points are ``child[first[I]:first[I + 1]]``."""
    start, other, conductance, diagonal = network.start, network.other, network.conductance, network.diagonal
    for aggregate in range(lo, hi):
        total = np.float32(0)
        for k in range(first[aggregate], first[aggregate + 1]):
            i = child[k]
            if diagonal[i] >= LIMIT:
                continue
            total += right[i] - diagonal[i] * u[i]
            for e in range(start[i], start[i + 1], 4):
                some = conductance[e] * u[other[e]] + conductance[e + 1] * u[other[e + 1]]
                total += some + (conductance[e + 2] * u[other[e + 2]] + conductance[e + 3] * u[other[e + 3]])
        out[aggregate] = total


@kernel
def prolong_network(lo, hi, parent, coarse, u):
    """Add to every point the value of its aggregate."""
    for i in range(lo, hi):
        u[i] += coarse[parent[i]]


@kernel
def restrict_to_network(lo, hi, level, children, parent, first, u, right, out):
    """Sum the residual of a stencil over the points of a network; ``lo, hi`` count rows of blocks.

    ``parent`` (rows + 1, width): the point of every place, -1 for none; ``first``: where the points of a row of blocks begin.
    """
    diagonal, points = level.diagonal, level.layout.points
    pull = np.empty(u.shape[1], dtype=np.float32)
    for row in range(lo, hi):
        out[first[row] : first[row + 1]] = 0
        for k in range(4):
            r = children[row, k]
            if r < 0:
                continue
            pull_row(r, u, level, pull)
            here, b, d, p = u[r], right[r], diagonal[r], parent[r]
            for j in range(1, points + 1):
                if d[j] < LIMIT:
                    out[np.uint32(p[j])] += b[j] + pull[j] - d[j] * here[j]


@kernel
def prolong_from_network(lo, hi, layout, parent, coarse, u):
    """Add to every place of a stencil the value of its point."""
    points = layout.points
    for r in range(lo, hi):
        here, p = u[r], parent[r]
        for j in range(1, points + 1):
            if p[j] >= 0:
                here[j] += coarse[np.uint32(p[j])]
        if layout.wrap:
            here[0] = here[points]
            here[points + 1] = here[1]
