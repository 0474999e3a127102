"""Velocities between voxel centres, where networks work, and voxel faces, where mass is conserved."""

from __future__ import annotations

import torch
from torch import Tensor

FaceTensors = tuple[Tensor, Tensor, Tensor]
_AXES = (-1, -2, -3)
"""Array axes of the components x, y and z."""


def to_faces(velocity: Tensor, fluid: Tensor) -> FaceTensors:
    """Return velocities on the x, y and z faces of fields at voxel centres.

    A face has the mean of its two voxels where both are fluid, and nothing else: no resin crosses a fibre's faces. Along x
    the ends of the box are open and take their voxel's velocity; along y and z they are symmetry planes: nothing crosses.

    Args:
        velocity: (B, 3, D, H, W).
        fluid: (B, 1, D, H, W), 1 in the fluid.

    Returns:
        (B, D, H, W + 1), (B, D, H + 1, W), (B, D + 1, H, W).
    """
    mask = fluid[:, 0]
    faces = []
    for component, axis in enumerate(_AXES):
        values = velocity[:, component] * mask
        count = values.shape[axis]
        before, after = values.narrow(axis, 0, count - 1), values.narrow(axis, 1, count - 1)
        both = mask.narrow(axis, 0, count - 1) * mask.narrow(axis, 1, count - 1)
        ends = [values.narrow(axis, place, 1) for place in (0, count - 1)]
        if component > 0:
            ends = [torch.zeros_like(end) for end in ends]
        faces.append(torch.cat([ends[0], 0.5 * (before + after) * both, ends[1]], dim=axis))
    return faces[0], faces[1], faces[2]


def to_centres(faces: FaceTensors) -> Tensor:
    """Return the means of every voxel's two faces, (B, 3, D, H, W)."""
    centres = []
    for field, axis in zip(faces, _AXES, strict=True):
        count = field.shape[axis] - 1
        centres.append(0.5 * (field.narrow(axis, 0, count) + field.narrow(axis, 1, count)))
    return torch.stack(centres, dim=1)


def as_staggered(fields: Tensor, fluid: Tensor) -> Tensor:
    """Return (B, 4, D, H, W) with the velocity as it is once it has been on the faces; the pressure stays."""
    return torch.cat([to_centres(to_faces(fields[:, :3], fluid)), fields[:, 3:]], dim=1)
