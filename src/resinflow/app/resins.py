"""Viscosities of common resins and test liquids, with where the values come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RESINS", "Resin"]


@dataclass(frozen=True)
class Resin:
    """A liquid and its viscosity before it cures.

    Attributes:
        name: of the liquid.
        viscosity: Pa s, a typical value: a batch may differ by a third, and the temperature changes it by more.
        condition: at which it has it.
        source: where it is said.
    """

    name: str
    viscosity: float
    condition: str
    source: str


RESINS = (
    Resin("Epoxy for injection, aerospace (RTM 6)", 0.033, "120 °C", "Hexcel, HexFlow RTM 6 product data sheet"),
    Resin("Epoxy for fast injection (LY 1564)", 0.05, "75 to 100 °C, upper bound", "JEC Composites Magazine 74, 2012, p. 38"),
    Resin("Epoxy for infusion (RIM 135)", 0.25, "25 °C, mixed", "Hexion, Technical Information RIM 135, 2006"),
    Resin("Vinyl ester (Derakane 411-350)", 0.37, "25 °C", "Ineos, Derakane 411-350 technical data sheet"),
    Resin("Acrylic, thermoplastic (Elium 188)", 0.1, "25 °C", "Arkema, Elium 188 technical data sheet"),
    Resin("Caprolactam, for cast polyamide 6", 0.005, "100 °C", "van Rijswijk and Bersee, Composites A 38, 2007, 666"),
    Resin("Glycerol, pure (test liquid)", 1.41, "20 °C", "Segur and Oberstar, Ind. Eng. Chem. 43, 1951, 2117"),
    Resin("Water (test liquid)", 0.001, "20 °C", "IAPWS R12-08, 2008"),
)
