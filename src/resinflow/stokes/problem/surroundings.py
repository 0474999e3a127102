"""What a face sees of the fibre surfaces around it: slopes of the distance, the width of its gap, and the curvature.

Stencils read across the middle of a gap would mix two walls; every difference here is therefore taken from the side of the
nearer one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.pool import kernel

_TANGENT = 0.5
"""Slope along an axis below which that axis runs along the wall."""
_STEEPEST = 0.95
_ALIKE = 0.25
"""Steps to both sides that differ by less than this part of the steeper one belong to one wall."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Surroundings:
    """The distance around the faces normal to one axis.

    Attributes:
        slopes: (3, nz, ny, nx), its differences over one voxel along (z, y, x): central, or from the steeper side beside the
            middle of a gap.
        width: (nz, ny, nx), of the gap that a face stands in, measured along the axis that points most directly at its wall, m.
    """

    slopes: Array
    width: Array


def surroundings(centre: Array, spacing: tuple[float, float, float]) -> Surroundings:
    """Return what faces see around them.

    Args:
        centre: distance at face centres (nz, ny, nx), five places or more along every axis, of which two at every end are
            padding; or one place along an axis along which nothing changes.
        spacing: (dz, dy, dx), m.
    """
    centre = np.ascontiguousarray(centre)
    slopes, half = np.empty((2, 3, *centre.shape))
    for axis in range(3):
        if centre.shape[axis] == 1:
            slopes[axis], half[axis] = 0.0, centre
            continue
        distance, slope, largest = (np.moveaxis(field, axis, 0) for field in (centre, slopes[axis], half[axis]))
        _along_lines(distance, slope, largest)
    width = np.empty(centre.shape)
    _gap_width(centre, slopes, half, width)
    return Surroundings(slopes, width)


def curvature(centre: Array, spacing: tuple[float, float, float], where: NDArray[np.bool_]) -> Array:
    """Return the Laplacian of the distance on the wall's side, 1 / m, at the places that ``where`` tells, 0 at others.

    Args:
        centre: as :func:`surroundings`.
        spacing: (dz, dy, dx), m.
        where: (nz, ny, nx).
    """
    bend = np.zeros(centre.shape)
    for axis, edge in enumerate(spacing):
        if centre.shape[axis] > 1:
            lines, wanted, total = (np.moveaxis(field, axis, 0) for field in (centre, where, bend))
            _add_curvature(lines, wanted, total, edge)
    return bend


@kernel
def _add_curvature(centre, where, curvature, spacing):
    """Add the share of the first axis."""
    count = centre.shape[0]
    for k in range(count):
        for i in range(centre.shape[1]):
            for j in range(centre.shape[2]):
                if where[k, i, j]:
                    before, here, after = centre[max(k - 1, 0), i, j], centre[k, i, j], centre[min(k + 1, count - 1), i, j]
                    back = here - before if k > 0 else after - here
                    ahead = after - here if k < count - 1 else here - before
                    if back == -ahead:  # midway between two walls: both count alike
                        both = _curvature(centre, k, i, j, back, spacing) + _curvature(centre, k, i, j, ahead, spacing)
                        curvature[k, i, j] += 0.5 * both
                    else:
                        steeper = back if abs(back) > abs(ahead) else ahead
                        curvature[k, i, j] += _curvature(centre, k, i, j, steeper, spacing)


@kernel
def _along_lines(centre, slope, half):
    """Slopes and half widths of gaps along the first axis.

    The middle of a gap lies between two neighbours i, i + 1 of a line and is ``(d_i + d_i+1 + slope) / 2`` from its walls,
    slope being that of one voxel; elsewhere this is the larger of the two, so that its largest value along the run of positive
    distances is the half width.
    """
    count = centre.shape[0]
    for i in range(centre.shape[1]):
        for j in range(centre.shape[2]):
            largest = -np.inf
            for k in range(count):
                here = centre[k, i, j]
                before = centre[k - 1, i, j] if k > 0 else -np.inf
                after = centre[k + 1, i, j] if k < count - 1 else -np.inf
                back = here - before if k > 0 else after - here
                ahead = after - here if k < count - 1 else back
                steeper = back if abs(back) > abs(ahead) else ahead
                slope[k, i, j] = 0.5 * (back + ahead) if abs(back - ahead) < _ALIKE * abs(steeper) else steeper
                largest = max(0.5 * (here + max(before, after)), largest if before > 0 else -np.inf)
                half[k, i, j] = largest
            for k in range(count - 1, -1, -1):
                before = centre[k - 1, i, j] if k > 0 else -np.inf
                after = centre[k + 1, i, j] if k < count - 1 else -np.inf
                largest = max(0.5 * (centre[k, i, j] + max(before, after)), largest if after > 0 else -np.inf)
                half[k, i, j] = max(half[k, i, j], largest) + 0.5 * abs(slope[k, i, j])


@kernel
def _bend(centre, k, i, j):
    """Second difference along the line; at its ends that of the place beside."""
    k = min(max(k, 1), centre.shape[0] - 2)
    return centre[k - 1, i, j] - 2 * centre[k, i, j] + centre[k + 1, i, j]


@kernel
def _curvature(centre, k, i, j, step, spacing):
    """Second derivative of the distance along the line, from the wall's side: beyond the middle of a gap another wall counts.

    One voxel nearer to the wall a round fibre's distance is more curved, like ``1 / radius``; that is taken back.
    """
    square = spacing**2
    low, high = _bend(centre, k - 1, i, j) / square, _bend(centre, k + 1, i, j) / square
    slope = min(abs(step) / spacing, _STEEPEST)
    if slope < _TANGENT:
        return _smaller(_bend(centre, k, i, j) / square, _smaller(low, high))
    nearer = low if step > 0 else high
    return nearer / max(1.0 + nearer * slope * spacing / (1.0 - slope**2), 0.5)


@kernel
def _smaller(one, other):
    """The one of smaller magnitude, 0 where the signs differ: no curvature is read across the middle of a gap."""
    if one * other <= 0:
        return 0.0
    return one if abs(one) < abs(other) else other


@kernel
def _gap_width(centre, slopes, half, width):
    """Twice the half width along the steepest axis; a pore that opens beside a face is at least as wide as there."""
    nz, ny, nx = centre.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                a, b, c = abs(slopes[0, z, y, x]), abs(slopes[1, z, y, x]), abs(slopes[2, z, y, x])
                steepest = max(a, b, c)
                half_width = centre[z, y, x] if nz == 1 or ny == 1 or nx == 1 else -np.inf
                # of axes that are alike the widest, whatever their order
                for k, slope in enumerate((a, b, c)):
                    if slope == steepest:
                        half_width = max(half_width, half[k, z, y, x])
                if z > 0:
                    half_width = max(half_width, centre[z - 1, y, x])
                if z < nz - 1:
                    half_width = max(half_width, centre[z + 1, y, x])
                if y > 0:
                    half_width = max(half_width, centre[z, y - 1, x])
                if y < ny - 1:
                    half_width = max(half_width, centre[z, y + 1, x])
                if x > 0:
                    half_width = max(half_width, centre[z, y, x - 1])
                if x < nx - 1:
                    half_width = max(half_width, centre[z, y, x + 1])
                width[z, y, x] = 2 * half_width
