"""A convolution behind a nearest-neighbour doubling of the slice plane, without the doubled field."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UpsampledConv(nn.Conv3d):
    """3 x 3 x 3 convolution of the field whose pixels are doubled along height and width (depth kept)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, channels_in, D, H, W) to (B, channels_out, D, 2 H, 2 W)."""
        if torch.is_grad_enabled():
            return super().forward(F.interpolate(input, scale_factor=(1, 2, 2), mode="nearest"))
        return self._by_parity(input)

    def _by_parity(self, x: Tensor) -> Tensor:
        """Four 3 x 2 x 2 convolutions of the small field, one for each parity of (row, column), with 48 taps instead of 108.

        Of the three taps along an axis two always fall on the same input pixel, so their weights are added first. The sums
        are the same up to rounding.
        """
        batch, _, depth, height, width = x.shape
        shape = (batch, self.out_channels, depth, 2 * height, 2 * width)
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_layout(x))
        for row, row_weight in enumerate(_merged(self.weight, -2)):
            rows = F.pad(x, (0, 0, 1 - row, row))
            for column, weight in enumerate(_merged(row_weight, -1)):
                padded = F.pad(rows, (1 - column, column))
                out[..., row::2, column::2] = F.conv3d(padded, weight, self.bias, padding=(1, 0, 0))
        return out


def _layout(x: Tensor) -> torch.memory_format:
    """The layout of ``x``: with channels last, GroupNorm's float32 sums over a volume lose digits (3e-5 at 11 x 128 x 128)."""
    last = x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()
    return torch.channels_last_3d if last else torch.contiguous_format


def _merged(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Two-tap weights of the even and of the odd outputs along ``axis``: which taps share the earlier and the later pixel."""
    first, middle, last = weight.unbind(axis)
    return torch.stack([first, middle + last], axis), torch.stack([first + middle, last], axis)
