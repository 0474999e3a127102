"""Training data: conditions and targets of a split, mirrored at random by the exact symmetries.

Samples come from any source (:class:`resinflow.data.source.FlowSource`): a store on disk or object storage, or the published layout.
Small splits stay in memory; larger ones are read again in every epoch, ahead of the training step, by worker processes. What a
sample looks like depends on the seed, the epoch and its number alone: neither on the workers, nor on what is kept, nor on
how often a run was interrupted.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Annotated, Literal

import lightning as L
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from resinflow.data import FlowSource
from resinflow.flow import InvalidInputError
from resinflow.models import (
    CHANNELS,
    MIRRORS,
    TARGETS,
    InputConfig,
    Mirror,
    StartFlows,
    build_target,
    conditions_of,
    mirror_pair,
    target_mask,
)
from resinflow.train.data import Place, Share, SharedSampler


def measure_target_scale(samples: FlowDataModule) -> torch.Tensor:
    """Return the root mean square of the target per channel, over the training split and where it is defined."""
    squares, voxels = torch.zeros(len(TARGETS)), torch.zeros(len(TARGETS))
    for conditions, target in samples.train_dataloader():
        squares += target.square().sum(dim=(0, 2, 3, 4))
        voxels += target_mask(conditions).sum(dim=(0, 2, 3, 4))
    return (squares / voxels).sqrt().clamp_min(1e-9)


Batch = tuple[Tensor, Tensor]
"""Conditions (B, C, D, H, W) and unscaled targets (B, 4, D, H, W)."""
_STORAGE = torch.float16
"""Samples are kept in half precision: three digits, a thousandth of what the correction corrects."""
_MOST_WORKERS = 4
"""By default; a store on disk feeds a hundred samples a second into each."""


class LoadingConfig(BaseModel):
    """How samples reach the training step; no option changes what is trained.

    Attributes:
        keep_in_memory: keep every sample once it was read. ``auto``: where both splits fit into ``memory_limit``.
        memory_limit: bytes.
        workers: processes that read ahead; samples in memory are read by them before the first step, and mirrored by them in
            every epoch. None: none for samples in memory, which the first epoch reads, else one a core up to four.
        prefetch: batches that every worker reads ahead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_in_memory: bool | Literal["auto"] = "auto"
    memory_limit: Annotated[float, Field(gt=0)] = 8e9
    workers: Annotated[int, Field(ge=0)] | None = None
    prefetch: Annotated[int, Field(ge=1)] = 4


class FlowDataset(Dataset[Batch]):
    """Samples of one split, by epoch and place.

    Args:
        source: the data set.
        split: ``train``, ``validation`` or ``test``.
        mirrored: apply each mirror to a sample with probability one half.
        seed: decides, with the epoch and the sample's number, on the mirrors.
        keep: keep samples in memory.
        inputs: what the networks are given.
        samples: only the first ones of the split; None for all of it.

    Raises:
        InvalidInputError: more samples than the split has.
    """

    def __init__(
        self,
        source: FlowSource,
        split: str,
        *,
        mirrored: bool,
        seed: int = 0,
        keep: bool = False,
        inputs: InputConfig | None = None,
        samples: int | None = None,
    ) -> None:
        self._source = source
        self._inputs = inputs or InputConfig()
        self._indices = source.indices(split)
        if samples is not None and samples > len(self._indices):
            raise InvalidInputError(
                f"samples is {samples}, but the {split} split of {source.path} has {len(self._indices)}; needed: at most those."
            )
        self._indices = self._indices[:samples]
        self._mirrored = mirrored
        self._seed = seed
        self._kept: dict[int, Batch] | None = {} if keep else None

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int | Place) -> Batch:
        epoch, position = place if isinstance(place, tuple) else (0, place)
        index = int(self._indices[position])
        conditions, target = (tensor.float() for tensor in self._stored(index))
        if not self._mirrored:
            return conditions, target
        return mirrored_pair(conditions, target, drawn_mirrors(self._seed, epoch, index))

    def fill(self, workers: int) -> None:
        """Read all samples into memory by so many processes, if they are kept there; processes forked later share them."""
        missing = [int(index) for index in self._indices if self._kept is not None and int(index) not in self._kept]
        if self._kept is None or not missing:
            return
        reader = copy.copy(self)
        reader._kept, reader._mirrored, reader._indices = None, False, np.asarray(missing)
        # a batch is one sample; halved again it is a copy, for what a worker hands over occupies a file descriptor each
        loader = DataLoader(reader, batch_size=None, num_workers=workers, worker_init_fn=_start_worker)
        for index, (conditions, target) in zip(missing, loader, strict=True):
            self._kept[index] = conditions.to(_STORAGE), target.to(_STORAGE)

    def reopen(self) -> None:
        """Open the source anew, as a forked process must: connections and threads do not survive a fork."""
        self._inherited = self._source  # kept: tidying up connections is left to the process that opened them
        self._source = copy.deepcopy(self._source)

    def _stored(self, index: int) -> Batch:
        if self._kept is None:
            return self._read(index)
        if index not in self._kept:
            self._kept[index] = self._read(index)
        return self._kept[index]

    def _read(self, index: int) -> Batch:
        sample = self._source.sample(index)
        start = StartFlows(sample.planar, sample.base(self._inputs.base))
        conditions = conditions_of(start, self._inputs)
        target = build_target(sample.truth, start.base, conditions)
        return torch.from_numpy(conditions.fields).to(_STORAGE), torch.from_numpy(target).to(_STORAGE)


def drawn_mirrors(seed: int, epoch: int, index: int) -> tuple[Mirror, ...]:
    """Return the mirrors that sample ``index`` gets in an epoch: any of the eight combinations, equally likely."""
    draws = np.random.default_rng([seed % 2**32, epoch, index]).random(len(MIRRORS))
    return tuple(mirror for mirror, draw in zip(MIRRORS, draws, strict=True) if draw < 0.5)


def mirrored_pair(conditions: Tensor, target: Tensor, mirrors: Sequence[Mirror]) -> Batch:
    """Return conditions and target of the medium mirrored by every one of ``mirrors``."""
    for mirror in mirrors:
        conditions, target = mirror_pair(conditions, target, mirror)
    return conditions, target


class FlowDataModule(L.LightningDataModule):
    """Loaders of a data set's training and validation splits.

    Args:
        source: the data set.
        batch_size: samples a step (of every process).
        seed: decides on order and mirrors.
        loading: how samples are read.
        inputs: what the networks are given.
        samples: only the first ones of the training split; None for all of it.

    Raises:
        InvalidInputError: more samples than the training split has.
    """

    def __init__(
        self,
        source: FlowSource,
        batch_size: int,
        *,
        seed: int = 0,
        loading: LoadingConfig | None = None,
        inputs: InputConfig | None = None,
        samples: int | None = None,
    ) -> None:
        super().__init__()
        loading = loading or LoadingConfig()
        self._batch_size, self._seed, self._prefetch = batch_size, seed, loading.prefetch
        self.kept_in_memory = keeps_in_memory(source, loading)
        self.workers = _worker_count(loading, self.kept_in_memory)
        kept = self.kept_in_memory
        self._train = FlowDataset(source, "train", mirrored=True, seed=seed, keep=kept, inputs=inputs, samples=samples)
        self._validation = FlowDataset(source, "validation", mirrored=False, keep=kept, inputs=inputs)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled and mirrored."""
        return self._loader(self._train, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """In order, as they are."""
        return self._loader(self._validation, shuffle=False)

    def _loader(self, dataset: FlowDataset, *, shuffle: bool) -> DataLoader[Batch]:
        if self.workers:
            dataset.fill(self.workers)
        replicas, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        sampler = SharedSampler(len(dataset), Share(rank, replicas), self._seed, shuffle=shuffle)
        return DataLoader(
            dataset,
            self._batch_size,
            sampler=sampler,
            drop_last=shuffle and len(dataset) > self._batch_size * replicas,
            num_workers=self.workers,
            prefetch_factor=self._prefetch if self.workers else None,
            persistent_workers=self.workers > 0,
            worker_init_fn=_start_worker if self.workers else None,
            pin_memory=torch.cuda.is_available(),
        )


def keeps_in_memory(source: FlowSource, loading: LoadingConfig) -> bool:
    """Return whether the training and validation splits are kept in memory."""
    if loading.keep_in_memory != "auto":
        return loading.keep_in_memory
    samples = sum(len(source.indices(split)) for split in ("train", "validation"))
    one = (len(CHANNELS) + len(TARGETS)) * int(np.prod(source.shape)) * _STORAGE.itemsize
    return samples * one <= loading.memory_limit


def _worker_count(loading: LoadingConfig, kept: bool) -> int:
    """Where samples are kept, this process mirrors them, unless asked otherwise: a CPU that trains has nothing to spare."""
    if loading.workers is not None:
        return loading.workers
    return 0 if kept else min(os.cpu_count() or 1, _MOST_WORKERS)


def _start_worker(_: int) -> None:
    worker = get_worker_info()
    if worker is not None and isinstance(worker.dataset, FlowDataset):
        torch.set_num_threads(1)
        worker.dataset.reopen()
