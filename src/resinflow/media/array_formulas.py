"""Permeabilities of arrays of parallel fibres from the literature, beside Gebart's (:mod:`resinflow.media.plausibility`)."""

from __future__ import annotations

from math import log

from resinflow.flow import InvalidInputError
from resinflow.media.cases import Arrangement, Direction
from resinflow.media.plausibility import checked_radius

_ALONG: dict[Arrangement, float] = {"hexagonal": 1.498, "square": 1.476}


def drummond_tahir_permeability(
    fibre_fraction: float,
    fibre_diameter: float,
    arrangement: Arrangement = "hexagonal",
    direction: Direction = "transverse",
) -> float:
    """Permeability (m^2) of a regular array of parallel fibres, across or along them, by matched series.

    Drummond and Tahir 1984, Int. J. Multiphase Flow 10, 515-540, with the fibre radius a and the fraction V. Along:
    ``K / a^2 = (-ln V - c + 2 V - V^2 / 2) / (4 V)``, c = 1.498 hexagonal, 1.476 square. Across, hexagonal:
    ``(-ln V - 1.497 + 2 V - V^2 / 2 - 0.739 V^4 + 2.534 V^5 / (1 + 1.2758 V)) / (8 V)``; square:
    ``(-ln V - 1.476 + (2 V - 0.796 V^2) / (1 + 0.489 V - 1.605 V^2)) / (8 V)``.

    The coefficients are those that later papers quote; the numbers of their equations in the paper were not seen. Against this
    solver (docs/tow.md): along, hexagonal within 1 % for V = 0.2-0.7; square 1 % high at 0.4, 12 % at 0.6. Across, hexagonal
    2 % high at 0.4 and 11 % at 0.5; square 4 % high at 0.3 and 36 % at 0.4: series for thin arrays.

    Raises:
        InvalidInputError: an unknown arrangement, a fraction outside (0, closest packing) or at which the series is not
            positive, or a diameter that is not positive.
    """
    radius = checked_radius(fibre_fraction, fibre_diameter, arrangement)
    v = fibre_fraction
    if direction == "longitudinal":
        value = (-log(v) - _ALONG[arrangement] + 2 * v - v**2 / 2) / (4 * v)
    elif arrangement == "hexagonal":
        value = (-log(v) - 1.497 + 2 * v - v**2 / 2 - 0.739 * v**4 + 2.534 * v**5 / (1 + 1.2758 * v)) / (8 * v)
    else:
        value = (-log(v) - 1.476 + (2 * v - 0.796 * v**2) / (1 + 0.489 * v - 1.605 * v**2)) / (8 * v)
    if not value > 0:
        raise InvalidInputError(f"the fibre fraction is {v:g}, at which the series gives no positive K; needed: a lower one.")
    return value * radius**2


def berdichevsky_cai_permeability(fibre_fraction: float, fibre_diameter: float, direction: Direction = "transverse") -> float:
    """Permeability (m^2) of parallel fibres without order, across or along them, by the self-consistent method.

    Berdichevsky and Cai 1993, Polymer Composites 14, 132-143, with the fibre radius a and the fraction V. Along:
    ``K / a^2 = (ln(1 / V^2) - (3 - V) (1 - V)) / (8 V)``; across: ``K / a^2 = (ln(1 / V) - (1 - V^2) / (1 + V^2)) / (8 V)``.
    One fibre in a shell of resin in the medium that is sought: both are Happel's cells (AIChE J. 5, 1959, 174), which were
    derived again; the numbers of the equations in the paper were not seen. Hexagonal arrays are met within 1 % along up to
    V = 0.3, 3 % at 0.5 and 15 % at 0.7; across it is 40 to 58 % above them (docs/tow.md).

    Raises:
        InvalidInputError: a fraction outside (0, closest packing), or a diameter that is not positive.
    """
    radius = checked_radius(fibre_fraction, fibre_diameter, "hexagonal")
    v = fibre_fraction
    if direction == "longitudinal":
        return (-2 * log(v) - (3 - v) * (1 - v)) / (8 * v) * radius**2
    return (-log(v) - (1 - v**2) / (1 + v**2)) / (8 * v) * radius**2
