"""Lightning module of the published stage 3: noise prediction in the latent, with losses of the decoded estimate beside it.

One draw of (time step, noise) gives everything of a batch: the noisy latent, the denoising loss, and the estimate of the clean
latent, whose decoded velocity the physics and velocity losses look at.
"""

from __future__ import annotations

import torch
from torch import Tensor

from resinflow.diffusion.ddpm import CLIP, sample_ddim
from resinflow.model.paper_system import PaperSystem, flattened
from resinflow.model.physics import LOSSES as PHYSICS
from resinflow.model.physics import dimensionless, physics_losses, rms_speed
from resinflow.train.paper_config import PaperDiffusionConfig
from resinflow.train.paper_dataset import PaperBatch
from resinflow.train.paper_latents import LatentSource
from resinflow.train.paper_losses import LOSSES, component_error
from resinflow.train.paper_modules import PaperStage
from resinflow.train.stage import Part


class PaperDiffusionStage(PaperStage):
    """Stage 3: the denoiser; both encoders and decoder_3d are frozen.

    Args:
        system: all networks; it must have a denoiser.
        options: of the stage.
        seed: of the stage's noise.
    """

    def __init__(self, system: PaperSystem, options: PaperDiffusionConfig, seed: int) -> None:
        super().__init__(system, [module for module in [system.model] if module is not None], options, seed)
        self.options = options
        self._latents = LatentSource(system, kept=options.kept_latents)

    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the denoising loss, the losses of the decoded estimate and, in validation, the error of sampled flows."""
        options, schedule = self.options, self.system.schedule
        latents = self._latents.encode(batch)
        clean = flattened(latents.clean)
        timestep, noise = self._draw(batch, part, latents.clean)
        noisy = schedule.noised(clean, noise, timestep)
        estimated = self.system.estimated_noise(noisy, latents.conditions, timestep)
        denoising = LOSSES[options.loss](estimated, noise).mean()
        terms = {"denoising": denoising}
        loss = options.noise_weight * denoising
        if self._decodes and (part == "validation" or place % options.decoded_every == 0):
            estimate = schedule.clean_estimate(noisy, estimated, timestep).clamp(-CLIP, CLIP)
            signal = schedule.alphas_cumprod.to(timestep.device)[timestep].view(len(batch.number), -1).mean(dim=1)
            decoded = self._decoded_losses(self._decoded(estimate, batch), batch, signal)
            weights = {**options.physics.used(), "velocity": options.velocity_weight}
            loss = loss + torch.stack([weights[name] * value for name, value in decoded.items()]).sum()
            terms |= decoded
        if part == "validation" and options.validation_steps:
            terms |= self._sampled_terms(batch, latents.conditions, noise)
        return {"loss": loss, **terms}

    @property
    def _decodes(self) -> bool:
        return bool(self.options.velocity_weight or self.options.physics.used())

    def _draw(self, batch: PaperBatch, part: Part, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Time steps (B D,) and noise (B D, latent, h, w), each sample's from its own generator."""
        _, channels, slices, height, width = latent.shape
        steps, noises = [], []
        for generator in self.generators(batch, part):
            count = slices if self.options.noise_level == "slice" else 1
            steps.append(torch.randint(self.system.schedule.steps, (count,), generator=generator).expand(slices))
            noises.append(torch.randn((slices, channels, height, width), generator=generator))
        return torch.cat(steps).to(latent.device), torch.cat(noises).to(latent.device)

    def _decoded(self, latent: Tensor, batch: PaperBatch) -> Tensor:
        """The decoder's velocity (B, 3, D, H, W) in m/s, fibres not set to zero, of latents (B D, latent, h, w)."""
        volume = latent.view(len(batch.number), -1, *latent.shape[1:]).transpose(1, 2)
        return self.unscaled(self.system.vae.decode_3d(volume).float())

    def _decoded_losses(self, velocity: Tensor, batch: PaperBatch, signal: Tensor) -> dict[str, Tensor]:
        """Means over the batch of the losses in use, each sample weighted by ``signal`` (B,).

        The estimate of the clean latent is as good as the noise level lets it be: near the last time step it is the network's
        guess magnified a hundredfold. The share of the clean latent's variance in the noisy one, the mean over the slices,
        takes that back.
        """
        options = self.options
        names = options.physics.used()
        found = physics_losses(*self._in_own_units(velocity, batch), names) if names else {}
        if options.velocity_weight:
            weights = velocity.new_tensor(options.component_weights)
            fluid = batch.fluid
            found["velocity"] = component_error(self.scaled(velocity) * fluid, self.scaled(batch.flow) * fluid, weights)
        return {name: (signal * values).mean() for name, values in found.items()}

    def _in_own_units(self, velocity: Tensor, batch: PaperBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Velocity, mask and spacing in units of the true flow's RMS speed and the pixel."""
        moved, spacing = dimensionless(velocity, batch.spacing, rms_speed(batch.flow, batch.fluid))
        return moved, batch.fluid, spacing

    def _sampled_terms(self, batch: PaperBatch, conditions: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Velocity error and physics of flows predicted by DDIM from the batch's noise."""
        latent = sample_ddim(
            self.system.schedule,
            lambda noisy, timestep: self.system.estimated_noise(noisy, conditions, timestep),
            noise,
            steps=self.options.validation_steps,
        )
        velocity = self._decoded(latent, batch)
        physics = physics_losses(*self._in_own_units(velocity, batch), PHYSICS)
        sampled = {f"sampled_{name}": values.mean() for name, values in physics.items()}
        return {"velocity_error": self.velocity_error(self.scaled(velocity), batch), **sampled}
