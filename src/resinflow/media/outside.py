"""What in an image is not the specimen: frames and bars at the borders, plain corners, the outside of a round field of view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.media.picture import Mask

Floats = NDArray[np.float64]

_PLAIN, _BEYOND, _NOISELESS = 0.5, 0.4, 0.4
"""Share of a line's pixels that have its median grey where it is part of a frame, how much more than inside the image, and the
share of neighbours that are alike from which on an image has no noise, so that frames cannot be told."""
_MOST, _FEWEST_LINES, _WHOLE = 0.6, 3, 0.99
"""Share of plain lines from a border inwards, their least number, and the share of one grey at which fewer do."""
_DEEPEST = 0.35
"""Of a side, that a frame at one border takes at most."""
_TOLERANCE = 0.012
"""Of the range of the greys: JPEG makes a plain area uneven by that much."""
_SMALLEST_CORNER, _LEAST_FLAT = 0.003, 3
"""Share of the image and half width (pixels) that a plain area at a corner has at least."""
_BAR_LENGTH, _BAR_ASPECT, _BAR_FILLED = 0.05, 4, 0.95
"""Of a scale bar: length as a share of the image's side, length over width, and share of its box that it fills."""
_SECTORS = 48
_CUT_SECTORS, _CUT, _FULLEST = 0.35, 0.6, 0.9
"""Of a round mask: share of the sectors with something right at the edge, what there is at the edge of what there is deeper
inside, and what of the circle is filled at most."""
_RINGS = ((1.0, 2.5), (6.0, 12.0))
"""Pixels from the edge of a round mask inwards."""
_FEWEST_SECTORS = 12
_STRENGTH = 8.0
"""Standard errors by which the greys beyond a round field of view differ from those inside it."""
_CALMER = 0.5
"""Standard deviation of the greys beyond a round field of view, of those inside it, at most."""


def frame_of(page: NDArray) -> tuple[slice, slice] | None:
    """Return rows and columns of an image (ny, nx) without its frame: lines at its borders that have mostly one grey.

    A frame is a margin, a data bar, the lines of drawn axes. None where there is none.
    """
    grey = page.astype(np.float64)
    if _is_noiseless(grey):
        return None
    whole = slice(0, len(grey)), slice(0, grey.shape[1])
    for tolerance in (0.0, _TOLERANCE * float(np.ptp(grey))):
        rows = _without_plain_lines(grey, tolerance)
        columns = _without_plain_lines(grey[rows].T, tolerance)
        if (rows, columns) != whole:
            return rows, columns
    return None


def _is_noiseless(page: NDArray) -> bool:
    """Whether neighbours in the middle of an image are mostly alike: then its phases are as plain as a frame."""
    middle = page[tuple(slice(count // 4, count - count // 4) for count in page.shape)]
    return float((middle[:, 1:] == middle[:, :-1]).mean()) > _NOISELESS


def _without_plain_lines(grey: Floats, tolerance: float) -> slice:
    """The rows between those at both ends that are plain, or text upon a plain bar."""
    middle = np.median(grey, axis=1, keepdims=True)
    share = (np.abs(grey - middle) <= tolerance).mean(axis=1)
    count = len(grey)
    deepest = int(_DEEPEST * count)
    usual = float(np.median(share[deepest : count - deepest]))
    plain = share >= max(_PLAIN, usual + _BEYOND)
    ends = []
    for line, shares in ((plain[:deepest], share[:deepest]), (plain[::-1][:deepest], share[::-1][:deepest])):
        depth = np.flatnonzero(line)
        # from the border inwards most lines must be plain; a single one counts where it has one grey from end to end
        depth = depth[np.cumsum(line)[depth] >= _MOST * (depth + 1)]
        last = int(depth[-1]) + 1 if depth.size else 0
        ends.append(last if last >= _FEWEST_LINES or (last and shares[:last].min() >= _WHOLE) else 0)
    return slice(ends[0], count - ends[1])


def view_of(page: NDArray, *, greys: bool) -> tuple[Mask, str] | None:
    """Return where an image (ny, nx) shows the specimen and what that is called; None where it does all over."""
    if greys:
        corners = _plain_corners(page)
        if corners is not None:
            return ~corners, "what the plain corners leave"
        radius = _round_view(page.astype(np.float64))
    else:
        radius = _round_mask(page)
    if radius is None:
        return None
    return _from_centre(page.shape) < radius - 1, "the round field of view"


def bar_of(page: NDArray) -> tuple[slice, slice] | None:
    """Return rows and columns of a bar, a long rectangle of the image's brightest or darkest grey; None without one.

    Not looked for in images without noise, whose phases are plain.
    """
    if _is_noiseless(page):
        return None
    for extreme in (page.max(), page.min()):
        labels = np.zeros(page.shape, dtype=np.int32)
        ndimage.label(page == extreme, output=labels)
        sizes = np.bincount(labels.ravel())
        for number, box in enumerate(ndimage.find_objects(labels), start=1):
            if box is None:
                continue
            sides = sorted(part.stop - part.start for part in box)
            long_enough = sides[1] >= max(_BAR_LENGTH * min(page.shape), _BAR_ASPECT * sides[0])
            if sides[0] >= 2 and long_enough and sizes[number] >= _BAR_FILLED * sides[0] * sides[1]:
                return box
    return None


def _plain_corners(page: NDArray) -> Mask | None:
    """Areas of one grey that hold a corner of the image, where all else is in one piece; None without them."""
    grey = page.astype(np.float64)
    tolerance = _TOLERANCE * float(np.ptp(grey))
    for near in (0.0, tolerance):
        corners = np.zeros(page.shape, dtype=bool)
        for value in np.unique(grey[[0, 0, -1, -1], [0, -1, 0, -1]]):
            labels = np.zeros(page.shape, dtype=np.int32)
            plain = np.abs(grey - value) <= near
            ndimage.label(plain, output=labels)
            core = ndimage.binary_erosion(plain, iterations=_LEAST_FLAT, border_value=1)
            held = np.unique(labels[[0, 0, -1, -1], [0, -1, 0, -1]])
            sizes = np.bincount(labels.ravel())
            held = np.intersect1d(held[held > 0], labels[np.asarray(core, dtype=bool)])
            corners |= np.isin(labels, held[sizes[held] >= _SMALLEST_CORNER * page.size])
        if corners.any() and _is_one_piece(~corners) and _is_rare(grey, corners, near):
            return np.asarray(ndimage.binary_dilation(corners, iterations=1 + (near > 0)), dtype=bool)
    return None


def _is_one_piece(inside: Mask) -> bool:
    labels = np.zeros(inside.shape, dtype=np.int32)
    count = ndimage.label(inside, output=labels)
    return bool(count) and int(np.bincount(labels.ravel())[1:].max()) >= 0.95 * int(inside.sum())


def _is_rare(grey: Floats, corners: Mask, near: float) -> bool:
    """Whether the grey of the corners is rare inside: a matrix that is white all over is no outside."""
    value = float(np.median(grey[corners]))
    return float((np.abs(grey[~corners] - value) <= near).mean()) < 0.05


def _from_centre(shape: tuple[int, ...]) -> Floats:
    """Distance (pixels) of every pixel from the middle of the image."""
    y, x = (np.arange(count) - (count - 1) / 2 for count in shape)
    return np.hypot(y[:, None], x[None, :])


def _round_view(grey: Floats) -> float | None:
    """Radius (pixels) of a round field of view amid an image whose outside is noise about one grey; None without one.

    Round the circle the greys step all the same way, and beyond it they vary less than inside.
    """
    half = min(grey.shape) / 2
    width = max(3, round(0.06 * half))
    profiles = _polar(grey, int(np.hypot(*grey.shape) / 2) + 1)
    seen = np.isfinite(profiles)
    sums = np.cumsum(np.where(seen, profiles, 0.0), axis=1)
    counts = np.cumsum(seen, axis=1)
    best, radius = _STRENGTH, None
    for edge in range(int(0.5 * half), profiles.shape[1] - width - 2):
        outer, inner = (_window(sums, counts, start, width) for start in (edge + 1, edge - 1 - width))
        steps = (outer - inner)[np.isfinite(outer) & np.isfinite(inner)]
        if len(steps) < _FEWEST_SECTORS or (np.sign(steps) != np.sign(steps.mean())).mean() > 0.02:
            continue
        strength = abs(float(steps.mean())) / max(float(steps.std()) / np.sqrt(len(steps)), 1e-9 * float(np.ptp(grey)) + 1e-300)
        if strength > best:
            best, radius = strength, float(edge)
    if radius is None:
        return None
    beyond = _from_centre(grey.shape)
    outside, inside = grey[beyond > radius + 2], grey[beyond < radius - 2]
    return radius if outside.size and outside.std() < _CALMER * inside.std() else None


def _polar(grey: Floats, reach: int) -> Floats:
    """Mean greys over every sector at every whole radius from the middle, (sectors, radii); NaN beyond the image."""
    angles = 2 * np.pi * (np.arange(4 * _SECTORS) + 0.5) / (4 * _SECTORS)
    centre = [(count - 1) / 2 for count in grey.shape]
    radii = np.arange(reach)
    places = [middle + radii[None, :] * turn(angles)[:, None] for middle, turn in zip(centre, (np.sin, np.cos), strict=True)]
    rays = ndimage.map_coordinates(grey, places, order=1, mode="constant", cval=np.nan)
    return rays.reshape(_SECTORS, 4, reach).mean(axis=1)


def _window(sums: Floats, counts: NDArray[np.integer], start: int, width: int) -> Floats:
    """Means over ``width`` radii from ``start`` on in every sector; NaN where some are beyond the image."""
    count = counts[:, start + width - 1] - counts[:, start - 1]
    total = sums[:, start + width - 1] - sums[:, start - 1]
    return np.where(count == width, total / width, np.nan)


def _round_mask(page: NDArray) -> float | None:
    """Radius (pixels) of the circle beyond which a mask has one value, where many things are cut off by it; None without."""
    beyond = _from_centre(page.shape)
    value = page[0, 0]
    if (page[[0, 0, -1, -1], [0, -1, 0, -1]] != value).any() or (page == value).all():
        return None
    radius = float(beyond[page != value].max()) + 1
    if (beyond >= radius).sum() < _SMALLEST_CORNER * page.size or radius < 0.25 * min(page.shape):
        return None
    other = page != value
    edge, deeper = ((beyond < radius - near) & (beyond >= radius - far) for near, far in _RINGS)
    # whole fibres only touch the circle that holds them all, a field of view cuts them
    if other[beyond < radius].mean() > _FULLEST or other[edge].mean() < _CUT * other[deeper].mean():
        return None
    y, x = np.nonzero(edge & other)
    middle = [(count - 1) / 2 for count in page.shape]
    turns = np.arctan2(y - middle[0], x - middle[1]) / (2 * np.pi) + 0.5
    sectors = np.unique((turns * _SECTORS).astype(int) % _SECTORS)
    return radius if len(sectors) >= _CUT_SECTORS * _SECTORS else None
