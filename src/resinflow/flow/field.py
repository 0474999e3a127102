"""A steady flow through a microstructure: what both the solver and the model return."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import AXES, Axis, Microstructure, check_axis
from resinflow.flow.numbers import check_array, check_positive, format_permeability
from resinflow.flow.report import ModelReport, Report

if TYPE_CHECKING:
    import xarray
import json
import zlib
from typing import TYPE_CHECKING

from resinflow.flow.atomic import replacing
from resinflow.flow.drive import Boundary, Drive, Lateral
from resinflow.flow.errors import ResinflowError
from resinflow.flow.files import DIMENSIONS, FORMATS, GRID, REQUIRED_ATTRIBUTES, REQUIRED_VARIABLES, SCHEMA, UNITS, Format
from resinflow.flow.grid import COMPONENTS, Faces, turned, turned_spacing, turned_vectors
from resinflow.flow.report import report_from_dict, report_to_dict

Base = Literal["planar", "response", "grid"]
"""Flows that a model can correct: each slice by itself, the response flow, or the solver's flow on the stored grid."""


@dataclass(frozen=True, eq=False, repr=False)
class FlowField:
    """Velocity and pressure of a steady Stokes flow; the arrays are read-only views, not copies.

    Attributes:
        microstructure: the medium.
        velocity: (3, nz, ny, nx), components (x, y, z), m/s, means over the voxels; zero in the fibres, but for voxels that a
            fibre surface cuts where the flow knows the surface.
        pressure: (nz, ny, nx), Pa; zero in the fibres.
        axis: direction of the driving pressure drop.
        pressure_drop: Pa over the length of the box.
        viscosity: Pa s.
        boundary: ``pressure`` (inlet and outlet pressure) or ``periodic`` (mean pressure gradient).
        lateral: condition on the other faces.
        face_velocity: optional staggered velocities (u on x faces (nz, ny, nx+1), v on y faces, w on z faces), m/s.
        velocity_std: optional (3, nz, ny, nx), spread between the samples of a model, m/s.
        pressure_std: optional (nz, ny, nx), the same of the pressure, Pa.
        permeability_samples: optional (samples,), m^2.
        report: how the field was obtained.

    Raises:
        InvalidInputError: arrays that do not fit the medium, NaN, an unknown axis or condition, or a non-positive viscosity or
            pressure drop.
    """

    microstructure: Microstructure
    velocity: NDArray[np.floating]
    pressure: NDArray[np.floating]
    axis: Axis
    pressure_drop: float
    viscosity: float
    boundary: Boundary = "pressure"
    lateral: Lateral = "symmetry"
    face_velocity: tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]] | None = None
    velocity_std: NDArray[np.floating] | None = None
    permeability_samples: NDArray[np.floating] | None = None
    report: Report | None = None
    pressure_std: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        shape = self.microstructure.shape
        checked: dict[str, Any] = {
            "velocity": check_array("velocity", self.velocity, (3, *shape)),
            "pressure": check_array("pressure", self.pressure, shape),
            "viscosity": check_positive("viscosity", self.viscosity, "Pa s"),
            "pressure_drop": check_positive("pressure_drop", self.pressure_drop, "Pa"),
        }
        if self.velocity_std is not None:
            checked["velocity_std"] = check_array("velocity_std", self.velocity_std, (3, *shape))
        if self.pressure_std is not None:
            checked["pressure_std"] = check_array("pressure_std", self.pressure_std, shape)
        if self.permeability_samples is not None:
            checked["permeability_samples"] = check_array(
                "permeability_samples", self.permeability_samples, (np.size(self.permeability_samples),)
            )
        if self.face_velocity is not None:
            checked["face_velocity"] = _checked_faces(self.face_velocity, shape)
        check_axis(self.axis)
        _check_choice("boundary", self.boundary, Boundary)
        _check_choice("lateral", self.lateral, Lateral)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        flow = f"along {self.axis}, K = {format_permeability(self.permeability)}"
        return f"<FlowField: {flow}; {self.microstructure.describe()}>"

    @cached_property
    def permeability(self) -> float:
        """K = viscosity * superficial velocity * length / pressure drop, m^2 (velocity averaged over the WHOLE box)."""
        mean = float(self.velocity[COMPONENTS.index(self.axis)].mean(dtype=np.float64))
        return self.viscosity * mean * self.length / self.pressure_drop

    @property
    def permeability_interval(self) -> tuple[float, float] | None:
        """The interval that holds the true K with a probability of 90 %, m^2; None unless a calibrated model says it."""
        return self.report.permeability_interval if isinstance(self.report, ModelReport) else None

    @property
    def drive(self) -> Drive:
        """What drives the flow."""
        return Drive(self.axis, self.pressure_drop, self.viscosity, self.boundary, self.lateral)

    @property
    def length(self) -> float:
        """Length of the box along the flow axis, m."""
        return self.microstructure.extent[AXES.index(self.axis)]

    @cached_property
    def open_voxels(self) -> NDArray[np.bool_]:
        """Voxels (nz, ny, nx) that resin passes: those of the fluid, and fibre voxels with a velocity, which a surface cuts."""
        passed = self.microstructure.fluid | (self.velocity != 0).any(axis=0)
        passed.setflags(write=False)
        return passed

    @cached_property
    def speed(self) -> NDArray[np.floating]:
        """Magnitude of the velocity (nz, ny, nx), m/s."""
        speed = np.sqrt((self.velocity**2).sum(axis=0))
        speed.setflags(write=False)
        return speed

    @property
    def faces(self) -> Faces | None:
        """The staggered velocities with their spacing; None where the flow has none."""
        return None if self.face_velocity is None else Faces(*self.face_velocity, self.microstructure.spacing)

    @cached_property
    def rms_speed(self) -> float:
        """Root mean square speed over the fluid voxels, m/s."""
        return float(np.sqrt((self.velocity**2).sum(axis=0)[self.microstructure.fluid].mean(dtype=np.float64)))

    def turned(self) -> FlowField:
        """Return the flow with its axis and x exchanged, a mirror and hence exact: a flow along x; itself where it is one."""
        axis = self.axis
        if axis == "x":
            return self
        micro, faces, distance = self.microstructure, self.faces, self.microstructure.signed_distance
        return replace(
            self,
            microstructure=Microstructure(
                turned(micro.fluid, axis),
                turned_spacing(micro.spacing, axis),
                None if distance is None else turned(distance, axis),
            ),
            velocity=turned_vectors(self.velocity, axis),
            pressure=turned(self.pressure, axis),
            axis="x",
            face_velocity=None if faces is None else faces.turned(axis).components,
            velocity_std=None if self.velocity_std is None else turned_vectors(self.velocity_std, axis),
            pressure_std=None if self.pressure_std is None else turned(self.pressure_std, axis),
        )

    def to_xarray(self) -> xarray.Dataset:
        """Return the field as an xarray Dataset with named dimensions, coordinates in m and units."""
        return flow_to_dataset(self)

    def save(self, path: str | Path) -> Path:
        """Write the field to ``path``: .zarr, .nc, .npz, or .vti (ParaView); replaces an older file in one step.

        Raises:
            InvalidInputError: an unknown suffix, or a place that cannot be written.
        """
        return save_flow(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> FlowField:
        """Read a field that :meth:`save` wrote.

        Raises:
            InvalidInputError: no such file, an unknown suffix, or a damaged file.
        """
        return load_flow(Path(path))


def _checked_faces(faces: Any, shape: tuple[int, int, int]) -> tuple[NDArray[np.floating], ...]:
    if len(faces) != len(COMPONENTS):
        raise InvalidInputError(f"face_velocity holds {len(faces)} arrays; needed: three, on the x, y and z faces.")
    checked = []
    for component, values in zip(COMPONENTS, faces, strict=True):
        needed = tuple(count + (name == component) for name, count in zip(AXES, shape, strict=True))
        checked.append(check_array(f"face_velocity on the {component} faces", values, needed))
    return tuple(checked)


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        raise InvalidInputError(f"{name} is {value!r}; needed: one of {', '.join(get_args(choices))}.")


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
