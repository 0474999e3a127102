"""A steady flow through a microstructure: what both the solver and the model return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resinflow.core.arrays import check_array, check_positive
from resinflow.core.errors import InvalidInputError
from resinflow.core.microstructure import AXES, Axis, Microstructure, check_axis
from resinflow.core.report import ModelReport, Report
from resinflow.core.units import format_permeability

if TYPE_CHECKING:
    import xarray

__all__ = ["COMPONENTS", "Boundary", "FlowField", "Lateral", "check_positive"]

Boundary = Literal["pressure", "periodic"]
Lateral = Literal["symmetry", "periodic", "no-slip"]
Base = Literal["planar", "response", "grid"]
"""Flows that a model can correct: each slice by itself, the response flow, or the solver's flow on the stored grid."""
COMPONENTS: tuple[Axis, ...] = ("x", "y", "z")


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

    def to_xarray(self) -> xarray.Dataset:
        """Return the field as an xarray Dataset with named dimensions, coordinates in m and units."""
        from resinflow.core.io import flow_to_dataset

        return flow_to_dataset(self)

    def save(self, path: str | Path) -> Path:
        """Write the field to ``path``: .zarr, .nc, .npz, or .vti (ParaView); replaces an older file in one step.

        Raises:
            InvalidInputError: an unknown suffix, or a place that cannot be written.
        """
        from resinflow.core.io import save_flow

        return save_flow(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> FlowField:
        """Read a field that :meth:`save` wrote.

        Raises:
            InvalidInputError: no such file, an unknown suffix, or a damaged file.
        """
        from resinflow.core.io import load_flow

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
