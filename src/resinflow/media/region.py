"""The part of an image that is used: what its user asks for, or the largest rectangle inside of what shows the specimen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError
from resinflow.media.image_files import read_picture
from resinflow.media.outside import bar_of, frame_of, view_of
from resinflow.media.picture import Mask, Picture

_CROP = re.compile(r"\s*(\d*)\s*:\s*(\d*)\s*,\s*(\d*)\s*:\s*(\d*)\s*")
_LEAST_SHARE = 0.3
"""Of what is inside, that the largest rectangle must hold: less means that the inside is no piece of an image."""
_ROUNDS = 4
"""Times that frames are looked for within what is left: axes have a margin, a line and another margin."""


@dataclass(frozen=True)
class Region:
    """Rows and columns of an image, and why these."""

    rows: slice
    columns: slice
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The region as the option ``--crop`` writes it."""
        return crop_text(self.rows, self.columns)

    def beyond(self, outer: Region) -> Region:
        """Return this region of the part ``outer`` as a region of the whole image."""
        return Region(_within(outer.rows, self.rows), _within(outer.columns, self.columns), self.notes)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """First and last but one of the columns and of the rows: x0, x1, y0, y1."""
        return self.columns.start, self.columns.stop, self.rows.start, self.rows.stop


def crop_text(rows: slice, columns: slice) -> str:
    """Return rows and columns as the option ``--crop`` writes them, X0:X1,Y0:Y1."""
    return f"{columns.start}:{columns.stop},{rows.start}:{rows.stop}"


def asked_region(picture: Picture, crop: str | None, roi: str | Path | NDArray | None) -> Region | None:
    """Return the region that a user asks for; None where the whole image is asked for.

    Args:
        picture: the image.
        crop: ``X0:X1,Y0:Y1`` in pixels from the upper left corner, the ends not included; an end may be left out.
        roi: the same, or a mask of the image's size (a file, or an array (ny, nx)) that is not 0 in the region of interest:
            then the largest rectangle inside.

    Raises:
        InvalidInputError: both, a region outside of the image, or a mask of another size or without a region.
    """
    if crop is not None and roi is not None:
        raise InvalidInputError("--crop and --roi both say what part of the image is used; leave one of them out.")
    if crop is not None:
        return crop_region(crop, picture.name, picture.shape)
    if roi is None:
        return None
    if isinstance(roi, str) and _CROP.fullmatch(roi):
        return crop_region(roi, picture.name, picture.shape, "--roi")
    mask = read_picture(roi).values if isinstance(roi, str | Path) else np.asarray(roi)
    name = Path(roi).name if isinstance(roi, str | Path) else "the array"
    if mask.ndim == 4:
        mask = mask.max(axis=-1)
    if mask.ndim not in (2, 3) or mask.shape[-2:] != picture.shape[1:] or (mask.ndim == 3 and len(mask) != 1):
        raise InvalidInputError(
            f"the region of interest {name} has shape {mask.shape}; needed: one mask of the image's size {picture.shape[1:]}."
        )
    inside = mask.reshape(mask.shape[-2:]) != 0
    if not inside.any():
        raise InvalidInputError(f"the region of interest {name} is 0 everywhere; needed: other values inside of the region.")
    rows, columns = largest_rectangle(inside)
    note = f"the largest rectangle inside of the region of interest is used: --crop {crop_text(rows, columns)}"
    return Region(rows, columns, (note,))


def inner_region(picture: Picture, *, plain_parts: bool, only_opacity: bool) -> Region | None:
    """Return the largest rectangle of an image that shows nothing but the specimen; None where that is the whole image.

    What lies outside: transparent pixels, frames (rows and columns of one grey at the borders, such as data bars, margins and
    drawn axes), areas of one grey at the corners, and what is beyond a round field of view.

    Args:
        picture: in grey.
        plain_parts: whether plain parts lie outside; masks and labels have plain areas of their own.
        only_opacity: look at the opacity alone.

    Raises:
        InvalidInputError: what shows the specimen holds no rectangle of some size, or a bar is drawn in its middle.
    """
    rows, columns = slice(0, picture.shape[1]), slice(0, picture.shape[2])
    notes: list[str] = []
    page = picture.values[len(picture.values) // 2]
    if picture.opaque is not None:
        rows, columns = _rectangle_inside(np.logical_and.reduce(picture.opaque), picture.name, "the opaque part")
        notes.append(f"the largest rectangle inside of the opaque part is used: --crop {crop_text(rows, columns)}")
    for _ in range(_ROUNDS if plain_parts and not only_opacity else 0):
        frame = frame_of(page[rows, columns])
        if frame is None:
            break
        rows, columns = _within(rows, frame[0]), _within(columns, frame[1])
        notes = [f"rows or columns of one grey at the borders are cut off: --crop {crop_text(rows, columns)} is used"]
    view = None if only_opacity else view_of(page[rows, columns], greys=plain_parts)
    if view is not None:
        best = _rectangle_inside(view[0], picture.name, view[1])
        rows, columns = _within(rows, best[0]), _within(columns, best[1])
        notes.append(f"the largest rectangle inside of {view[1]} is used: --crop {crop_text(rows, columns)}")
    bar = bar_of(page[rows, columns]) if plain_parts and not only_opacity else None
    if bar is not None:
        raise _bar_error(page.shape, _within(rows, bar[0]), _within(columns, bar[1]), picture.name)
    return Region(rows, columns, tuple(notes)) if notes else None


def _bar_error(shape: tuple[int, ...], rows: slice, columns: slice, name: str) -> InvalidInputError:
    free = np.ones(shape, dtype=bool)
    margin = rows.stop - rows.start  # room for the text beside a scale bar
    free[max(rows.start - 3 * margin, 0) : rows.stop + 3 * margin, max(columns.start - margin, 0) : columns.stop + margin] = (
        False
    )
    return InvalidInputError(
        f"{name} has a bar of one grey in rows {rows.start} to {rows.stop - 1} and columns {columns.start} to "
        f"{columns.stop - 1} (a scale bar?); needed: the specimen alone. Crop it off, e.g. --crop "
        f"{crop_text(*largest_rectangle(free))}."
    )


@numba.njit(nogil=True, cache=True)
def _largest(inside: Mask) -> tuple[int, int, int, int]:
    """Rows and columns of the largest rectangle of True: the highest bars over every row, kept on a stack."""
    ny, nx = inside.shape
    height = np.zeros(nx + 1, dtype=np.int64)
    stack = np.zeros(nx + 2, dtype=np.int64)
    best, y0, y1, x0, x1 = 0, 0, 0, 0, 0
    for row in range(ny):
        for column in range(nx):
            height[column] = height[column] + 1 if inside[row, column] else 0
        size = 0
        for column in range(nx + 1):  # the last bar has no height and ends all others
            while size > 0 and height[stack[size - 1]] >= height[column]:
                size -= 1
                high = height[stack[size]]
                left = stack[size - 1] + 1 if size > 0 else 0
                if high * (column - left) > best:
                    best, y0, y1, x0, x1 = high * (column - left), row + 1 - high, row + 1, left, column
            stack[size] = column
            size += 1
    return y0, y1, x0, x1  # pyright: ignore[reportReturnType]


def largest_rectangle(inside: Mask) -> tuple[slice, slice]:
    """Return rows and columns of the largest rectangle of pixels (ny, nx) that are all True; empty where none is."""
    y0, y1, x0, x1 = _largest(np.ascontiguousarray(inside))
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))


def _rectangle_inside(inside: Mask, name: str, what: str) -> tuple[slice, slice]:
    rows, columns = largest_rectangle(inside)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    if area < _LEAST_SHARE * max(int(inside.sum()), 1) or area == 0:
        raise InvalidInputError(
            f"{what} of {name} takes {100 * float(inside.mean()):.0f} % of the image, and the largest rectangle in it "
            f"{100 * area / inside.size:.1f} %; needed: a rectangle of the specimen. Choose one with --crop X0:X1,Y0:Y1."
        )
    return rows, columns


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def crop_region(text: str, name: str, shape: tuple[int, int, int], option: str = "--crop") -> Region:
    """Return the region ``X0:X1,Y0:Y1`` of an image.

    Args:
        text: the region in pixels; an end may be left out.
        name: of the image.
        shape: slices, rows and columns of it.
        option: that the text comes from.

    Raises:
        InvalidInputError: another text, or a region outside of the image.
    """
    match = _CROP.fullmatch(text)
    _, ny, nx = shape
    if match is None:
        raise InvalidInputError(f"{option} is {text!r}; needed: X0:X1,Y0:Y1 in pixels, e.g. {option} 0:{nx},0:{ny}.")
    x0, x1, y0, y1 = (int(part) if part else whole for part, whole in zip(match.groups(), (0, nx, 0, ny), strict=True))
    if not (0 <= x0 < x1 <= nx and 0 <= y0 < y1 <= ny):
        raise InvalidInputError(
            f"{option} is {text!r}, but {name} has {nx} columns and {ny} rows; needed: X0 below X1, Y0 below Y1, "
            f"and both inside, e.g. {option} 0:{nx},0:{ny}."
        )
    return Region(slice(y0, y1), slice(x0, x1), (f"of {name} the part {crop_text(slice(y0, y1), slice(x0, x1))} is used",))
