"""Building blocks of the three-dimensional networks; all fields are (batch, channels, depth, height, width)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FOLD = 4
"""In-plane block of voxels that becomes one place of the latent grid; depth is kept."""


def fold(x: Tensor, edge: int = FOLD) -> Tensor:
    """Move every block of ``edge`` x ``edge`` (e x e) voxels of the slice plane into channels; nothing is lost.

    (B, C, D, H, W) -> (B, e^2 C, D, H / e, W / e).
    """
    return nn.functional.pixel_unshuffle(x.transpose(1, 2), edge).transpose(1, 2)


def unfold(x: Tensor, edge: int = FOLD) -> Tensor:
    """Undo :func:`fold`: (B, e^2 C, D, h, w) -> (B, C, D, e h, e w)."""
    return nn.functional.pixel_shuffle(x.transpose(1, 2), edge).transpose(1, 2)


class ChannelNorm(nn.Module):
    """Root-mean-square normalisation over the channels of each voxel.

    Statistics over the volume (batch, group and instance norm) would make the output depend on the size of the domain.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, C, D, H, W) with unit mean square over C, times the learned weight of each channel."""
        scale = torch.rsqrt(x.float().square().mean(dim=1, keepdim=True) + 1e-6)
        return x * scale.to(x.dtype) * self.weight.to(x.dtype).view(1, -1, 1, 1, 1)


class ResidualBlock(nn.Module):
    """Norm, two 3 x 3 x 3 convolutions and a skip; starts as the identity. Optionally modulated by an embedding (FiLM).

    Args:
        channels: of the field.
        embedding: length of the embedding; 0: none.
        couple_slices: False for 1 x 3 x 3 convolutions, which treat every slice by itself.
    """

    def __init__(self, channels: int, embedding: int = 0, *, couple_slices: bool = True) -> None:
        super().__init__()
        depth = 3 if couple_slices else 1
        self.norm = ChannelNorm(channels)
        self.conv1 = nn.Conv3d(channels, channels, (depth, 3, 3), padding=(depth // 2, 1, 1))
        self.conv2 = nn.Conv3d(channels, channels, (depth, 3, 3), padding=(depth // 2, 1, 1))
        self.modulate = nn.Linear(embedding, 2 * channels) if embedding else None
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Return a field like ``x`` (B, C, D, H, W); ``embedding`` (B, E) scales and shifts its channels."""
        h = self.norm(x)
        if self.modulate is not None and embedding is not None:
            scale, shift = self.modulate(embedding)[:, :, None, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        h = self.conv1(nn.functional.silu(h))
        return x + self.conv2(nn.functional.silu(h))


class Trunk(nn.Module):
    """1 x 1 x 1 convolution in, residual blocks, norm and 1 x 1 x 1 convolution out; fully convolutional, any size."""

    def __init__(
        self,
        channels_in: int,
        width: int,
        blocks: int,
        channels_out: int,
        embedding: int = 0,
        *,
        couple_slices: bool = True,
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv3d(channels_in, width, 1)
        self.blocks = nn.ModuleList(ResidualBlock(width, embedding, couple_slices=couple_slices) for _ in range(blocks))
        self.norm_out = ChannelNorm(width)
        self.conv_out = nn.Conv3d(width, channels_out, 1)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Map (B, channels_in, D, H, W) to (B, channels_out, D, H, W)."""
        h = self.conv_in(x)
        for block in self.blocks:
            h = block(h, embedding)
        return self.conv_out(nn.functional.silu(self.norm_out(h)))
