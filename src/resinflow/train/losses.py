"""Losses over the voxels where fields are defined."""

from __future__ import annotations

from torch import Tensor


def masked_rmse(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over samples and channels of the root mean square error over the voxels of a mask.

    One root per sample and channel: every medium counts alike, however large its correction is.

    Args:
        prediction: (B, C, D, H, W).
        target: (B, C, D, H, W).
        mask: (B, 1, D, H, W) or (B, C, D, H, W), 1 where the field is defined.
    """
    squares = ((prediction - target) * mask).square().sum(dim=(2, 3, 4)) / mask.sum(dim=(2, 3, 4))
    return (squares + 1e-12).sqrt().mean()


def flow_rate_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over samples of the error of vx averaged over a mask, which is that of the permeability.

    Args:
        prediction: (B, C, D, H, W), vx first.
        target: (B, C, D, H, W).
        mask: (B, 1, D, H, W), 1 in the open voxels.
    """
    mean = ((prediction - target)[:, 0] * mask[:, 0]).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3, 4))
    return mean.abs().mean()


def velocity_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over samples of the RMS velocity error (first three channels) over a mask, in the tensors' own units."""
    squares = ((prediction - target)[:, :3] * mask).square().sum(dim=(1, 2, 3, 4)) / mask.sum(dim=(1, 2, 3, 4))
    return squares.sqrt().mean()
