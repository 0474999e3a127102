"""What the stages of every preset share: parts that train and parts that do not, losses that are logged, the optimiser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

import lightning as L
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from resinflow.train.muon import Muon

StageName = Literal["vae3d", "vae2d", "diffusion"]
STAGES: tuple[StageName, ...] = ("vae3d", "vae2d", "diffusion")
"""The stages of every preset in their order; each has a folder of its name in the run directory."""

Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]


class StageConfig(BaseModel):
    """Options that every stage of every preset has.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples a batch, over all devices together.
        accumulate: batches a step of the optimiser; their mean gradient is clipped once.
        learning_rate: peak of the schedule.
        weight_decay: decoupled weight decay.
        gradient_clip: largest norm of a step's gradient; ``null`` for no limit.
        patience: epochs without a smaller validation loss after which the stage ends; ``null`` to train all epochs.
        keep: which weights the stage hands on: those of the ``last`` epoch, or of the ``best`` one by validation loss.
        precision: Lightning's precision, ``bf16-mixed`` or ``32-true``.
        gradient_checkpointing: compute activations again in the backward pass instead of keeping them: less memory, more time.
        compile: translate the networks with torch.compile.
        devices: GPUs of this machine (or processes, where there is none) that share every batch.
        workers: processes that read samples, per device; 0 reads in the training process, ``null`` lets the data decide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Positive = 20
    batch_size: Positive = 4
    accumulate: Positive = 1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Weight = 1e-3
    gradient_clip: Annotated[float, Field(gt=0)] | None = 1.0
    patience: Positive | None = None
    keep: Literal["last", "best"] = "last"
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    gradient_checkpointing: bool = False
    compile: bool = False
    devices: Positive = 1
    workers: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _devices_share_the_batch(self) -> Self:
        if self.batch_size % self.devices:
            raise ValueError(f"batch_size {self.batch_size} is no multiple of devices {self.devices}; needed: equal shares")
        return self


MACHINE_OPTIONS = frozenset({"gradient_checkpointing", "compile", "devices", "workers"})
"""Options that say how a machine computes a stage, not what is computed: a run may go on with others."""


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
