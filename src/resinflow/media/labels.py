"""Label images: few values in plain areas, classes or one number a fibre, of which the user says which are fibres."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError
from resinflow.media.picture import Mask

FibreLabel = int | float | str
"""One value, several as ``1,3``, or ``nonzero``."""

_FEW = 16
"""Values up to which an image may hold classes; more are labels where each is a number of one fibre."""
_PLAIN = 0.5
"""Share of the pixels that have the grey of all their neighbours, in an image of labels, at least."""
_IN_PLAIN_AREAS = 0.99
"""Share of the pixels whose value has an area of its own somewhere: not so the greys along blurred edges."""
_PIECES = 2.5
"""Pieces of a value in one slice, in the mean, where values number the fibres."""
_SHOWN = 8
_NAMES = re.compile(r"\s*-?\d+(\.\d*)?\s*(,\s*-?\d+(\.\d*)?\s*)*")


def distinct_values(stack: NDArray, most: int = 1 << 16) -> NDArray | None:
    """Return the different values of a stack in rising order; None where they are more than ``most``, or no whole numbers."""
    if stack.dtype.kind == "f" and not np.array_equal(stack, np.rint(stack)):
        low, high = stack.min(), stack.max()
        return np.unique([low, high]) if ((stack == low) | (stack == high)).all() else None
    values = np.unique(stack)
    return values if len(values) <= most else None


def has_labels(stack: NDArray, values: NDArray) -> bool:
    """Return whether a stack (nz, ny, nx) of three ``values`` or more holds labels, not greys.

    Labels fill plain areas and change at once from one to another. Greys have noise, or pass through all values between at
    blurred edges. The middle slice decides.
    """
    if len(values) < 3:
        return False
    page = stack[len(stack) // 2]
    number = np.searchsorted(values, page)
    core = _core(number)
    if core.mean() < _PLAIN:
        return False
    with_area = np.bincount(number[core], minlength=len(values)) > 0
    if with_area[number].mean() < _IN_PLAIN_AREAS:
        return False
    return len(np.unique(number)) <= _FEW or _number_fibres(number)


def labelled_fibres(stack: NDArray, values: NDArray | None, label: FibreLabel, name: str) -> Mask:
    """Return the fibres (nz, ny, nx) of a stack by their labels.

    Args:
        stack: labels, or a mask.
        values: all its different values; None for greys.
        label: value of the fibres, several as ``1,3``, or ``nonzero``.
        name: of the image, for messages.

    Raises:
        InvalidInputError: greys, a label that cannot be read, or one that the image does not hold.
    """
    if values is None or not (len(values) <= _FEW or has_labels(stack, values)):
        raise InvalidInputError(
            f"{name} holds greys (from {stack.min():g} to {stack.max():g}), not labels; leave out --fibre-label."
        )
    if label == "nonzero":
        return stack != 0
    text = str(label)
    if not _NAMES.fullmatch(text):
        raise InvalidInputError(f"--fibre-label is {text!r}; needed: a value, several as 1,3, or nonzero.")
    fibres = np.array([float(part) for part in text.split(",")])
    missing = fibres[~np.isin(fibres, values)]
    if missing.size:
        raise InvalidInputError(
            f"--fibre-label is {text!r}, but {name} holds no {missing[0]:g}; it holds {shown(values)}; needed: of these."
        )
    return np.isin(stack, fibres)


def label_error(values: NDArray, name: str) -> InvalidInputError:
    """Return the error that asks for the fibres' labels."""
    seen = f"{name} holds {len(values)} values ({shown(values)}) in plain areas: labels, not greys"
    several = f", several as {values[-2]:g},{values[-1]:g}," if len(values) <= _FEW else ""
    return InvalidInputError(
        f"{seen}; needed: which of them are fibres, e.g. --fibre-label {values[1]:g}{several} or --fibre-label nonzero."
    )


def shown(values: NDArray) -> str:
    """Return values as text, the first and the last of many."""
    names = [f"{value:g}" for value in values]
    return ", ".join(names) if len(names) <= _SHOWN else f"{', '.join(names[: _SHOWN - 2])}, ..., {names[-1]}"


def _core(number: NDArray[np.integer]) -> Mask:
    """Pixels that are like all eight neighbours; those at the border have fewer."""
    edged = np.pad(number, 1, mode="edge")
    ny, nx = number.shape
    core = np.ones(number.shape, dtype=bool)
    for dy in range(3):
        for dx in range(3):
            core &= edged[dy : dy + ny, dx : dx + nx] == number
    return core


def _number_fibres(number: NDArray[np.integer]) -> bool:
    """Whether most values are in one place each, and change to others than the next ones."""
    from skimage.measure import label

    pieces = int(np.max(np.asarray(label(number, background=-1, connectivity=1))))
    return pieces <= _PIECES * len(np.unique(number))
