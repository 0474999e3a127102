"""The union of outlines that are carried along the axes of fibres: the compiled loop behind drawn media."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Course(NamedTuple):
    """Where fibres run through a box, and which fields of distances they carry at every height.

    Between two slices that show a fibre its field goes over from the one's to the other's.

    Attributes:
        places: (nz, n, 2), x and y of the axes at the centres of the slices, m.
        first: (nz, n), number of a field.
        second: (nz, n), number of the field that it goes over to.
        part: (nz, n), how far it has, 0 to 1.
        fading: (nz, n), m, by which a fibre is thinner than its fields say: infinite where it is not there.
    """

    places: Floats
    first: Whole
    second: Whole
    part: Floats
    fading: Floats


class _Fields(NamedTuple):
    """Fields one after the other: values, and of each its start, its shape, and its first pixel from the axis (pixels)."""

    values: Floats
    start: Whole
    height: Whole
    width: Whole
    x: Floats
    y: Floats


def swept_distance(
    course: Course,
    fields: Sequence[Floats],
    corners: Sequence[tuple[float, float]],
    shape: tuple[int, int, int],
    pixel: tuple[float, float],
    margin: float,
) -> Floats:
    """Return the least of all fields at every voxel centre, (nz, ny, nx), m; exact where an axis is at its field's own place.

    Args:
        course: of the fibres.
        fields: (h, w) each, m, distance to an outline on the grid of the pixels.
        corners: x and y of each field's first pixel from the axis, m.
        shape: voxels (nz, ny, nx).
        pixel: (dy, dx), m.
        margin: by which every field reaches beyond its outline, m: points farther from all fibres have the distance to the
            nearest fibre pixel.
    """
    dy, dx = pixel
    sizes = np.array([field.size for field in fields], dtype=np.int64)
    store = _Fields(
        np.concatenate([field.ravel() for field in fields]),
        np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
        np.array([field.shape[0] for field in fields], dtype=np.int64),
        np.array([field.shape[1] for field in fields], dtype=np.int64),
        np.array([corner[0] / dx for corner in corners]),
        np.array([corner[1] / dy for corner in corners]),
    )
    # pixel i has its centre at i + 0.5
    places = course.places / np.array([dx, dy]) - 0.5
    distance = np.full(shape, np.inf)
    _stamp(distance, store, places, course.first, course.second, course.part, course.fading)
    for layer in distance:
        _fill_far(layer, pixel, margin)
    return distance


def _fill_far(layer: Floats, pixel: tuple[float, float], margin: float) -> None:
    """Give the points that the fields of the nearest fibres do not reach their distance to the nearest fibre pixel."""
    far = layer > margin
    if not far.any():
        return
    fluid = layer > 0
    if fluid.all():
        layer[far] = math.hypot(layer.shape[0] * pixel[0], layer.shape[1] * pixel[1])
        return
    to_fibre = np.asarray(ndimage.distance_transform_edt(fluid, sampling=pixel))[far] - 0.5 * min(pixel)
    layer[far] = np.minimum(layer[far], np.maximum(to_fibre, margin))  # what the page does not show may be nearer


# no fastmath: a medium must be the same on every machine
@numba.njit(nogil=True, cache=True)
def _sample(fields, number, y, x):
    """Bilinear value of a field at a place counted in its own pixels; infinite beyond it."""
    height, width = fields.height[number], fields.width[number]
    if not (0.0 <= y <= height - 1.0 and 0.0 <= x <= width - 1.0):
        return np.inf
    row, column = min(int(y), height - 2), min(int(x), width - 2)
    down, across = y - row, x - column
    place = fields.start[number] + row * width + column
    low = (1.0 - across) * fields.values[place] + across * fields.values[place + 1]
    high = (1.0 - across) * fields.values[place + width] + across * fields.values[place + width + 1]
    return (1.0 - down) * low + down * high


@numba.njit(nogil=True, cache=True)
def _stamp(distance, fields, places, first, second, part, fading):
    """Write the least of all fields; a fibre's two fields are mixed where it goes over from the one to the other."""
    layers, ny, nx = distance.shape
    for z in range(layers):
        for n in range(places.shape[1]):
            fade = fading[z, n]
            if not fade < np.inf:
                continue
            a, b, share = first[z, n], second[z, n], part[z, n]
            y0, x0 = places[z, n, 1] + fields.y[a], places[z, n, 0] + fields.x[a]
            low_y, high_y = max(math.ceil(y0), 0), min(math.floor(y0 + fields.height[a] - 1), ny - 1)
            low_x, high_x = max(math.ceil(x0), 0), min(math.floor(x0 + fields.width[a] - 1), nx - 1)
            y1, x1 = places[z, n, 1] + fields.y[b], places[z, n, 0] + fields.x[b]
            for j in range(low_y, high_y + 1):
                for i in range(low_x, high_x + 1):
                    value = _sample(fields, a, j - y0, i - x0)
                    if share > 0.0:
                        value = (1.0 - share) * value + share * _sample(fields, b, j - y1, i - x1)
                    distance[z, j, i] = min(distance[z, j, i], value + fade)
