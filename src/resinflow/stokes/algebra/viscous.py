"""Kernels of the viscous operator of one velocity component on the finest level, where hardly anything need be stored.

Conductances are the same everywhere (times the share of a face's control volume across the flow), so that one number per
face remains: the excess of its diagonal over that of a face amid the fluid. For a face f of share s_f

    (A u)_f = cx (2 u_f - u_west - u_east) + s_f (cy (2 u_f - u_south - u_north) + cz (2 u_f - u_below - u_above))
              + excess_f u_f

with u = 0 where there is no unknown, as if a wall stood a whole voxel away; the excess corrects that (:func:`wall_excess`).
Faces that are no unknowns have the excess BLOCKED. In this form, rounding the excess to single precision does not touch the
interior, where small relative errors of the diagonal would add up over a wide pore. On open ends of flat or tall voxels the
excess is minus one conductance plus a wall a million times weaker: what rounding takes from it is held apart, as the rest.
Kernels take a :class:`resinflow.stokes.algebra.level.ViscousLevel`.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.algebra.stencil import BLOCKED, LIMIT, sum_pairs


@kernel
def first_sweep_viscous(lo, hi, level, right, out, omega):
    """Damped Jacobi sweep from zero: ``out = omega right / diagonal``, diagonal = 2 cx + 2 s (cy + cz) + excess."""
    excess, share, conductance = level.excess, level.share, level.conductance
    points, wrap = level.layout.points, level.layout.wrap
    along, across = np.float32(2) * conductance[2], np.float32(2) * (conductance[0] + conductance[1])
    for r in range(lo, hi):
        b, e, o = right[r], excess[r], out[r]
        for j in range(1, points + 1):
            o[j] = omega * b[j] / (along + across * share[j] + e[j]) if e[j] < LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def sweep_viscous(lo, hi, level, u, right, out, omega):
    """Damped Jacobi sweep: ``out = u + omega (right - operator u) / diagonal``."""
    excess, share, conductance, near = level.excess, level.share, level.conductance, level.layout.near
    points, wrap = level.layout.points, level.layout.wrap
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    along, across = np.float32(2) * cx, np.float32(2) * (cy + cz)
    for r in range(lo, hi):
        here, s, n, b, a = u[r], u[near[r, SOUTH]], u[near[r, NORTH]], u[near[r, BELOW]], u[near[r, ABOVE]]
        f, e, o = right[r], excess[r], out[r]
        for j in range(1, points + 1):
            pull = cx * (here[j - 1] + here[j + 1]) + share[j] * (cy * (s[j] + n[j]) + cz * (b[j] + a[j]))
            value = here[j] + omega * ((f[j] + pull) / (along + across * share[j] + e[j]) - here[j])
            o[j] = value if e[j] < LIMIT else np.float32(0)
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def restrict_viscous(lo, hi, level, transfer, u, right, out):
    """Sum the residual over every aggregate, ``out_I = sum over i in I of (right - operator u)_i``; ``lo, hi``: coarse rows."""
    excess, share, conductance, near = level.excess, level.share, level.conductance, level.layout.near
    points, children = level.layout.points, transfer.children
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
            f, e = right[r], excess[r]
            for j in range(1, points + 1):
                pull = cx * (here[j - 1] + here[j + 1]) + share[j] * (cy * (s[j] + n[j]) + cz * (b[j] + a[j]))
                rest = f[j] + pull - (along + across * share[j] + e[j]) * here[j]
                total[j] += rest if e[j] < LIMIT else np.float32(0)
        sum_pairs(total, transfer, out[coarse])


@kernel
def apply_viscous(lo, hi, level, u, out, partial):
    """``out = operator u``; ``partial[r]`` receives ``u . operator u`` of row r."""
    excess, share, conductance, near = level.excess, level.share, level.conductance, level.layout.near
    points, wrap = level.layout.points, level.layout.wrap
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    for r in range(lo, hi):
        here, s, n, b, a = u[r], u[near[r, SOUTH]], u[near[r, NORTH]], u[near[r, BELOW]], u[near[r, ABOVE]]
        e, o = excess[r], out[r]
        total = 0.0
        for j in range(1, points + 1):
            twice = here[j] + here[j]
            value = cx * (twice - (here[j - 1] + here[j + 1])) + e[j] * here[j]
            value += share[j] * (cy * (twice - (s[j] + n[j])) + cz * (twice - (b[j] + a[j])))
            value = value if e[j] < LIMIT else np.float32(0)
            total += here[j] * value
            o[j] = value
        partial[r] = total
        if wrap:
            o[0] = o[points]
            o[points + 1] = o[1]


@kernel
def expand(lo, hi, level, rest, out, slack):
    """Write the stencil out to a :class:`resinflow.stokes.algebra.level.Level`: conductances between unknowns, diagonal.

    cx_f = cx, cy_f = s_f cy, cz_f = s_f cz between unknowns, else 0;    d_f = 2 cx + 2 s_f (cy + cz) + excess_f

    ``slack``: what the diagonal has beyond the conductances, from the excess and its ``rest``, not from the rounded diagonal:

        slack_f = max(excess_f + rest_f + sum of the conductances to places that are no unknowns, 0)
    """
    excess, share, conductance, near = level.excess, level.share, level.conductance, level.layout.near
    points, wrap = level.layout.points, level.layout.wrap
    cx, cy, cz, diagonal = out.cx, out.cy, out.cz, out.diagonal
    c_z, c_y, c_x = conductance[0], conductance[1], conductance[2]
    for r in range(lo, hi):
        e, south, below = excess[r], excess[near[r, SOUTH]], excess[near[r, BELOW]]
        north, above = excess[near[r, NORTH]], excess[near[r, ABOVE]]
        for j in range(1, points + 1):
            here = e[j] < LIMIT
            ends_x = (0.0 if e[j - 1] < LIMIT else 1.0) + (0.0 if e[j + 1] < LIMIT else 1.0)
            ends_y = (0.0 if south[j] < LIMIT else 1.0) + (0.0 if north[j] < LIMIT else 1.0)
            ends_z = (0.0 if below[j] < LIMIT else 1.0) + (0.0 if above[j] < LIMIT else 1.0)
            missing = c_x * ends_x + share[j] * (c_y * ends_y + c_z * ends_z)
            slack[r, j] = max(missing + np.float64(e[j]) + rest[r, j], 0.0) if here else 0.0
            cx[r, j] = c_x if here and e[j - 1] < LIMIT else 0
            cy[r, j] = c_y * share[j] if here and south[j] < LIMIT else 0
            cz[r, j] = c_z * share[j] if here and below[j] < LIMIT else 0
            diagonal[r, j] = 2 * (c_x + (c_y + c_z) * share[j]) + e[j] if here else BLOCKED
        if wrap:
            cx[r, points + 1] = cx[r, 1]


@kernel
def wall_excess(unknown, solid_beside, share, conductance, ends, excess):
    """Add to ``excess`` what the walls at both ends of every run of unknowns along one axis add to the diagonal.

    A missing neighbour takes ``conductance s_f w u_f`` from the momentum of the last unknown of a run. The stencil has w = 1:

        excess_f += conductance s_f (w - 1)    for each end of the run

    All arrays are (outer, along, inner). At the end of a run stands a wall half a voxel away (``w = 6 N / (3 N - 2)`` for N
    unknowns, or 2 with ``ends.plain``), a staircase corner (one of the two voxels beside the face is solid) or, along the
    component's own direction (``ends.normal``), a wall face: a whole voxel away, w = 1. At the sides of the box
    ``ends.beyond_open``: zero gradient, w = 0; ``ends.beyond_wall``: as a wall; ``ends.mirrored``: N counts the image of a run
    that ends there, too.
    """
    normal, wraps, mirrored, plain = ends.normal, ends.wraps, ends.mirrored, ends.plain
    beyond_open, beyond_wall = ends.beyond_open, ends.beyond_wall
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
