"""The recipe of a training run: the model's sizes and the options of every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resinflow.data.config import read_config
from resinflow.model.config import InputConfig, ModelConfig
from resinflow.model.physics import PhysicsLoss

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


class FlowStageConfig(StageConfig):
    """Options that every stage of our own model has: its optimiser, and what a decoded flow is asked for beside its error.

    Attributes:
        optimizer: ``muon`` (:mod:`resinflow.train.muon`) or ``adamw``; one learning rate serves both.
        flow_rate_weight: weight of the error of the mean vx correction, in units of the correction's RMS: that of K.
        physics: weights of the losses of :mod:`resinflow.model.physics` by name, on the whole flow in units of the base flow's
            RMS speed and of the pixel.
    """

    optimizer: Literal["muon", "adamw"] = "muon"
    flow_rate_weight: Weight = 1.0
    physics: dict[PhysicsLoss, Weight] = {}

    def check_physics(self, model: InputConfig) -> None:
        """Raise ValueError if there are physics losses and the networks do not see the whole flow that these ask for."""
        if self.physics and (model.learns == "flow" or any(name.startswith("base_v") for name in model.hidden)):
            raise ValueError(
                "physics losses add the correction to the base velocity that the networks see, which is hidden here or not "
                "what they correct; needed: no physics, or learns: correction and no base_vx, base_vy, base_vz in hidden"
            )


class Vae3dConfig(FlowStageConfig):
    """Stage 1, encoder_3d and decoder_3d.

    Attributes:
        kl_weight: weight of the divergence of the latent from the standard normal, reached after ``kl_epochs``.
        kl_epochs: epochs over which the weight rises from zero.
        latent_dropout: share of samples that the decoder must reconstruct from the conditions alone.
    """

    kl_weight: Weight = 1e-3
    kl_epochs: Annotated[int, Field(ge=0)] = 3
    latent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Vae2dConfig(FlowStageConfig):
    """Stage 2, encoder_2d and decoder_2d, encoder_3d frozen.

    Attributes:
        align_weight: weight of the distance between the latents of both branches.
        cross_weight: weight of the cross-reconstruction D3D(E2D).
        reconstruction_weight: weight of the planar reconstruction D2D(E2D).
        volume_weight: weight of the 3-D reconstruction D3D(E3D); above zero decoder_3d goes on learning, from both latents.
    """

    align_weight: Weight = 0.2
    cross_weight: Weight = 1.0
    reconstruction_weight: Weight = 0.2
    volume_weight: Weight = 0.0


class DiffusionConfig(FlowStageConfig):
    """Stage 3, the denoiser, the VAE frozen but for what ``train_decoder`` says.

    Attributes:
        decoded_weight: weight of the decoded target estimate's error, from the same draw of level and noise.
        start_share: share of the draws at the noisy start, which is all that a sampler of one step sees; the others are
            uniform over the path.
        train_decoder: whether decoder_3d goes on learning, from the decoded target estimates.
    """

    decoded_weight: Weight = 1.0
    start_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    train_decoder: bool = False


class TrainingConfig(BaseModel):
    """A whole run: one model, one seed, three stages.

    Attributes:
        name: of the model.
        seed: decides on the initial weights, and with the epoch on order, mirrors and noise.
        samples: only so many samples of the training split, its first ones; ``null`` for all of it.
        model: sizes of the networks and what they see.
        vae3d: options of stage 1.
        vae2d: options of stage 2.
        diffusion: options of stage 3.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "small"
    seed: int = 2024
    samples: Positive | None = None
    model: ModelConfig = ModelConfig()
    vae3d: Vae3dConfig = Vae3dConfig()
    vae2d: Vae2dConfig = Vae2dConfig()
    diffusion: DiffusionConfig = DiffusionConfig()

    @model_validator(mode="after")
    def _physics_has_its_flow(self) -> Self:
        for stage in (self.vae3d, self.vae2d, self.diffusion):
            stage.check_physics(self.model)
        return self


def load_training_config(path: str | Path) -> TrainingConfig:
    """Return the recipe in the YAML file ``path``.

    Raises:
        InvalidInputError: no such file, an unknown key or a value out of range.
    """
    return read_config(Path(path), TrainingConfig)
