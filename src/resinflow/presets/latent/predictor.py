"""Prediction of a 3-D flow field by latent diffusion, from the planar flow and a base flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.flow import FlowField
from resinflow.models import (
    CHANNELS,
    PRESSURE_GAIN,
    TARGETS,
    WEIGHTS,
    Arithmetic,
    BranchedPredictor,
    Choice,
    Conditions,
    CorrectingPredictor,
    Latents,
    Mirror,
    ResolvedSampling,
    SampleWatch,
    StartFlows,
    arithmetic,
    build_target,
    check_scales,
    conditions_of,
    corrected_permeabilities,
    cropped,
    dimensional,
    mirror_fields,
    padded,
    product_type,
    quickest,
    read_document,
    restored_networks,
    sample_seed,
)
from resinflow.presets.latent.networks import LatentDiffusion, process_of
from resinflow.presets.latent.recipe import LatentArchitecture

Array = NDArray[np.floating]

SCHEMA = "resinflow-model-2"
MIRROR_IMAGES: tuple[tuple[Mirror, ...], ...] = (
    (),
    ("x", "y"),
    ("y", "z"),
    ("x", "z"),
    ("x",),
    ("y",),
    ("z",),
    ("x", "y", "z"),
)
"""Members of a prediction see the medium in these images one after the other. Mirroring back is exact, the networks know the
symmetry by training only: their errors differ between images, so that the mean is better and the spread tells more."""
_AT_ONCE = 2
"""Members that are drawn at once on a CPU: for a single field of 64 x 64 pixels in float32 PyTorch has a slow convolution only.
More gain nothing and take memory."""
_MOST_AT_ONCE, _VOXELS_AT_ONCE = 32, 1 << 23
"""The same on a GPU, of one medium or of several: so many, and so many voxels of all of them together."""


def members_at_once(device: torch.device, voxels: int) -> int:
    """Return how many members of media of so many voxels are drawn at once."""
    return _AT_ONCE if device.type == "cpu" else max(_AT_ONCE, min(_MOST_AT_ONCE, _VOXELS_AT_ONCE // voxels))


class LatentPredictor(
    CorrectingPredictor[LatentArchitecture, LatentDiffusion], BranchedPredictor[LatentArchitecture, LatentDiffusion]
):
    """A latent diffusion model over a dual-branch VAE, which corrects a base flow."""

    schema = SCHEMA
    choices: ClassVar[frozenset[Choice]] = frozenset({"samples", "steps"})

    @property
    def stride(self) -> int:
        """Height and width that the networks take are multiples of it."""
        return self.networks.vae.stride

    @property
    def defaults(self) -> ResolvedSampling:
        """The sampling of a user who chooses nothing."""
        own = self.architecture
        return ResolvedSampling(samples=own.samples, steps=own.sampler_steps, sampler=own.process)

    @property
    def _precision(self) -> Arithmetic:
        return quickest(self.device, self.architecture.precision)

    @classmethod
    def restored(cls, directory: Path) -> Self:
        """Return the model in ``directory`` on the CPU, without calibration."""
        name, architecture, log = read_document(directory, cls.schema, LatentArchitecture)
        networks = restored_networks(partial(LatentDiffusion, architecture), directory / WEIGHTS)
        check_scales(directory / WEIGHTS, target_scale=networks.target_scale, latent_scale=networks.latent_scale)
        return cls(name, architecture, networks, log)

    def draw(self, start: StartFlows, sampling: ResolvedSampling, watch: SampleWatch | None = None) -> Array:
        """Return corrections (samples, 4, nz, ny, nx): latents drawn along the process, and decoded."""
        conditions = conditions_of(start, self.architecture)
        fields = self._fields(conditions)
        # an odd last member is drawn with a companion that is dropped: two are as quick as one where the latter is slow
        size = min(sampling.samples, _AT_ONCE)
        members: list[Array] = []
        permeabilities: list[float] = []
        for first in range(0, sampling.samples, size):
            count = min(size, sampling.samples - first) if self._precision == "int8" else size
            items = [(fields, index) for index in range(first, first + count)]
            outputs = self._group(items, sampling)[: sampling.samples - first]
            members.append(dimensional(start, conditions, cropped(outputs, conditions.shape)))
            if watch is not None:
                permeabilities += corrected_permeabilities(start.base, members[-1])
                watch(permeabilities, sampling.samples)
        return np.concatenate(members)

    def draw_each(self, starts: Sequence[StartFlows], sampling: ResolvedSampling) -> list[Array]:
        """Return the corrections of :meth:`draw` for each medium; members of media of one shape are drawn together on a GPU.

        They are those of :meth:`draw` to rounding: a convolution sums in another order where it has other company.
        """
        corrections: dict[int, Array] = {}
        shapes = [start.planar.microstructure.shape for start in starts]
        for shape in dict.fromkeys(shapes):
            size = members_at_once(self.device, int(np.prod(shape)))
            places = [place for place, other in enumerate(shapes) if other == shape]
            if size <= _AT_ONCE:
                corrections |= {place: self.draw(starts[place], sampling) for place in places}
                continue
            for first in range(0, len(places), count := max(1, size // sampling.samples)):
                corrections |= self._drawn_together(starts, places[first : first + count], sampling, size)
        return [corrections[place] for place in range(len(starts))]

    def _drawn_together(
        self, starts: Sequence[StartFlows], places: Sequence[int], sampling: ResolvedSampling, size: int
    ) -> dict[int, Array]:
        """The corrections of media of one shape by their place, ``size`` members at once."""
        conditions = {place: conditions_of(starts[place], self.architecture) for place in places}
        fields = {place: self._fields(conditions[place]) for place in places}
        items = [(fields[place], index) for place in places for index in range(sampling.samples)]
        members = [self._group(items[first : first + size], sampling) for first in range(0, len(items), size)]
        by_medium = torch.cat(members).split(sampling.samples)
        return {
            place: dimensional(starts[place], conditions[place], cropped(outputs, conditions[place].shape))
            for place, outputs in zip(places, by_medium, strict=True)
        }

    def decoded_planar_latent(self, start: StartFlows) -> Array:
        """Return D3D(E2D) as a correction (1, 4, nz, ny, nx)."""
        conditions = conditions_of(start, self.architecture)
        with torch.inference_mode(), arithmetic(self.device, self._precision):
            fields = self._tensor(conditions.fields)
            output = self.decoded(self.networks.vae.encode_2d(fields), fields)
        return dimensional(start, conditions, cropped(output, conditions.shape))

    def decoded_latent(self, truth: FlowField, start: StartFlows) -> Array:
        """Return D3D(E3D) of a flow as a correction (1, 4, nz, ny, nx)."""
        conditions = conditions_of(start, self.architecture)
        target = build_target(truth, start.base, conditions)
        with torch.inference_mode(), arithmetic(self.device, self._precision):
            fields = self._tensor(conditions.fields)
            latent = self.networks.vae.encode_3d(self.networks.scaled(self._tensor(target)), fields).mean
            output = self.decoded(latent, fields)
        return dimensional(start, conditions, cropped(output, conditions.shape))

    def reconstruct_planar(self, start: StartFlows) -> FlowField:
        """Return D2D(E2D): velocity and pressure of the planar flow (along x)."""
        conditions = conditions_of(start, self.architecture)
        fields = self._tensor(conditions.fields)
        with torch.inference_mode():
            output = self.networks.vae.decode_2d(self.networks.vae.encode_2d(fields), fields)
        planar, micro = start.planar, start.planar.microstructure
        vx, vy, deviation = cropped(output, micro.shape)[0] * micro.fluid
        profile = 1.0 - (np.arange(micro.shape[2]) + 0.5) / micro.shape[2]
        pressure = (profile + deviation / PRESSURE_GAIN) * conditions.drop * micro.fluid
        velocity = np.stack([vx, vy, np.zeros_like(vx)]) * conditions.speed
        return replace(planar, velocity=velocity, pressure=pressure, face_velocity=None, report=None)

    def latents(self, truth: FlowField, start: StartFlows) -> Latents:
        """Return the mean latents of both encoders (flow along x)."""
        conditions = conditions_of(start, self.architecture)
        fields = self._tensor(conditions.fields)
        target = self._tensor(build_target(truth, start.base, conditions))
        with torch.inference_mode():
            planar = self.networks.vae.encode_2d(fields)
            volume = self.networks.vae.encode_3d(self.networks.scaled(target), fields).mean
        return {"E2D": planar[0].float().cpu().numpy(), "E3D": volume[0].float().cpu().numpy()}

    def sampled(self, fields: Tensor, seeds: Sequence[int], steps: int) -> Tensor:
        """Return the outputs of one sample an item, (B, 4, nz, h, w), dimensionless, on the device of the networks.

        Args:
            fields: conditions (B, channels, nz, h, w), padded, on the device of the networks.
            seeds: of the noise, one an item; the same noise on every device.
            steps: denoiser calls.
        """
        networks = self.networks
        start = networks.scaled_latent(networks.vae.encode_2d(fields))
        latent = process_of(self.architecture).sample(
            lambda noisy, level: networks.denoiser(noisy, start, fields, level),
            start,
            steps=steps,
            generators=[torch.Generator().manual_seed(seed) for seed in seeds],
        )
        return self.decoded(networks.unscaled_latent(latent), fields)

    def decoded(self, latent: Tensor, fields: Tensor) -> Tensor:
        """Return the outputs (B, 4, nz, h, w), dimensionless, of latents under conditions (B, channels, nz, h, w)."""
        return self.networks.unscaled(self.networks.decode(latent, fields))

    def _group(self, items: Sequence[tuple[Tensor, int]], sampling: ResolvedSampling) -> Tensor:
        """Members (members, 4, nz, h, w), drawn and decoded at once, dimensionless, each of its :meth:`_fields` and number.

        Where convolutions are of integers, every member has ranges of its own: one after the other saves parting them.
        """
        if self._precision == "int8" and len(items) > 1:
            return torch.cat([self._group([item], sampling) for item in items])
        images = [MIRROR_IMAGES[i % len(MIRROR_IMAGES)] if self.architecture.mirror_images else () for _, i in items]
        with torch.inference_mode(), arithmetic(self.device, self._precision):
            mirrored = torch.cat(
                [mirror_fields(fields, CHANNELS, *image) for (fields, _), image in zip(items, images, strict=True)]
            )
            outputs = self.sampled(mirrored, [sample_seed(sampling.seed, index) for _, index in items], sampling.steps)
            return torch.cat([mirror_fields(outputs[i : i + 1], TARGETS, *image) for i, image in enumerate(images)])

    def _fields(self, conditions: Conditions) -> Tensor:
        """The conditions (1, channels, nz, h, w) in the type that the networks multiply and their quickest layout."""
        kind = product_type(self.device, self._precision)
        return self._tensor(conditions.fields).to(kind, memory_format=torch.channels_last_3d)

    def _tensor(self, fields: NDArray[np.float32]) -> Tensor:
        return padded(fields, self.stride).to(self.device)
