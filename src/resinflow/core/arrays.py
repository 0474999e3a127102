"""Checks of arrays and numbers that come from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.core.errors import InvalidInputError

_KEPT = (np.dtype(np.float32), np.dtype(np.float64))
"""Every file format that a field can be saved in holds these two exactly."""


def check_array(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Return ``values`` as a read-only float array of ``shape``.

    float32 and float64 come back as a view without a copy (the given array stays writable for its owner); every other kind
    of number is converted to float64.

    Raises:
        InvalidInputError: another shape, something else than real numbers, NaN or infinite values.
    """
    array = np.asarray(values)
    if array.shape != shape:
        raise InvalidInputError(f"{name} has shape {array.shape}; needed: {shape}.")
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(f"{name} holds values of type {array.dtype}; needed: real numbers.")
    array = array.view() if array.dtype in _KEPT else array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InvalidInputError(f"{name} holds NaN or infinite values; needed: finite numbers everywhere.")
    array.setflags(write=False)
    return array


def check_positive(name: str, value: Any, unit: str) -> float:
    """Return ``value`` as a float, or raise InvalidInputError unless it is a finite number above zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not (np.isfinite(number) and number > 0):
        raise InvalidInputError(f"{name} is {value!r}; needed: a positive number in {unit}.")
    return number
