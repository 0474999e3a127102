"""Building blocks of the three-dimensional networks; all fields are (batch, channels, depth, height, width)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resinflow.nn.integers import activated_convolution

FOLD = 4
"""In-plane block of voxels that becomes one place of the latent grid; depth is kept."""


def fold(x: Tensor, edge: int = FOLD) -> Tensor:
    """Move every block of ``edge`` x ``edge`` (e x e) voxels of the slice plane into channels; nothing is lost.

    (B, C, D, H, W) -> (B, e^2 C, D, H / e, W / e).
    """
    return nn.functional.pixel_unshuffle(x.transpose(1, 2), edge).transpose(1, 2)


def unfold(x: Tensor, edge: int = FOLD) -> Tensor:
    """Undo :func:`fold`: (B, e^2 C, D, h, w) -> (B, C, D, e h, e w)."""
    batch, channels, depth, height, width = x.shape
    blocks = x.reshape(batch, channels // edge**2, edge, edge, depth, height, width)
    return blocks.permute(0, 1, 4, 5, 2, 6, 3).reshape(batch, -1, depth, height * edge, width * edge)


def convolve_folded(conv: nn.Conv3d, edge: int, fields: Tensor | None, latent: Tensor | None = None) -> Tensor:
    """Return the 1 x 1 x 1 convolution ``conv`` of a latent and of the folded fields behind it, without folding them.

    A convolution of folded fields is one of the fields themselves over their blocks, many times as quick as moving them. Its
    gradient is not, so that they are folded where one is wanted.

    Args:
        conv: from the channels of both to (B, width, D, h, w).
        edge: of the blocks.
        fields: (B, C, D, H, W), H and W multiples of ``edge``; None: the latent alone.
        latent: (B, L, D, H / edge, W / edge), the first channels that ``conv`` sees; None: the fields alone.
    """
    if fields is None or not fields.shape[1]:
        return conv(latent)
    if torch.is_grad_enabled():
        folded = fold(fields, edge)
        return conv(folded if latent is None else torch.cat([latent.to(fields.dtype), folded], dim=1))
    count = fields.shape[1]
    first = conv.weight.shape[1] - count * edge**2
    blocks = conv.weight[:, first:, :, 0, 0].reshape(-1, count, edge, edge, 1).permute(0, 1, 4, 2, 3)
    h = nn.functional.conv3d(fields, blocks, conv.bias, stride=(1, edge, edge))
    return h if latent is None else h + nn.functional.conv3d(latent.to(fields.dtype), conv.weight[:, :first])


class ChannelNorm(nn.Module):
    """Root-mean-square normalisation over the channels of each voxel.

    Statistics over the volume (batch, group and instance norm) would make the output depend on the size of the domain.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, C, D, H, W) with unit mean square over C, times the learned weight of each channel."""
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(length.square() / x.shape[1] + 1e-6)
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
        return x + activated_convolution(self.conv2, activated_convolution(self.conv1, h))


class Trunk(nn.Module):
    """1 x 1 x 1 convolution in, residual blocks, norm and 1 x 1 x 1 convolution out; fully convolutional, any size.

    It sees a latent on the grid that it works on, and fields at full resolution as if they were folded into channels.
    """

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

    def forward(self, latent: Tensor | None = None, fields: Tensor | None = None, embedding: Tensor | None = None) -> Tensor:
        """Map a latent (B, L, D, h, w) and fields (B, C, D, 4 h, 4 w), L + 16 C channels, to (B, channels_out, D, h, w)."""
        h = convolve_folded(self.conv_in, FOLD, fields, latent)
        for block in self.blocks:
            h = block(h, embedding)
        return self.conv_out(nn.functional.silu(self.norm_out(h)))
