"""Bent cylinders with nearly round sections, and the compiled loops that fit them to distances and lay them into a grid.

A cylinder has :data:`COUNT` parameters, in pixels: x and y of its axis at its own height, the slopes dx/dz and dy/dz there,
half the second derivatives, its radius, and the cosine and sine parts of what its section has two and three times round.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

COUNT = 11
_TINY = 1e-9
_LONGEST_STEP = 2.0
_HUBER = 1.5
"""Deviations beyond which a reading counts by its first power (Huber, Ann. Math. Stat. 35, 73-101, 1964)."""
_BEYOND = 4.0
"""Pixels beyond a section in which its distance is wanted."""


class Readings(NamedTuple):
    """Distances that were read near surfaces, fibre after fibre.

    Attributes:
        z: (n,), slices.
        y: (n,), rows.
        x: (n,), columns.
        height: (n,), pixels.
        distance: (n,), pixels.
        weight: (n,), one over the variance of their errors, less for those that err with their neighbours.
        bounds: (fibres + 1,), where the readings of each fibre begin.
    """

    z: Whole
    y: Whole
    x: Whole
    height: Floats
    distance: Floats
    weight: Floats
    bounds: Whole


class Cylinders(NamedTuple):
    """Cylinders of fibres.

    Attributes:
        parameters: (fibres, COUNT), pixels.
        covariance: (fibres, COUNT, COUNT), of their errors.
        height: (fibres,), to which they refer, pixels.
        misfit: (fibres,), square of the distances' errors beyond those of the parameters, pixels^2; infinite: no cylinder.
    """

    parameters: Floats
    covariance: Floats
    height: Floats
    misfit: Floats


@numba.njit(nogil=True, cache=True)
def _distance(p, h, y, x, row):
    """Distance to a cylinder at a place, and its derivatives by the parameters.

    Across a straight axis of slope s the distance is that of the place from it, less the radius of the section there.
    """
    u, v = x - p[0] - h * (p[2] + h * p[4]), y - p[1] - h * (p[3] + h * p[5])
    square = u * u + v * v + _TINY
    r = np.sqrt(square)
    slope_x, slope_y = p[2] + 2 * h * p[4], p[3] + 2 * h * p[5]
    along = u * slope_x + v * slope_y
    across = np.sqrt(max(square - along * along / (1 + slope_x * slope_x + slope_y * slope_y), _TINY))
    row[0], row[1] = -u / r, -v / r
    row[2], row[3] = h * row[0], h * row[1]
    row[4], row[5] = h * row[2], h * row[3]
    row[6] = -1.0
    row[7], row[8] = -(u * u - v * v) / square, -2 * u * v / square
    row[9], row[10] = -(u * u - 3 * v * v) * u / (square * r), -(3 * u * u - v * v) * v / (square * r)
    return across - p[6] + row[7] * p[7] + row[8] * p[8] + row[9] * p[9] + row[10] * p[10]


@numba.njit(nogil=True, cache=True)
def _normal_equations(p, height, readings, first, last, mean, deviation, matrix, right):
    """Gauss-Newton's matrix and right side of one fibre, the population's law included."""
    row = np.empty(COUNT)
    matrix[:], right[:] = 0.0, 0.0
    for i in range(first, last):
        away = readings.distance[i] - _distance(p, readings.height[i] - height, readings.y[i], readings.x[i], row)
        weight = readings.weight[i]
        size = abs(away) * np.sqrt(weight)
        if size > _HUBER:
            weight *= _HUBER / size
        for a in range(COUNT):
            right[a] += weight * row[a] * away
            for b in range(a + 1):
                matrix[a, b] += weight * row[a] * row[b]
    for a in range(COUNT):
        pull = 1.0 / deviation[a] ** 2
        right[a] += pull * (mean[a] - p[a])
        matrix[a, a] += pull
        for b in range(a):
            matrix[b, a] = matrix[a, b]


@numba.njit(nogil=True, cache=True)
def fit_cylinders(readings, parameters, heights, mean, deviation, steps):
    """Improve parameters (fibres, COUNT) by Gauss-Newton steps, in place, and return their covariances.

    Args:
        readings: of the fibres, by :class:`Readings`.
        parameters: to start from.
        heights: (fibres,), to which they refer.
        mean: (COUNT,), of the population that the fibres are from.
        deviation: (COUNT,), standard deviations of it.
        steps: how many.
    """
    count = len(parameters)
    covariance = np.empty((count, COUNT, COUNT))
    matrix, right = np.empty((COUNT, COUNT)), np.empty(COUNT)
    for n in range(count):
        first, last = readings.bounds[n], readings.bounds[n + 1]
        p = parameters[n]
        for _ in range(steps):
            _normal_equations(p, heights[n], readings, first, last, mean, deviation, matrix, right)
            _invert(matrix, covariance[n])
            for a in range(COUNT):
                step = 0.0
                for b in range(COUNT):
                    step += covariance[n, a, b] * right[b]
                p[a] += min(max(step, -_LONGEST_STEP), _LONGEST_STEP)
    return covariance


@numba.njit(nogil=True, cache=True)
def _invert(matrix, inverse):
    """Write the inverse of a positive definite matrix by Cholesky's factors, which overwrite its lower half."""
    for a in range(COUNT):  # L
        for b in range(a + 1):
            value = matrix[a, b]
            for c in range(b):
                value -= matrix[a, c] * matrix[b, c]
            matrix[a, b] = np.sqrt(value) if a == b else value / matrix[b, b]
    for a in range(COUNT):  # L^-1, in the inverse's lower half
        for b in range(a + 1):
            value = 1.0 if a == b else 0.0
            for c in range(b, a):
                value -= matrix[a, c] * inverse[c, b]
            inverse[a, b] = value / matrix[a, a]
    for a in range(COUNT):  # L^-T L^-1
        for b in range(a + 1):
            value = 0.0
            for c in range(a, COUNT):
                value += inverse[c, a] * inverse[c, b]
            inverse[a, b] = value
            inverse[b, a] = value


@numba.njit(nogil=True, cache=True)
def squared_differences(readings, parameters, heights, error, clip):
    """Return the means over every fibre's readings of the squared difference from the cylinder over the squared error.

    Differences beyond ``clip`` errors count as that.
    """
    means = np.zeros(len(parameters))
    row = np.empty(COUNT)
    for n in range(len(parameters)):
        first, last = readings.bounds[n], readings.bounds[n + 1]
        for i in range(first, last):
            fit = _distance(parameters[n], readings.height[i] - heights[n], readings.y[i], readings.x[i], row)
            means[n] += min(abs(readings.distance[i] - fit) / error[i], clip) ** 2
        means[n] /= max(last - first, 1)
    return means


@numba.njit(nogil=True, cache=True)
def lay_cylinders(cylinders, heights, spans, distance, variance, owner):
    """Write the distance to the nearest cylinder into a grid (nz, ny, nx), the variance of its error and whose it is.

    Args:
        cylinders: by :class:`Cylinders`.
        heights: (nz,), of the slices.
        spans: (fibres, 2), first and last slice of each.
        distance: infinite where there is none yet.
        variance: pixels^2.
        owner: -1 where there is none.
    """
    _, ny, nx = distance.shape
    row = np.empty(COUNT)
    for n in range(len(cylinders.parameters)):
        if not cylinders.misfit[n] < np.inf:
            continue
        p, covariance = cylinders.parameters[n], cylinders.covariance[n]
        reach = 1.3 * p[6] + _BEYOND
        for z in range(spans[n, 0], spans[n, 1] + 1):
            h = heights[z] - cylinders.height[n]
            x, y = p[0] + h * (p[2] + h * p[4]), p[1] + h * (p[3] + h * p[5])
            for j in range(max(int(y - reach), 0), min(int(y + reach) + 2, ny)):
                for i in range(max(int(x - reach), 0), min(int(x + reach) + 2, nx)):
                    value = _distance(p, h, float(j), float(i), row)
                    if value < distance[z, j, i]:
                        distance[z, j, i] = value
                        owner[z, j, i] = n
                        spread = cylinders.misfit[n]
                        for a in range(COUNT):
                            for b in range(COUNT):
                                spread += row[a] * covariance[a, b] * row[b]
                        variance[z, j, i] = spread


@numba.njit(nogil=True, cache=True)
def cylinder_moves(shifts, readings, cylinders):
    """Return by how much parameters change (samples, fibres, COUNT) with readings that change by ``shifts``, to first order.

    Args:
        shifts: (samples, nz, ny, nx), pixels.
        readings: by :class:`Readings`.
        cylinders: that were fitted to them.
    """
    samples, count = len(shifts), len(cylinders.parameters)
    row, right = np.empty(COUNT), np.empty((samples, COUNT))
    moves = np.zeros((samples, count, COUNT))
    for n in range(count):
        p, height = cylinders.parameters[n], cylinders.height[n]
        right[:] = 0.0
        for i in range(readings.bounds[n], readings.bounds[n + 1]):
            _distance(p, readings.height[i] - height, readings.y[i], readings.x[i], row)
            for k in range(samples):
                change = readings.weight[i] * shifts[k, readings.z[i], readings.y[i], readings.x[i]]
                for a in range(COUNT):
                    right[k, a] += row[a] * change
        for k in range(samples):
            for a in range(COUNT):
                for b in range(COUNT):
                    moves[k, n, a] += cylinders.covariance[n, a, b] * right[k, b]
    return moves


@numba.njit(nogil=True, cache=True)
def mix_moves(shifts, moves, cylinders, heights, owner, share):
    """Put the cylinders' share of each voxel's shift into ``shifts`` (samples, nz, ny, nx), where one of them is nearest."""
    row = np.empty(COUNT)
    layers, ny, nx = owner.shape
    for z in range(layers):
        for j in range(ny):
            for i in range(nx):
                n = owner[z, j, i]
                if n < 0 or share[z, j, i] <= 0.0:
                    continue
                _distance(cylinders.parameters[n], heights[z] - cylinders.height[n], float(j), float(i), row)
                for k in range(len(shifts)):
                    change = 0.0
                    for a in range(COUNT):
                        change += row[a] * moves[k, n, a]
                    shifts[k, z, j, i] += share[z, j, i] * (change - shifts[k, z, j, i])
