"""The published dual-branch VAE: four convolutional networks about one latent grid (in-plane strides of 4, depth kept).

All fields are (batch, channels, depth, height, width). Both branches are three-dimensional and of one shape; neither holds
attention. GroupNorm takes its statistics over the whole volume, so that outputs depend on the size of the field and tiles of
a field do not give the field's output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resinflow.nn import Posterior
from resinflow.presets.paper.networks.upsampling import UpsampledConv

STRIDE = 4
"""Height and width must be multiples of it."""
GROUPS = 32
"""Groups of every normalisation; every width must be a multiple of it."""

_LOG_VARIANCE_RANGE = (-10.0, 10.0)


class ResidualBlock(nn.Module):
    """Twice (GroupNorm, SiLU, 3 x 3 x 3 convolution) and a skip, through a 1 x 1 x 1 convolution where the width changes."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels_in)
        self.conv1 = nn.Conv3d(channels_in, channels_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(GROUPS, channels_out)
        self.conv2 = nn.Conv3d(channels_out, channels_out, 3, padding=1)
        self.residual_layer = nn.Conv3d(channels_in, channels_out, 1) if channels_in != channels_out else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, D, H, W) to (B, channels_out, D, H, W)."""
        h = self.conv1(_activated(self.norm1, x))
        h = self.conv2(_activated(self.norm2, h))
        skip = x if self.residual_layer is None else self.residual_layer(x)
        return h + skip if h.requires_grad else h.add_(skip)


class Encoder(nn.Module):
    """Field (B, channels, D, H, W) to mean and log-variance (B, 2 latent, D, H/4, W/4), not clamped."""

    def __init__(self, channels: int, widths: tuple[int, int, int], latent_channels: int) -> None:
        super().__init__()
        first, second, third = widths
        self.conv_in = nn.Conv3d(channels, first, 3, padding=1)
        self.res1_1 = ResidualBlock(first, first)
        self.res1_2 = ResidualBlock(first, first)
        self.down1 = nn.Conv3d(first, first, 3, stride=(1, 2, 2))
        self.res2_1 = ResidualBlock(first, second)
        self.res2_2 = ResidualBlock(second, second)
        self.down2 = nn.Conv3d(second, second, 3, stride=(1, 2, 2))
        self.res3_1 = ResidualBlock(second, third)
        self.res3_2 = ResidualBlock(third, third)
        self.norm_out = nn.GroupNorm(GROUPS, third)
        self.conv_out = nn.Conv3d(third, 2 * latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return mean and log-variance, stacked along the channels."""
        h = self.res1_2(self.res1_1(self.conv_in(x)))
        h = self.res2_2(self.res2_1(self.down1(_padded_for_stride(h))))
        h = self.res3_2(self.res3_1(self.down2(_padded_for_stride(h))))
        return self.conv_out(_activated(self.norm_out, h))


class Decoder(nn.Module):
    """Latent (B, latent, D, h, w) to field (B, channels, D, 4 h, 4 w); no activation at the end."""

    def __init__(self, channels: int, widths: tuple[int, int, int], latent_channels: int) -> None:
        super().__init__()
        first, second, third = widths
        self.conv_in = nn.Conv3d(latent_channels, third, 3, padding=1)
        self.res1_1 = ResidualBlock(third, third)
        self.res1_2 = ResidualBlock(third, third)
        self.conv_up1 = UpsampledConv(third, second)
        self.res2_1 = ResidualBlock(second, second)
        self.res2_2 = ResidualBlock(second, second)
        self.conv_up2 = UpsampledConv(second, first)
        self.res3_1 = ResidualBlock(first, first)
        self.res3_2 = ResidualBlock(first, first)
        self.norm_out = nn.GroupNorm(GROUPS, first)
        self.conv_out = nn.Conv3d(first, channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Return the field of a latent."""
        h = self.res1_2(self.res1_1(self.conv_in(z)))
        h = self.res2_2(self.res2_1(self.conv_up1(h)))
        h = self.res3_2(self.res3_1(self.conv_up2(h)))
        return self.conv_out(_activated(self.norm_out, h))


class DualBranchVAE(nn.Module):
    """Encoder and decoder of the planar flow (2d) and of the three-dimensional flow (3d), with one latent grid.

    Args:
        channels: velocity components.
        widths: channels at full, half and quarter resolution, multiples of 32.
        latent_channels: channels of the latent.
    """

    def __init__(self, *, channels: int = 3, widths: tuple[int, int, int] = (128, 256, 512), latent_channels: int = 8) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        self.encoder_2d = Encoder(channels, widths, latent_channels)
        self.decoder_2d = Decoder(channels, widths, latent_channels)
        self.encoder_3d = Encoder(channels, widths, latent_channels)
        self.decoder_3d = Decoder(channels, widths, latent_channels)

    def encode_2d(self, planar: Tensor) -> Posterior:
        """Return the posterior of the latent of a planar flow (B, 3, D, H, W) in units of the normalisation factors."""
        return _posterior(self.encoder_2d(planar))

    def encode_3d(self, flow: Tensor) -> Posterior:
        """Return the posterior of the latent of a 3-D flow (B, 3, D, H, W) in units of the normalisation factors."""
        return _posterior(self.encoder_3d(flow))

    def decode_2d(self, latent: Tensor) -> Tensor:
        """Return the planar flow (B, 3, D, 4 h, 4 w) of a latent; its third component is exactly zero."""
        planar = self.decoder_2d(latent)
        keep = torch.ones(planar.shape[1], device=planar.device, dtype=planar.dtype)
        keep[2:3] = 0
        return planar * keep.view(1, -1, 1, 1, 1)

    def decode_3d(self, latent: Tensor) -> Tensor:
        """Return the 3-D flow (B, 3, D, 4 h, 4 w) of a latent."""
        return self.decoder_3d(latent)


def _posterior(moments: Tensor) -> Posterior:
    mean, log_variance = moments.chunk(2, dim=1)
    return Posterior(mean, log_variance.clamp(*_LOG_VARIANCE_RANGE))


def _padded_for_stride(x: Tensor) -> Tensor:
    """Zeros for an unpadded 3 x 3 x 3 convolution of stride 2 in the plane: right, bottom, and both ends of the depth."""
    return F.pad(x, (0, 1, 0, 1, 1, 1))


def _activated(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    h = norm(x)
    return F.silu(h, inplace=not h.requires_grad)  # full fields are the memory of a prediction: one copy less
