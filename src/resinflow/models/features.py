"""What the networks see: dimensionless fields of the geometry, the planar flow and the base flow.

Stokes flow is linear, so velocities are measured in the base flow's own RMS speed and pressures in the pressure drop:
any resin and any pressure give the same network input, and lengths enter only as ratios. The base flow is what the networks
correct: the solver's flow on the stored grid, or the response flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor

from resinflow.flow import Base, BlockedMediumError, FlowField, InvalidInputError, surface_distance

Condition = Literal[
    "fluid",
    "open",
    "wall",
    "distance",
    "anisotropy",
    "planar_vx",
    "planar_vy",
    "planar_pressure",
    "step_up",
    "step_down",
    "base_vx",
    "base_vy",
    "base_vz",
    "base_pressure",
]
CHANNELS: tuple[Condition, ...] = get_args(Condition)
"""Conditions of the networks; the geometry comes first."""
Learns = Literal["correction", "flow"]
"""What networks give: the correction to the base flow, or the flow itself, its pressure less the linear profile."""
GEOMETRY_CHANNELS = 5
PLANAR = slice(5, 8)
"""The channels that the 2-D branch reconstructs."""
_BASE = CHANNELS.index("base_vx")
TARGETS = ("vx", "vy", "vz", "pressure")

PRESSURE_GAIN = 10.0
"""Deviations from the linear pressure profile are about a tenth of the pressure drop."""
_WALL_RANGE = 2.0
"""Voxels from the fibre surface within which its place is shown to a fraction of a voxel."""
_DISTANCE_RANGE = 6.0
"""Voxels over which the distance saturates."""


@dataclass(frozen=True)
class Conditions:
    """Network input of one medium with flow along x.

    Attributes:
        fields: (channels, nz, ny, nx), float32. Of what is not geometry, all but the base velocity is zero in the fibres, and
            that is zero in voxels that no resin passes.
        speed: m/s, the unit of velocity.
        drop: Pa, the unit of pressure.
        offset: (4, nz, ny, nx), what turns the output of networks into a correction to the base flow, in these units; None
            where their output is one.
    """

    fields: NDArray[np.float32]
    speed: float
    drop: float
    offset: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx), with flow along x."""
        _, nz, ny, nx = self.fields.shape
        return nz, ny, nx


def build_conditions(
    planar: FlowField,
    base: FlowField,
    *,
    speed: float | None = None,
    hidden: Sequence[Condition] = (),
    learns: Learns = "correction",
) -> Conditions:
    """Return the conditions for a medium from its planar flow and its base flow (both along x).

    The fibre surface comes from the medium's signed distance, or is estimated from its mask.

    Args:
        planar: each slice by itself.
        base: the flow that is corrected.
        speed: unit of velocity, m/s; by default the RMS speed of the base flow.
        hidden: conditions to be zeroed; never the mask.
        learns: what the networks give.

    Raises:
        InvalidInputError: flows of different media or drives, or a medium at rest.
    """
    micro = planar.microstructure
    if base.microstructure.fingerprint != micro.fingerprint or base.pressure_drop != planar.pressure_drop:
        raise InvalidInputError("planar flow and base flow differ in medium or pressure drop; needed: the same for both.")
    if base.rms_speed == 0:
        raise BlockedMediumError("nothing flows through this medium along the axis, so there is no flow to predict: K = 0.")
    speed = base.rms_speed if speed is None else speed
    distance = surface_distance(micro) / micro.spacing[2]
    step_up, step_down = _pressure_steps(planar)
    fields = np.empty((len(CHANNELS), *micro.shape), dtype=np.float32)
    fields[0] = micro.fluid
    fields[1] = base.open_voxels
    fields[2] = np.clip(distance, -_WALL_RANGE, _WALL_RANGE) / _WALL_RANGE
    fields[3] = np.tanh(distance / _DISTANCE_RANGE)
    fields[4] = np.log(micro.spacing[0] / micro.spacing[2])
    flat = (planar.velocity[0] / speed, planar.velocity[1] / speed, pressure_deviation(planar), step_up, step_down)
    for channel, values in enumerate(flat, start=GEOMETRY_CHANNELS):
        np.multiply(values, micro.fluid, out=fields[channel], casting="same_kind")
    for channel, component in enumerate(base.velocity, start=_BASE):
        np.divide(component, speed, out=fields[channel], casting="same_kind")
    np.multiply(pressure_deviation(base), micro.fluid, out=fields[-1], casting="same_kind")
    fields[[CHANNELS.index(name) for name in hidden]] = 0
    return Conditions(fields, speed, planar.pressure_drop, None if learns == "correction" else _without(base, speed))


def build_target(truth: FlowField, base: FlowField, conditions: Conditions) -> NDArray[np.float32]:
    """Return what the networks learn, (4, nz, ny, nx), in the units of their conditions: by default truth minus base flow.

    Velocities in the base flow's open voxels, the pressure in the fluid; zero elsewhere.
    """
    velocity = (truth.velocity - base.velocity) / conditions.speed
    pressure = (truth.pressure - base.pressure) / truth.pressure_drop
    target = np.concatenate([velocity, pressure[None]])
    if conditions.offset is not None:
        target = target - conditions.offset
    return (target * defined_voxels(base)).astype(np.float32)


def defined_voxels(base: FlowField) -> NDArray[np.bool_]:
    """Return where a correction to the base flow is defined, (4, nz, ny, nx): velocity in open voxels, pressure in fluid."""
    return np.stack([base.open_voxels] * 3 + [base.microstructure.fluid])


def _without(base: FlowField, speed: float) -> NDArray[np.float32]:
    """The correction that leaves nothing of the base flow but the linear pressure profile, dimensionless."""
    pressure = pressure_deviation(base)[None] / PRESSURE_GAIN
    return -np.concatenate([base.velocity / speed, pressure]).astype(np.float32)


def linear_profile(count: int) -> NDArray[np.floating]:
    """Return the pressure over its drop that falls evenly along x, (count,)."""
    return 1.0 - (np.arange(count) + 0.5) / count


def pressure_deviation(flow: FlowField) -> NDArray[np.floating]:
    """Return the pressure of a flow along x minus its linear profile, (nz, ny, nx), in tenths of the pressure drop."""
    return PRESSURE_GAIN * (flow.pressure / flow.pressure_drop - linear_profile(flow.microstructure.shape[2]))


def _pressure_steps(planar: FlowField) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Gradient of the planar pressure to the slice above and from the slice below, in units of the mean gradient along x.

    This is what drives resin from slice to slice; zero where either voxel is fibre.
    """
    micro = planar.microstructure
    gradient_unit = planar.pressure_drop / micro.extent[2] * micro.spacing[0]
    step = np.diff(planar.pressure, axis=0) / gradient_unit * (micro.fluid[1:] & micro.fluid[:-1])
    none = np.zeros((1, *micro.shape[1:]))
    return np.concatenate([step, none]), np.concatenate([none, step])


_FLUID, _OPEN = CHANNELS.index("fluid"), CHANNELS.index("open")


def open_mask(conditions: Tensor) -> Tensor:
    """Return the voxels (B, 1, D, H, W) that resin passes: those of the fluid, and fibre voxels that a surface cuts."""
    return conditions[:, _OPEN : _OPEN + 1]


def fluid_mask(conditions: Tensor) -> Tensor:
    """Return the voxels (B, 1, D, H, W) whose centre lies in the fluid."""
    return conditions[:, _FLUID : _FLUID + 1]


def target_mask(conditions: Tensor) -> Tensor:
    """Return where the targets (B, 4, D, H, W) are defined: velocities in open voxels, the pressure in those of the fluid."""
    passed, fluid = open_mask(conditions), fluid_mask(conditions)
    return torch.cat([fluid if name == "pressure" else passed for name in TARGETS], dim=1)


Mirror = Literal["x", "y", "z"]
MIRRORS: tuple[Mirror, ...] = ("x", "y", "z")
_ARRAY_AXIS = {"z": -3, "y": -2, "x": -1}


def _changes_sign(name: str, mirror: Mirror) -> bool:
    component = name[-1] if name.startswith(("v", "planar_v", "base_v")) else None
    pressure = "pressure" in name or "step" in name
    if mirror == "x":  # the mirror changes vx, turning the drive back changes all velocities and pressures
        return component in ("y", "z") or pressure
    return component == mirror or (mirror == "z" and "step" in name)


def mirror_fields(fields: Tensor, names: tuple[str, ...], *mirrors: Mirror) -> Tensor:
    """Return ``fields`` (..., channels, nz, ny, nx), named ``names``, of the medium mirrored along each of ``mirrors``.

    The drive stays the same. Mirroring twice gives the fields back.
    """
    if not mirrors:
        return fields
    order = list(range(len(names)))
    if "z" in mirrors and "step_up" in names:  # what was the step up is now the step down
        up, down = names.index("step_up"), names.index("step_down")
        order[up], order[down] = down, up
    signs = fields.new_tensor([(-1.0) ** sum(_changes_sign(name, mirror) for mirror in mirrors) for name in names])
    flipped = fields.flip([_ARRAY_AXIS[mirror] for mirror in mirrors])
    if order != sorted(order):
        flipped = flipped[..., order, :, :, :]
    return flipped.mul_(signs[:, None, None, None])


def mirror_pair(conditions: Tensor, target: Tensor, mirror: Mirror) -> tuple[Tensor, Tensor]:
    """Return conditions and target (..., channels, nz, ny, nx), dimensionless, of the mirrored medium."""
    return mirror_fields(conditions, CHANNELS, mirror), mirror_fields(target, TARGETS, mirror)


def padded(fields: NDArray[np.float32], multiple: int) -> Tensor:
    """Return (channels, nz, ny, nx) as one item of a batch, its last rows and columns repeated up to multiples."""
    height, width = fields.shape[-2:]
    item = torch.from_numpy(fields)[None]
    return torch.nn.functional.pad(item, (0, -width % multiple, 0, -height % multiple, 0, 0), mode="replicate")


def cropped(fields: Tensor, shape: tuple[int, int, int]) -> NDArray[np.floating]:
    """Return a batch (B, channels, nz, h, w) without what was padded."""
    return fields[..., : shape[1], : shape[2]].cpu().numpy()


def padding_warning(shape: tuple[int, int, int], multiple: int) -> tuple[str, ...]:
    """Return a line that says so where a medium of this shape is padded."""
    _, ny, nx = shape
    if ny % multiple == 0 and nx % multiple == 0:
        return ()
    target = f"{nx + -nx % multiple} x {ny + -ny % multiple}"
    return (f"{nx} x {ny} pixels were continued by their edge to {target} for the networks and cropped back",)


class Inputs(BaseModel, frozen=True, extra="forbid"):
    """The input of the networks: the base flow that they correct, its unit, and the conditions that they see.

    Attributes:
        base: the flow that the networks correct.
        speed: unit of velocity, m/s; None: the RMS speed of each sample's own base flow, so that any resin and any pressure
            drop give the same input.
        hidden: conditions that the networks do not see (names of :data:`resinflow.models.features.CHANNELS`).
        learns: ``correction`` to the base flow, or ``flow``: all of it.
    """

    base: Base = "grid"
    speed: Annotated[float, Field(gt=0)] | None = None
    hidden: tuple[Condition, ...] = ()
    learns: Learns = "correction"
