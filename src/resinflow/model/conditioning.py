"""What the networks see: dimensionless fields of the geometry, the planar flow and the response flow.

Stokes flow is linear, so velocities are measured in the response flow's own RMS speed and pressures in the pressure drop:
any resin and any pressure give the same network input, and lengths enter only as ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.core import FlowField, InvalidInputError, Microstructure

CHANNELS = (
    "fluid",
    "distance",
    "anisotropy",
    "planar_vx",
    "planar_vy",
    "planar_pressure",
    "step_up",
    "step_down",
    "response_vx",
    "response_vy",
    "response_vz",
    "response_pressure",
)
"""Conditions of the networks; the geometry comes first."""
GEOMETRY_CHANNELS = 3
PLANAR = slice(3, 6)
"""The channels that the 2-D branch reconstructs."""
TARGETS = ("vx", "vy", "vz", "pressure")

_PRESSURE_GAIN = 10.0
"""Deviations from the linear pressure profile are about a tenth of the pressure drop."""


@dataclass(frozen=True)
class Conditions:
    """Network input of one medium with flow along x.

    Attributes:
        fields: (channels, nz, ny, nx), float32, zero in the fibres.
        speed: m/s, the unit of velocity.
        drop: Pa, the unit of pressure.
    """

    fields: NDArray[np.float32]
    speed: float
    drop: float


def build_conditions(planar: FlowField, response: FlowField) -> Conditions:
    """Return the conditions for a medium from its planar flow and its response flow (both along x).

    Raises:
        InvalidInputError: flows of different media or drives, or a medium at rest.
    """
    micro = planar.microstructure
    if response.microstructure.fingerprint != micro.fingerprint or response.pressure_drop != planar.pressure_drop:
        raise InvalidInputError("planar flow and response flow differ in medium or pressure drop; needed: the same for both.")
    fluid = micro.fluid
    speed = rms_speed(response)
    if speed == 0:
        raise InvalidInputError("nothing flows through this medium along the axis, so there is no flow to predict: K = 0.")
    drop = planar.pressure_drop
    step_up, step_down = _pressure_steps(planar)
    fields = np.stack(
        [
            fluid,
            _distance(micro),
            np.full(fluid.shape, np.log(micro.spacing[0] / micro.spacing[2])),
            planar.velocity[0] / speed,
            planar.velocity[1] / speed,
            _pressure_deviation(planar),
            step_up,
            step_down,
            *(response.velocity / speed),
            _pressure_deviation(response),
        ]
    )
    return Conditions((fields * fluid).astype(np.float32), speed, drop)


def build_target(truth: FlowField, response: FlowField, speed: float) -> NDArray[np.float32]:
    """Return what the networks learn: truth minus response flow, (4, nz, ny, nx), in units of ``speed`` and pressure drop."""
    velocity = (truth.velocity - response.velocity) / speed
    pressure = (truth.pressure - response.pressure) / truth.pressure_drop
    return (np.concatenate([velocity, pressure[None]]) * truth.microstructure.fluid).astype(np.float32)


def rms_speed(flow: FlowField) -> float:
    """Return the root mean square speed over the fluid voxels, m/s."""
    return float(np.sqrt((flow.velocity**2).sum(axis=0)[flow.microstructure.fluid].mean(dtype=np.float64)))


def _distance(micro: Microstructure) -> NDArray[np.floating]:
    """In-plane distance to the nearest fibre, in units of its mean over the fluid."""
    dz, dy, dx = micro.spacing
    distance = np.stack([np.asarray(ndimage.distance_transform_edt(layer, sampling=(dy, dx))) for layer in micro.fluid])
    return distance / distance[micro.fluid].mean()


def _pressure_deviation(flow: FlowField) -> NDArray[np.floating]:
    """Pressure minus its linear profile, in tenths of the pressure drop."""
    count = flow.microstructure.shape[2]
    linear = 1.0 - (np.arange(count) + 0.5) / count
    return _PRESSURE_GAIN * (flow.pressure / flow.pressure_drop - linear)


def _pressure_steps(planar: FlowField) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Gradient of the planar pressure to the slice above and from the slice below, in units of the mean gradient along x.

    This is what drives resin from slice to slice; zero where either voxel is fibre.
    """
    micro = planar.microstructure
    gradient_unit = planar.pressure_drop / micro.extent[2] * micro.spacing[0]
    step = np.diff(planar.pressure, axis=0) / gradient_unit * (micro.fluid[1:] & micro.fluid[:-1])
    none = np.zeros((1, *micro.shape[1:]))
    return np.concatenate([step, none]), np.concatenate([none, step])
