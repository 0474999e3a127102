"""What the denoiser is trained on: latents of the frozen encoders with the geometry channel, encoded once a sample."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from resinflow.model.paper_system import PaperSystem
from resinflow.train.paper_dataset import PaperBatch


class Latents(NamedTuple):
    """Latents of a batch.

    Attributes:
        clean: (B, latent, D, h, w), the mean latent of the 3-D flow: what the denoiser must find.
        conditions: (B D, latent + 1, h, w), the mean latent of the planar flow and the geometry; slice index fastest.
    """

    clean: Tensor
    conditions: Tensor


class LatentSource:
    """Encodes samples one by one, so that a latent depends on no other sample of its batch.

    Args:
        system: the networks; the encoders must not change.
        kept: keep the latents of every sample and mirror image in memory (float32).
    """

    def __init__(self, system: PaperSystem, *, kept: bool) -> None:
        self._system = system
        self._kept: dict[tuple[int, ...], Latents] | None = {} if kept else None

    def encode(self, batch: PaperBatch) -> Latents:
        """Return the latents of a batch, without gradients, on its device."""
        each = [self._encoded(batch, place) for place in range(len(batch.number))]
        return Latents(
            torch.cat([latents.clean.to(batch.flow.device) for latents in each]),
            torch.cat([latents.conditions.to(batch.flow.device) for latents in each]),
        )

    def _encoded(self, batch: PaperBatch, place: int) -> Latents:
        key = (int(batch.number[place]), *batch.mirrored[place].int().tolist())
        if self._kept is not None and key in self._kept:
            return self._kept[key]
        fluid, planar, flow = (field[place : place + 1].transpose(1, 2) for field in (batch.fluid, batch.planar, batch.flow))
        with torch.no_grad():
            latents = Latents(self._system.encode_3d(flow), self._system.conditions(fluid, planar))
        if self._kept is not None:
            self._kept[key] = Latents(latents.clean.cpu(), latents.conditions.cpu())
        return latents
