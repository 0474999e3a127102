"""Flow fields as xarray datasets and as files: the schema, its checks, saving and loading."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resinflow.core.errors import InvalidInputError, ResinflowError
from resinflow.core.files import replacing
from resinflow.core.flow import COMPONENTS, FlowField
from resinflow.core.formats import FORMATS, Format
from resinflow.core.microstructure import Microstructure
from resinflow.core.report import report_from_dict, report_to_dict
from resinflow.core.schema import DIMENSIONS, GRID, REQUIRED_ATTRIBUTES, REQUIRED_VARIABLES, SCHEMA, UNITS

if TYPE_CHECKING:
    import xarray

_CHECKSUM = "checksum"


def flow_to_dataset(flow: FlowField) -> xarray.Dataset:
    """Return ``flow`` as a Dataset: arrays as variables with units, everything else as attributes."""
    import xarray

    micro = flow.microstructure
    values: dict[str, Any] = {
        "fluid": micro.fluid.astype(np.uint8),
        "velocity": flow.velocity,
        "pressure": flow.pressure,
        "signed_distance": micro.signed_distance,
        "velocity_std": flow.velocity_std,
        "pressure_std": flow.pressure_std,
        "permeability_samples": flow.permeability_samples,
    }
    if flow.face_velocity is not None:
        values |= {f"face_velocity_{axis}": face for axis, face in zip(COMPONENTS, flow.face_velocity, strict=True)}
    variables = {name: (DIMENSIONS[name], array, {"units": UNITS[name]}) for name, array in values.items() if array is not None}
    coordinates: dict[str, Any] = {
        name: (name, (np.arange(count) + 0.5) * step, {"units": "m"})
        for name, count, step in zip(GRID, micro.shape, micro.spacing, strict=True)
    }
    coordinates["component"] = np.array(COMPONENTS, dtype=object)  # fixed-width strings have no Zarr 3 specification
    attributes = {
        "schema": SCHEMA,
        "spacing": list(micro.spacing),
        "axis": flow.axis,
        "pressure_drop": flow.pressure_drop,
        "viscosity": flow.viscosity,
        "boundary": flow.boundary,
        "lateral": flow.lateral,
        "permeability": flow.permeability,
        "provenance": json.dumps(micro.provenance, default=_plain),
        "report": json.dumps(report_to_dict(flow.report), default=_plain) if flow.report is not None else "",
    }
    return xarray.Dataset(variables, coordinates, attributes)


def flow_from_dataset(dataset: xarray.Dataset) -> FlowField:
    """Rebuild a flow field from :func:`flow_to_dataset`.

    Raises:
        InvalidInputError: the dataset does not follow the schema, or its content is not what was saved.
    """
    attrs = dataset.attrs
    if attrs.get("schema") != SCHEMA:
        raise InvalidInputError(f"the schema is {attrs.get('schema')!r}; needed: {SCHEMA!r}.")
    missing = [name for name in REQUIRED_VARIABLES if name not in dataset]
    missing += [name for name in REQUIRED_ATTRIBUTES if name not in attrs]
    if missing:
        raise InvalidInputError(f"{', '.join(missing)} missing; needed: all that resinflow saves.")
    if _CHECKSUM in attrs and attrs[_CHECKSUM] != _checksum(dataset):
        raise InvalidInputError("its content is not what was saved (damaged, or changed by hand); save it again.")

    def array(name: str) -> Any:
        return np.ascontiguousarray(dataset[name].values) if name in dataset else None

    faces = [array(f"face_velocity_{axis}") for axis in COMPONENTS]
    report = json.loads(attrs["report"]) if attrs["report"] else None
    micro = Microstructure(array("fluid"), tuple(attrs["spacing"]), array("signed_distance"), json.loads(attrs["provenance"]))
    return FlowField(
        microstructure=micro,
        velocity=array("velocity"),
        pressure=array("pressure"),
        axis=attrs["axis"],
        pressure_drop=attrs["pressure_drop"],
        viscosity=attrs["viscosity"],
        boundary=attrs["boundary"],
        lateral=attrs["lateral"],
        face_velocity=None if any(face is None for face in faces) else (faces[0], faces[1], faces[2]),
        velocity_std=array("velocity_std"),
        pressure_std=array("pressure_std"),
        permeability_samples=array("permeability_samples"),
        report=report_from_dict(report) if report else None,
    )


def save_flow(flow: FlowField, path: Path) -> Path:
    """Write ``flow`` in the format that the suffix names and return the path.

    The file carries a checksum of its content, so that damage which a format itself does not see (a lost Zarr chunk reads as
    zeros) is found on loading.

    Raises:
        InvalidInputError: an unknown suffix, or a place that cannot be written.
    """
    chosen = _format_of(path)
    dataset = flow_to_dataset(flow)
    dataset.attrs[_CHECKSUM] = _checksum(dataset)
    with replacing(path) as temporary:
        chosen.write(dataset, temporary)
    return path


def load_flow(path: Path) -> FlowField:
    """Read a flow field that :func:`save_flow` wrote.

    Raises:
        InvalidInputError: no such file, an unknown suffix, or a damaged file; the message names the file.
    """
    chosen = _format_of(path)
    if not path.exists():
        raise InvalidInputError(f"{path} does not exist; needed: a flow field that resinflow saved.")
    try:
        return flow_from_dataset(chosen.read(path))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} cannot be used as a flow field: {error}") from error
    except (ResinflowError, MemoryError):
        raise
    except Exception as error:  # every backend has its own errors for a truncated or foreign file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidInputError(f"{path} cannot be read as a flow field ({reason}); save it again.") from error


def _format_of(path: Path) -> Format:
    chosen = FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise InvalidInputError(f"the suffix of {path.name} is {path.suffix!r}; needed: one of {', '.join(FORMATS)}.")
    return chosen


def _checksum(dataset: xarray.Dataset) -> int:
    """CRC-32 over the attributes and over names, types and bytes of all arrays, in the order of their names."""
    attributes = {name: np.asarray(value).tolist() for name, value in dataset.attrs.items() if name != _CHECKSUM}
    value = zlib.crc32(json.dumps(attributes, sort_keys=True).encode())
    for name in sorted(map(str, dataset.data_vars)):
        array = np.ascontiguousarray(dataset[name].values)
        value = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), value)
        value = zlib.crc32(array.data, value)
    return value


def _plain(value: Any) -> Any:
    """Provenance and reports may hold numpy numbers and paths: return what JSON can write in their place."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
