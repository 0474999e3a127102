"""What a model is: sizes of its networks, its bridge and its scaling. One JSON document rebuilds it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from resinflow.core.flow import Base

Positive = Annotated[int, Field(ge=1)]


class ModelConfig(BaseModel):
    """Sizes of the dual-branch VAE and of the latent diffusion model.

    Attributes:
        base: the flow that the networks correct.
        latent_channels: channels of the latent grid (in-plane strides of 4).
        width: channels inside all networks.
        blocks: residual blocks of encoder_3d, decoder_3d, encoder_2d, decoder_2d.
        denoiser_blocks: residual blocks of the denoiser.
        bridge_noise: noise at the start of the bridge, in standard deviations of the latent.
        sampler_steps: denoiser calls of a prediction.
        samples: samples of a prediction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Base = "response"
    latent_channels: Positive = 8
    width: Positive = 64
    blocks: tuple[Positive, Positive, Positive, Positive] = (3, 5, 5, 2)
    denoiser_blocks: Positive = 4
    bridge_noise: Annotated[float, Field(gt=0)] = 0.5
    sampler_steps: Positive = 2
    samples: Positive = 4


PRESETS: dict[str, ModelConfig] = {"small": ModelConfig()}
"""Named sizes; ``small`` is the one whose weights come with the package."""
