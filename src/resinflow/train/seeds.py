"""Seeds of everything that training draws: functions of the run's seed, the epoch and the sample or batch alone."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

__all__ = ["SeededBatches", "Stream", "derive_seed", "sample_generator"]


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
