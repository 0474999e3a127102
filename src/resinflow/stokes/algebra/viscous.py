"""Kernels of the viscous operator of one velocity component on the finest level, where hardly anything need be stored.

Conductances are the same everywhere (times the share of a face's control volume across the flow), so that one number per
face remains: the excess of its diagonal over that of a face amid the fluid. Faces that are no unknowns have the excess BLOCKED.
Written as ``sum of conductance * (2 u - neighbours) + excess u``, rounding the excess to single precision does not touch the
interior, where small relative errors of the diagonal would add up over a wide pore.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.algebra.stencil import _LIMIT, BLOCKED, _sum_pairs


@kernel
def first_sweep_viscous(lo, hi, right, out, excess, share, conductance, omega, points, wrap):
    """Damped Jacobi sweep from zero."""
    along, across = np.float32(2) * conductance[2], np.float32(2) * (conductance[0] + conductance[1])
    for r in range(lo, hi):
        b, e, o = right[r], excess[r], out[r]
        for j in range(1, points + 1):
            o[j] = omega * b[j] / (along + across * share[j] + e[j]) if e[j] < _LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def sweep_viscous(lo, hi, u, right, out, excess, share, conductance, near, omega, points, wrap):
    """Damped Jacobi sweep: ``out = u + omega (right - operator u) / diagonal``."""
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    along, across = np.float32(2) * cx, np.float32(2) * (cy + cz)
    for r in range(lo, hi):
        here, s, n, b, a = u[r], u[near[r, SOUTH]], u[near[r, NORTH]], u[near[r, BELOW]], u[near[r, ABOVE]]
        given, e, o = right[r], excess[r], out[r]
        for j in range(1, points + 1):
            pull = cx * (here[j - 1] + here[j + 1]) + share[j] * (cy * (s[j] + n[j]) + cz * (b[j] + a[j]))
            value = here[j] + omega * ((given[j] + pull) / (along + across * share[j] + e[j]) - here[j])
            o[j] = value if e[j] < _LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def restrict_viscous(lo, hi, u, right, out, excess, share, conductance, near, children, points, coarse_points, paired):
    """Sum the residual over every aggregate; ``lo, hi`` count coarse rows."""
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    along, across = np.float32(2) * cx, np.float32(2) * (cy + cz)
    total = np.zeros(right.shape[1] + 1, dtype=np.float32)
    for coarse in range(lo, hi):
        total[:] = 0
        for k in range(4):
            r = children[coarse, k]
            if r < 0:
                continue
            here, s, n, b, a = u[r], u[near[r, SOUTH]], u[near[r, NORTH]], u[near[r, BELOW]], u[near[r, ABOVE]]
            given, e = right[r], excess[r]
            for j in range(1, points + 1):
                pull = cx * (here[j - 1] + here[j + 1]) + share[j] * (cy * (s[j] + n[j]) + cz * (b[j] + a[j]))
                rest = given[j] + pull - (along + across * share[j] + e[j]) * here[j]
                total[j] += rest if e[j] < _LIMIT else np.float32(0)
        _sum_pairs(total, out[coarse], coarse_points, paired)


@kernel
def apply_viscous(lo, hi, u, out, excess, share, conductance, near, points, wrap, partial):
    """``out = operator u``; ``partial[r]`` receives ``u . operator u`` of row r."""
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    for r in range(lo, hi):
        here, s, n, b, a = u[r], u[near[r, SOUTH]], u[near[r, NORTH]], u[near[r, BELOW]], u[near[r, ABOVE]]
        e, o = excess[r], out[r]
        total = 0.0
        for j in range(1, points + 1):
            twice = here[j] + here[j]
            value = cx * (twice - (here[j - 1] + here[j + 1])) + e[j] * here[j]
            value += share[j] * (cy * (twice - (s[j] + n[j])) + cz * (twice - (b[j] + a[j])))
            value = value if e[j] < _LIMIT else np.float32(0)
            total += here[j] * value
            o[j] = value
        partial[r] = total
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def expand(lo, hi, excess, share, conductance, near, points, wrap, cx, cy, cz, diagonal):
    """Write the stencil out in full: conductances between unknowns, and the diagonal."""
    c_z, c_y, c_x = conductance[0], conductance[1], conductance[2]
    for r in range(lo, hi):
        e, south, below = excess[r], excess[near[r, SOUTH]], excess[near[r, BELOW]]
        for j in range(1, points + 1):
            here = e[j] < _LIMIT
            cx[r, j] = c_x if here and e[j - 1] < _LIMIT else 0
            cy[r, j] = c_y * share[j] if here and south[j] < _LIMIT else 0
            cz[r, j] = c_z * share[j] if here and below[j] < _LIMIT else 0
            diagonal[r, j] = 2 * (c_x + (c_y + c_z) * share[j]) + e[j] if here else BLOCKED
        if wrap:
            cx[r, points + 1] = cx[r, 1]


@kernel
def wall_excess(unknown, solid_beside, share, conductance, normal, wraps, mirrored, beyond_open, beyond_wall, plain, excess):
    """Add to ``excess`` what the walls at both ends of every run of unknowns along one axis add to the diagonal.

    All arrays are (outer, along, inner). At the end of a run stands a wall half a voxel away (coefficient ``6 N / (3 N - 2)``
    for N unknowns, or 2 with ``plain``), a staircase corner (one of the two voxels beside the face is solid) or, along the
    component's own direction (``normal``), a wall face: a whole voxel away, coefficient 1. At the sides of the box:
    ``beyond_open``: zero gradient, 0; ``beyond_wall``: as a wall; ``mirrored``: a run that ends there is half of one.
    """
    outer, length, inner = unknown.shape
    for o in range(outer):
        for i in range(inner):
            start = 0
            if wraps:  # begin behind a wall, so that no run is cut in two
                while start < length and unknown[o, start, i]:
                    start += 1
                if start == length:
                    continue
            k = 0
            while k < length:
                first = (start + k) % length
                if not unknown[o, first, i]:
                    k += 1
                    continue
                size = 1
                while k + size < length and unknown[o, (start + k + size) % length, i]:
                    size += 1
                last = (start + k + size - 1) % length
                at_first, at_last = not wraps and first == 0, not wraps and last == length - 1
                width = 2 * size if mirrored and (at_first or at_last) else size
                full = 2.0 if plain else 6.0 * width / (3.0 * width - 2.0)
                for end in range(2):
                    place, outside = (last, at_last) if end else (first, at_first)
                    if outside:
                        wall = 0.0 if beyond_open else (full if beyond_wall else 1.0)
                    elif normal:
                        wall = 1.0
                    else:
                        beside = (place + 1) % length if end else (place - 1) % length
                        wall = full if solid_beside[o, beside, i] == 2 else 1.0
                    excess[o, place, i] += conductance * share[o, place, i] * (wall - 1.0)
                k += size
