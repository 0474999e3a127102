"""What the networks of the preset oneslice see of media and flows, in units that any resin and any pixel share."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.flow import FlowField, surface_distance
from resinflow.models import pressure_deviation

__all__ = ["in_units", "section_fields", "section_speed", "speed_unit", "volume_fields"]

_DISTANCE_RANGE = 16.0
"""Pixels beyond which distances are all the same to the networks."""
_SLOWEST = 1e-3
"""The least unit of velocity of a section, in :func:`speed_unit`: nothing may pass a section that a volume lets pass."""
_PLANAR_SPEED = slice(1, 3)


def speed_unit(flow: FlowField) -> float:
    """Return the velocity that the pressure gradient gives a pixel, m/s: mean velocities in it are K over a pixel's area."""
    micro = flow.microstructure
    return flow.pressure_drop / micro.extent[2] / flow.viscosity * micro.spacing[2] ** 2


def volume_fields(truth: FlowField) -> NDArray[np.float32]:
    """Return the fields :data:`resinflow.nn.VOLUME_CHANNELS` of a medium and its flow, (5, nz, ny, nx)."""
    return _fields(truth, truth.velocity)


def section_fields(flow: FlowField) -> NDArray[np.float32]:
    """Return the fields :data:`resinflow.nn.SECTION_CHANNELS` of a section with its flow, (4, 1, ny, nx)."""
    return _fields(flow, flow.velocity[:2])


def section_speed(section: Tensor) -> Tensor:
    """Return the unit of velocity of sections (B, 4, 1, H, W), (B, 1, 1, 1, 1): their RMS speed, in :func:`speed_unit`."""
    square = section[:, _PLANAR_SPEED].square().sum(dim=1, keepdim=True).mean(dim=(2, 3, 4), keepdim=True)
    return square.sqrt().clamp_min(_SLOWEST)


def in_units(fields: Tensor, speed: Tensor) -> Tensor:
    """Return fields (B, C, D, H, W), distance first and pressure last, with their velocities in units of a speed."""
    return torch.cat([fields[:, :1], fields[:, 1:-1] / speed, fields[:, -1:]], dim=1)


def _fields(flow: FlowField, velocity: NDArray[np.floating]) -> NDArray[np.float32]:
    micro = flow.microstructure
    distance = np.clip(surface_distance(micro) / micro.spacing[2], -_DISTANCE_RANGE, _DISTANCE_RANGE)
    pressure = pressure_deviation(flow) * micro.fluid
    parts = [distance[None], velocity / speed_unit(flow), pressure[None]]
    return np.concatenate(parts).astype(np.float32)
