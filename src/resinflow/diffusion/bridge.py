"""Flow matching from a start latent plus noise to the target latent.

Lipman et al., Flow Matching for Generative Modeling (2023), with the start of the path centred on a paired latent instead
of zero, as in stochastic interpolants between coupled data (Albergo et al. 2023). Since the start is close to the target,
few steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resinflow.diffusion.ddpm import standard_normal

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(latent (B, ...), level (B,)) -> d latent / d level."""


@dataclass(frozen=True)
class BridgeDraw:
    """One draw of level and noise, for the loss and for whatever else must see the same draw.

    Attributes:
        level: (B,), 1 at the noisy start, 0 at the target.
        latent: (B, ...), the point of the path.
        goal: (B, ...), the derivative of the path with respect to the level, which the network must tell.
    """

    level: Tensor
    latent: Tensor
    goal: Tensor

    def target_estimate(self, velocity: Tensor) -> Tensor:
        """Return the end of the straight path that ``velocity`` points along."""
        return self.latent - _wide(self.level, self.latent) * velocity


@dataclass(frozen=True)
class Bridge:
    """Straight paths from ``start + noise * normal`` to the target.

    Attributes:
        noise: standard deviation of the normal noise at the start, in units of the latent.
    """

    noise: float

    def draw(
        self,
        start: Tensor,
        target: Tensor,
        start_share: float = 0.0,
        *,
        normal: Tensor | None = None,
        level: Tensor | None = None,
    ) -> BridgeDraw:
        """Draw a level in [0, 1] and noise for every pair of the batch; a share of the levels is 1, the noisy start.

        Args:
            start: (B, ...).
            target: (B, ...).
            start_share: of the levels.
            normal: the noise, shaped like the start; None: standard normal noise of every element by itself.
            level: (B,), where it is not to be drawn; ``start_share`` does not count then.
        """
        if level is None:
            level = with_share_at(1.0, torch.rand(start.shape[0], device=start.device), start_share)
        begin = start + self.noise * (torch.randn_like(start) if normal is None else normal)
        wide = _wide(level, start)
        return BridgeDraw(level, (1 - wide) * target + wide * begin, begin - target)

    def sample(self, velocity: Velocity, start: Tensor, *, steps: int, generators: list[torch.Generator]) -> Tensor:
        """Return target latents by Euler steps from level 1 to 0; sample i depends on its own generator alone.

        Args:
            velocity: the learned derivative of the path.
            start: (B, ...), one start for every sample.
            steps: number of calls of ``velocity``.
            generators: one per sample, of the CPU.
        """
        return self.walk(velocity, start + self.noise * standard_normal(start, generators), steps=steps)

    def walk(self, velocity: Velocity, begin: Tensor, *, steps: int, twice: bool = False) -> Tensor:
        """Return target latents by steps from the noisy start ``begin`` (B, ...): those of Euler, or of Heun.

        Args:
            velocity: the learned derivative of the path.
            begin: where the path begins.
            steps: of equal length.
            twice: whether every step takes the mean of the derivatives at both of its ends (Heun's), which costs two calls and
                errs by the square of its length only: long steps draw too little scatter.
        """
        latent = begin
        for step in range(steps, 0, -1):
            level = torch.full((begin.shape[0],), step / steps, device=begin.device)
            change = velocity(latent, level)
            if twice:
                change = 0.5 * (change + velocity(latent - change / steps, torch.full_like(level, (step - 1) / steps)))
            latent = latent - change / steps
        return latent


def with_share_at(place: float, draws: Tensor, share: float) -> Tensor:
    """Return the draws (B,) with a random share of them moved to ``place``; a share of 0 draws no further number."""
    if share == 0:
        return draws
    return torch.where(torch.rand(len(draws), device=draws.device) < share, torch.full_like(draws, place), draws)


def _wide(level: Tensor, like: Tensor) -> Tensor:
    return level.view(-1, *[1] * (like.dim() - 1))
