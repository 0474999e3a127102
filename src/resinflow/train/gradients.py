"""Gradients of accumulated batches, and activations that are computed again instead of kept."""

from __future__ import annotations

import functools
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.checkpoint import checkpoint


class PartialGroups(Callback):
    """Makes the step after an epoch's last, smaller group of batches the mean over that group.

    Lightning divides every batch's loss by the full group size; three batches of a group of four would count three quarters.
    The correction comes before the gradients are clipped.

    Args:
        accumulate: batches of a full group.
    """

    def __init__(self, accumulate: int) -> None:
        self._accumulate = accumulate
        self._batch = 0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember the place in the epoch."""
        self._batch = batch_idx

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Scale the gradients of a group that is not full."""
        size = self._batch % self._accumulate + 1
        if size < self._accumulate:
            for parameter in (each for group in optimizer.param_groups for each in group["params"]):
                if parameter.grad is not None:
                    parameter.grad.mul_(self._accumulate / size)


def checkpoint_activations(networks: nn.Module, kind: type[nn.Module]) -> None:
    """Let every submodule of ``kind`` forget its activations and compute them again in the backward pass.

    Memory for time, the gradients stay the same; names of the weights do not change.
    """
    for block in networks.modules():
        if isinstance(block, kind):
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)
