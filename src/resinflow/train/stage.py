"""What the stages of every preset share: parts that train and parts that do not, losses that are logged, the optimiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar

import lightning as L
import torch
from torch import Tensor, nn

from resinflow.train.muon import Muon
from resinflow.train.stage_options import StageOptions

__all__ = ["Part", "Stage"]

Part = Literal["train", "validation"]
Networks = TypeVar("Networks", bound=nn.Module)
Options = TypeVar("Options", bound=StageOptions)
Batch = TypeVar("Batch", bound=tuple[Any, ...])


class OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """One cycle of the learning rate over a number of steps that may be raised when a stage goes on."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the step of a checkpoint; the length of the cycle stays this one's."""
        own = self.state_dict()
        super().load_state_dict({**state_dict, **{name: own[name] for name in ("total_steps", "_schedule_phases")}})


class Stage(L.LightningModule, Generic[Networks, Options, Batch]):
    """One stage: trains some of the networks, and logs every term of its losses as a mean over the epoch.

    Args:
        networks: all networks of the model.
        trained: the parts that this stage trains; the others are frozen.
        options: of the stage.
    """

    def __init__(self, networks: Networks, trained: Iterable[nn.Module], options: Options) -> None:
        super().__init__()
        networks.requires_grad_(False)
        for module in trained:
            module.requires_grad_(True)
        self.networks = networks
        self.options = options

    @abstractmethod
    def losses(self, batch: Batch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the terms of a batch, ``loss`` among them.

        Args:
            batch: what the loader gives; the first of its tensors has the samples on its first axis.
            part: whether it is for training or for validation.
            place: number of the batch in its epoch.
        """

    @abstractmethod
    def configure_optimizers(self) -> Any:
        """Return the optimiser of the trained parts: :meth:`adamw` or :meth:`muon`."""

    def training_step(self, batch: Batch, place: int) -> Tensor:
        """Return the loss of a training batch."""
        return self._logged(batch, "train", place)["loss"]

    def validation_step(self, batch: Batch, place: int) -> None:
        """Log every term of a validation batch."""
        self._logged(batch, "validation", place)

    def _logged(self, batch: Batch, part: Part, place: int) -> dict[str, Tensor]:
        terms = self.losses(batch, part, place)
        for name, value in terms.items():
            self.log(f"{part}_{name}", value.detach(), on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return terms

    def adamw(self, *, constant: bool = False) -> Any:
        """Return AdamW over the trained parts, with one cycle of the learning rate over the whole stage or a constant one."""
        rate, decay = self.options.learning_rate, self.options.weight_decay
        optimizer = torch.optim.AdamW(self._trained, lr=rate, weight_decay=decay)
        return optimizer if constant else self._cycled(optimizer)

    def muon(self) -> Any:
        """Return :class:`Muon` over the trained parts, with one cycle of the learning rate over the whole stage."""
        optimizer = Muon(self._trained, lr=self.options.learning_rate, weight_decay=self.options.weight_decay)
        return self._cycled(optimizer, cycle_momentum=False)

    @property
    def _trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def _cycled(self, optimizer: torch.optim.Optimizer, *, cycle_momentum: bool = True) -> Any:
        schedule = OneCycle(
            optimizer,
            self.options.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.1,
            cycle_momentum=cycle_momentum,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
