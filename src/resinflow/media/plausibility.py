"""Is a permeability plausible for its fibres: Gebart's formulas, and the fibre diameter seen in the sections."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from resinflow.flow import InvalidInputError, format_length
from resinflow.media.cases import Arrangement, Direction

_COEFFICIENT: dict[Arrangement, float] = {"hexagonal": 16 / (9 * pi * sqrt(6)), "square": 16 / (9 * pi * sqrt(2))}
_LARGEST_FRACTION: dict[Arrangement, float] = {"hexagonal": pi / (2 * sqrt(3)), "square": pi / 4}
_SHAPE: dict[Arrangement, float] = {"hexagonal": 53.0, "square": 57.0}
_LARGEST_FACTOR = 10.0
_CLOSEST, _FARTHEST = 0.25, 1.0
"""Distances of slices that make one think: in pixels, and in diameters of the fibres."""
_USUAL_DIAMETERS = (2e-6, 2e-4)  # m: carbon 5-8 um, glass 9-25 um, natural and metal fibres up to some 100 um


def gebart_permeability(
    fibre_fraction: float,
    fibre_diameter: float,
    arrangement: Arrangement = "hexagonal",
    direction: Direction = "transverse",
) -> float:
    """Permeability (m^2) of a regular array of parallel fibres, across or along them.

    Gebart 1992, J. Compos. Mater. 26, 1100-1133, with the fibre radius a. Across: ``K / a^2 = C1 (sqrt(Vmax / V) - 1)^2.5``.
    Hexagonal: within 1 % of the exact array for V = 0.3-0.5; square: 18 % high at V = 0.3, 10 % at 0.5. Along:
    ``K / a^2 = (8 / c) (1 - V)^3 / V^2``, c = 53 hexagonal, 57 square: a bundle of pipes of
    the same hydraulic radius. Hexagonal: 2.6 times the exact array at V = 0.3, 2.1 at 0.5, 1.9 at 0.6; square: 2.3, 1.6, 1.2.

    Raises:
        InvalidInputError: an unknown arrangement, a fraction outside (0, Vmax), or a diameter that is not positive.
    """
    radius = checked_radius(fibre_fraction, fibre_diameter, arrangement)
    if direction == "longitudinal":
        return 8 / _SHAPE[arrangement] * (1.0 - fibre_fraction) ** 3 / fibre_fraction**2 * radius**2
    return _COEFFICIENT[arrangement] * (sqrt(_LARGEST_FRACTION[arrangement] / fibre_fraction) - 1.0) ** 2.5 * radius**2


def checked_radius(fibre_fraction: float, fibre_diameter: float, arrangement: Arrangement) -> float:
    """Return the radius of the fibres of an array.

    Raises:
        InvalidInputError: an unknown arrangement, a fraction outside (0, Vmax), or a diameter that is not positive.
    """
    if arrangement not in _LARGEST_FRACTION:
        raise InvalidInputError(f"the arrangement is {arrangement!r}; needed: one of {', '.join(_LARGEST_FRACTION)}.")
    largest = _LARGEST_FRACTION[arrangement]
    if not 0.0 < fibre_fraction < largest:
        raise InvalidInputError(
            f"the fibre fraction is {fibre_fraction:g}; needed: above 0 and below {largest:.4f} ({arrangement} close packing)."
        )
    if not (np.isfinite(fibre_diameter) and fibre_diameter > 0):
        raise InvalidInputError(f"the fibre diameter is {fibre_diameter!r}; needed: a positive length in m.")
    return fibre_diameter / 2


def gebart_warning(
    permeability: float, fibre_fraction: float, fibre_diameter: float, direction: Direction = "transverse"
) -> str | None:
    """Return one line if K (m^2) is more than 10 times from Gebart's hexagonal value, None if it is plausible.

    K = 0 (no path through the medium) and fractions at which the formula has no value give None. A wrong pixel size moves K
    and the diameter measured on the same image alike: give the diameter that the fibre is sold with.

    Raises:
        InvalidInputError: a diameter that is not positive.
    """
    if permeability < 0.0:
        return f"the permeability is {permeability:.3g} m^2: negative, the flow runs against the pressure drop."
    if permeability == 0.0 or not 0.0 < fibre_fraction < _LARGEST_FRACTION["hexagonal"]:
        return None
    expected = gebart_permeability(fibre_fraction, fibre_diameter, direction=direction)
    factor = permeability / expected
    if 1.0 / _LARGEST_FACTOR <= factor <= _LARGEST_FACTOR:
        return None
    times = f"{factor:.3g} times" if factor > 1.0 else f"1/{1 / factor:.3g} of"
    return (
        f"the permeability {permeability:.3g} m^2 is {times} Gebart's {expected:.3g} m^2 for fibre fraction "
        f"{fibre_fraction:.3f} and diameter {format_length(fibre_diameter)}; check the units of spacing (m), "
        "viscosity (Pa s) and pressure (Pa)."
    )


def fibre_diameter_warning(fibre_diameter: float) -> str | None:
    """Return one line if the diameter (m) is none that fibres have (2 um to 200 um): the mark of a wrong pixel size."""
    low, high = _USUAL_DIAMETERS
    if low <= fibre_diameter <= high:
        return None
    return (
        f"the fibres are {format_length(fibre_diameter)} thick, outside the usual {format_length(low)} to "
        f"{format_length(high)}; check the pixel size (m)."
    )


def slice_spacing_warning(spacing: tuple[float, float, float], slices: int, fibre_diameter: float | None) -> str | None:
    """Return one line if the slices of a stack lie too far apart, or too close, for the depth to be right.

    Args:
        spacing: (dz, dy, dx), m.
        slices: number of slices.
        fibre_diameter: m; None where no fibre is seen whole.
    """
    dz, _, dx = spacing
    depth = format_length(dz * slices)
    if dz < _CLOSEST * dx:
        return (
            f"the {slices} slices are {format_length(dz)} apart, 1/{dx / dz:.3g} of a pixel; is {depth} the distance of two "
            f"slices? The depth is the thickness of the whole stack, {format_length(dz * slices * slices)} then."
        )
    if fibre_diameter is not None and dz > _FARTHEST * fibre_diameter:
        return (
            f"the {slices} slices are {format_length(dz)} apart, {dz / fibre_diameter:.3g} times the fibres' diameter "
            f"({format_length(fibre_diameter)}), and each is taken to go on straight for as far; check the depth of the whole "
            f"stack ({depth}), or draw what lies between them (resinflow predict --slice-spacing, rf.draw_media)."
        )
    return None
