"""The three-dimensional denoiser in the latent: it couples the slices and sees the conditions at full resolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from resinflow.nn.blocks import FOLD, Trunk

_EMBEDDING = 64


class Denoiser(nn.Module):
    """Maps a noisy latent, the latent of the 2-D branch, the conditions and the noise level to a latent field.

    Args:
        latent_channels: channels of the latent.
        condition_channels: channels of the conditions at full resolution.
        width: channels inside.
        blocks: residual blocks.
        couple_slices: False to treat every slice by itself.
    """

    def __init__(
        self, *, latent_channels: int, condition_channels: int, width: int, blocks: int, couple_slices: bool = True
    ) -> None:
        super().__init__()
        channels_in = 2 * latent_channels + condition_channels * FOLD * FOLD
        self.embed = nn.Sequential(nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU())
        self.trunk = Trunk(channels_in, width, blocks, latent_channels, embedding=_EMBEDDING, couple_slices=couple_slices)

    def forward(self, noisy: Tensor, start: Tensor, conditions: Tensor, level: Tensor) -> Tensor:
        """Return a field like ``noisy`` (B, latent, D, h, w); ``level`` (B,) runs from 0 (clean) to 1."""
        return self.trunk(torch.cat([noisy, start], dim=1), conditions, self.embed(_sinusoid(level))).float()


def _sinusoid(level: Tensor) -> Tensor:
    """Sines and cosines of the level at 32 frequencies from 1 to 1000 (Vaswani et al. 2017, section 3.5)."""
    half = _EMBEDDING // 2
    frequencies = torch.exp(torch.arange(half, device=level.device) * (math.log(1000.0) / (half - 1)))
    angles = level.float()[:, None] * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
