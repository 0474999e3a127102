"""The recipe of the preset oneslice: sizes of the networks and the options of its three stages."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from resinflow.train import BaseRecipe, Size, StageOptions, Weight

__all__ = [
    "NAME",
    "SCHEMA",
    "SliceArchitecture",
    "SliceDiffusionOptions",
    "SliceRecipe",
    "SliceVae2dOptions",
    "SliceVae3dOptions",
]

SCHEMA = "resinflow-oneslice-1"
NAME = "oneslice"


class SliceArchitecture(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the networks (:class:`resinflow.nn.VolumeNetworks`), and how they are sampled.

    Attributes:
        latent_channels: channels of the planar latent (strides of 4).
        common_channels: those that are one number for the whole section, two at least.
        width: channels inside all networks.
        blocks: residual blocks of encoder_3d, carrier, decoder_3d, encoder_2d and denoiser.
        bridge_noise: noise at the start of the bridge, in standard deviations of the latent.
        sampler_steps: denoiser calls of a draw.
        precision: of the networks' products in use; ``auto`` as in the preset latent.
    """

    latent_channels: Size = 8
    common_channels: Annotated[int, Field(ge=2, le=4096)] = 4
    width: Size = 64
    blocks: tuple[Size, Size, Size, Size, Size] = (3, 3, 4, 4, 6)
    bridge_noise: Annotated[float, Field(gt=0)] = 1.0
    sampler_steps: Size = 8
    precision: Literal["auto", "bfloat16", "float32"] = "auto"

    @model_validator(mode="after")
    def _slopes_have_channels(self) -> Self:
        if self.latent_channels < self.common_channels + 2:
            raise ValueError(
                f"latent_channels is {self.latent_channels}; needed: at least {self.common_channels + 2}, two more than "
                "common_channels"
            )
        return self


class SliceStageOptions(StageOptions, frozen=True, extra="forbid"):
    """What all stages have.

    Attributes:
        slices: slices of a volume that a training step sees, the known one among them.
        unknown_share: share of the samples whose misalignment the networks are not told.
    """

    slices: Size = 7
    unknown_share: Annotated[float, Field(ge=0, le=1)] = 0.3


class SliceVae3dOptions(SliceStageOptions, frozen=True, extra="forbid"):
    """Stage 1, encoder_3d and decoder_3d.

    Attributes:
        kl_weight: weight of the divergence of the latent from the standard normal.
        flow_weight: weight of the errors of velocity and pressure beside that of the distance.
        flow_rate_weight: weight of the error of the mean vx, relative: that of K.
    """

    kl_weight: Weight = 1e-3
    flow_weight: Weight = 1.0
    flow_rate_weight: Weight = 1.0


class SliceVae2dOptions(SliceStageOptions, frozen=True, extra="forbid"):
    """Stage 2, encoder_2d, which learns the expectation of the latent; the others are frozen."""


class SliceDiffusionOptions(SliceStageOptions, frozen=True, extra="forbid"):
    """Stage 3, the denoiser; the others are frozen."""


class SliceRecipe(BaseRecipe, frozen=True, extra="forbid"):
    """A whole run: one model, one seed, three stages.

    Attributes:
        preset: ``oneslice``.
        name: of the finished model.
        model: sizes of the networks.
        vae3d: options of stage 1.
        vae2d: options of stage 2.
        diffusion: options of stage 3.
    """

    stages: ClassVar[tuple[str, ...]] = ("vae3d", "vae2d", "diffusion")

    preset: Literal["oneslice"] = NAME
    name: str = NAME
    model: SliceArchitecture = SliceArchitecture()
    vae3d: SliceVae3dOptions = SliceVae3dOptions()
    vae2d: SliceVae2dOptions = SliceVae2dOptions()
    diffusion: SliceDiffusionOptions = SliceDiffusionOptions()

    def options(self, stage: str) -> SliceStageOptions:
        """Return the options of one of the stages."""
        return {"vae3d": self.vae3d, "vae2d": self.vae2d, "diffusion": self.diffusion}[stage]
