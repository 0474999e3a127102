"""Lightning modules of the published stages 1 and 2, and what all three share. Stage 3: :mod:`resinflow.train.paper_diffusion`.

Noise is drawn sample by sample from (seed, epoch, sample), in validation from (seed, sample): it depends neither on the batch
that a sample falls into nor on the number of processes, and validation losses compare from epoch to epoch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from resinflow.model.paper_system import PaperSystem
from resinflow.nn.dual_vae import Posterior
from resinflow.train.paper_config import PaperStageConfig, PaperVae2dConfig, PaperVae3dConfig
from resinflow.train.paper_dataset import PaperBatch
from resinflow.train.paper_losses import LOSSES, LossName, alignment, annealed, relative_error
from resinflow.train.seeding import sample_generator
from resinflow.train.stage import Part, TrainedStage

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
