"""Training data of the published system: masks, planar and 3-D velocities, mirrored together at random."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from resinflow.data import FlowSource
from resinflow.flow import InvalidInputError
from resinflow.models import MIRRORS, Mirror, mirror_fields
from resinflow.presets.paper.recipe import Normalisation

_COMPONENTS = ("vx", "vy", "vz")
_KEPT_BYTES = 4 * 2**30
"""Samples stay in memory, in single precision, up to this size of a split."""


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


class PaperDataset(Dataset[PaperBatch]):
    """Samples of one split; mirrors are drawn from PyTorch's own generator.

    Args:
        source: the data set.
        split: ``train``, ``validation`` or ``test``.
        size: height and width after padding.
        mirrors: axes along which a sample is mirrored with probability one half.

    Raises:
        InvalidInputError: no sample in the split.
    """

    def __init__(self, source: FlowSource, split: str, size: tuple[int, int], mirrors: tuple[Mirror, ...] = ()) -> None:
        self._source = source
        self._indices = source.indices(split)
        self._size = size
        self._mirrors = mirrors
        self._kept: dict[int, PaperBatch] = {}
        if not len(self._indices):
            raise InvalidInputError(f"{source.path} has no {split} sample; needed: at least one. Use a larger data set.")
        self._keeps = len(self._indices) * _sample_bytes(source.shape) <= _KEPT_BYTES

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> PaperBatch:
        sample = self._kept.get(place) or read_sample(self._source, int(self._indices[place]))
        if self._keeps:
            self._kept[place] = sample
        return padded(mirrored(sample, tuple(mirror for mirror in self._mirrors if torch.rand(()) < 0.5)), self._size)


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


def _sample_bytes(shape: tuple[int, int, int]) -> int:
    return 7 * 4 * math.prod(shape)


def velocity_factors(source: FlowSource, normalisation: Normalisation) -> tuple[NDArray[np.float64], float]:
    """Return what each velocity component is divided by, (3,) m/s, and the largest |component|, of the TRAINING split.

    The larger of 3-D and planar flow counts. A component that is zero throughout is divided by the largest factor of the
    others.

    Raises:
        InvalidInputError: no split drawn yet, or no flow in it.
    """
    largest, sums, voxels = np.zeros((2, 3)), np.zeros((2, 3)), 0
    for index in source.indices("train"):
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
