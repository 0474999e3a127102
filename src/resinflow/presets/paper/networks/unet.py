"""The published denoiser: a two-dimensional U-Net that takes every slice as one item of the batch (B, C, H, W)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING_GROWTH = 4
"""Width of the time embedding over the number of its sines and cosines."""

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

_FEW_PIXELS = 64
"""Pixels of a whole batch up to which a convolution spends its time on reading weights."""
_LARGE_SLICE = 16 * 16
"""Pixels of a slice from which the layout with channels last is the faster one on a CPU in float32."""


class Convolution(nn.Conv2d):
    """Convolution that keeps its size; over few pixels a matrix product, which reads the weights once and in order.

    The deepest levels hold most of the weights and nearly no pixels: oneDNN takes twice as long there, since it first brings
    the weights into its own layout.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, channels_out, H, W)."""
        if not _are_few(input) or self.padding_mode != "zeros":
            return super().forward(input)
        batch, _, height, width = input.shape
        patches = F.unfold(input, self.kernel_size, padding=self.padding[0]).transpose(1, 2)  # pyright: ignore[reportArgumentType]
        return F.linear(patches, self.weight.flatten(1), self.bias).transpose(1, 2).reshape(batch, -1, height, width)


class Block(nn.Module):
    """Convolution without bias, normalisation over the whole slice, SiLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, padding_mode: PaddingMode) -> None:
        super().__init__()
        self.conv = Convolution(
            channels_in, channels_out, kernel_size, padding=kernel_size // 2, bias=False, padding_mode=padding_mode
        )
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        return _activated(self.norm(self.conv(x)))


class DoubleBlock(nn.Module):
    """Two blocks; the time embedding is added to the first one's activation."""

    def __init__(
        self, channels_in: int, channels_out: int, embedding: int, kernel_size: int, padding_mode: PaddingMode, dropout: float
    ) -> None:
        super().__init__()
        self.block1 = Block(channels_in, channels_out, kernel_size, padding_mode)
        self.block2 = Block(channels_out, channels_out, kernel_size, padding_mode)
        self.time_mlp = nn.Sequential(nn.SiLU(), nn.Linear(embedding, channels_out))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W) under the embedding (B, E)."""
        h = self.block1(x) + self.time_mlp(embedding)[:, :, None, None]
        return self.dropout(self.block2(h))


class Down(nn.Module):
    """2 x 2 maximum, normalisation, SiLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width."""
        return _activated(self.norm(F.max_pool2d(x, 2)))


class Up(nn.Module):
    """Transposed 2 x 2 convolution of stride 2, normalisation, SiLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Double height and width."""
        return _activated(self.norm(_few_doubled(self.conv, x) if _are_few(x) else self.conv(x)))


class SelfAttention(nn.Module):
    """Attention between all pixels of a slice, without positions; a residual from the input before normalisation."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.mha = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.proj_out = nn.Conv1d(channels, channels, 1)
        _zero(self.proj_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return a field like ``x`` (B, C, H, W)."""
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        mixed, _ = self.mha(pixels, pixels, pixels, need_weights=False)
        out = F.linear(mixed, self.proj_out.weight.squeeze(-1), self.proj_out.bias)  # a 1 x 1 convolution is slower on CPUs
        return x + out.transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """Noise of a slice from its noisy latent, its conditions (stacked along the channels) and the time step.

    Args:
        in_channels: channels of the noisy latent and the conditions.
        out_channels: channels of the latent.
        features: channels of every level; height and width must be multiples of 2 ** len(features).
        kernel_size: of all convolutions, odd.
        padding_mode: of all convolutions.
        attention_from: first level (1 is the finest) with attention, down to the last; None for none.
        heads: of the attention.
        dropout: after every double block, in training.
        time_embedding_dim: number of sines and cosines of the time step.
        time_width: channels of the time embedding; four times that number by default.
    """

    def __init__(
        self,
        *,
        in_channels: int = 17,
        out_channels: int = 8,
        features: tuple[int, ...] = (64, 128, 256, 512, 1024),
        kernel_size: int = 3,
        padding_mode: PaddingMode = "zeros",
        attention_from: int | None = 3,
        heads: int = 2,
        dropout: float = 0.0,
        time_embedding_dim: int = 64,
        time_width: int | None = None,
    ) -> None:
        super().__init__()
        self.time_embedding_dim = time_embedding_dim
        width = time_width or EMBEDDING_GROWTH * time_embedding_dim
        self.time_mlp = nn.Sequential(nn.Linear(time_embedding_dim, width), nn.SiLU(), nn.Linear(width, width))

        def double(channels_in: int, channels_out: int) -> DoubleBlock:
            return DoubleBlock(channels_in, channels_out, width, kernel_size, padding_mode, dropout)

        def attention(level: int, channels: int) -> nn.Module:
            there = attention_from is not None and level + 1 >= attention_from
            return SelfAttention(channels, heads) if there else nn.Identity()

        inputs = (in_channels, *features[:-1])
        levels = list(enumerate(zip(inputs, features, strict=True)))
        self.encoder = nn.ModuleList(
            nn.ModuleList([double(before, here), attention(level, here), Down(here)]) for level, (before, here) in levels
        )
        self.bottleneck = double(features[-1], 2 * features[-1])
        self.decoder = nn.ModuleList(
            nn.ModuleList([Up(2 * here, here), double(2 * here, here), attention(level, here)])
            for level, (_, here) in reversed(levels)
        )
        self.final_conv = nn.Conv2d(features[0], out_channels, kernel_size, padding=kernel_size // 2, padding_mode=padding_mode)
        _zero(self.final_conv)

    def forward(self, x: Tensor, timestep: Tensor) -> Tensor:
        """Return the noise (B, out_channels, H, W) of ``x`` (B, in_channels, H, W) at the integer steps ``timestep`` (B,)."""
        embedding = self.time_mlp(sinusoid(timestep, self.time_embedding_dim).to(x.dtype))
        skips = []
        for double, attention, down in self._levels(self.encoder):
            x = attention(double(_laid_out(x), embedding))
            skips.append(x)
            x = down(x)
        x = self.bottleneck(_laid_out(x), embedding)
        for up, double, attention in self._levels(self.decoder):
            x = attention(double(torch.cat([skips.pop(), _laid_out(up(x))], dim=1), embedding))
        return self.final_conv(x)

    @staticmethod
    def _levels(levels: nn.ModuleList) -> list[list[nn.Module]]:
        return [list(level.children()) for level in levels]


def sinusoid(timestep: Tensor, dimension: int) -> Tensor:
    """Return (B, dimension): sines, then cosines of the step at frequencies from 1 to 1e-4 (Vaswani et al. 2017, 3.5)."""
    half = dimension // 2
    frequencies = torch.exp(torch.arange(half, device=timestep.device) * -(math.log(10000.0) / (half - 1)))
    angles = timestep[:, None] * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _laid_out(x: Tensor) -> Tensor:
    large = x.shape[-2] * x.shape[-1] >= _LARGE_SLICE
    return x.contiguous(memory_format=torch.channels_last if large or x.dtype != torch.float32 else torch.contiguous_format)


def _are_few(x: Tensor) -> bool:
    """In bfloat16 the convolutions are the faster ones throughout."""
    return x.dtype == torch.float32 and x.shape[0] * x.shape[-2] * x.shape[-1] <= _FEW_PIXELS


def _few_doubled(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """The transposed convolution as a matrix product: with stride 2 and kernel 2 every input pixel has its own four outputs."""
    batch, channels, height, width = x.shape
    out = x.permute(0, 2, 3, 1).reshape(-1, channels) @ layer.weight.flatten(1)
    out = out.view(batch, height, width, -1, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, 2 * height, 2 * width)
    return out if layer.bias is None else out + layer.bias.view(1, -1, 1, 1)


def _activated(x: Tensor) -> Tensor:
    return F.silu(x, inplace=not x.requires_grad)


def _zero(layer: nn.Conv1d | nn.Conv2d) -> None:
    """A residual branch or an output that begins at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
