"""Where the fields that networks give are defined, from the conditions that they see."""

from __future__ import annotations

import torch
from torch import Tensor

from resinflow.model.conditioning import CHANNELS, TARGETS

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
