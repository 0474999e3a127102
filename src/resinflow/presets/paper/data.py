"""Training data of the published system: masks, planar and 3-D velocities, mirrored together at random."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from resinflow.data import FlowSource
from resinflow.flow import InvalidInputError
from resinflow.models import MIRRORS, Mirror, mirror_fields
from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.recipe import Normalisation

_COMPONENTS = ("vx", "vy", "vz")


class PaperBatch(NamedTuple):
    """A sample, or a batch of them (with a first axis B); flow along x, SI units.

    Attributes:
        fluid: (1, nz, ny, nx), 1 in the fluid, 0 in the fibres.
        planar: (3, nz, ny, nx), the planar flow, vz = 0.
        flow: (3, nz, ny, nx), the 3-D flow.
        spacing: (3,), (dz, dy, dx).
        number: (), of the sample in the data set.
        mirrored: (3,), whether it is mirrored along x, y, z.
    """

    fluid: Tensor
    planar: Tensor
    flow: Tensor
    spacing: Tensor
    number: Tensor
    mirrored: Tensor


def read_sample(source: FlowSource, index: int) -> PaperBatch:
    """Return one sample as it is stored."""
    planar = source.read("planar_velocity", index)
    fields = (
        source.read("fluid", index)[None],
        np.concatenate([planar, np.zeros_like(planar[:1])]),
        source.read("velocity", index),
    )
    fluid, planar, flow = (torch.from_numpy(np.asarray(field, dtype=np.float32)) for field in fields)
    spacing = torch.from_numpy(np.asarray(source.read("spacing", index), dtype=np.float32))
    return PaperBatch(fluid, planar, flow, spacing, torch.tensor(index), torch.zeros(len(MIRRORS), dtype=torch.bool))


def mirrored(sample: PaperBatch, mirrors: tuple[Mirror, ...]) -> PaperBatch:
    """Return a sample of the mirrored medium under the same drive: mask, planar and 3-D flow, with the signs of vy and vz."""
    fluid, planar, flow, spacing, number, _ = sample
    for mirror in mirrors:
        fluid = mirror_fields(fluid, ("fluid",), mirror)
        planar, flow = (mirror_fields(field, _COMPONENTS, mirror) for field in (planar, flow))
    return PaperBatch(fluid, planar, flow, spacing, number, torch.tensor([mirror in mirrors for mirror in MIRRORS]))


def padded(sample: PaperBatch, size: tuple[int, int]) -> PaperBatch:
    """Return a sample with fibre added at its right and lower end up to (height, width) = ``size``, as in prediction."""
    height, width = sample.fluid.shape[-2:]
    padding = (0, size[1] - width, 0, size[0] - height)
    fluid, planar, flow = (F.pad(field, padding) for field in (sample.fluid, sample.planar, sample.flow))
    return sample._replace(fluid=fluid, planar=planar, flow=flow)


def velocity_factors(
    source: FlowSource, normalisation: Normalisation, samples: int | None = None
) -> tuple[NDArray[np.float64], float]:
    """Return what each velocity component is divided by, (3,) m/s, and the largest |component|, of the TRAINING split.

    The larger of 3-D and planar flow counts. A component that is zero throughout is divided by the largest factor of the
    others. ``samples``: only the first ones of the split; None for all of it.

    Raises:
        InvalidInputError: no split drawn yet, or no flow in it.
    """
    largest, sums, voxels = np.zeros((2, 3)), np.zeros((2, 3)), 0
    for index in source.indices("train")[:samples]:
        fluid = source.read("fluid", int(index)) > 0
        voxels += int(fluid.sum())
        for row, name in enumerate(("velocity", "planar_velocity")):
            speeds = np.abs(source.read(name, int(index)))
            present = slice(len(speeds))
            largest[row, present] = np.maximum(largest[row, present], speeds.max(axis=(1, 2, 3)))
            sums[row, present] += (speeds * fluid).sum(axis=(1, 2, 3), dtype=np.float64)
    factors = largest.max(axis=0) if normalisation == "max" else sums.max(axis=0) / max(voxels, 1)
    if not factors.any():
        raise InvalidInputError(f"nothing flows in the training samples of {source.path}; needed: solved flows.")
    return np.where(factors > 0, factors, factors.max()), float(largest.max())


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
        in_memory: keep the latents of every sample and mirror image in memory (float32).
    """

    def __init__(self, system: PaperSystem, *, in_memory: bool) -> None:
        self._system = system
        self._memory: dict[tuple[int, ...], Latents] | None = {} if in_memory else None

    def encode(self, batch: PaperBatch) -> Latents:
        """Return the latents of a batch, without gradients, on its device."""
        each = [self._encoded(batch, place) for place in range(len(batch.number))]
        return Latents(
            torch.cat([latents.clean.to(batch.flow.device) for latents in each]),
            torch.cat([latents.conditions.to(batch.flow.device) for latents in each]),
        )

    def _encoded(self, batch: PaperBatch, place: int) -> Latents:
        key = (int(batch.number[place]), *batch.mirrored[place].int().tolist())
        if self._memory is not None and key in self._memory:
            return self._memory[key]
        fluid, planar, flow = (field[place : place + 1].transpose(1, 2) for field in (batch.fluid, batch.planar, batch.flow))
        with torch.no_grad():
            latents = Latents(self._system.encode_3d(flow), self._system.conditions(fluid, planar))
        if self._memory is not None:
            self._memory[key] = Latents(latents.clean.cpu(), latents.conditions.cpu())
        return latents
