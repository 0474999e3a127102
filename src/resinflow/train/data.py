"""Loaders whose batches depend on seed and epoch alone, whatever the number of worker and training processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler, Sampler

from resinflow.flow import InvalidInputError

Item = TypeVar("Item", covariant=True)
Place = tuple[int, int]
"""Epoch and index in the data set: all that the random numbers of a sample depend on."""


@dataclass(frozen=True)
class Share:
    """One of the processes that share every batch: ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1


class SeededDataset(Dataset[Item]):
    """A data set whose random numbers (PyTorch's global generator) are those of (seed, epoch, index).

    Args:
        inner: a map-style data set.
        seed: of the stage.
    """

    def __init__(self, inner: Dataset[Item], seed: int) -> None:
        self._inner = inner
        self._seed = seed

    def __getitem__(self, place: Place) -> Item:
        epoch, index = place
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(Stream.AUGMENTATION, self._seed, epoch, index))
            return self._inner[index]


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


def reproducible_loader(loader: DataLoader[Any], share: Share, seed: int, workers: int) -> DataLoader[Any]:
    """Return a loader like ``loader`` with seeded order and augmentation, for one of the processes that share its batches.

    A loader with a DistributedSampler or a :class:`SharedSampler` has its own order and share and is returned as it is.

    Raises:
        InvalidInputError: a data set smaller than the number of processes.
    """
    if isinstance(loader.sampler, DistributedSampler | SharedSampler):
        return loader
    length = len(cast(Any, loader.dataset))
    if length < share.size:
        raise InvalidInputError(f"{share.size} devices share {length} samples; needed: at least one each. Use fewer devices.")
    return DataLoader(
        cast(Dataset[Any], SeededDataset(loader.dataset, seed)),
        cast(int, loader.batch_size) // share.size,
        sampler=SharedSampler(length, share, seed, shuffle=isinstance(loader.sampler, RandomSampler)),
        collate_fn=loader.collate_fn,
        drop_last=loader.drop_last,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


class StageData(L.LightningDataModule):
    """Plain loaders of a training and a validation part: shuffled, and in order.

    Args:
        training: map-style data set; its last samples of an epoch are left out where they fill no batch.
        validation: map-style data set.
        batch_size: of all processes together.
    """

    def __init__(self, training: Dataset[Any], validation: Dataset[Any], batch_size: int) -> None:
        super().__init__()
        self._training = training
        self._validation = validation
        self._batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled."""
        drop = len(cast(Any, self._training)) > self._batch_size
        return DataLoader(self._training, self._batch_size, shuffle=True, drop_last=drop)

    def val_dataloader(self) -> DataLoader[Any]:
        """In order."""
        return DataLoader(self._validation, self._batch_size)


class ReproducibleData(L.LightningDataModule):
    """A data module's training and validation loaders, made reproducible.

    Args:
        inner: its loaders have the batch size of all processes together, or a DistributedSampler.
        seed: of the stage.
        workers: processes that read samples, per training process.
    """

    def __init__(self, inner: L.LightningDataModule, seed: int, workers: int) -> None:
        super().__init__()
        self._inner = inner
        self._seed = seed
        self._workers = workers

    def train_dataloader(self) -> DataLoader[Any]:
        """Return this process's part of the training batches."""
        return self._reproducible(self._known_trainer().train_dataloader())

    def val_dataloader(self) -> DataLoader[Any]:
        """Return this process's part of the validation batches."""
        return self._reproducible(self._known_trainer().val_dataloader())

    def _known_trainer(self) -> L.LightningDataModule:
        """The inner data module, which may ask its trainer for rank and number of processes."""
        self._inner.trainer = self.trainer
        return self._inner

    def _reproducible(self, loader: DataLoader[Any]) -> DataLoader[Any]:
        trainer = cast(L.Trainer, self.trainer)
        return reproducible_loader(loader, Share(trainer.global_rank, trainer.world_size), self._seed, self._workers)


class Stream(IntEnum):
    """What a random number is for; streams of one seed are independent of each other."""

    NOISE = 0
    AUGMENTATION = 1
    ORDER = 2
    TRAINING_BATCH = 3
    VALIDATION_BATCH = 4


def derive_seed(stream: Stream, seed: int, epoch: int, index: int) -> int:
    """Return a 63-bit seed that is a function of the four numbers alone (NumPy's SeedSequence)."""
    entropy = (seed & 0xFFFFFFFFFFFFFFFF, int(stream), epoch, index)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def sample_generator(seed: int, epoch: int, index: int) -> torch.Generator:
    """Return the CPU generator for the noise of one sample in one epoch.

    A module that draws the noise of sample ``index`` from it gets the same noise in any batch and on any number of processes.

    Args:
        seed: of the stage.
        epoch: counted from 0; a constant one for validation keeps its draws alike from epoch to epoch.
        index: of the sample in the data set.
    """
    return torch.Generator().manual_seed(derive_seed(Stream.NOISE, seed, epoch, index))


class SeededBatches(Callback):
    """Seeds PyTorch's own generators at every batch from (seed, epoch, batch, process).

    Validation batches are seeded without the epoch: what a validation step draws is alike from epoch to epoch.

    Args:
        seed: of the stage.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed a training batch."""
        place = batch_idx * trainer.world_size + trainer.global_rank
        torch.manual_seed(derive_seed(Stream.TRAINING_BATCH, self._seed, trainer.current_epoch, place))

    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Seed a validation batch."""
        place = batch_idx * trainer.world_size + trainer.global_rank
        torch.manual_seed(derive_seed(Stream.VALIDATION_BATCH, self._seed, 0, place))
