"""Lightning modules of the three stages. Each trains its own networks; the others are frozen."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from resinflow.model.conditioning import CHANNELS, PLANAR
from resinflow.model.masks import fluid_mask, open_mask, target_mask
from resinflow.model.networks import LatentDiffusion
from resinflow.model.physics import physics_losses
from resinflow.model.sampling import Process
from resinflow.train.config import DiffusionConfig, FlowStageConfig, Vae2dConfig, Vae3dConfig
from resinflow.train.loading import Batch
from resinflow.train.losses import flow_rate_error, masked_rmse, velocity_error
from resinflow.train.stage import Part, TrainedStage


class Stage(TrainedStage):
    """What the stages of our own model share.

    Args:
        networks: all networks of the model.
        trained: the parts that this stage trains.
        config: options of the stage.
    """

    def __init__(self, networks: LatentDiffusion, trained: list[nn.Module], config: FlowStageConfig) -> None:
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


class Vae3dStage(Stage):
    """Stage 1: encoder_3d and decoder_3d reconstruct the correction to the base flow."""

    def __init__(self, networks: LatentDiffusion, config: Vae3dConfig) -> None:
        super().__init__(networks, [networks.vae.encoder_3d, networks.vae.decoder_3d], config)
        self.options = config

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return reconstruction and KL; decoding sees a drawn latent, or none, in training and the mean in validation."""
        networks = self.networks
        posterior = networks.vae.encode_3d(networks.scaled(target), conditions)
        latent = posterior.mean
        if part == "train":
            kept = torch.rand(len(target), device=target.device) >= self.options.latent_dropout
            latent = posterior.sample() * kept.view(-1, 1, 1, 1, 1)
        reconstruction, logged = self.decoding(networks.decode(latent, conditions), target, conditions)
        kl = posterior.kl()
        weight = self.options.kl_weight * min(1.0, (self.current_epoch + 1) / max(self.options.kl_epochs, 1))
        terms = {"loss": reconstruction + weight * kl, "reconstruction": reconstruction, "kl": kl, **logged}
        if part == "validation":  # what the conditions alone are good for
            alone = networks.decode(torch.zeros_like(latent), conditions)
            terms["velocity_error_without_latent"] = velocity_error(networks.unscaled(alone), target, open_mask(conditions))
        return terms


class Vae2dStage(Stage):
    """Stage 2: encoder_2d learns the latent of encoder_3d from the conditions; encoder_3d is frozen.

    decoder_3d is frozen too, unless ``volume_weight`` keeps it reconstructing while it learns to decode the new latent.
    """

    def __init__(self, networks: LatentDiffusion, config: Vae2dConfig) -> None:
        vae = networks.vae
        decoder = [vae.decoder_3d] if config.volume_weight > 0 else []
        super().__init__(networks, [vae.encoder_2d, vae.decoder_2d, *decoder], config)
        self.options = config

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return alignment of the latents, cross-reconstruction and planar reconstruction."""
        networks, options, vae = self.networks, self.options, self.networks.vae
        with torch.no_grad():
            posterior = vae.encode_3d(networks.scaled(target), conditions)
        latent = vae.encode_2d(conditions)
        cross, logged = self.decoding(networks.decode(latent, conditions), target, conditions)
        align = nn.functional.mse_loss(latent, posterior.mean)
        reconstruction = masked_rmse(vae.decode_2d(latent, conditions), conditions[:, PLANAR], fluid_mask(conditions))
        loss = options.align_weight * align + options.cross_weight * cross + options.reconstruction_weight * reconstruction
        terms = {"align": align, "cross": cross, "reconstruction": reconstruction, **logged}
        if options.volume_weight > 0:
            drawn = posterior.sample() if part == "train" else posterior.mean
            terms["volume"], _ = self.decoding(networks.decode(drawn, conditions), target, conditions)
            loss = loss + options.volume_weight * terms["volume"]
        return {"loss": loss, **terms}


class DiffusionStage(Stage):
    """Stage 3: the denoiser learns the way from encoder_2d's latent, or from noise, to that of encoder_3d.

    decoder_3d is frozen, unless ``train_decoder`` lets it learn from the decoded estimates: those of draws near the end of the
    path are the latent of encoder_3d, so that it does not forget that one.
    """

    def __init__(self, networks: LatentDiffusion, config: DiffusionConfig, process: Process) -> None:
        decoder = [networks.vae.decoder_3d] if config.train_decoder else []
        super().__init__(networks, [networks.denoiser, *decoder], config)
        self.options = config
        self.process = process

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return the matching loss and the error of the decoded estimate, both of one draw."""
        networks, vae = self.networks, self.networks.vae
        with torch.no_grad():
            aim = networks.scaled_latent(vae.encode_3d(networks.scaled(target), conditions).mean)
            start = networks.scaled_latent(vae.encode_2d(conditions))
        draw = self.process.draw(start, aim, self.options.start_share)
        found = networks.denoiser(draw.latent, start, conditions, draw.level)
        matching = nn.functional.mse_loss(found, draw.goal)
        # the decoded estimate comes from the very draw of the matching loss: level, noise and latent belong together
        estimate = networks.unscaled_latent(draw.target_estimate(found))
        decoded, logged = self.decoding(networks.decode(estimate, conditions), target, conditions)
        return {"loss": matching + self.options.decoded_weight * decoded, "matching": matching, "decoded": decoded, **logged}


def _whole_flow(correction: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Base plus correction in units of the speed, the open voxels, and the spacing in units of the pixel."""
    first, anisotropy = CHANNELS.index("base_vx"), CHANNELS.index("anisotropy")
    ratio = conditions[:, anisotropy].amax(dim=(1, 2, 3)).exp()
    spacing = torch.stack([ratio, torch.ones_like(ratio), torch.ones_like(ratio)], dim=1)
    return correction[:, :3] + conditions[:, first : first + 3], open_mask(conditions), spacing
