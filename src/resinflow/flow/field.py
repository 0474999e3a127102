"""A steady flow through a microstructure: what both the solver and the model return."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.contents import SCHEMA, Contents, plain
from resinflow.flow.drive import Boundary, Drive, Lateral
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.files import reading, save_contents
from resinflow.flow.grid import COMPONENTS, Faces, turned, turned_spacing, turned_vectors
from resinflow.flow.markup import html_table
from resinflow.flow.microstructure import AXES, Axis, Microstructure, check_axis
from resinflow.flow.numbers import check_array, check_positive, format_permeability
from resinflow.flow.report import ModelReport, Report, report_from_dict, report_to_dict

if TYPE_CHECKING:
    import xarray


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
        face_velocity: optional staggered velocities, m/s: x components on x faces (nz, ny, nx+1), y components on y faces
            (nz, ny+1, nx), z components on z faces (nz+1, ny, nx); with their spacing :attr:`faces`.
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
        Drive(self.axis, self.pressure_drop, self.viscosity, self.boundary, self.lateral)  # refuses unknown conditions
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        flow = f"along {self.axis}, K = {format_permeability(self.permeability)}"
        warnings = self.report.warnings if self.report is not None else ()
        return f"<FlowField: {'; '.join((flow, self.microstructure.describe(), *warnings))}>"

    def _repr_html_(self) -> str:
        sides = "periodic" if self.boundary == "periodic" else f"pressure with {self.lateral} sides"
        rows = [(f"K{self.axis}{self.axis}", format_permeability(self.permeability))]
        if self.permeability_interval is not None:
            low, high = (format_permeability(end) for end in self.permeability_interval)
            rows.append(("90 % interval", f"{low} to {high}"))
        rows += [
            ("drive", f"{self.pressure_drop:g} Pa along {self.axis}, viscosity {self.viscosity:g} Pa s, {sides}"),
            ("medium", self.microstructure.describe()),
            *(("note", warning) for warning in (self.report.warnings if self.report is not None else ())),
        ]
        return html_table("Flow field", rows)

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

    def contents(self) -> Contents:
        """Return what a file of the field holds."""
        micro = self.microstructure
        values: dict[str, Any] = {
            "fluid": micro.fluid.astype(np.uint8),
            "velocity": self.velocity,
            "pressure": self.pressure,
            "signed_distance": micro.signed_distance,
            "velocity_std": self.velocity_std,
            "pressure_std": self.pressure_std,
            "permeability_samples": self.permeability_samples,
        }
        if self.face_velocity is not None:
            values |= {f"face_velocity_{axis}": face for axis, face in zip(COMPONENTS, self.face_velocity, strict=True)}
        attributes = {
            "schema": SCHEMA,
            "spacing": list(micro.spacing),
            "axis": self.axis,
            "pressure_drop": self.pressure_drop,
            "viscosity": self.viscosity,
            "boundary": self.boundary,
            "lateral": self.lateral,
            "permeability": self.permeability,
            "provenance": json.dumps(micro.provenance, default=plain),
            "report": json.dumps(report_to_dict(self.report), default=plain) if self.report is not None else "",
        }
        return Contents({name: array for name, array in values.items() if array is not None}, attributes)

    @staticmethod
    def from_contents(contents: Contents) -> FlowField:
        """Return the field in a file's contents.

        Raises:
            InvalidInputError: contents that do not follow the schema, or are not what was saved.
        """
        contents.check()
        attributes, array = contents.attributes, contents.array
        faces = [array(f"face_velocity_{axis}") for axis in COMPONENTS]
        return FlowField(
            microstructure=Microstructure.from_contents(contents),
            velocity=array("velocity"),
            pressure=array("pressure"),
            axis=attributes["axis"],
            pressure_drop=attributes["pressure_drop"],
            viscosity=attributes["viscosity"],
            boundary=attributes["boundary"],
            lateral=attributes["lateral"],
            face_velocity=None if any(face is None for face in faces) else (faces[0], faces[1], faces[2]),
            velocity_std=array("velocity_std"),
            pressure_std=array("pressure_std"),
            permeability_samples=array("permeability_samples"),
            report=report_from_dict(json.loads(attributes["report"])) if attributes["report"] else None,
        )

    def to_xarray(self) -> xarray.Dataset:
        """Return the field as a Dataset: arrays with named dimensions, coordinates in m and units; the rest as attributes."""
        return self.contents().to_xarray()

    @staticmethod
    def from_xarray(dataset: xarray.Dataset) -> FlowField:
        """Return the field of which :meth:`to_xarray` made ``dataset``.

        Raises:
            InvalidInputError: the dataset does not follow the schema, or its content is not what was saved.
        """
        return FlowField.from_contents(Contents.of(dataset))

    def save(self, path: str | Path) -> Path:
        """Write the field to ``path``: .zarr, .nc, .npz, or .vti (ParaView); replaces an older file in one step.

        Raises:
            InvalidInputError: an unknown suffix, or a place that cannot be written.
        """
        return save_contents(self.contents(), Path(path))

    @staticmethod
    def load(path: str | Path) -> FlowField:
        """Return the field that :meth:`save` wrote to ``path``.

        Raises:
            InvalidInputError: no such file, an unknown suffix, or a damaged file; the message names the file.
        """
        with reading(Path(path)) as contents:
            return FlowField.from_contents(contents)


def check_flow(flow: Any) -> FlowField:
    """Return ``flow``, or raise InvalidInputError unless it is a flow field."""
    if not isinstance(flow, FlowField):
        what = f"an array of shape {flow.shape}" if isinstance(flow, np.ndarray) else f"of type {type(flow).__name__}"
        raise InvalidInputError(
            f"the flow is {what}; needed: a FlowField, e.g. rf.solve(...), model.predict(...) or rf.FlowField.load(path)."
        )
    return flow


def _checked_faces(faces: Any, shape: tuple[int, int, int]) -> tuple[NDArray[np.floating], ...]:
    if len(faces) != len(COMPONENTS):
        raise InvalidInputError(f"face_velocity holds {len(faces)} arrays; needed: three, on the x, y and z faces.")
    checked = []
    for component, values in zip(COMPONENTS, faces, strict=True):
        needed = tuple(count + (name == component) for name, count in zip(AXES, shape, strict=True))
        checked.append(check_array(f"face_velocity on the {component} faces", values, needed))
    return tuple(checked)
