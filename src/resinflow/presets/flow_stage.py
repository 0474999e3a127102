"""What the families that correct a base flow share: samples, scales, and the loss of a decoded correction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from resinflow.data import FlowSource
from resinflow.models import (
    CHANNELS,
    TARGETS,
    Mirror,
    StartFlows,
    build_target,
    conditions_of,
    mirror_pair,
    open_mask,
    physics_losses,
    target_mask,
)
from resinflow.nn import ResidualBlock, ScaledTargets
from resinflow.train import FlowRecipe, FlowStageOptions
from resinflow.train.preset import Preset
from resinflow.train.stage import Stage

__all__ = ["FlowBatch", "FlowPreset", "FlowStage", "flow_rate_error", "masked_rmse", "velocity_error"]

Networks = TypeVar("Networks", bound=ScaledTargets)
Options = TypeVar("Options", bound=FlowStageOptions)
Recipe = TypeVar("Recipe", bound=FlowRecipe)

FlowBatch = tuple[Tensor, Tensor]
"""Conditions (B, C, D, H, W) and unscaled targets (B, 4, D, H, W); without the axis B of one sample."""
_MEMORY = torch.float16
"""Samples stay in memory in half precision: three digits, a thousandth of what the correction corrects."""


class FlowPreset(Preset[Networks, Recipe, FlowBatch], Generic[Networks, Recipe]):
    """A family of models that learn the correction of a base flow from conditions."""

    block = ResidualBlock

    def batch(self, source: FlowSource, index: int, recipe: Recipe) -> FlowBatch:
        """Return conditions (C, D, H, W) and target (4, D, H, W) of a sample, dimensionless, in half precision."""
        sample, inputs = source.sample(index), recipe.model
        start = StartFlows(sample.planar, sample.base(inputs.base))
        conditions = conditions_of(start, inputs)
        target = build_target(sample.truth, start.base, conditions)
        return torch.from_numpy(conditions.fields).to(_MEMORY), torch.from_numpy(target).to(_MEMORY)

    def shown(self, batch: FlowBatch, mirrors: tuple[Mirror, ...], recipe: Recipe) -> FlowBatch:
        """Return conditions and target of the medium mirrored by every one of ``mirrors``, in single precision."""
        conditions, target = (tensor.float() for tensor in batch)
        for mirror in mirrors:
            conditions, target = mirror_pair(conditions, target, mirror)
        return conditions, target

    def measure(
        self,
        stage: str,
        networks: Networks,
        recipe: Recipe,
        batches: Iterable[FlowBatch],
        *,
        from_nothing: bool,
        device: torch.device,
    ) -> None:
        """Set the scale of the targets: their RMS per channel, over the training split and where they are defined."""
        if not from_nothing:
            return
        squares, voxels = torch.zeros(len(TARGETS)), torch.zeros(len(TARGETS))
        for conditions, target in batches:
            squares += target.square().sum(dim=(0, 2, 3, 4))
            voxels += target_mask(conditions).sum(dim=(0, 2, 3, 4))
        networks.target_scale.copy_((squares / voxels).sqrt().clamp_min(1e-9))


class FlowStage(Stage[Networks, Options, FlowBatch], Generic[Networks, Options]):
    """What the stages of these families share: the optimiser, and the loss of a decoded flow."""

    def decoding(self, decoded: Tensor, target: Tensor, conditions: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a decoded target (B, 4, D, H, W), in units of its RMS, and what is logged of it."""
        networks, options, passed = self.networks, self.options, open_mask(conditions)
        scaled = networks.scaled(target)
        error = masked_rmse(decoded, scaled, target_mask(conditions))
        rate = flow_rate_error(decoded, scaled, passed)
        loss = error + options.flow_rate_weight * rate
        correction = networks.unscaled(decoded)
        if options.physics:
            terms = physics_losses(*_whole_flow(correction, conditions), options.physics)
            loss = loss + sum(weight * terms[name].mean() for name, weight in options.physics.items())
        logged = {"velocity_error": velocity_error(correction, target, passed), "flow_rate": rate}
        return loss, logged

    def configure_optimizers(self) -> Any:
        """Return the optimiser of the trained parts, with one cycle of the learning rate over the whole stage."""
        return self.muon() if self.options.optimizer == "muon" else self.adamw()


def _whole_flow(correction: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Base plus correction in units of the speed, the open voxels, and the spacing in units of the pixel."""
    first, anisotropy = CHANNELS.index("base_vx"), CHANNELS.index("anisotropy")
    ratio = conditions[:, anisotropy].amax(dim=(1, 2, 3)).exp()
    spacing = torch.stack([ratio, torch.ones_like(ratio), torch.ones_like(ratio)], dim=1)
    return correction[:, :3] + conditions[:, first : first + 3], open_mask(conditions), spacing


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
