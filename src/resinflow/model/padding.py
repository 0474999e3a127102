"""Fields of any size on grids that the networks' strides divide."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
