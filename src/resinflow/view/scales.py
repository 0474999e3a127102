"""Unit and colours of a field in a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Extend = Literal["neither", "min", "max", "both"]

VELOCITY_UNITS = (("nm/s", 1e-9), ("µm/s", 1e-6), ("mm/s", 1e-3), ("m/s", 1.0))
PRESSURE_UNITS = (("mPa", 1e-3), ("Pa", 1.0), ("kPa", 1e3), ("MPa", 1e6))

SEQUENTIAL = "viridis"
PRESSURE = "plasma"  # no grey in it, unlike cividis: fibres are grey
DIVERGING = "RdBu_r"
ERROR = "PuOr_r"
SPREAD = "magma"

_CLIPPED = 99.8  # percentile at which a scale ends: a few voxels in a throat must not darken the rest
_BACKFLOW = 0.1  # a component that runs backward by less than this part of its largest value reads best from low to high
_LEAST = 1e-2  # of the largest speed: a component below it is drawn pale, so that the solver's error of a zero stays invisible


@dataclass(frozen=True)
class ColourScale:
    """Colour map, limits in ``unit``, and the unit with its size in SI."""

    colours: str
    low: float
    high: float
    unit: str
    size: float

    def extend(self, fields: Sequence[NDArray[np.floating]]) -> Extend:
        """Return on which sides values of ``fields`` (SI, NaN in the fibres) leave the scale."""
        values = np.concatenate([field[np.isfinite(field)] for field in fields]) / self.size
        tolerance = 1e-6 * (self.high - self.low)
        below = bool((values < self.low - tolerance).any())
        above = bool((values > self.high + tolerance).any())
        if below and above:
            return "both"
        return "min" if below else "max" if above else "neither"


def unit_for(largest: float, units: Sequence[tuple[str, float]] = VELOCITY_UNITS) -> tuple[str, float]:
    """Return the largest of ``units`` (rising) in which ``largest`` (SI) is at least 1; the smallest if there is none."""
    fitting = [unit for unit in units if abs(largest) >= unit[1]]
    return fitting[-1] if fitting else units[0]


def sequential(
    field: NDArray[np.floating], units: Sequence[tuple[str, float]] = VELOCITY_UNITS, colours: str = SEQUENTIAL
) -> ColourScale:
    """Return a scale from zero (or the lowest value, if negative) to the largest value of ``field`` (SI, NaN in the fibres)."""
    values = field[np.isfinite(field)]
    high = float(np.percentile(values, _CLIPPED)) if values.size else 0.0
    low = min(0.0, float(np.percentile(values, 100 - _CLIPPED))) if values.size else 0.0
    unit, size = unit_for(max(high, -low), units)
    if high <= low:
        high = low + size
    return ColourScale(colours, low / size, high / size, unit, size)


def diverging(
    field: NDArray[np.floating],
    units: Sequence[tuple[str, float]] = VELOCITY_UNITS,
    colours: str = DIVERGING,
    least: float = 0.0,
) -> ColourScale:
    """Return a scale symmetric about zero up to the largest |value| of ``field`` (SI), at least ``least`` wide to each side."""
    values = np.abs(field[np.isfinite(field)])
    largest = max(float(np.percentile(values, _CLIPPED)) if values.size else 0.0, least)
    unit, size = unit_for(largest, units)
    limit = largest / size if largest > 0.0 else 1.0
    return ColourScale(colours, -limit, limit, unit, size)


def for_component(field: NDArray[np.floating], speed: float) -> ColourScale:
    """Return the scale of a velocity component: from low to high if it runs one way, symmetric about zero otherwise.

    Args:
        field: (ny, nx), m/s, NaN in the fibres.
        speed: largest speed of the figure, m/s; a component below a hundredth of it is drawn pale.
    """
    values = field[np.isfinite(field)]
    least = _LEAST * speed
    if values.size and values.max() > least and values.min() > -_BACKFLOW * values.max():
        return sequential(field)
    return diverging(field, least=least)


def scales_of(fields: Mapping[str, NDArray[np.floating]]) -> dict[str, ColourScale]:
    """Return the scale of every field of a slice: "|v|", "vx", "vy", "vz" and "p" (SI, NaN in the fibres)."""
    speed = sequential(fields["|v|"])
    largest = speed.high * speed.size
    scales = {"|v|": speed}
    scales |= {name: for_component(fields[name], largest) for name in ("vx", "vy")}
    # vz changes sign about the fibres' tilt and is small: always its own symmetric scale
    scales["vz"] = diverging(fields["vz"], least=_LEAST * largest)
    scales["p"] = sequential(fields["p"], PRESSURE_UNITS, PRESSURE)
    return scales
