"""A convolution behind a nearest-neighbour doubling of the slice plane, without the doubled field."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TAPS = (((0,), (1, 2)), ((0, 1), (2,)))
"""Per parity of the output pixel: which taps of the 3-tap kernel fall on the earlier and on the later input pixel."""


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
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_format_of(x))
        for row, row_taps in enumerate(_TAPS):
            padded_rows = F.pad(x, (0, 0, 1 - row, row))
            for column, column_taps in enumerate(_TAPS):
                weight = torch.stack(
                    [
                        torch.stack([self.weight[..., list(i), :][..., list(j)].sum(dim=(-2, -1)) for j in column_taps], dim=-1)
                        for i in row_taps
                    ],
                    dim=-2,
                )
                padded = F.pad(padded_rows, (1 - column, column))
                weight = weight.contiguous(memory_format=_format_of(x))
                out[..., row::2, column::2] = F.conv3d(padded, weight, self.bias, padding=(1, 0, 0))
        return out


def _format_of(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()
    return torch.channels_last_3d if last else torch.contiguous_format
