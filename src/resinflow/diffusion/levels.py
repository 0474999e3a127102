"""DDPM as an alternative to the bridge: from pure noise, the start latent being a condition only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resinflow.diffusion.bridge import Velocity, with_share_at
from resinflow.diffusion.ddpm import CLIP, NoiseSchedule, sample_ddim, standard_normal

STEPS = 1000
"""Of the linear schedule."""


@dataclass(frozen=True)
class NoisingDraw:
    """One draw of step and noise.

    Attributes:
        level: (B,), the step over the number of steps.
        latent: (B, ...), the noised target.
        goal: (B, ...), the noise, which the network must tell.
    """

    level: Tensor
    latent: Tensor
    goal: Tensor
    schedule: NoiseSchedule
    step: Tensor

    def target_estimate(self, noise: Tensor) -> Tensor:
        """Return the target that ``noise`` implies, within the sampler's bounds."""
        return self.schedule.clean_estimate(self.latent, noise, self.step).clamp(-CLIP, CLIP)


class Noising:
    """The process ``ddpm``: noise prediction on a linear schedule, sampled by DDIM."""

    def __init__(self) -> None:
        self.schedule = NoiseSchedule.linear(STEPS)

    def draw(self, start: Tensor, target: Tensor, start_share: float = 0.0) -> NoisingDraw:
        """Draw a step and noise for every target of the batch, a share of them at the last step; ``start`` plays no part."""
        step = with_share_at(STEPS - 1, torch.randint(STEPS, (len(target),), device=target.device), start_share)
        noise = torch.randn_like(start)
        return NoisingDraw(step / STEPS, self.schedule.noised(target, noise, step), noise, self.schedule, step)

    def sample(self, noise: Velocity, start: Tensor, *, steps: int, generators: list[torch.Generator]) -> Tensor:
        """Return target latents by ``steps`` calls of the network; sample i depends on its own generator alone.

        Args:
            noise: (latent (B, ...), level (B,)) -> estimated noise.
            start: (B, ...), which gives the shape.
            steps: number of calls of ``noise``.
            generators: one per sample, of the CPU.
        """
        latent = standard_normal(start, generators)
        return sample_ddim(self.schedule, lambda noisy, step: noise(noisy, step / STEPS), latent, steps=steps)
