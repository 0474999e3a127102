"""The three stages of the preset paper.

Noise is drawn sample by sample from (seed, epoch, sample), in validation from (seed, sample): it depends neither on the batch
that a sample falls into nor on the number of processes, and validation losses compare from epoch to epoch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from resinflow.data import FlowSource
from resinflow.diffusion import CLIP, sample_ddim
from resinflow.models import LOSSES as PHYSICS
from resinflow.models import Mirror, dimensionless, load_weights, physics_losses, rms_speed
from resinflow.nn import Posterior
from resinflow.presets.paper.data import LatentSource, PaperBatch, mirrored, padded, read_sample, velocity_factors
from resinflow.presets.paper.losses import LOSSES, LossName, alignment, annealed, component_error, relative_error
from resinflow.presets.paper.networks.system import PaperSystem, flattened
from resinflow.presets.paper.networks.vae import ResidualBlock
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import (
    PaperArchitecture,
    PaperDiffusionOptions,
    PaperRecipe,
    PaperStageOptions,
    PaperVae2dOptions,
    PaperVae3dOptions,
)
from resinflow.train.preset import Preset, Visit
from resinflow.train.seeds import Stream, derive_seed, sample_generator
from resinflow.train.stage import Part, Stage

Options = TypeVar("Options", bound=PaperStageOptions)

_VALIDATION_SEED = 1
"""Added to the seed for what validation draws."""
_EARLIER_NAME = "system."
"""What the networks were called in the checkpoints of runs that an older version began."""


class PaperStage(Stage[PaperSystem, Options, PaperBatch], Generic[Options]):
    """What the published stages share: noise, scales and optimiser.

    Args:
        system: all networks of the model.
        trained: the parts that this stage trains; the others are frozen.
        options: of the stage.
        seed: of the stage's noise.
    """

    def __init__(self, system: PaperSystem, trained: list[nn.Module], options: Options, seed: int) -> None:
        super().__init__(system, trained, options)
        self.seed = seed
        self.register_load_state_dict_pre_hook(_with_earlier_names)

    def configure_optimizers(self) -> Any:
        """Return Adam (decoupled weight decay) over the trained parts, with a constant or a one-cycle learning rate."""
        return self.adamw(constant=self.options.schedule == "constant")

    def generators(self, batch: PaperBatch, part: Part) -> list[torch.Generator]:
        """Return the generator of every sample of a batch, fresh."""
        seed, epoch = (self.seed, self.current_epoch) if part == "train" else (self.seed + _VALIDATION_SEED, 0)
        return [sample_generator(seed, epoch, int(index)) for index in batch.number]

    def scaled(self, velocity: Tensor) -> Tensor:
        """Return velocities (B, 3, D, H, W) over the normalisation factors."""
        return velocity / self.networks.norm_factors.view(1, -1, 1, 1, 1)

    def unscaled(self, field: Tensor) -> Tensor:
        """Undo :meth:`scaled`."""
        return field * self.networks.norm_factors.view(1, -1, 1, 1, 1)

    def velocity_error(self, field: Tensor, batch: PaperBatch) -> Tensor:
        """Return the mean relative L2 error in the fluid of scaled velocities against the batch's 3-D flow."""
        return relative_error(self.unscaled(field) * batch.fluid, batch.flow * batch.fluid).mean()


class PaperVae3dStage(PaperStage[PaperVae3dOptions]):
    """Stage 1: encoder_3d and decoder_3d reconstruct the 3-D flow."""

    def __init__(self, system: PaperSystem, options: PaperVae3dOptions, seed: int) -> None:
        super().__init__(system, [system.vae.encoder_3d, system.vae.decoder_3d], options, seed)

    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return reconstruction and KL; drawn latents in training, means in validation, whose beta is the final one."""
        options, target = self.options, self.scaled(batch.flow)
        posterior = _in_float32(self.networks.vae.encode_3d(target))
        latent = _drawn(posterior, self.generators(batch, part)) if part == "train" else posterior.mean
        decoded = self.networks.vae.decode_3d(latent).float()
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


class PaperVae2dStage(PaperStage[PaperVae2dOptions]):
    """Stage 2: encoder_2d learns from the planar flow the latent that encoder_3d gives the 3-D flow; decoder_2d goes back."""

    def __init__(self, system: PaperSystem, options: PaperVae2dOptions, seed: int) -> None:
        vae = system.vae
        decoder_2d = [vae.decoder_2d] if options.reconstruction_2d_weight else []
        branch_3d = [] if options.frozen_3d else [vae.encoder_3d, vae.decoder_3d]
        super().__init__(system, [vae.encoder_2d, *decoder_2d, *branch_3d], options, seed)

    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the weighted sum and its terms; reconstructions and KL of weight zero are left out."""
        options, vae = self.options, self.networks.vae
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


def _with_earlier_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Take up checkpoints in which the networks have their earlier name."""
    for name in [name for name in state if name.startswith(prefix + _EARLIER_NAME)]:
        state[prefix + "networks." + name.removeprefix(prefix + _EARLIER_NAME)] = state.pop(name)


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


class PaperDiffusionStage(PaperStage[PaperDiffusionOptions]):
    """Stage 3: the denoiser; both encoders and decoder_3d are frozen.

    Args:
        system: all networks; it must have a denoiser.
        options: of the stage.
        seed: of the stage's noise.
    """

    def __init__(self, system: PaperSystem, options: PaperDiffusionOptions, seed: int) -> None:
        super().__init__(system, [module for module in [system.model] if module is not None], options, seed)
        self._latents = LatentSource(system, in_memory=options.kept_latents)

    def losses(self, batch: PaperBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the denoising loss, the losses of the decoded estimate and, in validation, the error of sampled flows."""
        options, schedule = self.options, self.networks.schedule
        latents = self._latents.encode(batch)
        clean = flattened(latents.clean)
        timestep, noise = self._draw(batch, part, latents.clean)
        noisy = schedule.noised(clean, noise, timestep)
        estimated = self.networks.estimated_noise(noisy, latents.conditions, timestep)
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
            steps.append(torch.randint(self.networks.schedule.steps, (count,), generator=generator).expand(slices))
            noises.append(torch.randn((slices, channels, height, width), generator=generator))
        return torch.cat(steps).to(latent.device), torch.cat(noises).to(latent.device)

    def _decoded(self, latent: Tensor, batch: PaperBatch) -> Tensor:
        """The decoder's velocity (B, 3, D, H, W) in m/s, fibres not set to zero, of latents (B D, latent, h, w)."""
        volume = latent.view(len(batch.number), -1, *latent.shape[1:]).transpose(1, 2)
        return self.unscaled(self.networks.vae.decode_3d(volume).float())

    def _decoded_losses(self, velocity: Tensor, batch: PaperBatch, signal: Tensor) -> dict[str, Tensor]:
        """Means over the batch of the losses in use, each sample weighted by ``signal`` (B,).

        The estimate of the clean latent is as good as the noise level lets it be: near the last time step it is the network's
        guess magnified a hundredfold. The share of the clean latent's variance in the noisy one, the mean over the slices,
        takes that back.
        """
        options = self.options
        names = options.physics.used()
        terms = physics_losses(*self._in_own_units(velocity, batch), names) if names else {}
        if options.velocity_weight:
            weights = velocity.new_tensor(options.component_weights)
            fluid = batch.fluid
            terms["velocity"] = component_error(self.scaled(velocity) * fluid, self.scaled(batch.flow) * fluid, weights)
        return {name: (signal * values).mean() for name, values in terms.items()}

    def _in_own_units(self, velocity: Tensor, batch: PaperBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Velocity, mask and spacing in units of the true flow's RMS speed and the pixel."""
        moved, spacing = dimensionless(velocity, batch.spacing, rms_speed(batch.flow, batch.fluid))
        return moved, batch.fluid, spacing

    def _sampled_terms(self, batch: PaperBatch, conditions: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Velocity error and physics of flows predicted by DDIM from the batch's noise."""
        latent = sample_ddim(
            self.networks.schedule,
            lambda noisy, timestep: self.networks.estimated_noise(noisy, conditions, timestep),
            noise,
            steps=self.options.validation_steps,
        )
        velocity = self._decoded(latent, batch)
        physics = physics_losses(*self._in_own_units(velocity, batch), PHYSICS)
        sampled = {f"sampled_{name}": values.mean() for name, values in physics.items()}
        return {"velocity_error": self.velocity_error(self.scaled(velocity), batch), **sampled}


class PaperPreset(Preset[PaperSystem, PaperRecipe, PaperBatch]):
    """The published system; every stage may have a recipe of its own."""

    block = ResidualBlock
    recipe_per_stage = True

    def networks(self, stage: str, recipe: PaperRecipe, source: FlowSource) -> PaperSystem:
        """Return the VAE, with the scales of the data for the first stage; VAE and denoiser for the last one."""
        vae = PaperSystem(recipe.model.architecture(unet=None))
        if stage == "vae2d":
            return vae
        factors, largest = velocity_factors(source, recipe.normalisation, recipe.samples)
        if stage == "vae3d":
            vae.norm_factors.copy_(torch.from_numpy(factors))
            return vae
        # the denoiser's weights are drawn after those of two VAEs, as they have been in every run so far
        untrained = set() if recipe.vae2d.reconstruction_2d_weight else {"decoder_2d"}
        trained = tuple(name for name in PaperArchitecture().trained if name not in untrained)
        return PaperSystem(recipe.model.architecture(largest_velocity=largest, trained=trained))

    def load(self, networks: PaperSystem, weights: Path) -> None:
        """Fill VAE and scales; the denoiser is there in its own stage alone."""
        vae = PaperSystem(networks.architecture.model_copy(update={"unet": None}))
        load_weights(vae, weights)
        networks.vae.load_state_dict(vae.vae.state_dict())
        networks.norm_factors.copy_(vae.norm_factors)

    def batch(self, source: FlowSource, index: int, recipe: PaperRecipe) -> PaperBatch:
        """Return one sample as it is stored, in single precision."""
        return read_sample(source, index)

    def shown(self, batch: PaperBatch, mirrors: tuple[Mirror, ...], recipe: PaperRecipe) -> PaperBatch:
        """Return the mirrored sample, padded as in prediction."""
        nz, ny, nx = batch.fluid.shape[-3:]
        return padded(mirrored(batch, mirrors), recipe.largest_size((nz, ny, nx)))

    def mirrors(self, stage: str, recipe: PaperRecipe, visit: Visit) -> tuple[Mirror, ...]:
        """Return which of the stage's mirrors a training sample gets, each with probability one half."""
        seed = derive_seed(Stream.AUGMENTATION, visit.seed, visit.epoch, visit.position)
        generator = torch.Generator().manual_seed(seed)
        return tuple(each for each in recipe.options(stage).mirrors if torch.rand((), generator=generator) < 0.5)

    def stage(self, name: str, networks: PaperSystem, recipe: PaperRecipe) -> PaperStage[Any]:
        """Return one of the three stages."""
        seed = recipe.seed_of(name)
        if name == "vae3d":
            return PaperVae3dStage(networks, recipe.vae3d, seed)
        if name == "vae2d":
            return PaperVae2dStage(networks, recipe.vae2d, seed)
        return PaperDiffusionStage(networks, recipe.diffusion, seed)

    def describe(self, source: FlowSource, networks: PaperSystem) -> dict[str, Any]:
        """Return what velocities are divided by."""
        return {"norm_factors": networks.norm_factors.tolist()}

    def predictor(self, recipe: PaperRecipe, networks: PaperSystem, log: dict[str, Any]) -> PaperPredictor:
        """Return the model that the last stage ends in."""
        return PaperPredictor(recipe.name, networks.architecture, networks, log)


PRESET = PaperPreset()
