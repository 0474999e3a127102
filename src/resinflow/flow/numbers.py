"""Checks of arrays and numbers that come from outside, numbers that may not exist, lengths and permeabilities as text."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resinflow.flow.errors import InvalidInputError

_KEPT = (np.dtype(np.float32), np.dtype(np.float64))
"""Every file format that a field can be saved in holds these two exactly."""
_PIXEL_SIZE = (1e-9, 1e-3)  # m: what resolves fibres of a few um to a few mm
_LARGEST_DEPTH = 0.1  # m
_POWERS = {"nm": -9, "um": -6, "µm": -6, "mm": -3, "cm": -2, "m": 0}
_LENGTH = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*(nm|[uµμ]m|mm|cm|m)\s*")


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


def check_type(name: str, value: object, kind: type | tuple[type, ...], needed: str) -> None:
    """Raise InvalidInputError unless ``value`` is of a type; ``needed`` says in words what is."""
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} is of type {type(value).__name__}; needed: {needed}.")


def check_whole(name: str, value: Any, least: int) -> int:
    """Return ``value`` as an int, or raise InvalidInputError unless it is a whole number of at least ``least``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise InvalidInputError(f"{name} is {value!r}; needed: a whole number of at least {least}.")
    return int(value)


def read_length(name: str, value: float | str) -> float:
    """Return a length in m: a number is metres, a text may have a unit (nm, um, µm, mm, cm, m), e.g. ``0.47um``.

    Raises:
        InvalidInputError: no number, or another unit.
    """
    match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is None:
            return float(value)
        return float(Decimal(match[1]).scaleb(_POWERS[match[2].replace("μ", "µ")]))  # 0.47um is 0.47e-6 to the last digit
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"the {name} is {value!r}; needed: a length in metres (e.g. 0.47e-6), or with a unit of {', '.join(_POWERS)} "
            "(e.g. 0.47um)."
        ) from None


def check_image_sizes(pixel_size: float | str | None, depth: float | str | None, hint: str = "") -> tuple[float, float]:
    """Return the edge of a pixel and the thickness of a stack (m) as floats, from numbers (m) or texts with a unit.

    Args:
        pixel_size: edge of a square pixel.
        depth: thickness of the whole stack.
        hint: what the image's own tags say, for the message.

    Raises:
        InvalidInputError: one is missing, or is no length that an image of fibres can have.
    """
    if pixel_size is None:
        raise InvalidInputError(
            "the pixel size is missing; needed: the edge of a pixel in metres, since an image does not tell its scale "
            f"(e.g. --pixel-size 0.47um).{hint}"
        )
    if depth is None:
        raise InvalidInputError(
            "the depth is missing; needed: the thickness in metres of the stack, or to which a single image is extruded "
            "(e.g. --depth 50um)."
        )
    low, high = _PIXEL_SIZE
    ranges = (("pixel size", pixel_size, low, high), ("depth", depth, low, _LARGEST_DEPTH))
    lengths = []
    for name, value, smallest, largest in ranges:
        length = read_length(name, value)
        if not smallest <= length <= largest:
            raise InvalidInputError(
                f"the {name} is {value!r}; needed: metres, {smallest:g} to {largest:g} (0.47 um is 0.47e-6 or 0.47um)."
            )
        lengths.append(length)
    return lengths[0], lengths[1]


def ratio(numerator: float, denominator: float) -> float:
    """Return the quotient; NaN unless the denominator is above zero."""
    return numerator / denominator if denominator > 0.0 else float("nan")


def rms(values: NDArray[np.floating]) -> float:
    """Return the root mean square of an array of any shape, in its own unit; NaN over nothing."""
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


DARCY = 9.869233e-13
"""One darcy in m^2 (cP cm/s per atm/cm, exact to seven digits)."""

_UNITS = (("nm", 1e-9, 1e-7), ("um", 1e-6, 1e-3), ("mm", 1e-3, 1.0))
"""Name, metres in one, and the length (m) below which it reads best: half a micrometre is 0.5 um, not 500 nm."""


def format_permeability(permeability: float) -> str:
    """Return a permeability (m^2) in m^2, um^2 and darcy, e.g. ``1.234e-12 m^2 = 1.234 um^2 = 1.25 darcy``."""
    return f"{permeability:.4g} m^2 = {permeability * 1e12:.4g} um^2 = {permeability / DARCY:.4g} darcy"


def permeability_units(name: str, values: ArrayLike) -> dict[str, Any]:
    """Return permeabilities (m^2) as ``{name_m2, name_um2, name_darcy}``: a number each, or lists."""
    array = np.asarray(values, dtype=np.float64)
    return {f"{name}_{unit}": (array / size).tolist() for unit, size in (("m2", 1.0), ("um2", 1e-12), ("darcy", DARCY))}


def format_length(length: float) -> str:
    """Return a length (m) in the unit in which it reads best, e.g. ``0.47 um``."""
    for name, metres, limit in _UNITS:
        if abs(length) < limit:
            return f"{length / metres:.4g} {name}"
    return f"{length:.4g} m"
