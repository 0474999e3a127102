"""The three stages of the preset latent. Each trains its own networks; the others are frozen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from resinflow.data import FlowSource
from resinflow.models import PLANAR, fluid_mask, open_mask
from resinflow.presets.flow_stage import FlowBatch, FlowPreset, FlowStage, masked_rmse, velocity_error
from resinflow.presets.latent.networks import LatentDiffusion, Process, process_of
from resinflow.presets.latent.predictor import SCHEMA, LatentPredictor
from resinflow.presets.latent.recipe import DiffusionOptions, LatentRecipe, Vae2dOptions, Vae3dOptions
from resinflow.train.preset import Start
from resinflow.train.record import open_start
from resinflow.train.stage import Part

_PREDICTION_OPTIONS = frozenset({"bridge_noise", "sampler_steps", "samples", "mirror_images", "precision"})
"""Options of a model that its networks' weights do not depend on: a run that goes on from it may change them."""


class Vae3dStage(FlowStage[LatentDiffusion, Vae3dOptions]):
    """Stage 1: encoder_3d and decoder_3d reconstruct the correction to the base flow."""

    def __init__(self, networks: LatentDiffusion, options: Vae3dOptions) -> None:
        super().__init__(networks, [networks.vae.encoder_3d, networks.vae.decoder_3d], options)

    def losses(self, batch: FlowBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return reconstruction and KL; decoding sees a drawn latent, or none, in training and the mean in validation."""
        (conditions, target), networks = batch, self.networks
        posterior = networks.vae.encode_3d(networks.scaled(target), conditions)
        latent = posterior.mean
        if part == "train":
            present = torch.rand(len(target), device=target.device) >= self.options.latent_dropout
            latent = posterior.sample() * present.view(-1, 1, 1, 1, 1)
        reconstruction, logged = self.decoding(networks.decode(latent, conditions), target, conditions)
        kl = posterior.kl()
        weight = self.options.kl_weight * min(1.0, (self.current_epoch + 1) / max(self.options.kl_epochs, 1))
        terms = {"loss": reconstruction + weight * kl, "reconstruction": reconstruction, "kl": kl, **logged}
        if part == "validation":  # what the conditions alone are good for
            alone = networks.decode(torch.zeros_like(latent), conditions)
            terms["velocity_error_without_latent"] = velocity_error(networks.unscaled(alone), target, open_mask(conditions))
        return terms


class Vae2dStage(FlowStage[LatentDiffusion, Vae2dOptions]):
    """Stage 2: encoder_2d learns the latent of encoder_3d from the conditions; encoder_3d is frozen.

    decoder_3d is frozen too, unless ``volume_weight`` keeps it reconstructing while it learns to decode the new latent.
    """

    def __init__(self, networks: LatentDiffusion, options: Vae2dOptions) -> None:
        vae = networks.vae
        decoder = [vae.decoder_3d] if options.volume_weight > 0 else []
        super().__init__(networks, [vae.encoder_2d, vae.decoder_2d, *decoder], options)

    def losses(self, batch: FlowBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return alignment of the latents, cross-reconstruction and planar reconstruction."""
        (conditions, target), networks, options, vae = batch, self.networks, self.options, self.networks.vae
        with torch.no_grad():
            posterior = vae.encode_3d(networks.scaled(target), conditions)
        latent = vae.encode_2d(conditions)
        cross, logged = self.decoding(networks.decode(latent, conditions), target, conditions)
        align = nn.functional.mse_loss(latent, posterior.mean)
        reconstruction = masked_rmse(vae.decode_2d(latent, conditions), conditions[:, PLANAR], fluid_mask(conditions))
        loss = options.align_weight * align + options.cross_weight * cross + options.reconstruction_weight * reconstruction
        terms = {"align": align, "cross": cross, "reconstruction": reconstruction, **logged}
        if options.volume_weight > 0:
            encoded = posterior.sample() if part == "train" else posterior.mean
            terms["volume"], _ = self.decoding(networks.decode(encoded, conditions), target, conditions)
            loss = loss + options.volume_weight * terms["volume"]
        return {"loss": loss, **terms}


class DiffusionStage(FlowStage[LatentDiffusion, DiffusionOptions]):
    """Stage 3: the denoiser learns the way from encoder_2d's latent, or from noise, to that of encoder_3d.

    decoder_3d is frozen, unless ``train_decoder`` lets it learn from the decoded estimates: those of draws near the end of the
    path are the latent of encoder_3d, so that it does not forget that one.
    """

    def __init__(self, networks: LatentDiffusion, options: DiffusionOptions, process: Process) -> None:
        decoder = [networks.vae.decoder_3d] if options.train_decoder else []
        super().__init__(networks, [networks.denoiser, *decoder], options)
        self.process = process

    def losses(self, batch: FlowBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the matching loss and the error of the decoded estimate, both of one draw."""
        (conditions, target), networks, vae = batch, self.networks, self.networks.vae
        with torch.no_grad():
            aim = networks.scaled_latent(vae.encode_3d(networks.scaled(target), conditions).mean)
            start = networks.scaled_latent(vae.encode_2d(conditions))
        draw = self.process.draw(start, aim, self.options.start_share)
        estimated = networks.denoiser(draw.latent, start, conditions, draw.level)
        matching = nn.functional.mse_loss(estimated, draw.goal)
        # the decoded estimate comes from the very draw of the matching loss: level, noise and latent belong together
        estimate = networks.unscaled_latent(draw.target_estimate(estimated))
        decoded, logged = self.decoding(networks.decode(estimate, conditions), target, conditions)
        return {"loss": matching + self.options.decoded_weight * decoded, "matching": matching, "decoded": decoded, **logged}


class LatentPreset(FlowPreset[LatentDiffusion, LatentRecipe]):
    """A dual-branch VAE and a diffusion model in its latent."""

    def networks(self, stage: str, recipe: LatentRecipe, source: FlowSource) -> LatentDiffusion:
        """Return all networks, whatever the stage."""
        return LatentDiffusion(recipe.model)

    def stage(self, name: str, networks: LatentDiffusion, recipe: LatentRecipe) -> FlowStage[LatentDiffusion, Any]:
        """Return one of the three stages."""
        if name == "vae3d":
            return Vae3dStage(networks, recipe.vae3d)
        if name == "vae2d":
            return Vae2dStage(networks, recipe.vae2d)
        return DiffusionStage(networks, recipe.diffusion, process_of(recipe.model))

    def adopt(self, networks: LatentDiffusion, weights: Path) -> None:
        """Take the VAE and the scales; the denoiser keeps its initial weights."""
        values = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith("denoiser.")}
        networks.load_state_dict({**networks.state_dict(), **values})

    def measure(
        self,
        stage: str,
        networks: LatentDiffusion,
        recipe: LatentRecipe,
        batches: Iterable[FlowBatch],
        *,
        from_nothing: bool,
        device: torch.device,
    ) -> None:
        """Set the scale of the targets before the first stage, and that of the latents before the last one."""
        super().measure(stage, networks, recipe, batches, from_nothing=from_nothing, device=device)
        if stage == "diffusion":
            networks.latent_scale.copy_(_latent_scale(networks, batches, recipe.diffusion.precision, device))

    def describe(self, source: FlowSource, networks: LatentDiffusion) -> dict[str, Any]:
        """Return the statistics of the training split."""
        return {"statistics": source.statistics}

    def predictor(self, recipe: LatentRecipe, networks: LatentDiffusion, log: dict[str, Any]) -> LatentPredictor:
        """Return the model that the last stage ends in."""
        return LatentPredictor(recipe.name, recipe.model, networks, log)

    def start(self, directory: Path, recipe: LatentRecipe) -> Start:
        """Return a model of this preset, or the last finished stage of a run, as the start of a run."""
        return open_start(directory, recipe, schema=SCHEMA, free=_PREDICTION_OPTIONS)


def _latent_scale(networks: LatentDiffusion, batches: Iterable[FlowBatch], precision: str, device: torch.device) -> Tensor:
    """Standard deviation of encoder_3d's latent per channel over the training split, computed where the stage will train."""
    networks.to(device)
    squares, count = torch.zeros_like(networks.latent_scale), 0
    reduced = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
    with torch.inference_mode(), reduced:
        for batch in batches:
            conditions, target = (tensor.to(device) for tensor in batch)
            latent = networks.vae.encode_3d(networks.scaled(target), conditions).mean.float()
            squares += latent.square().sum(dim=(0, 2, 3, 4))
            count += latent[:, 0].numel()
    networks.cpu()
    return (squares / count).sqrt().clamp_min(1e-3).cpu()


PRESET = LatentPreset()
