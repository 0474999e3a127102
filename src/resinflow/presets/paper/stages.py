"""Lightning modules of the published stages 1 and 2, and what all three share. Stage 3: :mod:`resinflow.presets.paper.stages`.

Noise is drawn sample by sample from (seed, epoch, sample), in validation from (seed, sample): it depends neither on the batch
that a sample falls into nor on the number of processes, and validation losses compare from epoch to epoch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from resinflow.diffusion import CLIP, sample_ddim
from resinflow.models import LOSSES as PHYSICS
from resinflow.models import dimensionless, physics_losses, rms_speed
from resinflow.nn import Posterior
from resinflow.presets.paper.data import PaperBatch
from resinflow.presets.paper.losses import LOSSES, LossName, alignment, annealed, component_error, relative_error
from resinflow.presets.paper.networks.system import PaperSystem, flattened
from resinflow.presets.paper.recipe import PaperDiffusionConfig, PaperStageConfig, PaperVae2dConfig, PaperVae3dConfig
from resinflow.train import Part, TrainedStage, sample_generator

_VALIDATION_SEED = 1
"""Added to the seed for what validation draws."""


class PaperStage(TrainedStage):
    """What the published stages share: the networks, noise, optimiser.

    Args:
        system: all networks of the model.
        trained: the parts that this stage trains; the others are frozen.
        options: of the stage.
        seed: of the stage's noise.
    """

    def __init__(self, system: PaperSystem, trained: list[nn.Module], options: PaperStageConfig, seed: int) -> None:
        super().__init__(system, trained)
        self.system = system
        self.common = options
        self.seed = seed

    @abstractmethod
    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the terms of a batch, ``loss`` among them.

        Args:
            batch: fields (B, C, D, H, W).
            part: whether it is for training or for validation.
            place: number of the batch in its epoch.
        """

    def batch_losses(self, batch: PaperBatch, part: Part, place: int) -> tuple[dict[str, Tensor], int]:
        """Return the terms of a batch and its number of samples."""
        return self.losses(batch, part, place), len(batch.number)

    def configure_optimizers(self) -> Any:
        """Return Adam (decoupled weight decay) over the trained parts, with a constant or a one-cycle learning rate."""
        return self.adamw(self.common, constant=self.common.schedule == "constant")

    def generators(self, batch: PaperBatch, part: Part) -> list[torch.Generator]:
        """Return the generator of every sample of a batch, fresh."""
        seed, epoch = (self.seed, self.current_epoch) if part == "train" else (self.seed + _VALIDATION_SEED, 0)
        return [sample_generator(seed, epoch, int(index)) for index in batch.number]

    def scaled(self, velocity: Tensor) -> Tensor:
        """Return velocities (B, 3, D, H, W) over the normalisation factors."""
        return velocity / self.system.norm_factors.view(1, -1, 1, 1, 1)

    def unscaled(self, field: Tensor) -> Tensor:
        """Undo :meth:`scaled`."""
        return field * self.system.norm_factors.view(1, -1, 1, 1, 1)

    def velocity_error(self, field: Tensor, batch: PaperBatch) -> Tensor:
        """Return the mean relative L2 error in the fluid of scaled velocities against the batch's 3-D flow."""
        return relative_error(self.unscaled(field) * batch.fluid, batch.flow * batch.fluid).mean()


class PaperVae3dStage(PaperStage):
    """Stage 1: encoder_3d and decoder_3d reconstruct the 3-D flow."""

    def __init__(self, system: PaperSystem, options: PaperVae3dConfig, seed: int) -> None:
        super().__init__(system, [system.vae.encoder_3d, system.vae.decoder_3d], options, seed)
        self.options = options

    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return reconstruction and KL; drawn latents in training, means in validation, whose beta is the final one."""
        options, target = self.options, self.scaled(batch.flow)
        posterior = _in_float32(self.system.vae.encode_3d(target))
        latent = _drawn(posterior, self.generators(batch, part)) if part == "train" else posterior.mean
        decoded = self.system.vae.decode_3d(latent).float()
        reconstruction, kl = _compared(options.loss, decoded, target, batch.fluid), posterior.kl()
        # a weight that grows would make the validation losses of different epochs incomparable
        epoch = self.current_epoch if part == "train" else options.kl_epochs
        beta = annealed(options.kl_first, options.kl_weight, options.kl_epochs, epoch)
        return {
            "loss": reconstruction + beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "velocity_error": self.velocity_error(decoded, batch),
        }


class PaperVae2dStage(PaperStage):
    """Stage 2: encoder_2d learns from the planar flow the latent that encoder_3d gives the 3-D flow; decoder_2d goes back."""

    def __init__(self, system: PaperSystem, options: PaperVae2dConfig, seed: int) -> None:
        vae = system.vae
        decoder_2d = [vae.decoder_2d] if options.reconstruction_2d_weight else []
        branch_3d = [] if options.frozen_3d else [vae.encoder_3d, vae.decoder_3d]
        super().__init__(system, [vae.encoder_2d, *decoder_2d, *branch_3d], options, seed)
        self.options = options

    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the weighted sum and its terms; reconstructions and KL of weight zero are left out."""
        options, vae = self.options, self.system.vae
        planar, target = self.scaled(batch.planar), self.scaled(batch.flow)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not options.frozen_3d):
            posterior_3d = _in_float32(vae.encode_3d(target))
        posterior_2d = _in_float32(vae.encode_2d(planar))
        drawing = options.drawn_latents and part == "train"
        generators = self.generators(batch, part)
        latent_2d = _drawn(posterior_2d, generators) if drawing else posterior_2d.mean
        latent_3d = _drawn(posterior_3d, generators) if drawing else posterior_3d.mean
        crossed = vae.decode_3d(latent_2d).float()
        terms = {
            "align": alignment(posterior_2d.mean, posterior_3d.mean, options.cosine_weight).mean(),
            "cross": _compared(options.loss, crossed, target, batch.fluid),
        }
        weights = {"align": options.align_weight, "cross": options.cross_weight}
        if options.reconstruction_2d_weight:
            terms["reconstruction_2d"] = _compared(options.loss, vae.decode_2d(latent_2d).float(), planar, batch.fluid)
            weights["reconstruction_2d"] = options.reconstruction_2d_weight
        if options.reconstruction_3d_weight:
            terms["reconstruction_3d"] = _compared(options.loss, vae.decode_3d(latent_3d).float(), target, batch.fluid)
            weights["reconstruction_3d"] = options.reconstruction_3d_weight
        if options.kl_weight:
            terms["kl"] = posterior_2d.kl() + posterior_3d.kl()
            weights["kl"] = options.kl_weight
        loss = torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()
        return {"loss": loss, **terms, "velocity_error": self.velocity_error(crossed, batch)}


def _in_float32(posterior: Posterior) -> Posterior:
    """What the networks gave under autocast, for losses that subtract and sum."""
    return Posterior(posterior.mean.float(), posterior.log_variance.float())


def _drawn(posterior: Posterior, generators: list[torch.Generator]) -> Tensor:
    """Draw a latent, the noise of every sample from its own generator."""
    shape = posterior.mean.shape[1:]
    return posterior.sample(
        torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(posterior.mean)
    )


def _compared(name: LossName, field: Tensor, target: Tensor, fluid: Tensor) -> Tensor:
    return LOSSES[name](field * fluid, target * fluid).mean()


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


class Latents(NamedTuple):
    """Latents of a batch.

    Attributes:
        clean: (B, latent, D, h, w), the mean latent of the 3-D flow: what the denoiser must find.
        conditions: (B D, latent + 1, h, w), the mean latent of the planar flow and the geometry; slice index fastest.
    """

    clean: Tensor
    conditions: Tensor


class LatentSource:
    """Encodes samples one by one, so that a latent depends on no other sample of its batch.

    Args:
        system: the networks; the encoders must not change.
        kept: keep the latents of every sample and mirror image in memory (float32).
    """

    def __init__(self, system: PaperSystem, *, kept: bool) -> None:
        self._system = system
        self._kept: dict[tuple[int, ...], Latents] | None = {} if kept else None

    def encode(self, batch: PaperBatch) -> Latents:
        """Return the latents of a batch, without gradients, on its device."""
        each = [self._encoded(batch, place) for place in range(len(batch.number))]
        return Latents(
            torch.cat([latents.clean.to(batch.flow.device) for latents in each]),
            torch.cat([latents.conditions.to(batch.flow.device) for latents in each]),
        )

    def _encoded(self, batch: PaperBatch, place: int) -> Latents:
        key = (int(batch.number[place]), *batch.mirrored[place].int().tolist())
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        fluid, planar, flow = (field[place : place + 1].transpose(1, 2) for field in (batch.fluid, batch.planar, batch.flow))
        with torch.no_grad():
            latents = Latents(self._system.encode_3d(flow), self._system.conditions(fluid, planar))
        if self._kept is not None:
            self._kept[key] = Latents(latents.clean.cpu(), latents.conditions.cpu())
        return latents
