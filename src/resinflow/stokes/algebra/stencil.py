"""Kernels on seven-point stencils in rows: smoothing, transfer between levels, coarse operators.

A stencil is the symmetric operator ``diagonal u - sum of conductance * neighbour``: ``cx[r, j]`` joins places j - 1 and j of
row r, ``cy`` joins a row to the one south of it, ``cz`` to the one below; only unknowns are joined. Points that are no unknowns
have the diagonal BLOCKED, conductances 0 and the value 0. What a diagonal has beyond its conductances (walls, open sides) is
called slack.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.pool import kernel

BLOCKED = np.float32(1e30)
"""Diagonal of a point that is no unknown."""

_LIMIT = np.float32(1e29)


@kernel
def first_sweep(lo, hi, right, out, diagonal, omega, points, wrap):
    """Damped Jacobi sweep from zero: ``out = omega right / diagonal``."""
    for r in range(lo, hi):
        b, d, o = right[r], diagonal[r], out[r]
        for j in range(1, points + 1):
            o[j] = omega * b[j] / d[j] if d[j] < _LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def _pull(r, u, cx, cy, cz, near, points, out):
    """``out = sum of conductance * neighbour`` over row r.

    In three loops: with more arrays in one, the compiler gives up checking for overlaps and leaves it scalar.
    """
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
def sweep(lo, hi, u, right, out, cx, cy, cz, diagonal, near, omega, points, wrap):
    """Damped Jacobi sweep: ``out = u + omega (right - operator u) / diagonal``."""
    pull = np.empty(u.shape[1], dtype=np.float32)
    for r in range(lo, hi):
        _pull(r, u, cx, cy, cz, near, points, pull)
        here, given, d, o = u[r], right[r], diagonal[r], out[r]
        for j in range(1, points + 1):
            o[j] = here[j] + omega * ((given[j] + pull[j]) / d[j] - here[j]) if d[j] < _LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def restrict(lo, hi, u, right, out, cx, cy, cz, diagonal, near, children, points, coarse_points, paired):
    """Sum the residual ``right - operator u`` over every aggregate; ``lo, hi`` count coarse rows."""
    total = np.zeros(right.shape[1] + 1, dtype=np.float32)
    pull = np.empty(u.shape[1], dtype=np.float32)
    for coarse in range(lo, hi):
        total[:] = 0
        for k in range(4):
            r = children[coarse, k]
            if r < 0:
                continue
            _pull(r, u, cx, cy, cz, near, points, pull)
            here, given, d = u[r], right[r], diagonal[r]
            for j in range(1, points + 1):
                total[j] += given[j] + pull[j] - d[j] * here[j] if d[j] < _LIMIT else np.float32(0)
        _sum_pairs(total, out[coarse], coarse_points, paired)


@kernel
def _sum_pairs(total, out, coarse_points, paired):
    if paired:
        for j in range(1, coarse_points + 1):
            out[j] = total[2 * j - 1] + total[2 * j]
    else:
        for j in range(1, coarse_points + 1):
            out[j] = total[j]


@kernel
def prolong(lo, hi, u, coarse, diagonal, parent, points, paired, wrap):
    """Add to every unknown the value of its aggregate."""
    for r in range(lo, hi):
        here, c, d = u[r], coarse[parent[r]], diagonal[r]
        if paired:
            for k in range(1, points // 2 + 1):
                value = c[k]
                here[2 * k - 1] += value if d[2 * k - 1] < _LIMIT else np.float32(0)
                here[2 * k] += value if d[2 * k] < _LIMIT else np.float32(0)
            if points % 2:
                here[points] += c[points // 2 + 1] if d[points] < _LIMIT else np.float32(0)
        else:
            for j in range(1, points + 1):
                here[j] += c[j] if d[j] < _LIMIT else np.float32(0)
        if wrap:
            here[0] = here[points]
            here[points + 1] = here[1]


@kernel
def aggregate(lo, hi, cx, cy, cz, diagonal, near, children, paired, factors, points, out_x, out_y, out_z, out_slack):
    """Sum conductances between aggregates (times ``factors`` per axis z, y, x), and slack; ``lo, hi`` count coarse rows.

    A conductance to a point that is no unknown (an open side) is slack. ``factors[3]`` multiplies the slack.
    """
    for coarse in range(lo, hi):
        for k in range(4):
            r = children[coarse, k]
            if r < 0:
                continue
            north, above = near[r, NORTH], near[r, ABOVE]
            outer_y = not paired[1] or k % 2 == 0
            outer_z = not paired[0] or k < 2
            for j in range(1, points + 1):
                d = diagonal[r, j]
                if d >= _LIMIT:
                    continue
                place = (j + 1) // 2 if paired[2] else j
                west = cx[r, j] if diagonal[r, j - 1] < _LIMIT else np.float32(0)
                east = cx[r, j + 1] if diagonal[r, j + 1] < _LIMIT else np.float32(0)
                around = west + east + cy[r, j] + cy[north, j] + cz[r, j] + cz[above, j]
                out_slack[coarse, place] += factors[3] * max(d - around, np.float32(0))
                if not paired[2] or j % 2 == 1:
                    out_x[coarse, place] += factors[2] * west
                if outer_y:
                    out_y[coarse, place] += factors[1] * cy[r, j]
                if outer_z:
                    out_z[coarse, place] += factors[0] * cz[r, j]


@kernel
def close(lo, hi, cx, cy, cz, slack, near, points, diagonal):
    """Write the diagonal that belongs to conductances and slack; a point without either is no unknown."""
    for r in range(lo, hi):
        north, above = near[r, NORTH], near[r, ABOVE]
        for j in range(1, points + 1):
            total = cx[r, j] + cx[r, j + 1] + cy[r, j] + cy[north, j] + cz[r, j] + cz[above, j] + slack[r, j]
            diagonal[r, j] = total if total > 0 else BLOCKED


@kernel
def apply_stencil(lo, hi, u, out, cx, cy, cz, diagonal, near, points, wrap, partial):
    """``out = operator u``; ``partial[r]`` receives ``u . operator u`` of row r."""
    pull = np.empty(u.shape[1], dtype=np.float32)
    for r in range(lo, hi):
        _pull(r, u, cx, cy, cz, near, points, pull)
        here, d, o = u[r], diagonal[r], out[r]
        total = 0.0
        for j in range(1, points + 1):
            value = d[j] * here[j] - pull[j] if d[j] < _LIMIT else np.float32(0)
            total += here[j] * value
            o[j] = value
        partial[r] = total
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def invert(cx, cy, cz, diagonal, near, points, wrap, inverse):
    """Write the inverse of a small operator, (n, n) for n places in all rows; rows and columns of no unknowns are 0.

    Gauss-Jordan elimination, stable without exchanges for a positive definite matrix. Where a pivot vanishes (the last unknown
    of a pore with a free pressure level) the unknown is held at 0: any solution will do, its mean is removed later.
    """
    rows = near.shape[0]
    for r in range(rows):
        for j in range(points):
            here = r * points + j
            if diagonal[r, j + 1] >= _LIMIT:
                continue
            inverse[here, here] += diagonal[r, j + 1]
            west = r * points + (j - 1) % points if j > 0 or wrap else inverse.shape[0]
            south, below = near[r, SOUTH] * points + j, near[r, BELOW] * points + j
            for other, conductance in ((west, cx[r, j + 1]), (south, cy[r, j + 1]), (below, cz[r, j + 1])):
                if conductance > 0 and other < inverse.shape[0] and diagonal[other // points, other % points + 1] < _LIMIT:
                    inverse[here, other] -= conductance
                    inverse[other, here] -= conductance
    size = inverse.shape[0]
    first = inverse.copy()
    for k in range(size):
        pivot = inverse[k, k]
        if pivot <= 1e-5 * first[k, k]:
            inverse[k, :] = 0
            inverse[:, k] = 0
            continue
        inverse[k, k] = 1.0
        for j in range(size):
            inverse[k, j] /= pivot
        for i in range(size):
            if i != k:
                factor = inverse[i, k]
                inverse[i, k] = 0.0
                for j in range(size):
                    inverse[i, j] -= factor * inverse[k, j]


@kernel
def solve_directly(inverse, right, out, points, wrap):
    """``out = inverse right`` over all places."""
    for r in range(out.shape[0] - 1):
        for j in range(points):
            total = 0.0
            for s in range(right.shape[0] - 1):
                for k in range(points):
                    total += inverse[r * points + j, s * points + k] * right[s, k + 1]
            out[r, j + 1] = total
        if wrap:
            out[r, 0] = out[r, points]
            out[r, points + 1] = out[r, 1]
