"""Kernels of the whole system ``[[A, G], [G^T, 0]]`` on the finest level.

A state is an array (4, rows + 1, width): the velocities on the z, y and x faces and the pressure. Face j of a row lies between
voxels j - 1 and j; likewise along y and z. ``openness`` holds the open fraction of every face, (3, rows + 1, width), or a
single value when all faces that carry an unknown are fully open.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.compiled import kernel
from resinflow.stokes.rows import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.stencil import _LIMIT


@kernel
def apply_saddle(
    lo, hi, state, out, scale, keep, excess, openness, shares, conductance, area, near, points, voxels, wrap, partial
):
    """``out = scale (system state) + keep out``; ``partial[r]`` receives ``state . system state`` of row r."""
    z, y, x, p = state[0], state[1], state[2], state[3]
    dot = np.zeros(1, dtype=np.float64)
    cut = openness.shape[1] > 1
    for r in range(lo, hi):
        south, north, below, above = near[r, SOUTH], near[r, NORTH], near[r, BELOW], near[r, ABOVE]
        dot[0] = 0
        pressure = p[r]
        if cut:
            o = openness
            _momentum_cut(
                z,
                r,
                south,
                north,
                below,
                above,
                pressure,
                p[below],
                o[0, r],
                area[0],
                0,
                excess[0, r],
                shares[0],
                conductance,
                points,
                wrap,
                scale,
                keep,
                out[0, r],
                dot,
            )
            _momentum_cut(
                y,
                r,
                south,
                north,
                below,
                above,
                pressure,
                p[south],
                o[1, r],
                area[1],
                0,
                excess[1, r],
                shares[0],
                conductance,
                points,
                wrap,
                scale,
                keep,
                out[1, r],
                dot,
            )
            _momentum_cut(
                x,
                r,
                south,
                north,
                below,
                above,
                pressure,
                pressure,
                o[2, r],
                area[2],
                1,
                excess[2, r],
                shares[1],
                conductance,
                points,
                wrap,
                scale,
                keep,
                out[2, r],
                dot,
            )
            _continuity_cut(
                z[r],
                z[above],
                y[r],
                y[north],
                x[r],
                o[0, r],
                o[0, above],
                o[1, r],
                o[1, north],
                o[2, r],
                area,
                voxels,
                wrap,
                scale,
                keep,
                pressure,
                out[3, r],
                dot,
            )
        else:
            _momentum(
                z,
                r,
                south,
                north,
                below,
                above,
                pressure,
                p[below],
                area[0],
                0,
                excess[0, r],
                shares[0],
                conductance,
                points,
                wrap,
                scale,
                keep,
                out[0, r],
                dot,
            )
            _momentum(
                y,
                r,
                south,
                north,
                below,
                above,
                pressure,
                p[south],
                area[1],
                0,
                excess[1, r],
                shares[0],
                conductance,
                points,
                wrap,
                scale,
                keep,
                out[1, r],
                dot,
            )
            _momentum(
                x,
                r,
                south,
                north,
                below,
                above,
                pressure,
                pressure,
                area[2],
                1,
                excess[2, r],
                shares[1],
                conductance,
                points,
                wrap,
                scale,
                keep,
                out[2, r],
                dot,
            )
            _continuity(z[r], z[above], y[r], y[north], x[r], area, voxels, wrap, scale, keep, pressure, out[3, r], dot)
        partial[r] = dot[0]


@kernel
def _momentum(
    field,
    r,
    south,
    north,
    below,
    above,
    after,
    before,
    area,
    shift,
    excess,
    share,
    conductance,
    points,
    wrap,
    scale,
    keep,
    out,
    dot,
):
    """One row of ``A u + G p`` for one component; ``before[j - shift]`` is the pressure in front of face j."""
    u, s, n, b, a = field[r], field[south], field[north], field[below], field[above]
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    zero = scale - scale
    total = 0.0
    for j in range(1, points + 1):
        along = cx * (u[j] + u[j] - (u[j - 1] + u[j + 1]))
        across = share[j] * (cy * (u[j] + u[j] - (s[j] + n[j])) + cz * (u[j] + u[j] - (b[j] + a[j])))
        value = along + across + excess[j] * u[j] + area * (after[j] - before[j - shift])
        value = value if excess[j] < _LIMIT else zero
        total += u[j] * value
        out[j] = scale * value + keep * out[j]
    dot[0] += total
    if wrap:
        out[0] = out[points]
        out[points + 1] = out[1]


@kernel
def _momentum_cut(
    field,
    r,
    south,
    north,
    below,
    above,
    after,
    before,
    opening,
    area,
    shift,
    excess,
    share,
    conductance,
    points,
    wrap,
    scale,
    keep,
    out,
    dot,
):
    """As :func:`_momentum`, the pressure difference weighted by the open fraction of the face."""
    u, s, n, b, a = field[r], field[south], field[north], field[below], field[above]
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    zero = scale - scale
    total = 0.0
    for j in range(1, points + 1):
        along = cx * (u[j] + u[j] - (u[j - 1] + u[j + 1]))
        across = share[j] * (cy * (u[j] + u[j] - (s[j] + n[j])) + cz * (u[j] + u[j] - (b[j] + a[j])))
        value = along + across + excess[j] * u[j] + area * opening[j] * (after[j] - before[j - shift])
        value = value if excess[j] < _LIMIT else zero
        total += u[j] * value
        out[j] = scale * value + keep * out[j]
    dot[0] += total
    if wrap:
        out[0] = out[points]
        out[points + 1] = out[1]


@kernel
def _continuity(z, z_above, y, y_north, x, area, voxels, wrap, scale, keep, pressure, out, dot):
    """One row of ``G^T u``: minus the net outflow of every voxel."""
    total = 0.0
    for j in range(1, voxels + 1):
        value = area[0] * (z[j] - z_above[j]) + area[1] * (y[j] - y_north[j]) + area[2] * (x[j] - x[j + 1])
        total += pressure[j] * value
        out[j] = scale * value + keep * out[j]
    dot[0] += total
    if wrap:
        out[0] = out[voxels]
        out[voxels + 1] = out[1]


@kernel
def _continuity_cut(
    z, z_above, y, y_north, x, oz, oz_above, oy, oy_north, ox, area, voxels, wrap, scale, keep, pressure, out, dot
):
    """As :func:`_continuity`, velocities weighted by the open fraction of their face."""
    total = 0.0
    for j in range(1, voxels + 1):
        value = area[0] * (oz[j] * z[j] - oz_above[j] * z_above[j]) + area[1] * (oy[j] * y[j] - oy_north[j] * y_north[j])
        value += area[2] * (ox[j] * x[j] - ox[j + 1] * x[j + 1])
        total += pressure[j] * value
        out[j] = scale * value + keep * out[j]
    dot[0] += total
    if wrap:
        out[0] = out[voxels]
        out[voxels + 1] = out[1]


@kernel
def darcy_conductance(lo, hi, response, excess, openness, area, points, wrap):
    """Turn the response w on the faces (3, rows + 1, width), in place, into the conductances of ``L_w = G^T diag(w) G``.

    Along a periodic axis one voxel long (area 0) w is left as it is.
    """
    cut = openness.shape[1] > 1
    for k in range(3):
        for r in range(lo, hi):
            for j in range(1, points + 1):
                weight = area[k] * openness[k, r, j] if cut else area[k]
                squared = weight * weight if weight > 0 else np.float32(1)
                response[k, r, j] *= squared if excess[k, r, j] < _LIMIT else np.float32(0)
            if wrap:
                response[k, r, 0] = response[k, r, points]
                response[k, r, points + 1] = response[k, r, 1]


@kernel
def subtract_darcy(lo, hi, velocity, potential, darcy, excess, openness, area, near, points, wrap):
    """``velocity -= diag(w) G potential`` in place, (3, rows + 1, width); ``darcy`` are the conductances of ``L_w``."""
    cut = openness.shape[1] > 1
    for r in range(lo, hi):
        here, s, b = potential[r], potential[near[r, SOUTH]], potential[near[r, BELOW]]
        for j in range(1, points + 1):
            for k in range(3):
                if excess[k, r, j] < _LIMIT:
                    weight = area[k] * openness[k, r, j] if cut else area[k]
                    behind = b[j] if k == 0 else (s[j] if k == 1 else here[j - 1])
                    velocity[k, r, j] -= darcy[k, r, j] / weight * (here[j] - behind) if weight > 0 else np.float32(0)
        if wrap:
            for k in range(3):
                velocity[k, r, 0] = velocity[k, r, points]
                velocity[k, r, points + 1] = velocity[k, r, 1]
