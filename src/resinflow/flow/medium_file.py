"""Media on disk, in the formats of flow fields: mask, distance and samples of the surfaces, spacing, provenance; no flow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.files import DIMENSIONS, GRID, MEDIUM_SCHEMA, SCHEMA, UNITS, check_dataset, reading, save_dataset
from resinflow.flow.microstructure import Microstructure

if TYPE_CHECKING:
    import xarray


def save_medium(micro: Microstructure, path: str | Path) -> Path:
    """Write a medium to ``path``: .zarr, .nc, .npz, or .vti (ParaView); replaces an older file in one step.

    ``resinflow solve`` and ``resinflow predict`` take it: it has the same mask, fibre surfaces and samples of them.

    Raises:
        InvalidInputError: an unknown suffix, or a place that cannot be written.
    """
    import xarray

    values = {
        "fluid": micro.fluid.astype(np.uint8),
        "signed_distance": micro.signed_distance,
        "displacements": micro.displacements,
    }
    variables = {name: (DIMENSIONS[name], array, {"units": UNITS[name]}) for name, array in values.items() if array is not None}
    attributes = {
        "schema": MEDIUM_SCHEMA,
        "spacing": list(micro.spacing),
        "provenance": json.dumps(micro.provenance, default=plain),
    }
    return save_dataset(xarray.Dataset(variables, grid_coordinates(micro), attributes), Path(path))


def load_medium(path: str | Path) -> Microstructure:
    """Return the medium in a file that :func:`save_medium` wrote, or that of a saved flow field.

    Raises:
        InvalidInputError: no such file, an unknown suffix, or a damaged file; the message names the file.
    """
    with reading(Path(path)) as dataset:
        check_dataset(dataset, MEDIUM_SCHEMA if dataset.attrs.get("schema") == MEDIUM_SCHEMA else SCHEMA)
        return medium_of(dataset)


def medium_of(dataset: xarray.Dataset) -> Microstructure:
    """Return the medium of a dataset, be it a medium's or a flow field's.

    Raises:
        InvalidInputError: arrays that are no medium, or a provenance that is no mapping.
    """
    provenance = json.loads(dataset.attrs["provenance"])
    if not isinstance(provenance, dict):
        raise InvalidInputError(f"its provenance is {type(provenance).__name__}; needed: a mapping.")
    fluid, distance, displacements = (
        np.ascontiguousarray(dataset[name].values) if name in dataset else None
        for name in ("fluid", "signed_distance", "displacements")
    )
    return Microstructure(np.asarray(fluid), tuple(dataset.attrs["spacing"]), distance, provenance, displacements)


def grid_coordinates(micro: Microstructure) -> dict[str, Any]:
    """Return the coordinates of the voxel centres along (z, y, x) as a dataset holds them, m."""
    return {
        name: (name, (np.arange(count) + 0.5) * step, {"units": "m"})
        for name, count, step in zip(GRID, micro.shape, micro.spacing, strict=True)
    }


def plain(value: Any) -> Any:
    """Return what JSON can write in the place of a value: provenance and reports may hold numpy numbers and paths."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
