"""Losses of the published stages. Each compares (B, C, ...) with (B, C, ...) and returns one number an item (B,).

Masks are applied by the caller to both sides, so that fibre voxels count as hits in the plain means, as in the published
numbers; the normalised losses do not depend on how many of them there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

LossName = Literal["normalised_mae", "mae", "normalised_mse", "mse", "huber"]
Loss = Callable[[Tensor, Tensor], Tensor]

_SMALLEST = 1e-8
"""Added to the mean size that a normalised loss divides by (its square, where squares are compared)."""
_AT_REST = 1e-3
"""A channel whose target is smaller than this part of the largest channel's is measured against that part of it."""


def normalised_mae(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean over channels of mean |error| / mean |target|: every component of every sample weighs alike.

    The published quotient, but for channels that are next to nothing beside the others (vz of a medium whose slices are
    alike): there it would be an error over 1e-8.
    """
    return (_channel_means((prediction - target).abs()) / _sizes(target.abs(), _SMALLEST)).mean(dim=1)


def normalised_mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean over channels of mean error^2 / mean target^2, see :func:`normalised_mae`."""
    return (_channel_means((prediction - target).square()) / _sizes(target.square(), _SMALLEST**2)).mean(dim=1)


def mae(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error."""
    return _channel_means((prediction - target).abs()).mean(dim=1)


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return _channel_means((prediction - target).square()).mean(dim=1)


def huber(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean Huber loss of threshold 1 (half the squared error below it, linear above)."""
    return _channel_means(F.huber_loss(prediction, target, reduction="none")).mean(dim=1)


LOSSES: dict[LossName, Loss] = {
    "normalised_mae": normalised_mae,
    "mae": mae,
    "normalised_mse": normalised_mse,
    "mse": mse,
    "huber": huber,
}


def alignment(latent: Tensor, aim: Tensor, cosine_weight: float) -> Tensor:
    """Return the mean squared distance of two latents (B, C, D, h, w) plus ``cosine_weight`` times (1 - mean cosine)."""
    cosine = F.cosine_similarity(latent, aim, dim=1).mean(dim=(1, 2, 3))
    return mse(latent, aim) + cosine_weight * (1 - cosine)


def component_error(prediction: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean over components of mean |error| / mean |target| (B,).

    Args:
        prediction: (B, C, ...), masked.
        target: (B, C, ...), masked.
        weights: (C,), not all zero.
    """
    errors = _channel_means((prediction - target).abs()) / _sizes(target.abs(), _SMALLEST)
    return (errors * weights).sum(dim=1) / weights.sum()


def relative_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the relative L2 error of the whole vector field (B,), masked on both sides, in the units of the tensors given."""
    squares = [field.square().flatten(1).sum(dim=1) for field in (prediction - target, target)]
    return (squares[0] / squares[1].clamp_min(torch.finfo(target.dtype).tiny)).sqrt()


def annealed(first: float, last: float, epochs: int, epoch: int) -> float:
    """Return a weight that goes linearly from ``first`` at epoch 0 to ``last`` at epoch ``epochs`` and stays there."""
    return last if epoch >= epochs else first + (last - first) * epoch / epochs


def _channel_means(values: Tensor) -> Tensor:
    return values.flatten(2).mean(dim=2)


def _sizes(magnitudes: Tensor, smallest: float) -> Tensor:
    means = _channel_means(magnitudes)
    return torch.maximum(means, _AT_REST * means.amax(dim=1, keepdim=True)) + smallest
