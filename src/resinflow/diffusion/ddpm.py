"""The published noise schedule with its two samplers: DDPM (Ho et al. 2020) and DDIM (Song et al. 2021).

Own code, because the schedulers of the library diffusers give other numbers: their cumulative products are formed in float32
(here in float64, then rounded); their DDIM steps are rounded and evenly spaced with a constant stride to the step before
(here truncated, and each step goes to the next one of the list); and their DDPM step draws its noise itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Noise = Callable[[Tensor, Tensor], Tensor]
"""(latent (B, ...), integer step (B,)) -> estimated noise (B, ...)."""
Draw = Callable[[], Tensor]
"""Returns the standard normal noise of the next step, shaped as the latent."""

CLIP = 30.0
"""Bound on the estimate of the clean latent while sampling."""

_SMALLEST = {"variance": 1e-20, "root": 1e-8}


@dataclass(frozen=True)
class NoiseSchedule:
    """Ten coefficients for every step, float32 (steps,), in the names of the published checkpoints.

    ``alphas_cumprod`` is the share of the clean latent's variance, ``posterior_*`` the moments of q(x_{t-1} | x_t, x_0)
    (Ho et al. 2020, equations 6 and 7).
    """

    betas: Tensor
    alphas: Tensor
    alphas_cumprod: Tensor
    alphas_cumprod_prev: Tensor
    sqrt_alphas_cumprod: Tensor
    sqrt_one_minus_alphas_cumprod: Tensor
    posterior_variance: Tensor
    posterior_log_variance: Tensor
    posterior_mean_coef1: Tensor
    posterior_mean_coef2: Tensor

    @classmethod
    def linear(cls, steps: int = 1000, first: float = 1e-4, last: float = 2e-2) -> NoiseSchedule:
        """Return the schedule whose beta grows linearly from ``first`` to ``last``; computed in float64, kept in float32."""
        betas = torch.linspace(first, last, steps, dtype=torch.float64)
        alphas = 1 - betas
        whole = torch.cumprod(alphas, dim=0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), whole[:-1]])
        variance = (betas * (1 - before) / (1 - whole)).clamp_min(_SMALLEST["variance"])
        columns = (
            betas,
            alphas,
            whole,
            before,
            whole.sqrt(),
            (1 - whole).sqrt(),
            variance,
            variance.log(),
            betas * before.sqrt() / (1 - whole),
            (1 - before) * alphas.sqrt() / (1 - whole),
        )
        return cls(*(column.float() for column in columns))

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.betas)

    def noised(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Return x_t of ``clean`` (B, ...) at the integer steps ``timestep`` (B,) with this very noise."""
        keep, add = self._shares(clean, timestep)
        return keep * clean + add * noise

    def clean_estimate(self, latent: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Return the estimate of x_0 from x_t (B, ...) and the estimated noise, not clipped."""
        keep, add = self._shares(latent, timestep)
        return (latent - add * noise) / keep.clamp_min(_SMALLEST["root"])

    def _shares(self, like: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """What x_t keeps of the clean latent and adds of the noise at steps (B,), each (B, 1, ...) to be multiplied."""
        columns = (self.sqrt_alphas_cumprod, self.sqrt_one_minus_alphas_cumprod)
        keep, add = (column.to(like.device)[timestep].view(-1, *[1] * (like.dim() - 1)) for column in columns)
        return keep, add

    def ddpm_step(self, latent: Tensor, noise: Tensor, timestep: int, fresh: Tensor | None) -> Tensor:
        """Return x_{t-1} of all items at one step: the posterior's mean plus its deviation times ``fresh``.

        Args:
            latent: x_t, (B, ...).
            noise: the network's estimate.
            timestep: t, the same for the whole batch.
            fresh: standard normal noise; not used at t = 0 and may be None there.
        """
        clean = self._clipped_estimate(latent, noise, timestep)
        mean = self.posterior_mean_coef1[timestep] * clean + self.posterior_mean_coef2[timestep] * latent
        if timestep == 0 or fresh is None:
            return mean
        return mean + self.posterior_variance[timestep].sqrt() * fresh

    def ddim_step(
        self,
        latent: Tensor,
        noise: Tensor,
        timestep: int,
        before: int,
        *,
        eta: float = 0.0,
        fresh: Tensor | None = None,
    ) -> Tensor:
        """Return the latent at the step ``before`` (-1 is the clean end) by equation 12 of Song et al. 2021.

        The direction uses the estimated noise as it is, even where the estimate of x_0 was clipped: so do the published
        numbers.

        Args:
            latent: x_t, (B, ...).
            noise: the network's estimate.
            timestep: t.
            before: the step to go to.
            eta: 0 for the deterministic path, 1 for as much fresh noise as DDPM adds.
            fresh: standard normal noise, needed where eta is above 0.
        """
        clean = self._clipped_estimate(latent, noise, timestep)
        now = self.alphas_cumprod[timestep]
        then = self.alphas_cumprod[before] if before >= 0 else torch.ones(())
        sigma = eta * torch.sqrt((1 - then) / (1 - now) * (1 - now / then))
        moved = then.sqrt() * clean + torch.sqrt(1 - then - sigma**2) * noise
        return moved if fresh is None or eta == 0 else moved + sigma * fresh

    def _clipped_estimate(self, latent: Tensor, noise: Tensor, timestep: int) -> Tensor:
        keep = self.sqrt_alphas_cumprod[timestep].clamp_min(_SMALLEST["root"])
        return ((latent - self.sqrt_one_minus_alphas_cumprod[timestep] * noise) / keep).clamp(-CLIP, CLIP)


def standard_normal(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Return standard normal noise (B, ...) with shape, type and device of ``like``; item i is drawn by generator i.

    The generators are the CPU's, so that a seed gives the same noise on every device.
    """
    return torch.stack([torch.randn(like.shape[1:], generator=generator) for generator in generators]).to(like)


def ddim_timesteps(schedule_steps: int, steps: int) -> list[int]:
    """Return ``steps`` integer steps from the last one to 0, evenly spaced and truncated toward zero.

    More steps than the schedule has repeat some of them, which changes nothing there.
    """
    return torch.linspace(schedule_steps - 1, 0, steps, dtype=torch.long).tolist()


def sample_ddpm(schedule: NoiseSchedule, noise: Noise, latent: Tensor, draw: Draw) -> Tensor:
    """Return clean latents by all steps of the schedule.

    With a schedule of one step this is the published one-step rule: pure noise is taken for an almost clean latent
    (sqrt(alphas_cumprod) is 0.99995 there), and the estimate of x_0 is the result.

    Args:
        schedule: the schedule that ``noise`` was trained with.
        noise: the network.
        latent: standard normal, (B, ...).
        draw: gives the fresh noise of the steps T-1 to 1, in this order.
    """
    for step in range(schedule.steps - 1, -1, -1):
        estimate = noise(latent, torch.full((latent.shape[0],), step, device=latent.device))
        latent = schedule.ddpm_step(latent, estimate, step, draw() if step else None)
    return latent


def sample_ddim(
    schedule: NoiseSchedule, noise: Noise, latent: Tensor, *, steps: int, eta: float = 0.0, draw: Draw | None = None
) -> Tensor:
    """Return clean latents by ``steps`` calls of the network.

    Args:
        schedule: the schedule that ``noise`` was trained with.
        noise: the network.
        latent: standard normal, (B, ...).
        steps: calls of the network.
        eta: 0 to 1, see :meth:`NoiseSchedule.ddim_step`.
        draw: gives the fresh noise of every step; needed where eta is above 0.

    Raises:
        ValueError: eta above 0 without ``draw``.
    """
    if eta and draw is None:
        raise ValueError("eta is above 0, so that every step adds fresh noise; needed: draw.")
    timesteps = ddim_timesteps(schedule.steps, steps)
    for step, before in zip(timesteps, [*timesteps[1:], -1], strict=True):
        estimate = noise(latent, torch.full((latent.shape[0],), step, device=latent.device))
        fresh = draw() if eta and draw is not None else None
        latent = schedule.ddim_step(latent, estimate, step, before, eta=eta, fresh=fresh)
    return latent
