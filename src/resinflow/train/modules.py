"""Lightning modules of the three stages. Each trains its own networks; the others are frozen."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from resinflow.diffusion import Bridge
from resinflow.model.conditioning import PLANAR
from resinflow.model.networks import LatentDiffusion
from resinflow.train.config import DiffusionConfig, StageConfig, Vae2dConfig, Vae3dConfig
from resinflow.train.loading import Batch
from resinflow.train.losses import fluid_rmse, velocity_error
from resinflow.train.stage import Part, TrainedStage


class Stage(TrainedStage):
    """What the stages of our own model share.

    Args:
        networks: all networks of the model.
        trained: the parts that this stage trains.
        config: options of the stage.
    """

    def __init__(self, networks: LatentDiffusion, trained: list[nn.Module], config: StageConfig) -> None:
        super().__init__(networks, trained)
        self.networks = networks
        self.config = config

    @abstractmethod
    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return the terms of a batch: ``loss``, and ``velocity_error`` in units of the RMS speed."""

    def batch_losses(self, batch: Batch, part: Part, place: int) -> tuple[dict[str, Tensor], int]:
        """Return the terms of a batch and its number of samples."""
        conditions, target = batch
        return self.losses(conditions, target, part), len(target)

    def configure_optimizers(self) -> Any:
        """Return AdamW over the trained parts, with one cycle of the learning rate over the whole stage."""
        return self.adamw(self.config)


class Vae3dStage(Stage):
    """Stage 1: encoder_3d and decoder_3d reconstruct the correction to the base flow."""

    def __init__(self, networks: LatentDiffusion, config: Vae3dConfig) -> None:
        super().__init__(networks, [networks.vae.encoder_3d, networks.vae.decoder_3d], config)
        self.options = config

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return reconstruction and KL; decoding sees a drawn latent, or none, in training and the mean in validation."""
        fluid = conditions[:, :1]
        scaled = self.networks.scaled(target)
        posterior = self.networks.vae.encode_3d(scaled, conditions)
        latent = posterior.mean
        if part == "train":
            kept = torch.rand(len(target), device=target.device) >= self.options.latent_dropout
            latent = posterior.sample() * kept.view(-1, 1, 1, 1, 1)
        decoded = self.networks.vae.decode_3d(latent, conditions)
        reconstruction, kl = fluid_rmse(decoded, scaled, fluid), posterior.kl()
        weight = self.options.kl_weight * min(1.0, (self.current_epoch + 1) / max(self.options.kl_epochs, 1))
        terms = {
            "loss": reconstruction + weight * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "velocity_error": velocity_error(self.networks.unscaled(decoded), target, fluid),
        }
        if part == "validation":  # what the conditions alone are good for
            alone = self.networks.vae.decode_3d(torch.zeros_like(latent), conditions)
            terms["velocity_error_without_latent"] = velocity_error(self.networks.unscaled(alone), target, fluid)
        return terms


class Vae2dStage(Stage):
    """Stage 2: encoder_2d learns the latent of encoder_3d from the conditions; the 3-D branch is frozen."""

    def __init__(self, networks: LatentDiffusion, config: Vae2dConfig) -> None:
        super().__init__(networks, [networks.vae.encoder_2d, networks.vae.decoder_2d], config)
        self.options = config

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return alignment of the latents, cross-reconstruction and planar reconstruction."""
        fluid = conditions[:, :1]
        scaled = self.networks.scaled(target)
        vae = self.networks.vae
        with torch.no_grad():
            aim = vae.encode_3d(scaled, conditions).mean
        latent = vae.encode_2d(conditions)
        decoded = vae.decode_3d(latent, conditions)
        planar = vae.decode_2d(latent, conditions)
        align = nn.functional.mse_loss(latent, aim)
        cross = fluid_rmse(decoded, scaled, fluid)
        reconstruction = fluid_rmse(planar, conditions[:, PLANAR], fluid)
        loss = (
            self.options.align_weight * align
            + self.options.cross_weight * cross
            + self.options.reconstruction_weight * reconstruction
        )
        return {
            "loss": loss,
            "align": align,
            "cross": cross,
            "reconstruction": reconstruction,
            "velocity_error": velocity_error(self.networks.unscaled(decoded), target, fluid),
        }


class DiffusionStage(Stage):
    """Stage 3: the denoiser learns the path from the latent of encoder_2d, with noise, to that of encoder_3d."""

    def __init__(self, networks: LatentDiffusion, config: DiffusionConfig, bridge_noise: float) -> None:
        super().__init__(networks, [networks.denoiser], config)
        self.options = config
        self.bridge = Bridge(bridge_noise)

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return the matching loss and the error of the decoded estimate, both of one draw."""
        fluid = conditions[:, :1]
        networks, vae = self.networks, self.networks.vae
        scaled = networks.scaled(target)
        with torch.no_grad():
            aim = networks.scaled_latent(vae.encode_3d(scaled, conditions).mean)
            start = networks.scaled_latent(vae.encode_2d(conditions))
        draw = self.bridge.draw(start, aim)
        velocity = networks.denoiser(draw.latent, start, conditions, draw.level)
        matching = nn.functional.mse_loss(velocity, draw.velocity)
        # the decoded estimate comes from the very draw of the matching loss: level, noise and latent belong together
        estimate = networks.unscaled_latent(draw.target_estimate(velocity))
        decoded = vae.decode_3d(estimate, conditions)
        decoding = fluid_rmse(decoded, scaled, fluid)
        return {
            "loss": matching + self.options.decoded_weight * decoding,
            "matching": matching,
            "decoded": decoding,
            "velocity_error": velocity_error(networks.unscaled(decoded), target, fluid),
        }
