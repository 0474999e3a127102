"""Losses over the fluid voxels."""

from __future__ import annotations

from torch import Tensor


def fluid_rmse(prediction: Tensor, target: Tensor, fluid: Tensor) -> Tensor:
    """Return the mean over samples and channels of the root mean square error over fluid voxels.

    One root per sample and channel: every medium counts alike, however large its correction is.

    Args:
        prediction: (B, C, D, H, W).
        target: (B, C, D, H, W).
        fluid: (B, 1, D, H, W), 1 in the fluid.
    """
    squares = ((prediction - target) * fluid).square().sum(dim=(2, 3, 4)) / fluid.sum(dim=(2, 3, 4))
    return (squares + 1e-12).sqrt().mean()


def flow_rate_error(prediction: Tensor, target: Tensor, fluid: Tensor) -> Tensor:
    """Return the mean over samples of the error of vx averaged over the fluid, which is that of the permeability.

    Args:
        prediction: (B, C, D, H, W), vx first.
        target: (B, C, D, H, W).
        fluid: (B, 1, D, H, W), 1 in the fluid.
    """
    mean = ((prediction - target)[:, 0] * fluid[:, 0]).sum(dim=(1, 2, 3)) / fluid.sum(dim=(1, 2, 3, 4))
    return mean.abs().mean()


def velocity_error(prediction: Tensor, target: Tensor, fluid: Tensor) -> Tensor:
    """Return the mean over samples of the RMS velocity error (first three channels) in the units of the tensors given."""
    squares = ((prediction - target)[:, :3] * fluid).square().sum(dim=(1, 2, 3, 4)) / fluid.sum(dim=(1, 2, 3, 4))
    return squares.sqrt().mean()
