"""From a model configuration to networks, and their weights on disk."""

from __future__ import annotations

import torch

from resinflow.diffusion import Bridge, Noising
from resinflow.models import CHANNELS, GEOMETRY_CHANNELS, PLANAR, TARGETS, open_mask
from resinflow.nn import Denoiser, DualBranchVAE, ScaledTargets, as_staggered
from resinflow.presets.latent.recipe import LatentArchitecture


class LatentDiffusion(ScaledTargets):
    """All networks of a model with their scaling.

    Attributes:
        vae: the dual-branch VAE.
        denoiser: the latent denoiser.
        target_scale: (4,), RMS of the targets over the training split.
        latent_scale: (latent,), standard deviation of encoder_3d's latent over the training split.
    """

    latent_scale: torch.Tensor

    def __init__(self, architecture: LatentArchitecture) -> None:
        super().__init__()
        self.vae = DualBranchVAE(
            target_channels=len(TARGETS),
            condition_channels=len(CHANNELS),
            geometry_channels=GEOMETRY_CHANNELS,
            planar_channels=PLANAR.stop - PLANAR.start,
            latent_channels=architecture.latent_channels,
            width=architecture.width,
            blocks=architecture.blocks,
            decoder_levels=architecture.decoder_levels,
            decoder_sees={"all": len(CHANNELS), "geometry": GEOMETRY_CHANNELS, "nothing": 0}[architecture.decoder_sees],
        )
        self.denoiser = Denoiser(
            latent_channels=architecture.latent_channels,
            condition_channels=len(CHANNELS),
            width=architecture.width,
            blocks=architecture.denoiser_blocks,
            couple_slices=architecture.denoiser_couples_slices,
        )
        self.register_buffer("target_scale", torch.ones(len(TARGETS)))
        self.register_buffer("latent_scale", torch.ones(architecture.latent_channels))

    def decode(self, latent: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Return the target (B, 4, D, H, W), in units of its RMS, that ``decoder_3d`` makes of a latent.

        Its velocity has been on the faces of the voxels, which is where mass is conserved: none crosses those of voxels that
        no resin passes.
        """
        return as_staggered(self.vae.decode_3d(latent, conditions), open_mask(conditions))

    def scaled_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """Return latents in units of their standard deviation."""
        return latent / self.latent_scale.view(1, -1, 1, 1, 1)

    def unscaled_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`scaled_latent`."""
        return latent * self.latent_scale.view(1, -1, 1, 1, 1)


Process = Bridge | Noising


def process_of(architecture: LatentArchitecture) -> Process:
    """Return the process that the denoiser is trained for, and sampled by."""
    return Bridge(architecture.bridge_noise) if architecture.process == "bridge" else Noising()
