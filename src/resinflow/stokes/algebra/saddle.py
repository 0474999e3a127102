"""Kernels of the whole system ``[[A, G], [G^T, 0]]`` on the finest level.

A state is an array (4, rows + 1, width): the velocities u_z, u_y, u_x on the faces and the pressure p. Face j of a row lies
between voxels j - 1 and j; likewise along y and z. With ``o_f`` the open fraction of a face f the equations are

    momentum, for every face f normal to axis k that carries an unknown:  (A u)_f + area_k o_f (p_after - p_before) = load_f
    continuity, for every voxel:  sum over the axes k of area_k ((o u) at the face before - (o u) at the face after) = 0

for unit viscosity, per volume of a voxel, lengths in voxels along the flow. The second is ``G^T u = 0`` with the ``G`` of the
first, so that the system is symmetric. ``A`` is that of :mod:`resinflow.stokes.algebra.viscous`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.algebra.stencil import LIMIT


class Row(NamedTuple):
    """What a momentum row joins, each by place along a row.

    Attributes:
        u: velocity on the faces.
        viscous: their ``A u``.
        after: pressure of the voxels behind the faces.
        before: pressure in front of the faces; that of face j is ``before[j - shift]``.
        excess: BLOCKED where there is no unknown.
        out: receives the combination.
    """

    u: NDArray[np.floating]
    viscous: NDArray[np.floating]
    after: NDArray[np.floating]
    before: NDArray[np.floating]
    excess: NDArray[np.float32]
    out: NDArray[np.floating]


class Sides(NamedTuple):
    """Values on the faces of the voxels of a row, each by place along the row; the east face of voxel j is ``x[j + 1]``."""

    z: NDArray[np.floating]
    z_above: NDArray[np.floating]
    y: NDArray[np.floating]
    y_north: NDArray[np.floating]
    x: NDArray[np.floating]


@kernel
def apply_saddle(lo, hi, saddle, state, out, scale, keep, partial):
    """``out = scale (system state) + keep out``; ``partial[r]`` receives ``state . system state`` of row r."""
    p, near, layout = state[3], saddle.layout.near, saddle.layout
    viscous = np.zeros(state.shape[2], dtype=state.dtype)
    for r in range(lo, hi):
        total = 0.0
        for k in range(3):
            before = p[near[r, BELOW]] if k == 0 else (p[near[r, SOUTH]] if k == 1 else p[r])
            shift = 1 if k == 2 else 0
            _viscous(state[k], r, saddle, k, viscous)
            _add_rest(_row_of(saddle.rest, k, r), state[k, r], layout.points, viscous)
            row = Row(state[k, r], viscous, p[r], before, saddle.excess[k, r], out[k, r])
            total += _momentum(row, _row_of(saddle.openness, k, r), saddle.area[k], shift, layout, scale, keep)
        velocities, openings = _sides(state, near, r), _sides(saddle.openness, near, r)
        total += _continuity(velocities, openings, p[r], saddle, scale, keep, out[3, r])
        partial[r] = total


@kernel
def _row_of(faces, k, r):
    """Values on the faces of a row, out of those of all faces, or None out of None."""
    if faces is None:
        return None
    return faces[k, r]


@kernel
def _sides(faces, near, r):
    """Values on the faces of the voxels of a row, out of those of all faces, or None out of None."""
    if faces is None:
        return None
    north, above = near[r, NORTH], near[r, ABOVE]
    return Sides(faces[0, r], faces[0, above], faces[1, r], faces[1, north], faces[2, r])


@kernel
def _viscous(field, r, saddle, k, out):
    """Row r of ``A u`` for component k (anything where there is no unknown).

    out_f = cx (2 u_f - u_west - u_east) + share_f (cy (2 u_f - u_south - u_north) + cz (2 u_f - u_below - u_above))
            + excess_f u_f
    """
    near, points = saddle.layout.near, saddle.layout.points
    excess, share = saddle.excess[k, r], saddle.shares[1 if k == 2 else 0]
    u, s, n, b, a = field[r], field[near[r, SOUTH]], field[near[r, NORTH]], field[near[r, BELOW]], field[near[r, ABOVE]]
    cz, cy, cx = saddle.conductance[0], saddle.conductance[1], saddle.conductance[2]
    for j in range(1, points + 1):
        twice = u[j] + u[j]
        across = share[j] * (cy * (twice - (s[j] + n[j])) + cz * (twice - (b[j] + a[j])))
        out[j] = cx * (twice - (u[j - 1] + u[j + 1])) + across + excess[j] * u[j]


@kernel
def _add_rest(rest, u, points, out):
    """``out_f += rest_f u_f`` over a row: what single precision leaves out of the excess; nothing if ``rest`` is None."""
    if rest is None:
        return
    for j in range(1, points + 1):
        out[j] += rest[j] * u[j]


@kernel
def _momentum(row, opening, area, shift, layout, scale, keep):
    """One row of ``A u + G p`` for one component, combined into ``row.out``; return its product with u.

    value_f = viscous_f + area o_f (p_after - p_before), 0 where there is no unknown

    ``opening`` holds o, or is None where all faces are open: the compiler then drops the branch. A loop apart from that of
    :func:`_viscous`: with more arrays in one, it gives up checking for overlaps and leaves it scalar.
    """
    u, viscous, after, before, excess, out = row.u, row.viscous, row.after, row.before, row.excess, row.out
    points = layout.points
    zero = scale - scale
    total = 0.0
    for j in range(1, points + 1):
        if opening is None:
            value = viscous[j] + area * (after[j] - before[j - shift])
        else:
            value = viscous[j] + area * opening[j] * (after[j] - before[j - shift])
        value = value if excess[j] < LIMIT else zero
        total += u[j] * value
        out[j] = scale * value + keep * out[j]
    if layout.wrap:
        out[0] = out[points]
        out[points + 1] = out[1]
    return total


@kernel
def _continuity(velocities, openings, pressure, saddle, scale, keep, out):
    """One row of ``G^T u``, minus the net outflow of every voxel, combined into ``out``; return its product with p.

    value = area_z (o u_z - o_above u_z_above) + area_y (o u_y - o_north u_y_north) + area_x (o u_x - o_east u_x_east)

    ``openings`` holds o on the sides of the voxels, or is None where all faces are open.
    """
    z, z_above, y, y_north, x = velocities
    area, voxels = saddle.area, saddle.voxels
    total = 0.0
    for j in range(1, voxels + 1):
        if openings is None:
            value = area[0] * (z[j] - z_above[j]) + area[1] * (y[j] - y_north[j]) + area[2] * (x[j] - x[j + 1])
        else:
            oz, oz_above, oy, oy_north, ox = openings
            value = area[0] * (oz[j] * z[j] - oz_above[j] * z_above[j]) + area[1] * (oy[j] * y[j] - oy_north[j] * y_north[j])
            value += area[2] * (ox[j] * x[j] - ox[j + 1] * x[j + 1])
        total += pressure[j] * value
        out[j] = scale * value + keep * out[j]
    if saddle.layout.wrap:
        out[0] = out[voxels]
        out[voxels + 1] = out[1]
    return total


@kernel
def _open_area(openness, area, k, r, j):
    """Open area of a face: the factor of ``G``."""
    if openness is None:
        return area[k]
    return area[k] * openness[k, r, j]


@kernel
def darcy_conductance(lo, hi, saddle, response):
    """Turn the response w on the faces (3, rows + 1, width), in place, into the conductances of ``L_w = G^T diag(w) G``.

    c_f = w_f (area o_f)^2, so that (L_w p)_v = sum over the faces f of voxel v of c_f (p_v - p_beyond_f)

    Along a periodic axis one voxel long (area 0) w is left as it is.
    """
    excess, openness, area = saddle.excess, saddle.openness, saddle.area
    points, wrap = saddle.layout.points, saddle.layout.wrap
    for k in range(3):
        for r in range(lo, hi):
            for j in range(1, points + 1):
                weight = _open_area(openness, area, k, r, j)
                squared = weight * weight if weight > 0 else np.float32(1)
                response[k, r, j] *= squared if excess[k, r, j] < LIMIT else np.float32(0)
            if wrap:
                response[k, r, 0] = response[k, r, points]
                response[k, r, points + 1] = response[k, r, 1]


@kernel
def subtract_darcy(lo, hi, saddle, darcy, potential, velocity):
    """``velocity -= diag(w) G potential`` in place, (3, rows + 1, width); ``darcy`` are the conductances of ``L_w``.

    u_f -= w_f area o_f (phi_after - phi_before),    w_f area o_f = darcy_f / (area o_f)
    """
    excess, openness, area, near = saddle.excess, saddle.openness, saddle.area, saddle.layout.near
    points, wrap = saddle.layout.points, saddle.layout.wrap
    for r in range(lo, hi):
        here, s, b = potential[r], potential[near[r, SOUTH]], potential[near[r, BELOW]]
        for j in range(1, points + 1):
            for k in range(3):
                if excess[k, r, j] < LIMIT:
                    weight = _open_area(openness, area, k, r, j)
                    behind = b[j] if k == 0 else (s[j] if k == 1 else here[j - 1])
                    velocity[k, r, j] -= darcy[k, r, j] / weight * (here[j] - behind) if weight > 0 else np.float32(0)
        if wrap:
            for k in range(3):
                velocity[k, r, 0] = velocity[k, r, points]
                velocity[k, r, points + 1] = velocity[k, r, 1]
