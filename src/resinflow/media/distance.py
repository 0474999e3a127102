"""Signed distance to many fibres on a voxel grid: compiled, and only against the fibres that can be the nearest."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TILE = 8
"""Voxels a side of the squares for which the fibres that can be nearest are looked up together."""
_NEWTON_STEPS = 4

# no fastmath: a bundle must be the same on every machine, and the same as it was
_compiled = numba.njit(nogil=True, cache=True)


class _Axes(NamedTuple):
    """Straight axes of n fibres.

    Attributes:
        bottom: (n, 2), points at z = 0, m.
        slope: (n, 2), dx/dz and dy/dz.
        radius: (n,), m.
        norm: (n,), 1 + slope^2.
    """

    bottom: NDArray[np.float64]
    slope: NDArray[np.float64]
    radius: NDArray[np.float64]
    norm: NDArray[np.float64]


def distance_to_fibres(
    axes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    wave: tuple[float, float, float, float],
    centres: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the distance (m) of grid points to the nearest fibre surface, positive outside, (nz, ny, nx).

    Exact for straight fibres. For wavy ones the foot of the perpendicular on the axis is found by Newton's method: to rounding
    within a radius of curvature of the axis; the axes run on beyond bottom and top.

    Args:
        axes: points at z = 0 (n, 2), slopes dx/dz and dy/dz (n, 2), radii (n,) of the straight axes.
        wave: what every axis is displaced by at height z: ``(x, y)`` amplitudes times ``sin(wavenumber z + phase)``; amplitudes
            (x, y) in m, wavenumber in 1 / m, phase.
        centres: coordinates of the grid points along z, y and x, m.
    """
    bottom, slope, radius = axes
    z, y, x = centres
    # the sum of squares is formed as numpy forms it
    norm = np.array([1 + sx**2 + sy**2 for sx, sy in slope])
    distance = np.empty((len(z), len(y), len(x)))
    _fill(distance, _Axes(bottom, slope, radius, norm), z, y, x, wave)
    return distance


@_compiled
def _nearest_first(apart, radius, half, nearer, near):
    """Write the fibres that can be the nearest to some point of a tile, the nearest to its middle first; return their number.

    ``apart``: distances of their axes from the middle, at its height; ``half``: of the corners from the middle.
    """
    bound = np.inf
    for n in range(len(radius)):
        bound = min(bound, apart[n] + half - radius[n])
    count = 0
    for n in range(len(radius)):
        if (apart[n] - half) * nearer - radius[n] <= bound:
            place = count
            while place > 0 and apart[near[place - 1]] > apart[n]:
                near[place] = near[place - 1]
                place -= 1
            near[place] = n
            count += 1
    return count


@_compiled
def _to_straight(px, py, sx, sy, norm):
    """Distance of a point at offset (px, py) from a straight axis of slope (sx, sy), ``norm = 1 + sx^2 + sy^2``."""
    along = px * sx + py * sy
    return math.sqrt(max(px * px + py * py - along * along / norm, 0.0))


@_compiled
def _fill_tile(distance, y, x, axes, near, z, wave, nearer):
    """Distances of the points of one tile, at height z, to the nearest surface of the fibres ``near``."""
    bottom, slope, radius, norm = axes
    wx, wy, wavenumber, phase = wave
    shift = math.sin(wavenumber * z + phase)
    for j in range(len(y)):
        for i in range(len(x)):
            least = np.inf
            for n in near:
                px, py = x[i] - bottom[n, 0] - slope[n, 0] * z, y[j] - bottom[n, 1] - slope[n, 1] * z
                if wx == 0.0 and wy == 0.0:
                    to_axis = _to_straight(px, py, slope[n, 0], slope[n, 1], norm[n])
                elif math.hypot(px - wx * shift, py - wy * shift) * nearer - radius[n] >= least:
                    continue
                else:
                    to_axis = _to_wavy(px, py, slope[n, 0], slope[n, 1], z, wave)
                least = min(least, to_axis - radius[n])
            distance[j, i] = least


@_compiled
def _fill(distance, axes, z, y, x, wave):
    bottom, slope, radius, _ = axes
    wx, wy, wavenumber, phase = wave
    steepest = 0.0
    for n in range(len(radius)):
        steepest = max(steepest, math.hypot(slope[n, 0], slope[n, 1]) + math.hypot(wx, wy) * wavenumber)
    # an axis of slope s whose point at the same height lies at distance a passes no nearer than a / sqrt(1 + s^2)
    nearer = 1 / math.sqrt(1 + steepest**2)
    near = np.empty(len(radius), dtype=np.int64)
    apart = np.empty(len(radius))
    for k in range(len(z)):
        shift = math.sin(wavenumber * z[k] + phase)
        for j in range(0, len(y), _TILE):
            rows = y[j : j + _TILE]
            for i in range(0, len(x), _TILE):
                columns = x[i : i + _TILE]
                for n in range(len(radius)):
                    apart[n] = math.hypot(
                        0.5 * (columns[0] + columns[-1]) - bottom[n, 0] - slope[n, 0] * z[k] - wx * shift,
                        0.5 * (rows[0] + rows[-1]) - bottom[n, 1] - slope[n, 1] * z[k] - wy * shift,
                    )
                half = 0.5 * math.hypot(rows[-1] - rows[0], columns[-1] - columns[0])
                count = _nearest_first(apart, radius, half, nearer, near)
                tile = distance[k, j : j + _TILE, i : i + _TILE]
                _fill_tile(tile, rows, columns, axes, near[:count], z[k], wave, nearer)


@_compiled
def _to_wavy(px, py, sx, sy, z, wave):
    """Distance of a point at height z and offset (px, py) from the straight axis there to the wavy axis.

    Newton's method for the height h above the point at which the axis is nearest, from the foot on the tangent at the
    point's own height: zero of half the derivative of the squared distance.
    """
    wx, wy, wavenumber, phase = wave
    h = 0.0
    for _ in range(_NEWTON_STEPS + 1):
        angle = wavenumber * (z + h) + phase
        sine, cosine = math.sin(angle), math.cos(angle)
        ax, ay = sx * h + wx * sine - px, sy * h + wy * sine - py
        tx, ty = sx + wx * wavenumber * cosine, sy + wy * wavenumber * cosine
        bend = -(wavenumber**2) * sine * (wx * ax + wy * ay)
        gradient = ax * tx + ay * ty + h
        stiff = 1 + tx * tx + ty * ty
        # beyond a radius of curvature the second derivative may vanish: then the tangent's foot is the better step
        h -= gradient / (stiff + bend if bend > -0.5 * stiff else stiff)
    sine = math.sin(wavenumber * (z + h) + phase)
    ax, ay = sx * h + wx * sine - px, sy * h + wy * sine - py
    return math.sqrt(ax * ax + ay * ay + h * h)


Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BESIDE = 8
"""Pixels beyond the box that are the mirror image of those inside, as the flow sees its sides."""
_BAND = 2
"""Pixels beside the outline in which all lines around are looked at; farther off distances are right to 0.04 of a pixel."""
_NEAREST = 1e-3
"""Pixels: no centre lies on a surface, so that the sign of its distance is its phase."""


def outline_distance(fibre: Mask, excess: Floats) -> Floats:
    """Return the signed distance to the outlines of the fibres, slice by slice in the plane, (nz, ny, nx), in pixels.

    Outlines are polygons (marching squares, Lorensen & Cline 1987): where they cross from a pixel to the next the grey between
    both centres, taken as linear, is that of the threshold. Where the mask is not what the greys say, since holes were filled
    or bridges cut, they cross half-way. Positive outside of the fibres; a slice without outline is as far as the image is long.

    Args:
        fibre: (nz, ny, nx), True in the fibres.
        excess: (nz, ny, nx), grey less that of the threshold, positive outside of the fibres.
    """
    return np.stack([_slice_distance(page, grey) for page, grey in zip(fibre, excess, strict=True)])


def _slice_distance(fibre: Mask, excess: Floats) -> Floats:
    pad = min(_BESIDE, *fibre.shape)
    mask, grey = np.pad(fibre, pad, mode="symmetric"), np.pad(excess, pad, mode="symmetric")
    lines, count = _lines(mask, grey)
    if not count.any():
        return np.full(fibre.shape, float(max(fibre.shape)) * (-1.0 if fibre.all() else 1.0))
    apart, nearest = ndimage.distance_transform_edt(count == 0, return_indices=True)  # pyright: ignore[reportGeneralTypeIssues]
    distance = np.full(mask.shape, np.inf)
    _to_lines(distance, lines, count, np.asarray(apart), np.asarray(nearest))
    sized = np.maximum(distance, _NEAREST)
    return np.where(mask, -sized, sized)[pad:-pad, pad:-pad]


@_compiled
def _to_line(y, x, line):
    """Distance of a point to the line between two ends (y, x)."""
    dy, dx = line[1, 0] - line[0, 0], line[1, 1] - line[0, 1]
    length = dy * dy + dx * dx
    part = 0.0 if length == 0 else min(max(((y - line[0, 0]) * dy + (x - line[0, 1]) * dx) / length, 0.0), 1.0)
    return math.hypot(y - line[0, 0] - part * dy, x - line[0, 1] - part * dx)


@_compiled
def _take_nearest(distance, own, y, x, row, column, reach, lines, count):
    """Take for a pixel the nearest line of the squares up to ``reach`` beside a square, if nearer than the pixel's own."""
    for i in range(max(row - reach, 0), min(row + reach + 1, count.shape[0])):
        for j in range(max(column - reach, 0), min(column + reach + 1, count.shape[1])):
            for n in range(count[i, j]):
                apart = _to_line(y, x, lines[i, j, n])
                if apart < distance[y, x]:
                    distance[y, x] = apart
                    own[y, x, 0], own[y, x, 1] = i, j


@_compiled
def _to_lines(distance, lines, count, apart, nearest):
    """Write the distance of all pixels to the outline: near it to all lines around, farther off to those of nearest squares.

    Which square is nearest is a matter of its middle, not of its lines, so pixels then try the squares of their neighbours, in
    two sweeps (Danielsson 1980, Comput. Graph. Image Process. 14, 227-248).

    ``apart``, ``nearest``: of every square, distance and place of the nearest one that the outline passes through.
    """
    rows, columns = count.shape
    own = np.zeros((rows + 1, columns + 1, 2), dtype=np.int64)
    for y in range(rows + 1):
        for x in range(columns + 1):
            row, column, reach = min(y, rows - 1), min(x, columns - 1), _BAND + 2
            if apart[row, column] > _BAND:
                row, column, reach = nearest[0, row, column], nearest[1, row, column], 1
            _take_nearest(distance, own, y, x, row, column, reach, lines, count)
    for sweep in range(4):
        step = 1 if sweep % 2 == 0 else -1
        for j in range(rows + 1):
            y = j if step > 0 else rows - j
            for i in range(columns + 1):
                x = i if step > 0 else columns - i
                for dy, dx in ((0, -step), (-step, -1), (-step, 0), (-step, 1)):
                    if 0 <= y + dy <= rows and 0 <= x + dx <= columns:
                        _take_nearest(distance, own, y, x, own[y + dy, x + dx, 0], own[y + dy, x + dx, 1], 0, lines, count)


def _lines(mask: Mask, grey: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Both ends (y, x) of the outline within every square of four pixel centres, (ny - 1, nx - 1, 2, 2, 2), and their numbers.

    A square whose diagonals are of different phases has two lines, which part the fibres; others have one or none.
    """
    along_y, along_x = _crossings(mask, grey, 0), _crossings(mask, grey, 1)
    sides = np.stack([along_x[:-1], along_y[:, 1:], along_x[1:], along_y[:, :-1]], axis=2)  # top, right, bottom, left
    crossed = np.isfinite(sides[..., 0])
    count = crossed.sum(axis=2) // 2
    lines = np.zeros((*count.shape, 2, 2, 2))
    single, double = count == 1, count == 2
    lines[single, 0] = sides[single][crossed[single]].reshape(-1, 2, 2)
    # the corner of a fibre is cut off by the line between its two sides
    order = np.where(mask[:-1, :-1][double][:, None], [3, 0, 1, 2], [0, 1, 2, 3])
    lines[double] = np.take_along_axis(sides[double], order[..., None], axis=1).reshape(-1, 2, 2, 2)
    return lines, count


def _crossings(mask: Mask, grey: Floats, axis: int) -> Floats:
    """Where the outline crosses between neighbouring centres along an axis, (..., 2) as (y, x); NaN where it does not."""
    before, after = (np.delete(grey, end, axis) for end in (-1, 0))
    crossed = np.delete(mask, -1, axis) != np.delete(mask, 0, axis)
    by_grey = crossed & ((before > 0) != (after > 0))
    part = np.where(by_grey, before / np.where(by_grey, before - after, 1.0), 0.5)
    places = np.stack(np.indices(crossed.shape, dtype=np.float64), axis=-1)
    places[..., axis] += part
    places[~crossed] = np.nan
    return places
