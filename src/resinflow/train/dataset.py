"""Training data: conditions and targets of a split, mirrored at random by the exact symmetries."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resinflow.data import FlowStore
from resinflow.model.conditioning import build_conditions, build_target
from resinflow.model.symmetry import Mirror, mirror_pair

Batch = tuple[Tensor, Tensor]
"""Conditions (B, C, D, H, W) and unscaled targets (B, 4, D, H, W)."""
_MIRRORS: tuple[Mirror, ...] = ("x", "y", "z")
_STORAGE = torch.float16
"""Samples stay in memory in half precision: three digits, a thousandth of what the correction corrects."""


class FlowDataset(Dataset[Batch]):
    """Samples of one split, read on first use and kept in memory.

    Args:
        store: the data set.
        split: ``train``, ``validation`` or ``test``.
        mirrored: apply each mirror to a sample with probability one half.
    """

    def __init__(self, store: FlowStore, split: str, *, mirrored: bool) -> None:
        self._store = store
        self._indices = store.indices(split)
        self._mirrored = mirrored
        self._kept: dict[int, Batch] = {}

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> Batch:
        if place not in self._kept:
            self._kept[place] = self._read(int(self._indices[place]))
        conditions, target = (tensor.float() for tensor in self._kept[place])
        if self._mirrored:
            for mirror in _MIRRORS:
                if torch.rand(()) < 0.5:
                    conditions, target = mirror_pair(conditions, target, mirror)
        return conditions, target

    def _read(self, index: int) -> Batch:
        sample = self._store.sample(index)
        conditions = build_conditions(sample.planar, sample.response)
        target = build_target(sample.truth, sample.response, conditions.speed)
        return torch.from_numpy(conditions.fields).to(_STORAGE), torch.from_numpy(target).to(_STORAGE)


class FlowDataModule(L.LightningDataModule):
    """Loaders of a data set's training and validation splits."""

    def __init__(self, path: Path, batch_size: int) -> None:
        super().__init__()
        store = FlowStore.open(path)
        self._batch_size = batch_size
        self._train = FlowDataset(store, "train", mirrored=True)
        self._validation = FlowDataset(store, "validation", mirrored=False)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled and mirrored."""
        return DataLoader(self._train, self._batch_size, shuffle=True, drop_last=len(self._train) > self._batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """In order, as they are."""
        return DataLoader(self._validation, self._batch_size)
