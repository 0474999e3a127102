"""Pictures whose pixels are numbers of a palette: greys where the palette is a scale of greys, labels where it is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError
from resinflow.media.picture import Picture, luminance, picture_of

_SCALE = 0.98
"""Correlation of ranks from which on the brightness of a palette rises or falls with its numbers."""


def of_palette(numbers: NDArray, colours: NDArray[np.uint8], name: str, opacity: NDArray | None = None) -> Picture:
    """Return the picture that the numbers of a palette stand for.

    Where all colours in use are grey, or few enough for a mask, the picture has their greys. A palette of colours that grow
    brighter (or darker) with their numbers shows greys in false colours, and the picture has their luminance. Otherwise the
    numbers are labels and stay what they are.

    Args:
        numbers: (ny, nx) or (nz, ny, nx), whole numbers.
        colours: (colours, 3), red, green and blue of each number.
        name: of the file, for messages.
        opacity: like ``numbers``; None where the image is opaque.

    Raises:
        InvalidInputError: a number beyond the palette.
    """
    used = np.unique(numbers)
    if used.size and used[-1] >= len(colours):
        raise InvalidInputError(f"{name} uses colour {used[-1]} of a palette of {len(colours)}; export the image again.")
    opaque = None if opacity is None else opacity >= max(int(opacity.max()) / 2, 1)
    if (colours[used] == colours[used][:, :1]).all():
        return picture_of(colours[:, 0][numbers], name, opaque)
    shades = luminance(colours)
    if len(used) > 2 and not _is_scale(used, shades[used].astype(float)):
        labels = picture_of(numbers, name, opaque).noted(
            f"the colours of {name} are no scale of greys: the numbers of its palette are taken for labels"
        )
        return Picture(labels.name, labels.values, labels.opaque, numbers=True, notes=labels.notes)
    return picture_of(shades[numbers], name, opaque).noted(
        f"{name} shows greys in the colours of a palette: their luminance is taken"
    )


def _is_scale(used: NDArray, shades: NDArray[np.float64]) -> bool:
    """Whether brightness rises or falls with the numbers of a palette."""
    ranks = np.argsort(np.argsort(shades, kind="stable"), kind="stable")
    return bool(np.ptp(shades) > 0 and abs(np.corrcoef(ranks, np.arange(len(used)))[0, 1]) >= _SCALE)
