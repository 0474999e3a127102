"""A network from an image of fibres to their surfaces: one answer, and samples of what else the surfaces may be."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from resinflow.nn.blocks import fold, unfold

_FOLD = 2
DILATIONS = (1, 2, 4, 1, 2, 4)
"""In-plane dilations of the residual blocks: together they see 56 pixels to every side."""
_CELLS = (0, 16, 4)
"""Edge, in places, of the cells over which the three kinds of noise are alike; 0: over the whole image."""


class SurfaceEstimate(NamedTuple):
    """What the network says of images (B, 1, D, H, W).

    Attributes:
        distance: (B, 1, D, H, W), to the fibre surfaces in pixels, positive outside.
        log_scale: (B, 1, D, H, W), logarithm of the mean error of the distance, pixels.
        polarity: (B, D), logit that the fibres are the darker phase.
        features: (B, C, D, H / 2, W / 2), what samples are drawn from.
    """

    distance: Tensor
    log_scale: Tensor
    polarity: Tensor
    features: Tensor


class SliceBlock(nn.Module):
    """A residual block: two convolutions in the slice plane, and between them one across slices for the images of a stack.

    It starts as the identity. There is no normalisation: with six blocks none is needed, and it took a sixth of the time.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.across = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, stacked: Tensor | None) -> Tensor:
        """Return a field like ``x`` (B, C, D, H, W); ``stacked`` (B,): 1 for a stack, 0 for single images; None: all single."""
        h = _in_plane(self.conv1, nn.functional.relu(x))
        if stacked is not None:
            h = h + stacked.to(h.dtype).view(-1, 1, 1, 1, 1) * self.across(nn.functional.relu(h))
        return x + _in_plane(self.conv2, nn.functional.relu(h))


def _in_plane(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of every slice by itself: PyTorch's two-dimensional ones are quicker than those with a depth of one."""
    batch, channels, depth, height, width = x.shape
    pages = x.transpose(1, 2).reshape(batch * depth, channels, height, width).contiguous(memory_format=torch.channels_last)
    return conv(pages).reshape(batch, depth, -1, height, width).transpose(1, 2)


class SurfaceNetwork(nn.Module):
    """Distance to the fibre surfaces, its error and the polarity of an image; fully convolutional in the plane and across it.

    Args:
        width: channels of the residual blocks.
        sample_width: channels of the blocks that draw samples. Multiples of 16: with others the gradients of dilated
            convolutions in bfloat16 hold NaN on some CPUs (oneDNN, PyTorch 2).
    """

    def __init__(self, width: int = 48, sample_width: int = 32) -> None:
        super().__init__()
        self.conv_in = nn.Conv3d(_FOLD**2 + 2, width, 1)
        self.blocks = nn.ModuleList(SliceBlock(width, dilation) for dilation in DILATIONS)
        self.conv_out = nn.Conv3d(width, 2 * _FOLD**2 + 1, 1)
        self.noise_channels = 4
        self.sample_in = nn.Conv3d(width + len(_CELLS) * self.noise_channels, sample_width, 1)
        self.sample_blocks = nn.ModuleList(SliceBlock(sample_width, dilation) for dilation in (1, 2))
        self.sample_out = nn.Conv3d(sample_width, _FOLD**2, 1)
        nn.init.zeros_(self.sample_out.weight)
        nn.init.zeros_(self.sample_out.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, image: Tensor, kind: Tensor, log_step: Tensor, stacked: Tensor | None) -> SurfaceEstimate:
        """Return what images show.

        Args:
            image: (B, 1, D, H, W), greys of which the bulk lies between -1 and 1, or a mask of -1 and 1; H and W are even.
            kind: (B,), 1 for a mask, 0 for greys.
            log_step: (B,), logarithm of the distance of slices in pixels.
            stacked: (B,), 1 for a stack, 0 for single images; None where all are single.
        """
        x = fold(image, _FOLD)
        flags = torch.stack([kind, log_step], dim=1).view(-1, 2, 1, 1, 1).expand(-1, -1, *x.shape[2:])
        h = self.conv_in(torch.cat([x, flags.to(x.dtype)], dim=1))
        for block in self.blocks:
            h = block(h, stacked)
        features = nn.functional.relu(h)
        output = self.conv_out(features).float()
        parts = unfold(output[:, : 2 * _FOLD**2], _FOLD)
        return SurfaceEstimate(parts[:, :1], parts[:, 1:], output[:, -1].mean(dim=(2, 3)), features)

    def displacement(self, features: Tensor, noise: Tensor, stacked: Tensor | None) -> Tensor:
        """Return a sample of the error of the distance (B, 1, D, H, W), pixels.

        Args:
            features: of an estimate, (B, C, D, h, w).
            noise: from :meth:`noise`, (B, N, D, h, w).
            stacked: as in :meth:`forward`.
        """
        h = self.sample_in(torch.cat([features, noise.to(features)], dim=1))
        for block in self.sample_blocks:
            h = block(h, stacked)
        return unfold(self.sample_out(nn.functional.relu(h)).float(), _FOLD)

    def noise(self, shape: torch.Size | tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
        """Return normal noise (B, N, D, h, w): alike over the image, over cells, over small cells.

        Args:
            shape: of the features that it goes with, (B, C, D, h, w).
            generator: of the numbers, on the CPU.
        """
        batch, _, depth, height, width = shape
        fields = []
        for cell in _CELLS:
            size = (1, 1) if cell == 0 else (height // cell + 2, width // cell + 2)
            slices = 1 if cell == 0 else depth
            coarse = torch.randn(batch * slices, self.noise_channels, *size, generator=generator)
            if cell:
                coarse = nn.functional.interpolate(coarse, scale_factor=cell, mode="bilinear", align_corners=False)
            page = coarse[..., :height, :width].expand(-1, -1, height, width)
            page = page.reshape(batch, slices, self.noise_channels, height, width).transpose(1, 2)
            fields.append(page.expand(-1, -1, depth, -1, -1))
        return torch.cat(fields, dim=1)
