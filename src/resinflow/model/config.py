"""What a model is: sizes of its networks, its bridge and its scaling. One JSON document rebuilds it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resinflow.core.flow import Base
from resinflow.model.conditioning import Condition, Learns

Positive = Annotated[int, Field(ge=1)]


class InputConfig(BaseModel):
    """What networks are given and in which units, whatever they are.

    Attributes:
        base: the flow that the networks correct.
        speed: unit of velocity, m/s; None: the RMS speed of each sample's own base flow, so that any resin and any pressure
            drop give the same input.
        hidden: conditions that the networks do not see (names of :data:`resinflow.model.conditioning.CHANNELS`).
        learns: ``correction`` to the base flow, or ``flow``: all of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Base = "grid"
    speed: Annotated[float, Field(gt=0)] | None = None
    hidden: tuple[Condition, ...] = ()
    learns: Learns = "correction"


class ModelConfig(InputConfig):
    """Sizes of the dual-branch VAE and of the latent diffusion model.

    Attributes:
        latent_channels: channels of the latent grid (in-plane strides of 4).
        width: channels inside all networks.
        blocks: residual blocks of encoder_3d, decoder_3d, encoder_2d, decoder_2d.
        denoiser_blocks: residual blocks of the denoiser.
        decoder_levels: (channels, residual blocks) of the levels of a U-shaped decoder_3d, the finest first: it works on blocks
            of 2 x 2 pixels, and each level has half the height and width of the one before; none: a decoder_3d like the other
            networks, on the grid of the latent.
        decoder_sees: conditions that decoder_3d sees beside the latent: all, the geometry, or none.
        denoiser_couples_slices: whether the denoiser's convolutions reach the slices above and below.
        process: ``bridge`` from the latent of the 2-D branch, or ``ddpm`` from pure noise.
        bridge_noise: noise at the start of the bridge, in standard deviations of the latent.
        sampler_steps: denoiser calls of a prediction.
        samples: samples of a prediction.
        mirror_images: whether the samples of a prediction see the medium in its mirror images, one after the other.
        precision: of the networks' products in a prediction. bfloat16 changes a flow by less than 1e-3 of itself; ``auto``
            takes it on CPUs that have it (AVX-512 BF16), and float32 elsewhere.
    """

    latent_channels: Positive = 8
    width: Positive = 64
    blocks: tuple[Positive, Positive, Positive, Positive] = (3, 5, 5, 2)
    denoiser_blocks: Positive = 4
    decoder_levels: tuple[tuple[Positive, Positive], ...] = ()
    decoder_sees: Literal["all", "geometry", "nothing"] = "all"
    denoiser_couples_slices: bool = True
    process: Literal["bridge", "ddpm"] = "bridge"
    bridge_noise: Annotated[float, Field(gt=0)] = 0.5
    sampler_steps: Positive = 2
    samples: Positive = 4
    mirror_images: bool = True
    precision: Literal["auto", "bfloat16", "float32"] = "auto"

    @model_validator(mode="after")
    def _decoder_fits(self) -> Self:
        if len(self.decoder_levels) == 1:
            raise ValueError("decoder_levels has one level; needed: two or more, the second on the grid of the latent, or none")
        if self.decoder_levels and self.decoder_sees == "nothing":
            raise ValueError("a decoder with decoder_levels starts from conditions; needed: decoder_sees: all or geometry")
        return self


PRESETS: dict[str, ModelConfig] = {"small": ModelConfig()}
"""Named sizes; ``small`` is the one whose weights come with the package."""
