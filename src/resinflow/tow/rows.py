"""A permeability tensor as the rows of a table: one an axis, with Gebart's value for that direction."""

from __future__ import annotations

from typing import Any

from resinflow.flow import COMPONENTS, DARCY, InvalidInputError, PermeabilityTensor
from resinflow.media import gebart_permeability

TABLE_SUFFIXES = (".csv", ".json")
COLUMNS = (
    *("medium", "axis", "K_m2", "K_um2", "K_darcy", "K_to_x_m2", "K_to_y_m2", "K_to_z_m2", "gebart_m2"),
    *("dx_m", "dy_m", "fibre_fraction", "fibre_diameter_m", "boundary", "lateral", "symmetric"),
    *("positive_definite", "solver_error", "seconds", "warnings", "error", "key"),
)
"""Columns of a table: K along the axis, the column of the tensor (what flows to x, y, z under a gradient along the axis)."""


def gebart_values(tensor: PermeabilityTensor) -> tuple[float, float, float] | None:
    """Return Gebart's K (m^2) along x, y and z for fibres along z, as a hexagonal array: across, across, along them.

    None where no fibre is cut whole or the fraction has no value.
    """
    if tensor.fibre_diameter is None:
        return None
    try:
        across, along = (
            gebart_permeability(tensor.fibre_fraction, tensor.fibre_diameter, direction=direction)
            for direction in ("transverse", "longitudinal")
        )
    except InvalidInputError:  # no fibres, or denser than the closest packing
        return None
    return across, across, along


def tensor_rows(medium: str, tensor: PermeabilityTensor) -> list[dict[str, Any]]:
    """Return one row an axis by the names of :data:`COLUMNS`, those of the table itself (error, key) apart."""
    gebart = gebart_values(tensor)
    _, dy, dx = tensor.provenance.get("spacing", (None, None, None))
    rows = []
    for place, axis in enumerate(COMPONENTS):
        value = float(tensor.values[place, place])
        rows.append(
            {
                "medium": medium,
                "axis": axis,
                "K_m2": value,
                "K_um2": value * 1e12,
                "K_darcy": value / DARCY,
                **{f"K_to_{other}_m2": float(tensor.values[k, place]) for k, other in enumerate(COMPONENTS)},
                "gebart_m2": None if gebart is None else gebart[place],
                "dx_m": dx,
                "dy_m": dy,
                "fibre_fraction": tensor.fibre_fraction,
                "fibre_diameter_m": tensor.fibre_diameter,
                "boundary": tensor.boundary,
                "lateral": tensor.lateral,
                "symmetric": tensor.is_symmetric,
                "positive_definite": tensor.is_positive_definite,
                "solver_error": tensor.errors[place],
                "seconds": tensor.wall_time,
                "warnings": "; ".join(tensor.warnings),
            }
        )
    return rows
