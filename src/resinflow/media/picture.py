"""A picture as its file or array holds it: greys or colours, what is transparent, its scale, and what was done to read it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError

Mask = NDArray[np.bool_]

_LEAST_SIDE = 4
"""Pixels: the last axis of an array counts as channels where the two before it are longer than this."""
_WEIGHTS = (0.2126, 0.7152, 0.0722)
"""Red, green and blue in the luminance of ITU-R BT.709; a grey keeps its value."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A stack of images of one size.

    Attributes:
        name: of the file, for messages.
        values: greys (nz, ny, nx) of the file's own type, or colours (nz, ny, nx, 3).
        opaque: bool (nz, ny, nx), False where the image is transparent; None where it is opaque all over.
        pixel_size: edge of a pixel in m by the file's resolution tag; None without one.
        numbers: whether the values are numbers of a palette that is no scale of greys.
        slices: names of the files of a folder, in their order; empty otherwise.
        notes: what was done to read it, in sentences.
    """

    name: str
    values: NDArray
    opaque: Mask | None = None
    pixel_size: float | None = None
    numbers: bool = False
    slices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_colour(self) -> bool:
        """Whether the values are colours."""
        return self.values.ndim == 4

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        nz, ny, nx = self.values.shape[:3]
        return nz, ny, nx

    def cropped(self, rows: slice, columns: slice) -> Picture:
        """Return the part of the picture within ``rows`` and ``columns``."""
        opaque = None if self.opaque is None else self.opaque[:, rows, columns]
        return replace(self, values=self.values[:, rows, columns], opaque=opaque)

    def noted(self, *notes: str) -> Picture:
        """Return the picture with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def picture_of(array: NDArray, name: str, opaque: Mask | None = None, notes: tuple[str, ...] = ()) -> Picture:
    """Return the picture in an array of greys or colours, with or without a last axis of opacity.

    Args:
        array: (ny, nx) or (nz, ny, nx), each also with a last axis of 2 (grey, opacity), 3 (colours) or 4 (both) channels.
        name: of the file or array, for messages.
        opaque: like the array without channels; overrides a channel of opacity.
        notes: what was done to read it.

    Raises:
        InvalidInputError: other types than numbers, another number of dimensions, nothing inside, NaN or infinite values.
    """
    if array.dtype.kind not in "buif":
        raise InvalidInputError(f"{name} holds values of type {array.dtype}; needed: greys, or a mask of 0 and 1.")
    if array.size == 0:
        raise InvalidInputError(f"{name} is empty (shape {array.shape}); needed: at least one pixel.")
    channels = array.shape[-1] if _has_channels(array) else 1
    if channels == 1 and array.ndim not in (2, 3):
        raise InvalidInputError(f"{name} has shape {array.shape}; needed: an image (ny, nx) or a stack (nz, ny, nx).")
    if channels in (2, 4):
        opaque = _opaque(array[..., -1]) if opaque is None else opaque
        array = array[..., :-1]
    if array.dtype.kind == "f" and not np.isfinite(array if opaque is None else array[opaque]).all():
        raise InvalidInputError(f"{name} holds NaN or infinite values; needed: finite greys everywhere.")
    if channels > 1:
        array = array.reshape(-1, *array.shape[-3:])
        values = array if channels >= 3 and (array != array[..., :1]).any() else array[..., 0]
    else:
        values = array.reshape(-1, *array.shape[-2:])
    if opaque is not None:
        opaque = opaque.reshape(values.shape[:3])
        if opaque.all() or not opaque.any():  # a channel that says nothing
            opaque = None
    return _without_needless_opacity(Picture(name, values, opaque, notes=notes))


def luminance(colours: NDArray) -> NDArray:
    """Return the luminance (ITU-R BT.709) of colours (..., 3), of their type."""
    grey = colours.astype(np.float64) @ np.array(_WEIGHTS)
    return (np.rint(grey) if colours.dtype.kind in "ui" else grey).astype(colours.dtype)


def _has_channels(array: NDArray) -> bool:
    return array.ndim in (3, 4) and array.shape[-1] in (2, 3, 4) and min(array.shape[-3:-1]) > _LEAST_SIDE


def _opaque(opacity: NDArray) -> Mask:
    """What is at least half as opaque as the most opaque pixel."""
    return opacity if opacity.dtype.kind == "b" else opacity.astype(np.float64) >= max(float(opacity.max()) / 2, 1e-9)


def _without_needless_opacity(picture: Picture) -> Picture:
    """A mask drawn as one colour upon nothing: two kinds of pixels, which opacity and colour tell alike."""
    if picture.opaque is None:
        return picture
    inside, outside = picture.values[picture.opaque], picture.values[~picture.opaque]
    if (inside != inside[0]).any() or (outside != outside[0]).any():
        return picture
    mask = picture.opaque * np.uint8(255)
    note = f"{picture.name} is one colour on a transparent ground: taken for a mask, 255 where it is opaque and 0 elsewhere"
    return Picture(picture.name, mask, None, picture.pixel_size, notes=(*picture.notes, note))
