"""What a flow's K stands beside: the diameter of its fibres, Gebart's value for them, and what is implausible."""

from __future__ import annotations

from dataclasses import dataclass

from resinflow.flow import FlowField, InvalidInputError


@dataclass(frozen=True)
class Plausibility:
    """What tells whether K can be right.

    Attributes:
        fibre_diameter: m, median of the fibres that slices cut whole; None where there is none.
        gebart: m^2, along the flow's axis for fibres along z; None where the fraction has no value.
        warnings: what is implausible.
    """

    fibre_diameter: float | None
    gebart: float | None = None
    warnings: tuple[str, ...] = ()


def plausibility_of(flow: FlowField) -> Plausibility:
    """Return what K of a flow stands beside."""
    from resinflow.media import estimate_fibre_diameter, fibre_diameter_warning, gebart_permeability, gebart_warning

    micro, permeability = flow.microstructure, flow.permeability
    diameter = estimate_fibre_diameter(micro)
    if diameter is None:
        return Plausibility(None)
    of_diameter = None if "warnings" in micro.provenance else fibre_diameter_warning(diameter)  # else the medium's line said it
    direction = "longitudinal" if flow.axis == "z" else "transverse"
    try:
        gebart = gebart_permeability(micro.fibre_fraction, diameter, direction=direction)
    except InvalidInputError:  # a fraction beyond the closest packing has no Gebart value
        return Plausibility(diameter, None, (of_diameter,) if of_diameter else ())
    of_gebart = gebart_warning(permeability, micro.fibre_fraction, diameter, direction) if permeability > 0 else None
    return Plausibility(diameter, gebart, tuple(warning for warning in (of_diameter, of_gebart) if warning))
