"""Flow matching from a start latent plus noise to the target latent.

Lipman et al., Flow Matching for Generative Modeling (2023), with the start of the path centred on a paired latent instead
of zero, as in stochastic interpolants between coupled data (Albergo et al. 2023). Since the start is close to the target,
few steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor

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

    def draw(self, start: Tensor, target: Tensor, start_share: float = 0.0) -> BridgeDraw:
        """Draw a level in [0, 1] and noise for every pair of the batch; a share of the levels is 1, the noisy start."""
        level = with_share_at(1.0, torch.rand(start.shape[0], device=start.device), start_share)
        begin = start + self.noise * torch.randn_like(start)
        wide = _wide(level, start)
        return BridgeDraw(level, (1 - wide) * target + wide * begin, begin - target)

    def sample(self, velocity: Velocity, start: Tensor, *, steps: int, generators: list[torch.Generator]) -> Tensor:
        """Return target latents by Euler steps from level 1 to 0; sample i depends on its own generator alone.

        Args:
            velocity: the learned derivative of the path.
            start: (B, ...), one start for every sample.
            steps: number of calls of ``velocity``.
            generators: one per sample.
        """
        scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps).tolist(), device=start.device)
        noise = torch.stack([torch.randn(start.shape[1:], generator=generator) for generator in generators]).to(start)
        latent = start + self.noise * noise
        timesteps = torch.as_tensor(scheduler.timesteps)
        for timestep in timesteps:
            level = torch.full((start.shape[0],), float(timestep) / 1000.0, device=start.device)
            slope: Any = velocity(latent, level)  # diffusers' annotations ask for the legacy FloatTensor
            latent = scheduler.step(slope, cast(Any, timestep), cast(Any, latent), return_dict=False)[0]
        return latent


def with_share_at(place: float, drawn: Tensor, share: float) -> Tensor:
    """Return the draws (B,) with a random share of them moved to ``place``; a share of 0 draws no further number."""
    if share == 0:
        return drawn
    return torch.where(torch.rand(len(drawn), device=drawn.device) < share, torch.full_like(drawn, place), drawn)


def _wide(level: Tensor, like: Tensor) -> Tensor:
    return level.view(-1, *[1] * (like.dim() - 1))
