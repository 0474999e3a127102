"""Kernels of the whole system ``[[A, G], [G^T, 0]]`` on the finest level.

A state is an array (4, rows + 1, width): the velocities on the z, y and x faces and the pressure. Face j of a row lies between
voxels j - 1 and j; likewise along y and z. ``openness`` holds the open fraction of every face, (3, rows + 1, width), or a
single value when all faces that carry an unknown are fully open.
"""

from __future__ import annotations

import numpy as np

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.algebra.stencil import _LIMIT


@kernel
def apply_saddle(
    lo, hi, state, out, scale, keep, excess, openness, shares, conductance, area, near, points, voxels, wrap, partial
):
    """``out = scale (system state) + keep out``; ``partial[r]`` receives ``state . system state`` of row r."""
    p = state[3]
    cut = openness.shape[1] > 1
    viscous = np.zeros(state.shape[2], dtype=state.dtype)
    for r in range(lo, hi):
        north, above = near[r, NORTH], near[r, ABOVE]
        pressure = p[r]
        total = 0.0
        for k in range(3):
            before = p[near[r, BELOW]] if k == 0 else (p[near[r, SOUTH]] if k == 1 else pressure)
            shift = 1 if k == 2 else 0
            e = excess[k, r]
            _viscous(state[k], r, near, e, shares[shift], conductance, points, viscous)
            u, o = state[k, r], out[k, r]
            if cut:
                opening = openness[k, r]
                total += _momentum(u, viscous, pressure, before, opening, area[k], shift, e, points, wrap, scale, keep, o)
            else:
                total += _momentum(u, viscous, pressure, before, None, area[k], shift, e, points, wrap, scale, keep, o)
        z, z_above, y, y_north, x, o = state[0, r], state[0, above], state[1, r], state[1, north], state[2, r], out[3, r]
        if cut:
            oz, oz_above, oy, oy_north = openness[0, r], openness[0, above], openness[1, r], openness[1, north]
            weights = (oz, oz_above, oy, oy_north, openness[2, r])
            total += _continuity(z, z_above, y, y_north, x, *weights, area, voxels, wrap, scale, keep, pressure, o)
        else:
            total += _continuity(
                z, z_above, y, y_north, x, None, None, None, None, None, area, voxels, wrap, scale, keep, pressure, o
            )
        partial[r] = total


@kernel
def _viscous(field, r, near, excess, share, conductance, points, out):
    """One row of ``A u`` for one component (anything where there is no unknown)."""
    u, s, n, b, a = field[r], field[near[r, SOUTH]], field[near[r, NORTH]], field[near[r, BELOW]], field[near[r, ABOVE]]
    cz, cy, cx = conductance[0], conductance[1], conductance[2]
    for j in range(1, points + 1):
        twice = u[j] + u[j]
        across = share[j] * (cy * (twice - (s[j] + n[j])) + cz * (twice - (b[j] + a[j])))
        out[j] = cx * (twice - (u[j - 1] + u[j + 1])) + across + excess[j] * u[j]


@kernel
def _momentum(u, viscous, after, before, opening, area, shift, excess, points, wrap, scale, keep, out):
    """One row of ``A u + G p`` for one component, combined into ``out``; return its product with u.

    ``before[j - shift]`` is the pressure in front of face j, ``opening`` its open fraction, or None where all are open: the
    compiler then drops the branch. A loop apart from that of :func:`_viscous`: with more arrays in one, it gives up checking
    for overlaps and leaves it scalar.
    """
    zero = scale - scale
    total = 0.0
    for j in range(1, points + 1):
        if opening is None:
            value = viscous[j] + area * (after[j] - before[j - shift])
        else:
            value = viscous[j] + area * opening[j] * (after[j] - before[j - shift])
        value = value if excess[j] < _LIMIT else zero
        total += u[j] * value
        out[j] = scale * value + keep * out[j]
    if wrap:
        out[0] = out[points]
        out[points + 1] = out[1]
    return total


@kernel
def _continuity(z, z_above, y, y_north, x, oz, oz_above, oy, oy_north, ox, area, voxels, wrap, scale, keep, pressure, out):
    """One row of ``G^T u``, minus the net outflow of every voxel; the open fractions of the faces are all None or none is."""
    total = 0.0
    for j in range(1, voxels + 1):
        if ox is None:
            value = area[0] * (z[j] - z_above[j]) + area[1] * (y[j] - y_north[j]) + area[2] * (x[j] - x[j + 1])
        else:
            value = area[0] * (oz[j] * z[j] - oz_above[j] * z_above[j]) + area[1] * (oy[j] * y[j] - oy_north[j] * y_north[j])
            value += area[2] * (ox[j] * x[j] - ox[j + 1] * x[j + 1])
        total += pressure[j] * value
        out[j] = scale * value + keep * out[j]
    if wrap:
        out[0] = out[voxels]
        out[voxels + 1] = out[1]
    return total


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
