"""What a model of the preset ``paper`` is: sizes of the published networks, what of them is trained, and how it samples."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from resinflow.nn.paper.vae import STRIDE

SCHEMA = "resinflow-paper-1"
PRESET = "paper"

Positive = Annotated[int, Field(ge=1)]
Network = Literal["encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d", "unet"]
Precision = Literal["float32", "bfloat16"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VaeConfig(_Frozen):
    """Sizes of the dual-branch VAE.

    Attributes:
        channels: velocity components.
        widths: channels at full, half and quarter resolution.
        latent_channels: channels of the latent (in-plane strides of 4).
    """

    channels: Positive = 3
    widths: tuple[Positive, Positive, Positive] = (128, 256, 512)
    latent_channels: Positive = 8


class UNetConfig(_Frozen):
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

    in_channels: Positive = 17
    out_channels: Positive = 8
    features: tuple[Positive, ...] = (64, 128, 256, 512, 1024)
    kernel_size: Positive = 3
    padding_mode: PaddingMode = "zeros"
    attention_from: Positive | None = 3
    heads: Positive = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    time_embedding_dim: Positive = 64
    time_width: Positive = 256


class SamplingConfig(_Frozen):
    """How a prediction samples where the caller does not say otherwise.

    Attributes:
        sampler: ``ddim``, or ``ddpm`` (always all steps of the schedule).
        steps: calls of the denoiser, for ``ddim``.
        eta: 0 for DDIM's deterministic path, 1 for as much fresh noise as DDPM adds.
        samples: samples of a prediction.
        precision: of the networks; schedule and latents are float32 always, and so are the weights on disk.
    """

    sampler: Literal["ddim", "ddpm"] = "ddim"
    steps: Positive = 50
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    samples: Positive = 1
    precision: Precision = "float32"


class PaperConfig(_Frozen):
    """A published model.

    Attributes:
        vae: the dual-branch VAE.
        unet: the denoiser; None where only the VAE is there.
        timesteps: steps of the noise schedule.
        distance_transform: whether the denoiser sees the distance to the fibres instead of the mask.
        feature_scale: what that channel is divided by.
        trained: networks that training has touched; published checkpoints also hold some that it has not.
        sampling: how it samples.
        largest_velocity: largest |component| in the training data, m/s, where velocities are divided by something else.
    """

    vae: VaeConfig = VaeConfig()
    unet: UNetConfig | None = UNetConfig()
    timesteps: Positive = 1000
    distance_transform: bool = True
    feature_scale: Annotated[float, Field(gt=0)] = 1.0
    trained: tuple[Network, ...] = ("encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d", "unet")
    sampling: SamplingConfig = SamplingConfig()
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
