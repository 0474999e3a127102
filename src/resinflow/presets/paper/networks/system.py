"""The published latent diffusion model on tensors: conditions, sampling and decoding, to the letter.

Fields come as the published program takes them: (batch, slices, channels, height, width), fluid 1 and fibre 0, velocities in
the units of the training data. Inside, the VAE sees (batch, channels, slices, height, width) and the denoiser one slice as
one item of the batch, the slice index running fastest.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from resinflow.diffusion import Draw, NoiseSchedule, sample_ddim, sample_ddpm
from resinflow.flow import InvalidInputError
from resinflow.presets.paper.networks.unet import UNet
from resinflow.presets.paper.networks.vae import STRIDE, DualBranchVAE
from resinflow.presets.paper.recipe import PaperArchitecture, Precision


class PaperSystem(nn.Module):
    """VAE, denoiser and normalisation factors of a published model.

    Attributes:
        architecture: sizes and options.
        vae: the dual-branch VAE.
        model: the denoiser, None where only the VAE is there.
        norm_factors: (channels,), largest |velocity| of each component in the training data; the networks see velocity over it.
        schedule: the noise schedule.
    """

    norm_factors: Tensor

    def __init__(self, architecture: PaperArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.vae = DualBranchVAE(**architecture.vae.model_dump())
        self.model = UNet(**architecture.unet.model_dump()) if architecture.unet else None
        self.register_buffer("norm_factors", torch.ones(architecture.vae.channels))
        with torch.device("cpu"):  # a few thousand numbers that no checkpoint needs to carry
            self.schedule = NoiseSchedule.linear(architecture.timesteps)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the networks; everything between them is float32."""
        return self.vae.encoder_2d.conv_in.weight.dtype

    def with_precision(self, precision: Precision) -> PaperSystem:
        """Cast the networks, not the normalisation factors, and return the system."""
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        for network, axes, layout in ((self.vae, 5, torch.channels_last_3d), (self.model, 4, torch.channels_last)):
            if network is None:
                continue
            network.to(dtype)
            for weight in network.parameters():
                if precision == "bfloat16" and weight.dim() == axes:  # otherwise every call would bring the weights into it
                    weight.data = weight.data.contiguous(memory_format=layout)
        return self

    def latent_shape(self, planar: Tensor) -> tuple[int, int, int, int]:
        """Return the shape (B S, latent, h, w) of the denoiser's latent for fields (B, S, C, H, W)."""
        batch, slices, _, height, width = planar.shape
        return batch * slices, self.architecture.vae.latent_channels, height // STRIDE, width // STRIDE

    def predict(self, fluid: Tensor, planar: Tensor, *, noise: Tensor, draw: Draw) -> Tensor:
        """Return the flow (B, S, 3, H, W) by DDPM, all steps of the schedule.

        Args:
            fluid: (B, S, 1, H, W), 1 in the fluid, 0 in the fibres.
            planar: (B, S, 3, H, W), the planar flow.
            noise: the latent to start from, any shape that reshapes to :meth:`latent_shape`, slice index fastest after batch.
            draw: gives the fresh noise (B S, latent, h, w) of every step but the last.

        Raises:
            InvalidInputError: no denoiser, or a height or width that is no multiple of what the networks divide.
        """
        conditions = self.conditions(fluid, planar)
        start = noise.reshape(self.latent_shape(planar))
        latent = sample_ddpm(self.schedule, lambda x, t: self.estimated_noise(x, conditions, t), start, draw)
        return self.decode(latent, fluid)

    def predict_ddim(
        self,
        fluid: Tensor,
        planar: Tensor,
        *,
        noise: Tensor,
        steps: int = 50,
        eta: float = 0.0,
        draw: Draw | None = None,
    ) -> Tensor:
        """Return the flow (B, S, 3, H, W) by DDIM with ``steps`` calls of the denoiser; arguments as for :meth:`predict`.

        Raises:
            InvalidInputError: as for :meth:`predict`.
        """
        conditions = self.conditions(fluid, planar)
        start = noise.reshape(self.latent_shape(planar))
        latent = sample_ddim(
            self.schedule, lambda x, t: self.estimated_noise(x, conditions, t), start, steps=steps, eta=eta, draw=draw
        )
        return self.decode(latent, fluid)

    def conditions(self, fluid: Tensor, planar: Tensor) -> Tensor:
        """Return (B S, latent + 1, h, w): the mean latent of the planar flow and the geometry, once for all steps."""
        self._check(planar)
        latent = self.encode_2d(planar)
        return torch.cat([flattened(latent), self.geometry(fluid)], dim=1)

    def encode_2d(self, planar: Tensor) -> Tensor:
        """Return the mean latent (B, latent, S, h, w) of planar flows (B, S, 3, H, W)."""
        return self.vae.encode_2d(self.normalised(planar).to(self.dtype)).mean.float()

    def encode_3d(self, flow: Tensor) -> Tensor:
        """Return the mean latent (B, latent, S, h, w) of 3-D flows (B, S, 3, H, W)."""
        return self.vae.encode_3d(self.normalised(flow).to(self.dtype)).mean.float()

    def geometry(self, fluid: Tensor) -> Tensor:
        """Return the geometry channel (B S, 1, h, w): distance to the fibres in pixels (or the mask), bilinearly reduced."""
        height, width = fluid.shape[-2:]
        slices = fluid.reshape(-1, height, width)
        if self.architecture.distance_transform:
            distances = np.stack([slice_distance(mask) for mask in slices.cpu().numpy() > 0.5])
            slices = torch.from_numpy(distances).to(fluid.device)
        feature = slices[:, None].float() / self.architecture.feature_scale
        size = (height // STRIDE, width // STRIDE)
        return F.interpolate(feature, size=size, mode="bilinear", align_corners=False)

    def decode(self, latent: Tensor, fluid: Tensor) -> Tensor:
        """Return the flow (B, S, 3, H, W), zero in the fibres, of a latent (B S, latent, h, w)."""
        batch, slices = fluid.shape[:2]
        volume = latent.reshape(batch, slices, *latent.shape[1:]).transpose(1, 2)
        return self.decode_volume(volume, fluid)

    def decode_volume(self, latent: Tensor, fluid: Tensor) -> Tensor:
        """Return the flow (B, S, 3, H, W), zero in the fibres, of a latent (B, latent, S, h, w)."""
        return self.denormalised(self.vae.decode_3d(latent.to(self.dtype)).float()) * fluid

    def normalised(self, velocity: Tensor) -> Tensor:
        """Return velocities (B, S, C, H, W) over the normalisation factors, as (B, C, S, H, W)."""
        return (velocity / self.norm_factors.view(1, 1, -1, 1, 1)).transpose(1, 2)

    def denormalised(self, field: Tensor) -> Tensor:
        """Undo :meth:`normalised`."""
        return field.transpose(1, 2) * self.norm_factors.view(1, 1, -1, 1, 1)

    def estimated_noise(self, latent: Tensor, conditions: Tensor, timestep: Tensor) -> Tensor:
        """Return the denoiser's estimate of the noise in latents (B S, latent, h, w) at their integer steps (B S,).

        Raises:
            InvalidInputError: no denoiser.
        """
        if self.model is None:
            raise InvalidInputError("this model holds the VAE alone; needed: a converted diffusion checkpoint.")
        return self.model(torch.cat([latent, conditions], dim=1).to(self.dtype), timestep).float()

    def _check(self, planar: Tensor) -> None:
        height, width = planar.shape[-2:]
        sizes = self.architecture
        if (height, width) != (sizes.padded_size(height), sizes.padded_size(width)):
            raise InvalidInputError(
                f"the slices are {width} x {height} pixels; needed: multiples of {sizes.multiple}, which the networks divide, "
                f"at least {sizes.padded_size(1)}. Crop or pad with fibre."
            )


def flattened(volume: Tensor) -> Tensor:
    """Return (B, C, S, h, w) as slices (B S, C, h, w)."""
    return volume.transpose(1, 2).flatten(0, 1)


def slice_distance(fluid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the distance (H, W) of every fluid pixel to the nearest fibre pixel, in pixels; 0 in the fibres.

    A slice without fibre has no such distance. The published program took what scipy happens to return there, the distance to
    a pixel at row -1, column 0, and networks were trained with it.
    """
    if fluid.all():
        rows, columns = np.indices(fluid.shape)
        return np.hypot(rows + 1, columns).astype(np.float32)
    return np.asarray(ndimage.distance_transform_edt(fluid)).astype(np.float32)
