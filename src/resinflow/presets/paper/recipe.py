"""The recipe of the preset paper: sizes of the published networks, what of them is trained, and how a model samples."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from resinflow.models import Mirror
from resinflow.presets.paper.losses import LossName
from resinflow.presets.paper.networks.vae import GROUPS, STRIDE
from resinflow.train import BaseRecipe, Positive, Size, StageOptions, Weight

SCHEMA = "resinflow-paper-1"
NAME = "paper"

Network = Literal["encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d", "unet"]
Precision = Literal["float32", "bfloat16"]
Steps = Annotated[int, Field(ge=1, le=100_000)]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class VaeSizes(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the dual-branch VAE.

    Attributes:
        channels: velocity components.
        widths: channels at full, half and quarter resolution.
        latent_channels: channels of the latent (in-plane strides of 4).
    """

    channels: Size = 3
    widths: tuple[Size, Size, Size] = (128, 256, 512)
    latent_channels: Size = 8


class DenoiserSizes(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the slice-wise denoiser.

    Attributes:
        in_channels: noisy latent, latent of the planar flow, and one channel of geometry.
        out_channels: channels of the latent.
        features: channels of every level.
        kernel_size: of all convolutions, odd.
        padding_mode: of all convolutions.
        attention_from: first level (1 is the finest) with attention, down to the last; None for none.
        heads: of the attention.
        dropout: in training.
        time_embedding_dim: sines and cosines of the time step.
        time_width: channels of the time embedding.
    """

    in_channels: Size = 17
    out_channels: Size = 8
    features: Annotated[tuple[Size, ...], Field(max_length=16)] = (64, 128, 256, 512, 1024)
    kernel_size: Size = 3
    padding_mode: PaddingMode = "zeros"
    attention_from: Size | None = 3
    heads: Size = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    time_embedding_dim: Size = 64
    time_width: Size = 256


class SamplingDefaults(BaseModel, frozen=True, extra="forbid"):
    """How a prediction samples where the caller does not say otherwise.

    Attributes:
        sampler: ``ddim``, or ``ddpm`` (always all steps of the schedule).
        steps: calls of the denoiser, for ``ddim``.
        eta: 0 for DDIM's deterministic path, 1 for as much fresh noise as DDPM adds.
        samples: samples of a prediction.
        precision: of the networks; schedule and latents are float32 always, and so are the weights on disk.
    """

    sampler: Literal["ddim", "ddpm"] = "ddim"
    steps: Steps = 50
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    samples: Size = 1
    precision: Precision = "float32"


class PaperSizes(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the networks and how the finished model samples.

    Attributes:
        vae: the dual-branch VAE.
        unet: the denoiser; None where only the VAE is there.
        timesteps: steps of the noise schedule.
        distance_transform: whether the denoiser sees the distance to the fibres instead of the mask.
        feature_scale: what that channel is divided by.
        sampling: how it samples.
    """

    vae: VaeSizes = VaeSizes()
    unet: DenoiserSizes | None = DenoiserSizes()
    timesteps: Steps = 1000
    distance_transform: bool = True
    feature_scale: Annotated[float, Field(gt=0)] = 1.0
    sampling: SamplingDefaults = SamplingDefaults()


class PaperArchitecture(PaperSizes, frozen=True, extra="forbid"):
    """A published model: its sizes, and what training has added to them.

    Attributes:
        trained: networks that training has touched; published checkpoints also hold some that it has not.
        largest_velocity: largest |component| in the training data, m/s, where velocities are divided by something else.
    """

    trained: tuple[Network, ...] = ("encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d", "unet")
    largest_velocity: Annotated[float, Field(gt=0)] | None = None

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of it."""
        return STRIDE * (2 ** len(self.unet.features) if self.unet else 1)

    def padded_size(self, pixels: int) -> int:
        """Return the smallest height or width from ``pixels`` up that the networks take."""
        smallest = 1
        if self.unet and self.unet.padding_mode == "reflect":  # the coarsest level must have what is reflected
            smallest = self.unet.kernel_size // 2 + 1
        return self.multiple * max(-(-pixels // self.multiple), smallest)


Normalisation = Literal["max", "mean"]


class PaperStageOptions(StageOptions, frozen=True, extra="forbid"):
    """Options of every published stage, beside those that every stage has.

    Attributes:
        schedule: ``constant`` learning rate, as published, or ``one-cycle`` with the learning rate as its peak.
        mirrors: axes along which training samples are mirrored at random, planar and 3-D flow together, by the exact
            symmetries of the flow; none in the published runs.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    epochs: Positive = 100
    batch_size: Positive = 2
    weight_decay: Weight = 0.0
    keep: Literal["last", "best"] = "best"
    precision: Literal["bf16-mixed", "32-true"] = "32-true"
    schedule: Literal["constant", "one-cycle"] = "constant"
    mirrors: tuple[Mirror, ...] = ()


class PaperVae3dOptions(PaperStageOptions, frozen=True, extra="forbid"):
    """Stage 1: encoder_3d and decoder_3d; reconstruction plus beta times KL.

    Attributes:
        loss: what reconstructions are compared by.
        kl_first: beta at the first epoch.
        kl_weight: beta from epoch ``kl_epochs`` on, and in the validation loss of every epoch.
        kl_epochs: epochs over which beta rises linearly.
    """

    accumulate: Positive = 10
    loss: LossName = "normalised_mae"
    kl_first: Weight = 1e-5
    kl_weight: Weight = 1e-3
    kl_epochs: Annotated[int, Field(ge=0)] = 10


class PaperVae2dOptions(PaperStageOptions, frozen=True, extra="forbid"):
    """Stage 2: encoder_2d and decoder_2d; rec_2d + rec_3d + align + cross + beta (KL_2d + KL_3d), each with its weight.

    The published program ran with a frozen 3-D branch, mean latents, and neither rec_3d nor KL: the defaults. Its
    documentation has ``reconstruction_3d_weight: 1`` and a beta, which mean something with ``frozen_3d: false`` and
    ``drawn_latents: true``.

    Attributes:
        loss: what reconstructions are compared by.
        reconstruction_2d_weight: of the planar flow's reconstruction D2D(E2D).
        reconstruction_3d_weight: of the 3-D flow's reconstruction D3D(E3D).
        align_weight: of the distance between the mean latents of both branches.
        cosine_weight: of one minus their cosine, inside the alignment.
        cross_weight: of the cross-reconstruction D3D(E2D).
        kl_weight: beta of both branches' KL.
        frozen_3d: leave encoder_3d and decoder_3d as stage 1 made them.
        drawn_latents: decode drawn latents in training; otherwise means, and nothing trains the log-variance of encoder_2d
            but its KL. Predictions take means in any case.
    """

    batch_size: Positive = 1
    accumulate: Positive = 5
    loss: LossName = "normalised_mae"
    reconstruction_2d_weight: Weight = 1.0
    reconstruction_3d_weight: Weight = 0.0
    align_weight: Weight = 5.0
    cosine_weight: Weight = 0.1
    cross_weight: Weight = 50.0
    kl_weight: Weight = 0.0
    frozen_3d: bool = True
    drawn_latents: bool = False


class PhysicsWeights(BaseModel, frozen=True, extra="forbid"):
    """Weights of the physics losses (:mod:`resinflow.models.physics`) on the decoded estimate; all off as published."""

    divergence: Weight = 0.0
    flow_rate: Weight = 0.0
    no_slip: Weight = 0.0
    smoothness: Weight = 0.0
    laplacian: Weight = 0.0

    def used(self) -> dict[str, float]:
        """Return the weights above zero by name."""
        return {name: weight for name, weight in self.model_dump().items() if weight > 0}


class PaperDiffusionOptions(PaperStageOptions, frozen=True, extra="forbid"):
    """Stage 3: the denoiser learns the noise in encoder_3d's latent, the VAE frozen.

    Attributes:
        loss: what the noise is compared by.
        noise_weight: of that loss; 0 leaves the training to the velocity loss.
        noise_level: one step of the schedule a ``slice``, as published, or a ``volume``, as in sampling.
        physics: weights of the physics losses.
        velocity_weight: of the error of the decoded velocity.
        component_weights: of vx, vy and vz in it.
        decoded_every: the decoded estimate, and with it physics and velocity losses, every so many batches.
        kept_latents: encode every sample once and keep its latents in memory (at 11 x 256 x 256: 3 MB a sample and mirror
            image).
        validation_steps: DDIM steps by which validation samples are predicted, to log the error and the physics of their
            velocity; 0 for none.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    loss: LossName = "normalised_mse"
    noise_weight: Weight = 1.0
    noise_level: Literal["slice", "volume"] = "slice"
    physics: PhysicsWeights = PhysicsWeights()
    velocity_weight: Weight = 0.0
    component_weights: tuple[Weight, Weight, Weight] = (1.0, 1.0, 1.0)
    decoded_every: Positive = 1
    kept_latents: bool = True
    validation_steps: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if not (self.noise_weight or self.velocity_weight):
            raise ValueError("noise_weight and velocity_weight are both zero; needed: one of them above zero")
        if not any(self.component_weights):
            raise ValueError("component_weights are all zero; needed: one of them above zero")
        return self


class PaperModel(PaperSizes, frozen=True, extra="forbid"):
    """Sizes of the networks and how the finished model samples.

    Attributes:
        unet: the denoiser.

    Raises:
        ValueError: sizes of which no networks can be built.
    """

    unet: DenoiserSizes = DenoiserSizes()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        latent, unet = self.vae.latent_channels, self.unet
        if self.vae.channels != 3:
            raise ValueError(f"the VAE has {self.vae.channels} channels; needed: 3, the velocity components")
        if any(width % GROUPS for width in self.vae.widths):
            raise ValueError(f"the VAE's widths are {self.vae.widths}; needed: multiples of {GROUPS}")
        if (unet.in_channels, unet.out_channels) != (2 * latent + 1, latent):
            raise ValueError(
                f"the U-Net maps {unet.in_channels} channels to {unet.out_channels}; needed for {latent} latent channels: "
                f"{2 * latent + 1} to {latent}"
            )
        attended = unet.features[unet.attention_from - 1 :] if unet.attention_from else ()
        if any(width % unet.heads for width in attended):
            raise ValueError(f"attention over {attended} channels has {unet.heads} heads; needed: a divisor of all of them")
        if unet.time_embedding_dim % 2 or unet.time_embedding_dim < 4 or unet.kernel_size % 2 == 0:
            raise ValueError("time_embedding_dim must be even and above 2, kernel_size odd")
        return self

    def architecture(self, **details: object) -> PaperArchitecture:
        """Return the model's architecture with what training alone knows: ``unet=None``, ``trained``, ``largest_velocity``."""
        return PaperArchitecture.model_validate({**self.model_dump(), **details})


class PaperRecipe(BaseRecipe, frozen=True, extra="forbid"):
    """A whole run of the published system: one model, one seed, three stages.

    Attributes:
        preset: ``paper``.
        name: of the finished model.
        normalisation: velocities are divided, component by component, by their largest value or by their mean magnitude over
            the fluid, of 3-D and planar flows of the TRAINING split.
        model: sizes.
        vae3d: stage 1.
        vae2d: stage 2.
        diffusion: stage 3.
    """

    stages: ClassVar[tuple[str, ...]] = ("vae3d", "vae2d", "diffusion")

    preset: Literal["paper"] = NAME
    name: str = NAME
    normalisation: Normalisation = "max"
    model: PaperModel = PaperModel()
    vae3d: PaperVae3dOptions = PaperVae3dOptions()
    vae2d: PaperVae2dOptions = PaperVae2dOptions()
    diffusion: PaperDiffusionOptions = PaperDiffusionOptions()

    def options(self, stage: str) -> PaperStageOptions:
        """Return the options of one of the stages."""
        return {"vae3d": self.vae3d, "vae2d": self.vae2d, "diffusion": self.diffusion}[stage]

    def largest_size(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        """Return the height and width that slices of (nz, ny, nx) voxels are padded to: all stages see that of prediction."""
        whole = self.model.architecture()
        return whole.padded_size(shape[1]), whole.padded_size(shape[2])
