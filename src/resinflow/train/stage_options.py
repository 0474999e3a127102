"""The base classes of all recipes and of the options of their stages. Nothing here loads Lightning."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from resinflow.models import Inputs, PhysicsLoss

Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, Field(ge=1, le=4096)]
"""Of networks and of sampling: beyond, no machine holds them."""
Weight = Annotated[float, Field(ge=0)]

MACHINE_OPTIONS = frozenset({"gradient_checkpointing", "compile", "devices", "workers"})
"""Options that say how a machine computes a stage, not what is computed: a run may go on with others."""

RAISABLE_OPTIONS = frozenset({"epochs", "samples"})
"""Options that a run may go on with larger values of; what is computed before stays."""


class StageOptions(BaseModel, frozen=True, extra="forbid"):
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
        workers: processes that read samples, per device; 0 reads in the training process, ``null`` lets the data decide: none
            for samples that stay in memory, else one a core up to four.
    """

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


class FlowStageOptions(StageOptions, frozen=True, extra="forbid"):
    """Options of a stage that learns the correction of a base flow: its optimiser, and what a decoded flow is asked for.

    Attributes:
        optimizer: ``muon`` (:mod:`resinflow.train.muon`) or ``adamw``; one learning rate serves both.
        flow_rate_weight: weight of the error of the mean vx correction, in units of the correction's RMS: that of K.
        physics: weights of the losses of :mod:`resinflow.models.physics` by name, on the whole flow in units of the base flow's
            RMS speed and of the pixel.
    """

    optimizer: Literal["muon", "adamw"] = "muon"
    flow_rate_weight: Weight = 1.0
    physics: dict[PhysicsLoss, Weight] = {}


class BaseRecipe(BaseModel, frozen=True, extra="forbid"):
    """A whole run: one model, one seed, the stages of one preset in their order. Each stage is a key of the recipe.

    Attributes:
        stages: names of the stages; each has a folder of its name in the run directory.
        preset: the family of models.
        name: of the finished model.
        seed: decides on the initial weights, and with the epoch on order, mirrors and noise.
        samples: only so many samples of the training split, its first ones; ``null`` for all of it.
        model: sizes of the networks and what they see.
    """

    stages: ClassVar[tuple[str, ...]]

    preset: str
    name: str
    seed: int = 2024
    samples: Positive | None = None
    model: BaseModel

    @abstractmethod
    def options(self, stage: str) -> StageOptions:
        """Return the options of one of the stages."""

    def seed_of(self, stage: str) -> int:
        """Return the seed of a stage: another one for each."""
        return self.seed + self.stages.index(stage)


class FlowRecipe(BaseRecipe, frozen=True, extra="forbid"):
    """A recipe of a preset that corrects a base flow."""

    model: Inputs

    @abstractmethod
    def options(self, stage: str) -> FlowStageOptions:
        """Return the options of one of the stages."""

    @model_validator(mode="after")
    def _physics_has_its_flow(self) -> Self:
        whole = self.model.learns == "correction" and not any(name.startswith("base_v") for name in self.model.hidden)
        if not whole and any(self.options(stage).physics for stage in self.stages):
            raise ValueError(
                "physics losses add the correction to the base velocity that the networks see, which is hidden here or not "
                "what they correct; needed: no physics, or learns: correction and no base_vx, base_vy, base_vz in hidden"
            )
        return self
