"""Viscosities of common resins and test liquids: with a source, or as the range that is typical of a kind of resin."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RESINS", "Resin"]


@dataclass(frozen=True)
class Resin:
    """A liquid and its viscosity before it cures.

    Attributes:
        name: of the liquid, or of a kind of resin.
        viscosity: Pa s.
        condition: at which it has it.
        span: Pa s, from and to, that are typical of this kind; None for a liquid with a source.
        source: where its viscosity is said; empty for a kind of resin.
    """

    name: str
    viscosity: float
    condition: str
    span: tuple[float, float] | None = None
    source: str = ""

    @property
    def description(self) -> str:
        """How sure the viscosity is, in a sentence."""
        if self.span is None:
            return f"{self.viscosity:g} Pa s at {self.condition} ({self.source})."
        low, high = self.span
        return (
            f"Typical: {low:g} to {high:g} Pa s at {self.condition}; {self.viscosity:g} is taken. Type the value of your own "
            "resin's data sheet or batch."
        )


RESINS = (
    Resin("Epoxy for injection, hot (as RTM 6)", 0.04, "120 °C", (0.03, 0.1)),
    Resin("Epoxy for infusion, mixed", 0.25, "25 °C", (0.15, 0.4)),
    Resin("Unsaturated polyester for infusion", 0.2, "25 °C", (0.1, 0.5)),
    Resin("Vinyl ester", 0.35, "25 °C", (0.15, 0.5)),
    Resin("Acrylic, thermoplastic (as Elium)", 0.1, "25 °C", (0.05, 0.2)),
    Resin("Caprolactam, for cast polyamide 6", 0.005, "100 °C", (0.003, 0.01)),
    Resin(
        "Epoxy LY 1564 with XB 3458, upper bound",
        0.05,
        "its moulding temperature, 75 to 100 °C",
        source="JEC Composites Magazine 74, 2012, p. 38: less than 50 mPa s",
    ),
    Resin("Glycerol, pure (test liquid)", 1.41, "20 °C", source="Segur and Oberstar, Ind. Eng. Chem. 43, 1951, 2117"),
    Resin("Water (test liquid)", 0.001002, "20 °C", source="IAPWS R12-08, 2008"),
)
