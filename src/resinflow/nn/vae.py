"""The dual-branch variational autoencoder: a 3-D branch for the correction, a 2-D branch for the start flows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resinflow.nn.blocks import FOLD, Trunk, unfold
from resinflow.nn.unet3d import UNet3d

_LOG_VARIANCE_RANGE = (-10.0, 10.0)


@dataclass(frozen=True)
class Posterior:
    """Mean and log-variance of a latent, (B, latent, D, H/4, W/4)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """Return ``mean + deviation * noise``, shaped like the mean; standard normal noise is drawn where none is passed."""
        return self.mean + torch.exp(0.5 * self.log_variance) * (torch.randn_like(self.mean) if noise is None else noise)

    def kl(self) -> Tensor:
        """Return the mean over latents of the Kullback-Leibler divergence to the standard normal."""
        return -0.5 * (1 + self.log_variance - self.mean.square() - self.log_variance.exp()).mean()


class DualBranchVAE(nn.Module):
    """Four networks about one latent grid (in-plane strides of 4, depth kept).

    ``encoder_3d`` maps target and conditions to the latent, ``decoder_3d`` latent and conditions to the target;
    ``encoder_2d`` maps the conditions alone to the same latent, ``decoder_2d`` latent and geometry to the planar fields.
    Encoders and decoders see their input fields at full resolution, folded into channels. A U-shaped ``decoder_3d`` works on
    the conditions at half of it and takes the latent in on its second level, which has the latent's grid.

    Args:
        target_channels: channels of the 3-D target.
        condition_channels: channels of the conditions; the geometry comes first.
        geometry_channels: how many of them are geometry.
        planar_channels: channels that ``decoder_2d`` reconstructs.
        latent_channels: channels of the latent.
        width: channels inside.
        blocks: residual blocks of (encoder_3d, decoder_3d, encoder_2d, decoder_2d).
        decoder_levels: (channels, residual blocks) of the levels of a U-shaped ``decoder_3d``, the finest first; none: like
            the other networks.
        decoder_sees: how many of the conditions, the first ones, ``decoder_3d`` sees; None: all.

    Attributes:
        stride: height and width of all fields must be multiples of it.
    """

    def __init__(
        self,
        *,
        target_channels: int,
        condition_channels: int,
        geometry_channels: int,
        planar_channels: int,
        latent_channels: int,
        width: int,
        blocks: tuple[int, int, int, int],
        decoder_levels: tuple[tuple[int, int], ...] = (),
        decoder_sees: int | None = None,
    ) -> None:
        super().__init__()
        self.geometry_channels = geometry_channels
        self.decoder_sees = condition_channels if decoder_sees is None else decoder_sees
        area = FOLD * FOLD
        both = target_channels + condition_channels
        self.encoder_3d = Trunk(both * area, width, blocks[0], 2 * latent_channels)
        self.stride = FOLD
        if decoder_levels:
            widths, counts = zip(*decoder_levels, strict=True)
            self.decoder_3d: Trunk | UNet3d = UNet3d(
                channels_in=self.decoder_sees,
                channels_out=target_channels,
                block=FOLD // 2,
                widths=widths,
                blocks=counts,
                latent_channels=latent_channels,
            )
            self.stride = max(FOLD, self.decoder_3d.stride)
        else:
            self.decoder_3d = Trunk(latent_channels + self.decoder_sees * area, width, blocks[1], target_channels * area)
        self.encoder_2d = Trunk(condition_channels * area, width, blocks[2], latent_channels)
        self.decoder_2d = Trunk(latent_channels + geometry_channels * area, width, blocks[3], planar_channels * area)

    def encode_3d(self, target: Tensor, conditions: Tensor) -> Posterior:
        """Return the posterior of the latent for a target (B, T, D, H, W) under its conditions (B, C, D, H, W)."""
        mean, log_variance = self.encoder_3d(fields=torch.cat([target, conditions], dim=1)).float().chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*_LOG_VARIANCE_RANGE))

    def decode_3d(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """Return the target (B, T, D, H, W) of a latent under the conditions."""
        first = conditions[:, : self.decoder_sees]
        if isinstance(self.decoder_3d, UNet3d):
            return self.decoder_3d(first, latent.to(conditions.dtype)).float()
        return unfold(self.decoder_3d(latent, first)).float()

    def encode_2d(self, conditions: Tensor) -> Tensor:
        """Return the latent (B, latent, D, H/4, W/4) of the conditions (B, C, D, H, W) alone; it is deterministic."""
        return self.encoder_2d(fields=conditions).float()

    def decode_2d(self, latent: Tensor, conditions: Tensor) -> Tensor:
        """Return the planar fields (B, P, D, H, W) of a latent under the geometry, the first channels of the conditions."""
        geometry = conditions[:, : self.geometry_channels]
        return unfold(self.decoder_2d(latent, geometry)).float()
