"""Fibre surfaces between the pixels: a mask says in which pixels a surface lies, the greys beside it say where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BESIDE = 8
"""Pixels beyond the box that are the mirror image of those inside, as the flow sees its sides."""
_PIECES = 8
"""Parts of the line across a pixel: distances to their ends are those to the line but for a hundredth of a pixel."""
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
    inner = (slice(pad, -pad), slice(pad, -pad))
    lines = _lines(mask, grey)
    if not len(lines):
        return np.full(fibre.shape, float(max(fibre.shape)) * (-1.0 if fibre.all() else 1.0))
    parts = np.linspace(0.0, 1.0, _PIECES + 1)[:, None, None]
    points = lines[:, 0] + parts * (lines[:, 1] - lines[:, 0])
    distance, _ = KDTree(points.reshape(-1, 2)).query(np.argwhere(np.ones(mask.shape)))
    sized = np.maximum(np.reshape(distance, mask.shape), _NEAREST)
    return np.where(mask, -sized, sized)[inner]


def _lines(mask: Mask, grey: Floats) -> Floats:
    """Both ends of the outline within every square of four pixel centres, (lines, 2, 2) as (y, x).

    A square whose diagonals are of different phases has two lines, which part the fibres.
    """
    along_y, along_x = _crossings(mask, grey, 0), _crossings(mask, grey, 1)
    sides = np.stack([along_x[:-1], along_y[:, 1:], along_x[1:], along_y[:, :-1]], axis=2)  # top, right, bottom, left
    crossed = np.isfinite(sides[..., 0])
    count = crossed.sum(axis=2)
    single = sides[count == 2][crossed[count == 2]].reshape(-1, 2, 2)
    saddles, upper_left = sides[count == 4], mask[:-1, :-1][count == 4]
    # the corner of a fibre is cut off by the line between its two sides
    order = np.where(upper_left[:, None], [3, 0, 1, 2], [0, 1, 2, 3])
    double = np.take_along_axis(saddles, order[..., None], axis=1).reshape(-1, 2, 2)
    return np.concatenate([single, double])


def _crossings(mask: Mask, grey: Floats, axis: int) -> Floats:
    """Where the outline crosses between neighbouring centres along an axis, (..., 2) as (y, x); NaN where it does not."""
    before, after = (np.delete(grey, end, axis) for end in (-1, 0))
    crossed = np.delete(mask, -1, axis) != np.delete(mask, 0, axis)
    told = crossed & ((before > 0) != (after > 0))
    part = np.where(told, before / np.where(told, before - after, 1.0), 0.5)
    places = np.stack(np.indices(crossed.shape, dtype=np.float64), axis=-1)
    places[..., axis] += part
    places[~crossed] = np.nan
    return places
