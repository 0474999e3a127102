"""The recipe of the preset latent: sizes of the networks, what they see, and the options of three stages."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from resinflow.models import Inputs
from resinflow.train import FlowRecipe, FlowStageOptions, Size, Weight

StageName = Literal["vae3d", "vae2d", "diffusion"]
STAGES: tuple[StageName, ...] = ("vae3d", "vae2d", "diffusion")
"""The stages in their order."""


class LatentArchitecture(Inputs, frozen=True, extra="forbid"):
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
        precision: of the networks' products in a prediction; bfloat16 and int8 (the large convolutions alone, the others in
            bfloat16) change a flow by about 1e-3 of itself; ``auto``: int8 on CPUs with AVX-512 VNNI and BF16, bfloat16 on
            other devices that multiply in it, float32 elsewhere.
    """

    latent_channels: Size = 8
    width: Size = 64
    blocks: tuple[Size, Size, Size, Size] = (3, 5, 5, 2)
    denoiser_blocks: Size = 4
    decoder_levels: Annotated[tuple[tuple[Size, Size], ...], Field(max_length=16)] = ()
    decoder_sees: Literal["all", "geometry", "nothing"] = "all"
    denoiser_couples_slices: bool = True
    process: Literal["bridge", "ddpm"] = "bridge"
    bridge_noise: Annotated[float, Field(gt=0)] = 0.5
    sampler_steps: Size = 2
    samples: Size = 4
    mirror_images: bool = True
    precision: Literal["auto", "int8", "bfloat16", "float32"] = "auto"

    @model_validator(mode="after")
    def _decoder_fits(self) -> Self:
        if len(self.decoder_levels) == 1:
            raise ValueError("decoder_levels has one level; needed: two or more, the second on the grid of the latent, or none")
        if self.decoder_levels and self.decoder_sees == "nothing":
            raise ValueError("a decoder with decoder_levels starts from conditions; needed: decoder_sees: all or geometry")
        return self


class Vae3dOptions(FlowStageOptions, frozen=True, extra="forbid"):
    """Stage 1, encoder_3d and decoder_3d.

    Attributes:
        kl_weight: weight of the divergence of the latent from the standard normal, reached after ``kl_epochs``.
        kl_epochs: epochs over which the weight rises from zero.
        latent_dropout: share of samples that the decoder must reconstruct from the conditions alone.
    """

    kl_weight: Weight = 1e-3
    kl_epochs: Annotated[int, Field(ge=0)] = 3
    latent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Vae2dOptions(FlowStageOptions, frozen=True, extra="forbid"):
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


class DiffusionOptions(FlowStageOptions, frozen=True, extra="forbid"):
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


class LatentRecipe(FlowRecipe, frozen=True, extra="forbid"):
    """A whole run: one model, one seed, three stages.

    Attributes:
        preset: ``latent``, which recipes without it mean too.
        name: of the model.
        model: sizes of the networks and what they see.
        vae3d: options of stage 1.
        vae2d: options of stage 2.
        diffusion: options of stage 3.
    """

    stages: ClassVar[tuple[str, ...]] = STAGES

    preset: Literal["latent"] = "latent"
    name: str = "small"
    model: LatentArchitecture = LatentArchitecture()
    vae3d: Vae3dOptions = Vae3dOptions()
    vae2d: Vae2dOptions = Vae2dOptions()
    diffusion: DiffusionOptions = DiffusionOptions()

    def options(self, stage: str) -> FlowStageOptions:
        """Return the options of one of the stages."""
        return {"vae3d": self.vae3d, "vae2d": self.vae2d, "diffusion": self.diffusion}[stage]
