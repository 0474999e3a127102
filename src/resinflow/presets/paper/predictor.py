"""Prediction by a published model: a directory like any other model's, a microstructure in, a flow field out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.flow import AXES, FlowField, InvalidInputError, turned, turned_vectors
from resinflow.models import (
    WEIGHTS,
    BranchedPredictor,
    Choice,
    Ensemble,
    Latents,
    ResolvedSampling,
    SampleWatch,
    Sampling,
    StartFlows,
    check_scales,
    cropped,
    networks_without_values,
    read_document,
    read_weights,
    sample_seed,
)
from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.networks.vae import STRIDE
from resinflow.presets.paper.recipe import NAME, SCHEMA, Network, PaperArchitecture

Array = NDArray[np.floating]

_FAMILIAR = (0.05, 1.2)
"""Largest planar velocity over the training data's largest: outside of it the networks extrapolate."""


class PaperPredictor(BranchedPredictor[PaperArchitecture, PaperSystem]):
    """A published model: it sees the planar velocity alone and returns velocity (its pressure is the planar one).

    The networks know the voxel size and the drive of their training data alone; the report warns of another drive.
    """

    schema = SCHEMA
    preset = NAME
    choices: ClassVar[frozenset[Choice]] = frozenset({"samples", "steps", "sampler", "eta"})

    @property
    def base(self) -> None:
        """None: the networks see the planar flow alone."""

    @property
    def defaults(self) -> ResolvedSampling:
        """The sampling of a user who chooses nothing."""
        own = self.architecture.sampling
        return ResolvedSampling(samples=own.samples, steps=own.steps, sampler=own.sampler, eta=own.eta)

    @classmethod
    def restored(cls, directory: Path) -> Self:
        """Return the model in ``directory`` on the CPU."""
        name, architecture, log = read_document(directory, cls.schema, PaperArchitecture)
        place = directory / WEIGHTS
        state = read_weights(networks_without_values(partial(PaperSystem, architecture), place), place)
        system = assembled(architecture, state, str(place))
        return cls(name, architecture, system.with_precision(architecture.sampling.precision), log)

    def resolve(self, sampling: Sampling) -> ResolvedSampling:
        """Return ``sampling`` with the model's defaults in the place of None.

        Raises:
            InvalidInputError: options that cannot be, or a model without denoiser.
        """
        self._require("encoder_2d", "decoder_3d", "unet")
        resolved = super().resolve(sampling)
        if resolved.sampler not in ("ddim", "ddpm") or not 0 <= resolved.eta <= 1:
            raise InvalidInputError(
                f"the sampler is {resolved.sampler!r} with eta {resolved.eta:g}; needed: ddim or ddpm, and eta from 0 to 1."
            )
        # no other number of steps is defined for ddpm
        return replace(resolved, steps=self.architecture.timesteps) if resolved.sampler == "ddpm" else resolved

    def draw(self, start: StartFlows, sampling: ResolvedSampling, watch: SampleWatch | None = None) -> Array:
        """Return velocities (samples, 3, nz, ny, nx); member 0 has the noise of torch's CPU generator seeded with the seed."""
        fluid, planar = self._inputs(start.planar)
        members: list[Array] = []
        permeabilities: list[float] = []
        for index in range(sampling.samples):  # one at a time: memory stays that of one member
            # the first seed is the seed itself, as in the published program
            seed = sampling.seed if index == 0 else sample_seed(sampling.seed, index)
            sample = self.sampled(fluid, planar, torch.Generator().manual_seed(seed), sampling)
            members.append(self._velocities(sample, start.planar))
            if watch is not None:
                permeabilities += self._permeabilities(members[-1], start.planar).tolist()
                watch(permeabilities, sampling.samples)
        return np.concatenate(members)

    def mean(self, start: StartFlows, members: Array, sampling: ResolvedSampling) -> Ensemble:
        """Return the mean velocity with the pressure of the planar flow, and the velocity of every member."""
        planar = start.planar
        flow = FlowField(
            microstructure=planar.microstructure,
            velocity=members.mean(axis=0),
            pressure=planar.pressure,
            axis=planar.axis,
            pressure_drop=planar.pressure_drop,
            viscosity=planar.viscosity,
            velocity_std=members.std(axis=0, ddof=1) if len(members) > 1 else None,
            permeability_samples=self._permeabilities(members, planar),
        )
        return Ensemble(flow, members)

    def warnings(self, start: StartFlows) -> tuple[str, ...]:
        """Say what the networks do not know: pressure, sizes that they do not divide, another drive."""
        warnings = [f"{self.name} predicts velocity alone; the pressure of its flow is the planar flow's"]
        _, ny, nx = start.planar.microstructure.shape
        height, width = (ny, nx) if start.planar.axis == "x" else (nx, ny)
        padded = tuple(self.architecture.padded_size(pixels) for pixels in (height, width))
        if padded != (height, width):
            warnings.append(
                f"{width} x {height} pixels were padded with fibre to {padded[1]} x {padded[0]} for the networks "
                "and cropped back"
            )
        largest = self.architecture.largest_velocity or float(self.networks.norm_factors.max())
        ratio = float(np.abs(start.planar.velocity).max()) / largest
        if not _FAMILIAR[0] <= ratio <= _FAMILIAR[1]:
            warnings.append(
                f"the planar flow's largest velocity is {ratio:.2g} times that of the model's training data: "
                "the published networks know one drive: choose the pressure drop and viscosity of that data and scale the flow"
            )
        return tuple(warnings)

    def decoded_planar_latent(self, start: StartFlows) -> Array:
        """Return D3D(E2D) as a velocity (1, 3, nz, ny, nx)."""
        self._require("encoder_2d", "decoder_3d")
        fluid, velocity = self._inputs(start.planar)
        with torch.inference_mode():
            fields = self.networks.decode_volume(self.networks.encode_2d(velocity), fluid)
        return self._velocities(fields, start.planar)

    def decoded_latent(self, truth: FlowField, start: StartFlows) -> Array:
        """Return D3D(E3D) of a flow as a velocity (1, 3, nz, ny, nx)."""
        self._require("encoder_3d", "decoder_3d")
        fluid, velocity = self._inputs(truth)
        with torch.inference_mode():
            fields = self.networks.decode_volume(self.networks.encode_3d(velocity), fluid)
        return self._velocities(fields, truth)

    def reconstruct_planar(self, start: StartFlows) -> FlowField:
        """Return D2D(E2D): the planar velocity; the pressure is the planar flow's own, the networks know none.

        Raises:
            InvalidInputError: the 2-D branch of this model is not trained.
        """
        missing = self._untrained("encoder_2d", "decoder_2d")
        if missing:
            raise InvalidInputError(
                f"{self.name} holds no trained {' and '.join(missing)}; needed: a converted checkpoint of stage 2 of the VAE."
            )
        system, planar = self.networks, start.planar
        with torch.inference_mode():
            latent = system.encode_2d(self._tensor(planar)).to(system.dtype)
            output = system.denormalised(system.vae.decode_2d(latent).float())
        micro = planar.microstructure
        velocity = cropped(output.transpose(1, 2), micro.shape)[0] * micro.fluid
        return replace(planar, velocity=velocity, face_velocity=None, report=None)

    def latents(self, truth: FlowField, start: StartFlows) -> Latents:
        """Return the mean latents of the encoders that are trained (flow along x)."""
        latents: Latents = {}
        with torch.inference_mode():
            if not self._untrained("encoder_2d"):
                latents["E2D"] = self.networks.encode_2d(self._tensor(start.planar))[0].cpu().numpy()
            if not self._untrained("encoder_3d"):
                latents["E3D"] = self.networks.encode_3d(self._tensor(truth))[0].cpu().numpy()
        return latents

    def sampled(self, fluid: Tensor, planar: Tensor, generator: torch.Generator, sampling: ResolvedSampling) -> Tensor:
        """Return one sample (1, S, 3, H, W) on the device of the networks.

        Args:
            fluid: mask (1, S, 1, H, W) on that device.
            planar: velocity (1, S, 3, H, W) on that device.
            generator: of the CPU, so that its noise is the same on every device.
            sampling: the sampler with its steps.
        """
        shape = self.networks.latent_shape(planar)

        def normal() -> Tensor:
            return torch.randn(shape, generator=generator).to(planar.device)

        noise = normal()
        with torch.inference_mode():
            if sampling.sampler == "ddpm":
                return self.networks.predict(fluid, planar, noise=noise, draw=normal)
            return self.networks.predict_ddim(fluid, planar, noise=noise, steps=sampling.steps, eta=sampling.eta, draw=normal)

    def _require(self, *networks: Network) -> None:
        missing = self._untrained(*networks)
        if missing:
            raise InvalidInputError(
                f"{self.name} holds no trained {' and '.join(missing)} (it was converted from an earlier stage's checkpoint); "
                "needed: a converted checkpoint of the diffusion stage."
            )

    def _untrained(self, *networks: Network) -> list[Network]:
        return [name for name in networks if name not in self.architecture.trained]

    def _inputs(self, flow: FlowField) -> tuple[Tensor, Tensor]:
        """Mask (1, S, 1, H, W) and velocity (1, S, 3, H, W), flow along x, padded with fibre to what the networks divide."""
        fluid = turned(flow.microstructure.fluid, flow.axis)
        along_x = turned_vectors(flow.velocity, flow.axis)
        height, width = fluid.shape[1:]
        padding = (0, self.architecture.padded_size(width) - width, 0, self.architecture.padded_size(height) - height)
        arrays = (fluid[None, :, None], along_x.transpose(1, 0, 2, 3)[None])
        mask, velocity = (torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for array in arrays)
        pad = torch.nn.functional.pad
        return pad(mask, padding).to(self.device), pad(velocity, padding).to(self.device)

    def _tensor(self, flow: FlowField) -> Tensor:
        """Velocity as (1, S, 3, H, W), padded with fibre to the VAE's stride."""
        height, width = flow.velocity.shape[-2:]
        velocity = torch.from_numpy(np.array(flow.velocity.transpose(1, 0, 2, 3)[None], dtype=np.float32, order="C"))
        return torch.nn.functional.pad(velocity, (0, -width % STRIDE, 0, -height % STRIDE)).to(self.device)

    @staticmethod
    def _permeabilities(members: Array, planar: FlowField) -> NDArray[np.float64]:
        """K, m^2, of velocities (samples, 3, nz, ny, nx)."""
        rates = members[:, AXES[::-1].index(planar.axis)].mean(axis=(1, 2, 3), dtype=np.float64)
        return planar.viscosity * rates * planar.length / planar.pressure_drop

    def _velocities(self, fields: Tensor, flow: FlowField) -> Array:
        """Crop (samples, S, 3, H, W) to the medium of a flow and turn it back to the medium's axes."""
        ny, nx = flow.microstructure.shape[1:]
        height, width = (ny, nx) if flow.axis == "x" else (nx, ny)
        velocity = fields[..., :height, :width].cpu().numpy().transpose(0, 2, 1, 3, 4)
        if flow.axis == "y":
            velocity = np.stack([turned_vectors(sample, "y") for sample in velocity])
        return velocity * flow.microstructure.fluid


def assembled(architecture: PaperArchitecture, state: dict[str, Tensor], source: str) -> PaperSystem:
    """Return the networks of ``architecture`` with the weights ``state``, which they take without a copy.

    Raises:
        InvalidInputError: names or shapes that do not fit.
    """
    system = networks_without_values(partial(PaperSystem, architecture), source)
    try:
        system.load_state_dict(state, assign=True)
    except RuntimeError as error:
        detail = str(error).splitlines()[1 if "\n" in str(error) else 0].strip()
        raise InvalidInputError(f"{source} does not fit the published networks: {detail[:200]}") from None
    check_scales(source, norm_factors=system.norm_factors)
    return system
