"""Kernels on seven-point stencils in rows: smoothing, transfer between levels, coarse operators.

A stencil is the symmetric operator

    (operator u)_j = d_j u_j - (cx_j u_west + cx_east u_east) - (cy_j u_south + cy_north u_north)
                             - (cz_j u_below + cz_above u_above)

``cx[r, j]`` joins places j - 1 and j of row r, ``cy`` joins a row to the one south of it, ``cz`` to the one below; only
unknowns are joined. Points that are no unknowns have the diagonal BLOCKED, conductances 0 and the value 0. What a diagonal has
beyond its conductances (walls, open sides) is called slack; it is handed on from level to level by itself, since a wall across
flat voxels is less than the rounding of the diagonal. Kernels take a :class:`resinflow.stokes.algebra.level.Level`.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.pool import kernel

BLOCKED = np.float32(1e30)
"""Diagonal of a point that is no unknown."""

LIMIT = np.float32(1e29)
"""Diagonals from here on are BLOCKED."""


@kernel
def first_sweep(lo, hi, level, right, out, omega):
    """Damped Jacobi sweep from zero: ``out = omega right / diagonal``."""
    diagonal, points, wrap = level.diagonal, level.layout.points, level.layout.wrap
    for r in range(lo, hi):
        b, d, o = right[r], diagonal[r], out[r]
        for j in range(1, points + 1):
            o[j] = omega * b[j] / d[j] if d[j] < LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def pull_row(r, u, level, out):
    """``out = sum of conductance * neighbour`` over row r: what the operator takes from ``diagonal u``.

    In three loops: with more arrays in one, the compiler gives up checking for overlaps and leaves it scalar.
    """
    cx, cy, cz, near, points = level.cx, level.cy, level.cz, level.layout.near, level.layout.points
    south, north, below, above = near[r, SOUTH], near[r, NORTH], near[r, BELOW], near[r, ABOVE]
    here, c = u[r], cx[r]
    for j in range(1, points + 1):
        out[j] = c[j] * here[j - 1] + c[j + 1] * here[j + 1]
    s, n, c_s, c_n = u[south], u[north], cy[r], cy[north]
    for j in range(1, points + 1):
        out[j] += c_s[j] * s[j] + c_n[j] * n[j]
    b, a, c_b, c_a = u[below], u[above], cz[r], cz[above]
    for j in range(1, points + 1):
        out[j] += c_b[j] * b[j] + c_a[j] * a[j]


@kernel
def sweep(lo, hi, level, u, right, out, omega):
    """Damped Jacobi sweep: ``out = u + omega (right - operator u) / diagonal``."""
    diagonal, points, wrap = level.diagonal, level.layout.points, level.layout.wrap
    pull = np.empty(u.shape[1], dtype=np.float32)
    for r in range(lo, hi):
        pull_row(r, u, level, pull)
        here, b, d, o = u[r], right[r], diagonal[r], out[r]
        for j in range(1, points + 1):
            o[j] = here[j] + omega * ((b[j] + pull[j]) / d[j] - here[j]) if d[j] < LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def restrict(lo, hi, level, transfer, u, right, out):
    """Sum the residual over every aggregate, ``out_I = sum over i in I of (right - operator u)_i``: the transpose of prolong.

    ``lo, hi`` count coarse rows.
    """
    diagonal, points, children = level.diagonal, level.layout.points, transfer.children
    total = np.zeros(right.shape[1] + 1, dtype=np.float32)
    pull = np.empty(u.shape[1], dtype=np.float32)
    for coarse in range(lo, hi):
        total[:] = 0
        for k in range(4):
            r = children[coarse, k]
            if r < 0:
                continue
            pull_row(r, u, level, pull)
            here, b, d = u[r], right[r], diagonal[r]
            for j in range(1, points + 1):
                total[j] += b[j] + pull[j] - d[j] * here[j] if d[j] < LIMIT else np.float32(0)
        sum_pairs(total, transfer, out[coarse])


@kernel
def sum_pairs(total, transfer, out):
    """Sum the values of a row over its aggregates."""
    points = transfer.points
    if transfer.paired[2]:
        for j in range(1, points + 1):
            out[j] = total[2 * j - 1] + total[2 * j]
    else:
        for j in range(1, points + 1):
            out[j] = total[j]


@kernel
def prolong(lo, hi, diagonal, layout, transfer, coarse, u):
    """Add to every unknown the value of its aggregate, ``u_i += coarse_I`` for i in I."""
    points, parent = layout.points, transfer.parent
    for r in range(lo, hi):
        here, c, d = u[r], coarse[parent[r]], diagonal[r]
        if transfer.paired[2]:
            for k in range(1, points // 2 + 1):
                value = c[k]
                here[2 * k - 1] += value if d[2 * k - 1] < LIMIT else np.float32(0)
                here[2 * k] += value if d[2 * k] < LIMIT else np.float32(0)
            if points % 2:
                here[points] += c[points // 2 + 1] if d[points] < LIMIT else np.float32(0)
        else:
            for j in range(1, points + 1):
                here[j] += c[j] if d[j] < LIMIT else np.float32(0)
        if layout.wrap:
            here[0] = here[points]
            here[points + 1] = here[1]


@kernel
def aggregate(lo, hi, level, fine_slack, transfer, factors, coarse, slack):
    """Sum conductances between aggregates, and slack, into the ``coarse`` level; ``lo, hi`` count coarse rows.

    The Galerkin operator ``P^T operator P`` of the piecewise constant prolongation P, but for the factors:

        C_IJ = factors[axis] (sum of c_ij over i in I, j in J),    slack_I = factors[3] (sum over i in I of slack_i)
    with factors 1 throughout for P itself; conductances within an aggregate cancel. A conductance to a point that is no unknown
    (an open side) is slack, too. ``factors``: per axis (z, y, x), and that of the slack.
    """
    cx, cy, cz, diagonal = level.cx, level.cy, level.cz, level.diagonal
    points, children, paired = level.layout.points, transfer.children, transfer.paired
    sum_x, sum_y, sum_z = coarse.cx, coarse.cy, coarse.cz
    for row in range(lo, hi):
        for k in range(4):
            r = children[row, k]
            if r < 0:
                continue
            outer_y = not paired[1] or k % 2 == 0
            outer_z = not paired[0] or k < 2
            for j in range(1, points + 1):
                if diagonal[r, j] >= LIMIT:
                    continue
                place = (j + 1) // 2 if paired[2] else j
                west = cx[r, j] if diagonal[r, j - 1] < LIMIT else np.float32(0)
                open_west = cx[r, j] - west
                open_east = cx[r, j + 1] if diagonal[r, j + 1] >= LIMIT else np.float32(0)
                slack[row, place] += factors[3] * (fine_slack[r, j] + open_west + open_east)
                if not paired[2] or j % 2 == 1:
                    sum_x[row, place] += factors[2] * west
                if outer_y:
                    sum_y[row, place] += factors[1] * cy[r, j]
                if outer_z:
                    sum_z[row, place] += factors[0] * cz[r, j]


@kernel
def close(lo, hi, level, slack, points):
    """Write the diagonal that belongs to conductances and slack over the first ``points`` of a row.

    d_i = (sum of the six conductances of i) + slack_i; a point without either is no unknown.
    """
    cx, cy, cz, diagonal, near = level.cx, level.cy, level.cz, level.diagonal, level.layout.near
    for r in range(lo, hi):
        north, above = near[r, NORTH], near[r, ABOVE]
        for j in range(1, points + 1):
            total = cx[r, j] + cx[r, j + 1] + cy[r, j] + cy[north, j] + cz[r, j] + cz[above, j] + slack[r, j]
            diagonal[r, j] = total if total > 0 else BLOCKED


@kernel
def apply_stencil(lo, hi, level, u, out, partial):
    """``out = operator u``; ``partial[r]`` receives ``u . operator u`` of row r."""
    diagonal, points, wrap = level.diagonal, level.layout.points, level.layout.wrap
    pull = np.empty(u.shape[1], dtype=np.float32)
    for r in range(lo, hi):
        pull_row(r, u, level, pull)
        here, d, o = u[r], diagonal[r], out[r]
        total = 0.0
        for j in range(1, points + 1):
            value = d[j] * here[j] - pull[j] if d[j] < LIMIT else np.float32(0)
            total += here[j] * value
            o[j] = value
        partial[r] = total
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def invert(level, slack, inverse):
    """Write the inverse of a small operator, (n, n) for n places in all rows; rows and columns of no unknowns are 0.

    Elimination without subtraction (Grassmann, Taksar and Heyman, Operations Research 33 (1985) 1107): what remains after each
    unknown k is again conductances c and slack s,

        pivot_k = s_k + sum of c_kj,    c_ij += c_ik c_kj / pivot_k,    s_i += c_ik s_k / pivot_k    (i, j after k)

    so that a slack far below the rounding of the diagonal counts in full. A pivot is exactly 0 for the last unknown of a pore
    with a free pressure level: it is held at 0, since any solution will do and its mean is removed later.
    """
    size = inverse.shape[0]
    joined, own = np.zeros((size, size)), np.zeros(size)
    _gather(level, slack, joined, own)
    eliminate(joined, own, inverse)


@kernel
def eliminate(joined, own, inverse):
    """Write the inverse of the operator with conductances ``joined`` (n, n) and slack ``own`` (n,), as :func:`invert`.

    Both are overwritten.
    """
    size = inverse.shape[0]
    pivot = np.zeros(size)
    for k in range(size):
        total = own[k]
        for j in range(k + 1, size):
            total += joined[k, j]
        pivot[k] = total
        for i in range(k + 1, size):
            part = joined[k, i] / total if total > 0 else 0.0
            if part > 0:
                own[i] += part * own[k]
                for j in range(k + 1, size):
                    joined[i, j] += part * joined[k, j]
            joined[i, k] = part
    for column in range(size):
        for i in range(size):
            total = 1.0 if i == column else 0.0
            for k in range(i):
                total += joined[i, k] * inverse[k, column]
            inverse[i, column] = total
        for i in range(size - 1, -1, -1):
            total = inverse[i, column] / pivot[i] if pivot[i] > 0 else 0.0
            for k in range(i + 1, size):
                total += joined[k, i] * inverse[k, column]
            inverse[i, column] = total if pivot[i] > 0 else 0.0


@kernel
def _gather(level, slack, joined, own):
    """Add up the conductances between all places (n, n) and what each has beyond them (n,)."""
    cx, cy, cz, diagonal, near = level.cx, level.cy, level.cz, level.diagonal, level.layout.near
    points, wrap, size = level.layout.points, level.layout.wrap, own.size
    for r in range(near.shape[0]):
        for j in range(points):
            here = r * points + j
            if diagonal[r, j + 1] >= LIMIT:
                continue
            own[here] += slack[r, j + 1]
            if diagonal[r, j] >= LIMIT:
                own[here] += cx[r, j + 1]
            if diagonal[r, j + 2] >= LIMIT:
                own[here] += cx[r, j + 2]
            west = r * points + (j - 1) % points if j > 0 or wrap else size
            south, below = near[r, SOUTH] * points + j, near[r, BELOW] * points + j
            for other, conductance in ((west, cx[r, j + 1]), (south, cy[r, j + 1]), (below, cz[r, j + 1])):
                if conductance > 0 and other < size and diagonal[other // points, other % points + 1] < LIMIT:
                    joined[here, other] += conductance
                    joined[other, here] += conductance


@kernel
def solve_directly(inverse, layout, right, out):
    """``out = inverse right`` over all places."""
    points = layout.points
    for r in range(out.shape[0] - 1):
        for j in range(points):
            total = 0.0
            for s in range(right.shape[0] - 1):
                for k in range(points):
                    total += inverse[r * points + j, s * points + k] * right[s, k + 1]
            out[r, j + 1] = total
        if layout.wrap:
            out[r, 0] = out[r, points]
            out[r, points + 1] = out[r, 1]
