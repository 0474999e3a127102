"""The sections of fibres in one slice as fields of distances, one a section, which go on beyond the border that cuts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import Microstructure, surface_distance
from resinflow.media.sections import section_map

Floats = NDArray[np.float64]

DIRECTIONS = 48
"""Directions, evenly spread from x on, in which the reach of an outline is tabulated."""
_MARGIN = 1.5
"""Usual radii by which a field reaches beyond its section on all sides."""
_OUTLINE_ERROR = 0.3
"""Pixels by which the points of an outline are off a circle."""
_LEAST_SCATTER = 0.05
_UNSEEN = 1.5
"""Pixels by which the slice's distance is below that to the nearest visible fibre where it is to one that is not visible."""
_FIT_STEPS = 30


@dataclass(frozen=True, eq=False)
class Section:
    """The section of one fibre.

    Attributes:
        centre: x and y of its centroid, m; of what a border cuts off, that of the circle which completes it.
        radius: of the circle of the same area, m.
        whole: whether it stays clear of the border and is about round.
        hidden: area beyond the border, m^2.
        field: (h, w), m, distance to its own outline, negative inside; beyond the border that of the circle.
        corner: x and y of the centre of the field's first pixel, m, counted from ``centre``.
        support: (:data:`DIRECTIONS`,), m, how far the outline reaches from the centre.
        margin: by which the field reaches beyond the outline on all sides, m.
    """

    centre: tuple[float, float]
    radius: float
    whole: bool
    hidden: float
    field: Floats
    corner: tuple[float, float]
    support: Floats
    margin: float


@dataclass(frozen=True, eq=False)
class _Page:
    """One slice: distance (ny, nx) in m, labels, the nearest section of every pixel, pixel size, and the usual radius."""

    distance: Floats
    labels: NDArray[np.integer]
    owner: NDArray[np.integer]
    pixel: tuple[float, float]
    radius: float
    scatter: float

    @property
    def margin(self) -> float:
        """By which a field reaches beyond its section, m."""
        return _MARGIN * self.radius


def sections_of(page: Microstructure) -> tuple[Section, ...]:
    """Return the sections of the first slice of a medium; together their fields give its mask exactly.

    Nearest to its section, a field is the slice's own distance; farther away it is no less than that. Sections that the border
    cuts are completed by the circle that fits their visible outline, of about the usual diameter.
    """
    _, dy, dx = page.spacing
    fluid = page.fluid[0]
    sections = section_map(page, 0)
    labels = np.array(sections.labels, dtype=np.int32)
    rest = np.zeros_like(labels)
    ndimage.label(~fluid & (labels == 0), output=rest)  # specks that the watershed has no seed for
    labels[rest > 0] = rest[rest > 0] + labels.max()
    distance = _signed(np.asarray(surface_distance(page)[0], dtype=np.float64), fluid, min(dy, dx))
    indices = np.asarray(
        ndimage.distance_transform_edt(labels == 0, sampling=(dy, dx), return_distances=False, return_indices=True)
    )
    whole = np.zeros(int(labels.max()), dtype=bool)
    whole[: len(sections.whole)] = sections.whole
    radii = 0.5 * (sections.diameters[sections.whole] if sections.whole.any() else sections.diameters)
    usual = float(np.median(radii))
    scatter = max(float(radii.std()) / usual if len(radii) > 2 else 0.0, _LEAST_SCATTER)
    view = _Page(distance, labels, labels[tuple(indices)], (dy, dx), usual, scatter)
    boxes = ndimage.find_objects(labels)
    return tuple(_section(view, number, box, bool(whole[number - 1])) for number, box in enumerate(boxes, start=1) if box)


def _signed(distance: Floats, fluid: NDArray[np.bool_], edge: float) -> Floats:
    """The distance with the sign of the mask everywhere."""
    least = 1e-3 * edge
    return np.where(fluid, np.maximum(distance, least), np.minimum(distance, -least))


def _section(page: _Page, number: int, box: tuple[slice, slice], whole: bool) -> Section:
    dy, dx = page.pixel
    ny, nx = page.labels.shape
    rows, columns = box
    cut = rows.start == 0 or columns.start == 0 or rows.stop == ny or columns.stop == nx
    mask = page.labels[box] == number
    y, x = np.nonzero(mask)
    centre = np.array([(x.mean() + columns.start + 0.5) * dx, (y.mean() + rows.start + 0.5) * dy])
    area = len(x) * dx * dy
    circle = _completing_circle(page, number, box, centre) if cut else None
    low = np.array([columns.start * dx, rows.start * dy])
    high = np.array([columns.stop * dx, rows.stop * dy])
    if circle is not None:
        low, high = np.minimum(low, circle[:2] - circle[2]), np.maximum(high, circle[:2] + circle[2])
    margin = page.margin + 2 * max(dx, dy)
    left, bottom = (int(np.floor((value - margin) / edge)) for value, edge in zip(low, (dx, dy), strict=True))
    right, top = (int(np.ceil((value + margin) / edge)) for value, edge in zip(high, (dx, dy), strict=True))
    window = (slice(bottom, top), slice(left, right))
    field = _field(page, number, window, circle)
    if circle is not None:
        hidden = max(np.pi * circle[2] ** 2 - area, 0.0)
        centre, radius = circle[:2], float(circle[2])
    else:
        hidden, radius = 0.0, float(np.sqrt(area / np.pi))
    corner = ((left + 0.5) * dx - centre[0], (bottom + 0.5) * dy - centre[1])
    support = _support(field, corner, page.pixel, radius)
    return Section((float(centre[0]), float(centre[1])), radius, whole, hidden, field, corner, support, page.margin)


def _field(page: _Page, number: int, window: tuple[slice, slice], circle: Floats | None) -> Floats:
    """Distance to the outline of one section over a window, which may reach beyond the page."""
    dy, dx = page.pixel
    ny, nx = page.labels.shape
    rows, columns = (np.arange(part.start, part.stop) for part in window)
    if circle is None:
        own = np.zeros((len(rows), len(columns)), dtype=bool)
        inner, part = _inner(rows, columns, ny, nx)
        own[inner] = page.labels[part] == number
        half = 0.5 * min(dy, dx)
        outside = np.asarray(ndimage.distance_transform_edt(~own, sampling=(dy, dx)))
        inside = np.asarray(ndimage.distance_transform_edt(own, sampling=(dy, dx)))
        field = np.where(own, half - inside, outside - half)
    else:
        field = np.hypot((columns + 0.5)[None] * dx - circle[0], (rows + 0.5)[:, None] * dy - circle[1]) - circle[2]
    inner, part = _inner(rows, columns, ny, nx)
    distance, far = page.distance[part], field[inner]
    # the slice's distance may be that to a fibre beyond the border, which the slice does not show
    own_cell = (page.owner[part] == number) & ((distance < 0) | (far < 0) | (far - distance < _UNSEEN * max(dx, dy)))
    field[inner] = np.where(own_cell, distance, np.maximum(far, distance))
    return field


def _inner(
    rows: NDArray[np.int64], columns: NDArray[np.int64], ny: int, nx: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """What of a window lies on the page: its place in the window, and on the page."""
    y0, y1 = max(int(rows[0]), 0), min(int(rows[-1]) + 1, ny)
    x0, x1 = max(int(columns[0]), 0), min(int(columns[-1]) + 1, nx)
    inner = (slice(y0 - int(rows[0]), y1 - int(rows[0])), slice(x0 - int(columns[0]), x1 - int(columns[0])))
    return inner, (slice(y0, y1), slice(x0, x1))


def _completing_circle(page: _Page, number: int, box: tuple[slice, slice], start: Floats) -> Floats:
    """Centre x, y and radius (m) of the circle that fits the visible outline, its radius drawn to the usual one.

    Gauss-Newton from the middle of what is visible: the outline is nearer to it than a radius, and pushes the centre outwards.
    """
    from skimage.measure import find_contours

    dy, dx = page.pixel
    ny, nx = page.labels.shape
    rows = slice(max(box[0].start - 2, 0), min(box[0].stop + 2, ny))
    columns = slice(max(box[1].start - 2, 0), min(box[1].stop + 2, nx))
    own = page.owner[rows, columns] == number
    values = np.where(own, page.distance[rows, columns], np.maximum(page.distance[rows, columns], 0.5 * min(dy, dx)))
    lines = find_contours(values, 0.0) if min(values.shape) > 1 else []
    if not lines:
        return np.array([start[0], start[1], page.radius])
    points = np.concatenate(lines)
    x, y = (points[:, 1] + columns.start + 0.5) * dx, (points[:, 0] + rows.start + 0.5) * dy
    sure, expected = 1 / (_OUTLINE_ERROR * max(dx, dy)), 1 / (page.scatter * page.radius)
    circle = np.array([start[0], start[1], page.radius])
    for _ in range(_FIT_STEPS):
        away = np.stack([circle[0] - x, circle[1] - y], axis=1)
        length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-3 * page.radius)
        weight = sure / np.sqrt(len(x) / 10 + 1)
        design = np.concatenate([weight * np.column_stack([away / length[:, None], -np.ones(len(x))]), [[0, 0, expected]]])
        misfit = np.append(weight * (length - circle[2]), expected * (circle[2] - page.radius))
        step = np.linalg.lstsq(design, -misfit, rcond=None)[0]
        longest = float(np.abs(step).max())
        circle += step * min(1.0, 0.3 * page.radius / max(longest, 1e-30))
        if longest < 1e-3 * page.radius:
            break
    circle[2] = np.clip(circle[2], 0.6 * page.radius, 1.6 * page.radius)
    return circle


def _support(field: Floats, corner: tuple[float, float], pixel: tuple[float, float], radius: float) -> Floats:
    """How far the outline reaches from the centre in every direction, m."""
    from skimage.measure import find_contours

    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    lines = find_contours(field, 0.0)
    if not lines:
        return np.full(DIRECTIONS, radius)
    points = np.concatenate(lines)
    x, y = corner[0] + points[:, 1] * pixel[1], corner[1] + points[:, 0] * pixel[0]
    return np.asarray((np.cos(angles)[:, None] * x + np.sin(angles)[:, None] * y).max(axis=1), dtype=np.float64)
