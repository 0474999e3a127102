"""What the stages of every preset share: parts that train and parts that do not, losses that are logged, the optimiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor, nn

from resinflow.train.config import StageConfig
from resinflow.train.muon import Muon

Part = Literal["train", "validation"]


class TrainedStage(L.LightningModule):
    """One stage: trains some of the networks, and logs every term of its losses as a mean over the epoch.

    Args:
        networks: all networks of the model.
        trained: the parts that this stage trains; the others are frozen.
    """

    def __init__(self, networks: nn.Module, trained: Iterable[nn.Module]) -> None:
        super().__init__()
        networks.requires_grad_(False)
        for module in trained:
            module.requires_grad_(True)

    @abstractmethod
    def batch_losses(self, batch: Any, part: Part, place: int) -> tuple[dict[str, Tensor], int]:
        """Return the terms of a batch, ``loss`` among them, and how many samples it has.

        Args:
            batch: what the loader gives.
            part: whether it is for training or for validation.
            place: number of the batch in its epoch.
        """

    def training_step(self, batch: Any, place: int) -> Tensor:
        """Return the loss of a training batch."""
        return self._logged(batch, "train", place)["loss"]

    def validation_step(self, batch: Any, place: int) -> None:
        """Log every term of a validation batch."""
        self._logged(batch, "validation", place)

    def _logged(self, batch: Any, part: Part, place: int) -> dict[str, Tensor]:
        terms, count = self.batch_losses(batch, part, place)
        for name, value in terms.items():
            self.log(f"{part}_{name}", value.detach(), on_step=False, on_epoch=True, batch_size=count)
        return terms

    def adamw(self, options: StageConfig, *, constant: bool = False) -> Any:
        """Return AdamW over the trained parts, with one cycle of the learning rate over the whole stage or a constant one."""
        optimizer = torch.optim.AdamW(self._trained, lr=options.learning_rate, weight_decay=options.weight_decay)
        return optimizer if constant else self._cycled(optimizer, options)

    def muon(self, options: StageConfig) -> Any:
        """Return :class:`Muon` over the trained parts, with one cycle of the learning rate over the whole stage."""
        optimizer = Muon(self._trained, lr=options.learning_rate, weight_decay=options.weight_decay)
        return self._cycled(optimizer, options, cycle_momentum=False)

    @property
    def _trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def _cycled(self, optimizer: torch.optim.Optimizer, options: StageConfig, *, cycle_momentum: bool = True) -> Any:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            options.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.1,
            cycle_momentum=cycle_momentum,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
