"""Kernels on seven-point stencils in rows: smoothing, transfer between levels, coarse operators.

A stencil is the symmetric operator ``diagonal u - sum of conductance * neighbour``: ``cx[r, j]`` joins places j - 1 and j of
row r, ``cy`` joins a row to the one south of it, ``cz`` to the one below; only unknowns are joined. Points that are no unknowns
have the diagonal BLOCKED, conductances 0 and the value 0. What a diagonal has beyond its conductances (walls, open sides) is
called slack.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.compiled import kernel
from resinflow.stokes.rows import ABOVE, BELOW, NORTH, SOUTH

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
def sweep(lo, hi, u, right, out, cx, cy, cz, diagonal, near, omega, points, wrap):
    """Damped Jacobi sweep: ``out = u + omega (right - operator u) / diagonal``."""
    for r in range(lo, hi):
        north, above = near[r, NORTH], near[r, ABOVE]
        here, s, n, b, a = u[r], u[near[r, SOUTH]], u[north], u[near[r, BELOW]], u[above]
        x, ys, yn, zb, za = cx[r], cy[r], cy[north], cz[r], cz[above]
        given, d, o = right[r], diagonal[r], out[r]
        for j in range(1, points + 1):
            pull = x[j] * here[j - 1] + x[j + 1] * here[j + 1] + ys[j] * s[j] + yn[j] * n[j] + zb[j] * b[j] + za[j] * a[j]
            o[j] = here[j] + omega * ((given[j] + pull) / d[j] - here[j]) if d[j] < _LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def restrict(lo, hi, u, right, out, cx, cy, cz, diagonal, near, children, points, coarse_points, paired):
    """Sum the residual ``right - operator u`` over every aggregate; ``lo, hi`` count coarse rows."""
    total = np.zeros(right.shape[1] + 1, dtype=np.float32)
    for coarse in range(lo, hi):
        total[:] = 0
        for k in range(4):
            r = children[coarse, k]
            if r < 0:
                continue
            north, above = near[r, NORTH], near[r, ABOVE]
            here, s, n, b, a = u[r], u[near[r, SOUTH]], u[north], u[near[r, BELOW]], u[above]
            x, ys, yn, zb, za = cx[r], cy[r], cy[north], cz[r], cz[above]
            given, d = right[r], diagonal[r]
            for j in range(1, points + 1):
                pull = x[j] * here[j - 1] + x[j + 1] * here[j + 1] + ys[j] * s[j] + yn[j] * n[j] + zb[j] * b[j] + za[j] * a[j]
                total[j] += given[j] + pull - d[j] * here[j] if d[j] < _LIMIT else np.float32(0)
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
            south, north, below, above = near[r, SOUTH], near[r, NORTH], near[r, BELOW], near[r, ABOVE]
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
    for r in range(lo, hi):
        north, above = near[r, NORTH], near[r, ABOVE]
        here, s, n, b, a = u[r], u[near[r, SOUTH]], u[north], u[near[r, BELOW]], u[above]
        x, ys, yn, zb, za = cx[r], cy[r], cy[north], cz[r], cz[above]
        d, o = diagonal[r], out[r]
        total = 0.0
        for j in range(1, points + 1):
            pull = x[j] * here[j - 1] + x[j + 1] * here[j + 1] + ys[j] * s[j] + yn[j] * n[j] + zb[j] * b[j] + za[j] * a[j]
            value = d[j] * here[j] - pull if d[j] < _LIMIT else np.float32(0)
            total += here[j] * value
            o[j] = value
        partial[r] = total
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]
