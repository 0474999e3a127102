"""What a file of a flow field or a medium holds: named arrays and attributes, with their dimensions, units and checksum."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.errors import InvalidInputError

if TYPE_CHECKING:
    import xarray


SCHEMA = "resinflow-flow-1"
MEDIUM_SCHEMA = "resinflow-medium-1"
GRID = ("z", "y", "x")
VECTOR = ("component", *GRID)

DIMENSIONS = {
    "fluid": GRID,
    "velocity": VECTOR,
    "pressure": GRID,
    "signed_distance": GRID,
    "displacements": ("surface_sample", *GRID),
    "velocity_std": VECTOR,
    "pressure_std": GRID,
    "permeability_samples": ("sample",),
    "face_velocity_x": ("z", "y", "x_face"),
    "face_velocity_y": ("z", "y_face", "x"),
    "face_velocity_z": ("z_face", "y", "x"),
}
_UNITS = {
    "fluid": "1",
    "velocity": "m s-1",
    "pressure": "Pa",
    "signed_distance": "m",
    "displacements": "m",
    "velocity_std": "m s-1",
    "pressure_std": "Pa",
    "permeability_samples": "m2",
    "face_velocity_x": "m s-1",
    "face_velocity_y": "m s-1",
    "face_velocity_z": "m s-1",
}
REQUIRED_ARRAYS = {SCHEMA: ("fluid", "velocity", "pressure"), MEDIUM_SCHEMA: ("fluid",)}
_REQUIRED_ATTRIBUTES = {
    SCHEMA: ("spacing", "axis", "pressure_drop", "viscosity", "boundary", "lateral", "provenance", "report"),
    MEDIUM_SCHEMA: ("spacing", "provenance"),
}
FOREIGN = (
    "resinflow did not write it; needed: a flow field that resinflow saved, or the image itself (.tif, .png, .npy) with "
    "--pixel-size and --depth."
)
_CHECKSUM = "checksum"
_COMPONENTS = ("x", "y", "z")


@dataclass(frozen=True)
class Contents:
    """Named arrays and attributes, as the formats write and read them; xarray only where somebody asks for its dataset.

    Attributes:
        arrays: by name; their dimensions are those of ``DIMENSIONS``.
        attributes: plain values.
    """

    arrays: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Any]

    @staticmethod
    def of(dataset: xarray.Dataset) -> Contents:
        """Return what a dataset holds, without its coordinates."""
        return Contents({str(name): array.values for name, array in dataset.data_vars.items()}, dict(dataset.attrs))

    def to_xarray(self) -> xarray.Dataset:
        """Return the dataset: arrays with named dimensions and units, coordinates of the voxel centres in m, attributes."""
        import xarray

        variables = {name: (DIMENSIONS[name], array, {"units": _UNITS[name]}) for name, array in self.arrays.items()}
        sizes = zip(GRID, self.arrays["fluid"].shape, self.attributes["spacing"], strict=True)
        coordinates: dict[str, Any] = {
            name: (name, (np.arange(count) + 0.5) * step, {"units": "m"}) for name, count, step in sizes
        }
        if "velocity" in self.arrays:
            coordinates["component"] = np.array(_COMPONENTS, dtype=object)  # fixed-width strings have no Zarr 3 specification
        return xarray.Dataset(variables, coordinates, self.attributes)

    def array(self, name: str) -> Any:
        """Return an array, contiguous; None where there is none of this name."""
        return np.ascontiguousarray(self.arrays[name]) if name in self.arrays else None

    def signed(self) -> Contents:
        """Return the same with the checksum among the attributes."""
        return Contents(self.arrays, {**self.attributes, _CHECKSUM: self._checksum()})

    def check(self, schema: str = SCHEMA) -> None:
        """Raise InvalidInputError unless this follows the schema and is what was saved."""
        attributes = self.attributes
        if "schema" not in attributes:
            raise InvalidInputError(FOREIGN)
        if attributes["schema"] == MEDIUM_SCHEMA != schema:
            raise InvalidInputError(
                "it holds a medium without a flow; needed: a flow field, which resinflow solve makes of it."
            )
        if attributes["schema"] != schema:
            raise InvalidInputError(f"the schema is {attributes['schema']!r}; needed: {schema!r}.")
        missing = [name for name in REQUIRED_ARRAYS[schema] if name not in self.arrays]
        missing += [name for name in _REQUIRED_ATTRIBUTES[schema] if name not in attributes]
        if missing:
            raise InvalidInputError(f"{', '.join(missing)} missing; needed: all that resinflow saves.")
        if _CHECKSUM in attributes and attributes[_CHECKSUM] != self._checksum():
            raise InvalidInputError("its content is not what was saved (damaged, or changed by hand); save it again.")

    def _checksum(self) -> int:
        """CRC-32 over the attributes and over names, types and bytes of all arrays, in the order of their names."""
        attributes = {name: np.asarray(value).tolist() for name, value in self.attributes.items() if name != _CHECKSUM}
        value = zlib.crc32(json.dumps(attributes, sort_keys=True).encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            value = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), value)
            value = zlib.crc32(array.data, value)
        return value


def plain(value: Any) -> Any:
    """Return what JSON can write in the place of a value: provenance and reports may hold numpy numbers and paths."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
