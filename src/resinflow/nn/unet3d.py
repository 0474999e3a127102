"""A 3-D U-Net that coarsens the slice plane alone: slices are few and far apart, and their number is kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from torch import Tensor, nn

from resinflow.nn.blocks import ChannelNorm, ResidualBlock, convolve_folded, unfold

_HALVED = (1, 2, 2)


class UNet3d(nn.Module):
    """Residual blocks at several in-plane resolutions, those of the way up with the fields of the way down added.

    The finest level works on blocks of voxels folded into channels. No level has statistics over the volume: any height and
    width that are multiples of :attr:`stride`, any depth.

    Args:
        channels_in: of the input.
        channels_out: of the output.
        block: in-plane edge of the blocks of voxels that are folded into channels.
        widths: channels of every level, the finest first; each has half the height and width of the one before.
        blocks: residual blocks of every level; all but the coarsest have as many again on the way up.
        latent_channels: of a field that comes in on the second level; 0: none does.
    """

    def __init__(
        self,
        *,
        channels_in: int,
        channels_out: int,
        block: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        latent_channels: int = 0,
    ) -> None:
        super().__init__()
        self.block = block
        self.stride = block * 2 ** (len(widths) - 1)
        steps = list(itertools.pairwise(widths))
        self.conv_in = nn.Conv3d(channels_in * block * block, widths[0], 1)
        self.down = nn.ModuleList(_level(width, count) for width, count in zip(widths[:-1], blocks[:-1], strict=True))
        self.coarsen = nn.ModuleList(nn.Conv3d(fine, coarse, _HALVED, stride=_HALVED) for fine, coarse in steps)
        self.inject = nn.Conv3d(latent_channels, widths[1], 1) if latent_channels else None
        self.middle = _level(widths[-1], blocks[-1])
        self.refine = nn.ModuleList(nn.ConvTranspose3d(coarse, fine, _HALVED, stride=_HALVED) for fine, coarse in steps)
        self.up = nn.ModuleList(_level(width, count) for width, count in zip(widths[:-1], blocks[:-1], strict=True))
        self.norm_out = ChannelNorm(widths[0])
        self.conv_out = nn.Conv3d(widths[0], channels_out * block * block, 1)

    def forward(self, x: Tensor, latent: Tensor | None = None) -> Tensor:
        """Map (B, channels_in, D, H, W) to (B, channels_out, D, H, W).

        ``latent``: (B, latent_channels, D, h, w), h and w those of the second level.
        """
        h = convolve_folded(self.conv_in, self.block, x)
        skips = []
        for depth, (level, coarsen) in enumerate(zip(self.down, self.coarsen, strict=True)):
            h = level(h)
            skips.append(h)
            h = coarsen(h)
            if depth == 0 and self.inject is not None and latent is not None:
                h = h + self.inject(latent)
        h = self.middle(h)
        for level, refine in zip(_backwards(self.up), _backwards(self.refine), strict=True):
            h = level(refine(h) + skips.pop())
        h = self.conv_out(nn.functional.silu(self.norm_out(h)))
        return unfold(h, self.block)


def _level(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))


def _backwards(modules: nn.ModuleList) -> Iterable[nn.Module]:
    return reversed(list(modules))
