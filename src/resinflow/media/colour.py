"""Colours of an image: their luminance where the image is in colour, and a drawing in colour upon a grey image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import InvalidInputError
from resinflow.media.picture import Mask, Picture, luminance

_GREY = 0.05
"""Difference between channels, of the range, up to which a colour is a grey: what JPEG does to one."""
_DRAWN = 0.2
"""Difference between channels, of the range, from which on a pixel of a grey image is drawn in colour."""
_FEWEST, _LARGEST_SHARE = 6, 0.5
"""Pixels of a drawing, and the share of the image that it covers at most."""
_MARGIN = 2
"""Pixels that a cropped region keeps off a drawing, whose edges are blurred."""


def grey_of(picture: Picture) -> Picture:
    """Return a picture in grey: of colours their luminance, which its notes say.

    Raises:
        InvalidInputError: a grey image upon which something is drawn in colour.
    """
    if not picture.is_colour:
        return picture
    colours = picture.values
    chroma, typical = _chroma(colours)
    drawn = chroma > typical + _DRAWN
    if _is_drawing(drawn, chroma, typical):
        seen = np.logical_or.reduce(drawn)
        rows, columns = _box(seen)
        raise InvalidInputError(
            f"{picture.name} is grey, but in rows {rows.start} to {rows.stop - 1} and columns {columns.start} to "
            f"{columns.stop - 1} something is drawn upon it in colour ({int(drawn.sum())} pixels: a scale bar, text or an "
            f"outline?); needed: the image alone. Export it without, or crop{_free_part(seen)}."
        )
    note = f"{picture.name} is in colour: its luminance is taken"
    return replace(picture, values=luminance(colours)).noted(note)


def _chroma(colours: NDArray) -> tuple[NDArray[np.float64], float]:
    """How far the channels of every pixel are apart, as a share of the range, and how far they usually are."""
    values = colours.astype(np.float64)
    top = float(np.iinfo(colours.dtype).max) if colours.dtype.kind in "ui" else max(float(values.max()), 1e-30)
    chroma = np.ptp(values, axis=-1) / top
    return chroma, float(np.median(chroma))


def _is_drawing(drawn: Mask, chroma: NDArray[np.float64], typical: float) -> bool:
    """Whether few pixels have colour and the rest has none, or one tint."""
    count = int(drawn.sum())
    if count < _FEWEST or count > _LARGEST_SHARE * drawn.size:
        return False
    # in a picture in colours there is everything between grey and colour; round a drawing there is a seam alone
    near = np.stack([_widened(page) for page in drawn])
    rest = chroma[~near]
    return bool(rest.size and np.quantile(np.abs(rest - typical), 0.98) <= _GREY)


def _widened(mask: Mask) -> Mask:
    return np.asarray(ndimage.binary_dilation(mask, iterations=_MARGIN), dtype=bool)


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _free_part(drawn: Mask) -> str:
    """What to crop to, as an option of the commands: the largest rectangle without the drawing."""
    from resinflow.media.region import crop_text, largest_rectangle

    rows, columns = largest_rectangle(~_widened(drawn))
    enough = (rows.stop - rows.start) * (columns.stop - columns.start) > 0.2 * drawn.size
    return f", e.g. --crop {crop_text(rows, columns)}" if enough else " to a part of it with --crop X0:X1,Y0:Y1"
