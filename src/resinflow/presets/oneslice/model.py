"""The model that draws volumes, and the flow through them, about one section."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resinflow.diffusion import Bridge
from resinflow.flow import Drive, FlowField, Microstructure, surface_distance
from resinflow.models import (
    WEIGHTS,
    Device,
    arithmetic,
    read_document,
    resolve_device,
    restored_networks,
    sample_seed,
    section_flow,
    write_model,
)
from resinflow.nn import Question, VolumeNetworks
from resinflow.presets.families import model_directory
from resinflow.presets.oneslice.features import in_units, section_fields, section_speed, speed_unit
from resinflow.presets.oneslice.recipe import NAME, SCHEMA, SliceArchitecture

__all__ = ["DrawnVolume", "SliceModel", "load_slice_model", "network_of"]

_FOLD = 4
"""Height and width of a section are continued to multiples of it."""
_BATCH = 8
"""Volumes that are drawn at once."""
_PRESSURE_GAIN = 10.0


def network_of(architecture: SliceArchitecture) -> VolumeNetworks:
    """Return the networks of an architecture, with initial weights."""
    return VolumeNetworks(architecture.latent_channels, architecture.common_channels, architecture.width, architecture.blocks)


class DrawnVolume(NamedTuple):
    """One volume about a section.

    Attributes:
        medium: (nz, ny, nx), with its signed distance; at the height 0 it is the section.
        flow: through it, as the networks draw it.
    """

    medium: Microstructure
    flow: FlowField


class SliceModel:
    """A trained model of volumes about sections.

    Attributes:
        name: of the model.
        architecture: sizes of the networks.
        networks: with their weights.
        log: how it was trained.
    """

    def __init__(
        self, name: str, architecture: SliceArchitecture, networks: VolumeNetworks, log: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.architecture = architecture
        self.networks = networks.eval()
        self.log = log or {}

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.networks.parameters())
        return f"<SliceModel {self.name}: {count / 1e6:.2g} M parameters on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.networks.parameters()).device

    @classmethod
    def load(cls, directory: str | Path, device: Device = "auto") -> Self:
        """Rebuild a model from its directory.

        Raises:
            InvalidInputError: not such a directory, damaged files, or a device that is not there.
        """
        place = resolve_device(device)
        name, architecture, log = read_document(Path(directory), SCHEMA, SliceArchitecture)
        networks = restored_networks(partial(network_of, architecture), Path(directory) / WEIGHTS)
        return cls(name, architecture, networks.to(place), log)

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        head = {"schema": SCHEMA, "name": self.name, "config": self.architecture.model_dump(mode="json")}
        return write_model(directory, self.networks, head, self.log)

    def draw(
        self,
        section: Microstructure,
        heights: NDArray[np.floating],
        *,
        misalignment: float | None,
        samples: int,
        seed: int,
        drive: Drive | None = None,
        expected: bool = False,
    ) -> Iterator[DrawnVolume]:
        """Yield volumes about a section; volume k depends on (seed, k) alone.

        Args:
            section: a medium of one slice.
            heights: from the section along z to the slices of the volume, m, in equal steps.
            misalignment: largest tilt of the fibres, degrees; None: unknown.
            samples: volumes.
            seed: of the first one.
            drive: of the flow, along x or y.
            expected: the volume of the expected latent in the place of a drawn one: what a regression says.
        """
        drive = Drive.of(drive)
        turned = drive.axis == "y"
        flow = section_flow(_turned(section) if turned else section, Drive.of(drive, axis="x"))
        fields = _padded(torch.from_numpy(section_fields(flow))[None])
        speed = section_speed(fields)
        seen = in_units(fields, speed).to(self.device)
        step = section.spacing[2]
        for first in range(0, samples, _BATCH):
            count = min(_BATCH, samples - first)
            generators = [torch.Generator().manual_seed(sample_seed(seed, first + index)) for index in range(count)]
            with torch.inference_mode(), arithmetic(self.device, self.architecture.precision):
                volumes = self._volumes(seen, torch.from_numpy(np.asarray(heights) / step), misalignment, generators, expected)
            for volume in volumes.cpu():
                yield _drawn(volume, flow, float(speed), np.asarray(heights), turned)

    def _volumes(
        self, section: Tensor, heights: Tensor, misalignment: float | None, generators: list[torch.Generator], expected: bool
    ) -> Tensor:
        """Volumes (B, 5, D, H, W) about a section (1, 4, 1, H, W), in its units."""
        networks, count = self.networks, len(generators)
        tilt = 0.0 if misalignment is None else float(np.tan(np.radians(misalignment)))
        question = Question(
            heights.to(section).expand(count, -1),
            torch.full((count,), tilt, device=self.device),
            torch.full((count,), float(misalignment is not None), device=self.device),
        )
        sections = section.expand(count, -1, -1, -1, -1)
        start = networks.encode_2d(sections, question)
        latent = start
        if not expected:
            bridge = Bridge(self.architecture.bridge_noise)
            normal = torch.cat([torch.randn(start[:1].shape, generator=each) for each in generators]).to(self.device)
            latent = bridge.walk(
                lambda noisy, level: networks.denoise(noisy, start, sections, question, level),
                start + bridge.noise * networks.noise(normal),
                steps=self.architecture.sampler_steps,
            )
        return networks.decode_3d(networks.unscaled(latent), sections, question)


def load_slice_model(name_or_directory: str | Path = NAME, device: Device = "auto") -> SliceModel:
    """Return a model of volumes: the shipped one by name, or that of a model directory or a run.

    Raises:
        InvalidInputError: neither a shipped model nor a model directory, a run that is not finished, or damaged files.
    """
    return SliceModel.load(model_directory(name_or_directory), device)


def _padded(fields: Tensor) -> Tensor:
    height, width = fields.shape[-2:]
    return nn.functional.pad(fields, (0, -width % _FOLD, 0, -height % _FOLD, 0, 0), mode="replicate")


def _turned(section: Microstructure) -> Microstructure:
    """A medium with x and y exchanged."""
    distance = section.signed_distance
    dz, dy, dx = section.spacing
    return Microstructure(
        np.swapaxes(section.fluid, 1, 2),
        (dz, dx, dy),
        None if distance is None else np.swapaxes(distance, 1, 2),
        section.provenance,
    )


def _drawn(volume: Tensor, section: FlowField, speed: float, heights: NDArray[np.floating], turned: bool) -> DrawnVolume:
    """The medium and the flow of a volume (5, D, H, W) about a section whose flow is along x."""
    micro = section.microstructure
    _, ny, nx = micro.shape
    fields = volume[..., :ny, :nx].float().numpy()
    step = abs(float(heights[1] - heights[0])) if len(heights) > 1 else micro.spacing[0]
    distance = fields[0] * micro.spacing[2]
    for place in np.flatnonzero(heights == 0):
        distance[place] = surface_distance(micro)[0]
    medium = Microstructure(distance > 0, (step, *micro.spacing[1:]), distance.astype(np.float32), micro.provenance)
    velocity = fields[1:4] * (speed * speed_unit(section))
    linear = 1.0 - (np.arange(nx) + 0.5) / nx
    pressure = (fields[4] / _PRESSURE_GAIN + linear) * section.pressure_drop * medium.fluid
    if turned:
        medium = _turned(medium)
        velocity = np.swapaxes(velocity[[1, 0, 2]], 2, 3)
        pressure = np.swapaxes(pressure, 1, 2)
    return DrawnVolume(
        medium, FlowField(medium, velocity, pressure, "y" if turned else "x", section.pressure_drop, section.viscosity)
    )
