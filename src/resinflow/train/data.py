"""Training data of any preset: one data set, one pair of loaders.

Samples come from any source (:class:`resinflow.data.FlowSource`): a store on disk or object storage, or the published layout.
Small splits stay in memory; larger ones are read again in every epoch, ahead of the training step, by worker processes. What a
sample looks like depends on the seed, the epoch and its number alone: neither on the workers, nor on what stays in memory, nor
on how often a run was interrupted.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from resinflow.data import FlowSource
from resinflow.flow import InvalidInputError
from resinflow.train.preset import Preset, Visit
from resinflow.train.seeds import Stream, derive_seed
from resinflow.train.stage_options import BaseRecipe, StageOptions

__all__ = ["MEMORY", "FlowDataset", "Place", "Samples", "Share", "SharedSampler", "StageData", "flow_data"]

Recipe = TypeVar("Recipe", bound=BaseRecipe)
Batch = TypeVar("Batch", bound=tuple[Tensor, ...])
Item = TypeVar("Item", covariant=True)

Place = tuple[int, int]
"""Epoch, and position in the split."""
MEMORY = 8e9
"""Bytes up to which the training and the validation split together stay in memory."""
_MOST_WORKERS = 4
"""By default; a store on disk feeds a hundred samples a second into each."""
_PREFETCH = 4
"""Batches that every worker reads ahead."""


@dataclass(frozen=True)
class Share:
    """One of the processes that share every batch: ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1


class SharedSampler(Sampler[Place]):
    """The places of one process in one epoch.

    Process r of n takes positions r, r + n, r + 2 n, ... of the epoch's order: batch b of all processes together is batch b of
    a single process with the n-fold batch size. No sample is taken twice.

    Args:
        length: of the data set.
        share: this process.
        seed: of the stage.
        shuffle: a new order every epoch, in which the last samples are left out where not every process gets one (training
            goes in lockstep); without, every place is of epoch 0, all epochs are alike, and all samples are taken.
    """

    def __init__(self, length: int, share: Share, seed: int, *, shuffle: bool) -> None:
        self._length = length
        self._share = share
        self._seed = seed
        self._shuffle = shuffle
        self._used = length - length % share.size if shuffle else length
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the order of ``epoch`` from now on; Lightning calls this before every epoch."""
        self._epoch = epoch if self._shuffle else 0

    def __len__(self) -> int:
        return len(range(self._share.rank, self._used, self._share.size))

    def __iter__(self) -> Iterator[Place]:
        order = list(range(self._length))
        if self._shuffle:
            generator = torch.Generator().manual_seed(derive_seed(Stream.ORDER, self._seed, self._epoch, 0))
            order = torch.randperm(self._length, generator=generator).tolist()
        for index in order[self._share.rank : self._used : self._share.size]:
            yield self._epoch, index


class FlowDataset(Dataset[Batch], Generic[Recipe, Batch]):
    """Samples of one split as the networks of a preset see them, by epoch and position.

    Args:
        source: the data set.
        split: ``train`` or ``validation``.
        preset: says what is kept of a sample, and how it is mirrored.
        recipe: of the run; it may limit the samples of the training split.
        stage: whose training mirrors the samples; None: they are taken as they are.

    Raises:
        InvalidInputError: no sample in the split, or fewer than the recipe asks for.
    """

    def __init__(
        self, source: FlowSource, split: str, preset: Preset[Any, Recipe, Batch], recipe: Recipe, stage: str | None = None
    ) -> None:
        self._source = source
        self._process = os.getpid()
        self._preset = preset
        self._recipe = recipe
        self._stage = stage
        indices = source.indices(split)
        samples = recipe.samples if split == "train" else None
        if samples is not None and samples > len(indices):
            raise InvalidInputError(
                f"samples is {samples}, but the {split} split of {source.path} has {len(indices)}; needed: at most those."
            )
        if not len(indices):
            raise InvalidInputError(f"{source.path} has no {split} sample; needed: at least one. Use a larger data set.")
        self._indices = [int(index) for index in indices[:samples]]
        self._memory: dict[int, Batch] | None = None

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: Place) -> Batch:
        epoch, position = place
        index = self._indices[position]
        mirrors = ()
        if self._stage is not None:
            visit = Visit(self._recipe.seed_of(self._stage), epoch, position, index)
            mirrors = self._preset.mirrors(self._stage, self._recipe, visit)
        return self._preset.shown(self._sample(index), mirrors, self._recipe)

    def size(self) -> int:
        """Return the bytes that the whole split would take in memory: those of its first sample, times their number."""
        return len(self) * sum(tensor.nbytes for tensor in self._sample(self._indices[0]))

    def keep(self, workers: int = 0) -> None:
        """Let every sample stay in memory once it was read; with workers, these read all of them now.

        Processes that are forked later share what is there.
        """
        self._memory = {}
        if not workers:
            return
        # a batch is one sample; its copy frees the file descriptor that what a worker hands over occupies
        loader = DataLoader(_Reader(self), batch_size=None, num_workers=workers)
        for index, sample in zip(self._indices, loader, strict=True):
            self._memory[index] = copy.deepcopy(sample)

    def read(self, index: int) -> Batch:
        """Read what is kept of one sample of the data set."""
        if os.getpid() != self._process:  # connections and threads do not survive a fork
            self._inherited = self._source  # tidying up connections is left to the process that opened them
            self._source, self._process = copy.deepcopy(self._source), os.getpid()
        return self._preset.batch(self._source, index, self._recipe)

    @property
    def indices(self) -> list[int]:
        """Numbers of the samples in the data set, by position."""
        return self._indices

    def _sample(self, index: int) -> Batch:
        if self._memory is None:
            return self.read(index)
        if index not in self._memory:
            self._memory[index] = self.read(index)
        return self._memory[index]


class _Reader(Dataset[Batch]):
    """What is kept of the samples of a split, by position: for worker processes that fill the memory."""

    def __init__(self, samples: FlowDataset[Any, Batch]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, position: int) -> Batch:
        return self._samples.read(self._samples.indices[position])


class Samples(Sized, Protocol[Item]):
    """A data set by epoch and position; what it draws at random depends on the place alone."""

    def __getitem__(self, place: Place, /) -> Item: ...


class StageData(L.LightningDataModule):
    """Loaders of a training and a validation part whose batches depend on seed and epoch alone.

    Neither the number of worker processes nor that of the training processes, which share every batch, changes them.

    Args:
        training: shuffled; its last samples of an epoch are left out where they fill no batch.
        validation: in order.
        options: of the stage: batch size (of all processes together) and devices.
        seed: of the stage.
        workers: processes that read samples, per training process.
        device: where the batches go.
        collate: makes a batch of samples; None: tensors are stacked.
    """

    def __init__(
        self,
        training: Samples[Any],
        validation: Samples[Any],
        options: StageOptions,
        seed: int,
        *,
        workers: int = 0,
        device: torch.device | None = None,
        collate: Callable[[Sequence[Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self._training = training
        self._validation = validation
        self._batch_size = options.batch_size // options.devices
        self._seed = seed
        self._pinned = device is not None and device.type == "cuda"
        self._collate = collate
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled and mirrored: this process's share of the training batches."""
        return self._loader(self._training, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """In order, as they are: this process's share of the validation batches.

        Raises:
            InvalidInputError: fewer samples than processes, as for training.
        """
        return self._loader(self._validation, shuffle=False)

    def _loader(self, samples: Samples[Any], *, shuffle: bool) -> DataLoader[Any]:
        share = Share() if self.trainer is None else Share(self.trainer.global_rank, self.trainer.world_size)
        if len(samples) < share.size:
            raise InvalidInputError(
                f"{share.size} devices share {len(samples)} samples; needed: at least one each. Use fewer devices."
            )
        return DataLoader(
            samples,  # pyright: ignore[reportArgumentType] - by place instead of by number
            self._batch_size,
            sampler=SharedSampler(len(samples), share, self._seed, shuffle=shuffle),
            drop_last=shuffle and len(samples) > self._batch_size * share.size,
            collate_fn=self._collate,
            num_workers=self.workers,
            prefetch_factor=_PREFETCH if self.workers else None,
            persistent_workers=self.workers > 0,
            pin_memory=self._pinned,
        )


def flow_data(
    source: FlowSource,
    preset: Preset[Any, Recipe, Any],
    recipe: Recipe,
    stage: str,
    *,
    device: torch.device | None = None,
    memory: float = MEMORY,
) -> StageData:
    """Return the loaders of a stage's training and validation samples.

    Args:
        source: the data set.
        preset: says what is kept of a sample.
        recipe: of the run.
        stage: that trains.
        device: where the batches go.
        memory: bytes up to which both splits stay in memory; no size changes what is trained.

    Raises:
        InvalidInputError: no samples to train or to validate on, or fewer than the recipe asks for.
    """
    training = FlowDataset(source, "train", preset, recipe, stage)
    validation = FlowDataset(source, "validation", preset, recipe)
    options = recipe.options(stage)
    stays = training.size() + validation.size() <= memory
    # samples in memory are mirrored by this process, unless asked otherwise: a CPU that trains has nothing to spare
    workers = options.workers if options.workers is not None else 0 if stays else min(os.cpu_count() or 1, _MOST_WORKERS)
    if stays:
        for samples in (training, validation):
            samples.keep(workers)
    return StageData(training, validation, options, recipe.seed_of(stage), workers=workers, device=device)
