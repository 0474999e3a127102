"""Lightning modules of the three stages. Each trains its own networks; the others are frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resinflow.models import PLANAR, fluid_mask, open_mask
from resinflow.presets.latent.networks import LatentDiffusion, Process
from resinflow.presets.latent.recipe import DiffusionConfig, Vae2dConfig, Vae3dConfig
from resinflow.train import Part, Stage, masked_rmse, velocity_error


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
