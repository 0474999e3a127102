"""What a data set holds for every sample: names, types, dimensions and units of its arrays."""

from __future__ import annotations

from typing import NamedTuple

SCHEMA = "resinflow-data-1"
GRID = ("z", "y", "x")
VECTOR = "component"
PLANAR_VECTOR = "planar_component"


class Field(NamedTuple):
    """One array: its type on disk, the dimensions of one sample, its unit."""

    dtype: str
    dims: tuple[str, ...]
    unit: str


FIELDS: dict[str, Field] = {
    "fluid": Field("uint8", GRID, "1"),
    "signed_distance": Field("float32", GRID, "m"),
    "spacing": Field("float64", ("axis",), "m"),
    "velocity": Field("float32", (VECTOR, *GRID), "m s-1"),
    "pressure": Field("float32", GRID, "Pa"),
    "planar_velocity": Field("float32", (PLANAR_VECTOR, *GRID), "m s-1"),
    "planar_pressure": Field("float32", GRID, "Pa"),
    "response_velocity": Field("float32", (VECTOR, *GRID), "m s-1"),
    "response_pressure": Field("float32", GRID, "Pa"),
    "permeability": Field("float64", (), "m2"),
    "planar_permeability": Field("float64", (), "m2"),
    "response_permeability": Field("float64", (), "m2"),
    "iterations": Field("int32", (), "1"),
    "residual": Field("float64", (), "1"),
    "fingerprint": Field("uint8", ("byte",), "1"),
    "seed": Field("uint64", (), "1"),
    "volume_fraction": Field("float64", (), "1"),
    "diameter": Field("float64", (), "m"),
    "diameter_scatter": Field("float64", (), "1"),
    "misalignment": Field("float64", (), "degree"),
    "complete": Field("uint8", (), "1"),
}
"""Fields of a generated data set."""

GRID_FIELDS: dict[str, Field] = {
    "grid_velocity": Field("float32", (VECTOR, *GRID), "m s-1"),
    "grid_pressure": Field("float32", GRID, "Pa"),
    "grid_permeability": Field("float64", (), "m2"),
}
"""Fields of a data set whose flows were solved on a finer grid: the solver's flow on the stored grid."""

OWN_FIELDS = {**FIELDS, **GRID_FIELDS}
"""Every field that resinflow makes itself."""

GIVEN_PERMEABILITY = "given_permeability"
OPTIONAL_FIELDS = {**GRID_FIELDS, GIVEN_PERMEABILITY: Field("float64", ("entry",), "as published")}
"""Fields that not every data set has; the last one comes with converted sets alone, in whatever form it had."""

ALL_FIELDS = {**FIELDS, **OPTIONAL_FIELDS}
LENGTHS = {"axis": 3, VECTOR: 3, PLANAR_VECTOR: 2, "byte": 32}

REQUIRED = (
    "fluid",
    "spacing",
    "velocity",
    "pressure",
    "planar_velocity",
    "permeability",
    "planar_permeability",
    "fingerprint",
    "complete",
)
"""Fields that every data set has; one that lacks another simply has no array of that name."""
