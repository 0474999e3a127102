"""What the stages of models that correct a base flow share: options, losses, and the loss of a decoded flow."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from resinflow.models import CHANNELS, InputConfig, PhysicsLoss, open_mask, physics_losses, target_mask
from resinflow.train.loading import Batch
from resinflow.train.stage import Part, StageConfig, TrainedStage, Weight


class FlowStageConfig(StageConfig):
    """Options that every stage of our own model has: its optimiser, and what a decoded flow is asked for beside its error.

    Attributes:
        optimizer: ``muon`` (:mod:`resinflow.train.muon`) or ``adamw``; one learning rate serves both.
        flow_rate_weight: weight of the error of the mean vx correction, in units of the correction's RMS: that of K.
        physics: weights of the losses of :mod:`resinflow.models.physics` by name, on the whole flow in units of the base flow's
            RMS speed and of the pixel.
    """

    optimizer: Literal["muon", "adamw"] = "muon"
    flow_rate_weight: Weight = 1.0
    physics: dict[PhysicsLoss, Weight] = {}

    def check_physics(self, model: InputConfig) -> None:
        """Raise ValueError if there are physics losses and the networks do not see the whole flow that these ask for."""
        if self.physics and (model.learns == "flow" or any(name.startswith("base_v") for name in model.hidden)):
            raise ValueError(
                "physics losses add the correction to the base velocity that the networks see, which is hidden here or not "
                "what they correct; needed: no physics, or learns: correction and no base_vx, base_vy, base_vz in hidden"
            )


class Stage(TrainedStage):
    """What the stages of our own model share.

    Args:
        networks: all networks of the model.
        trained: the parts that this stage trains.
        config: options of the stage.
    """

    def __init__(self, networks: Any, trained: list[nn.Module], config: FlowStageConfig) -> None:
        super().__init__(networks, trained)
        self.networks = networks
        self.config = config

    @abstractmethod
    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return the terms of a batch: ``loss``, and ``velocity_error`` in units of the RMS speed."""

    def decoding(self, decoded: Tensor, target: Tensor, conditions: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a decoded target (B, 4, D, H, W), in units of its RMS, and what is logged of it."""
        networks, passed = self.networks, open_mask(conditions)
        scaled = networks.scaled(target)
        error = masked_rmse(decoded, scaled, target_mask(conditions))
        rate = flow_rate_error(decoded, scaled, passed)
        loss = error + self.config.flow_rate_weight * rate
        correction = networks.unscaled(decoded)
        if self.config.physics:
            terms = physics_losses(*_whole_flow(correction, conditions), self.config.physics)
            loss = loss + sum(weight * terms[name].mean() for name, weight in self.config.physics.items())
        logged = {"velocity_error": velocity_error(correction, target, passed), "flow_rate": rate}
        return loss, logged

    def batch_losses(self, batch: Batch, part: Part, place: int) -> tuple[dict[str, Tensor], int]:
        """Return the terms of a batch and its number of samples."""
        conditions, target = batch
        return self.losses(conditions, target, part), len(target)

    def configure_optimizers(self) -> Any:
        """Return the optimiser of the trained parts, with one cycle of the learning rate over the whole stage."""
        return self.muon(self.config) if self.config.optimizer == "muon" else self.adamw(self.config)


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
