"""The model that draws volumes, and the flow through them, about one section."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.diffusion import Bridge
from resinflow.flow import (
    Drive,
    FlowField,
    InvalidInputError,
    Microstructure,
    surface_distance,
    turned,
    turned_vectors,
)
from resinflow.media import FibreSurfaces, draw_bundle_slope, drawn_misalignment, fitted_surfaces
from resinflow.models import (
    PRESSURE_GAIN,
    Device,
    TrainedModel,
    arithmetic,
    check_axis,
    check_pixels,
    cropped,
    linear_profile,
    padded,
    sample_seed,
    section_flow,
)
from resinflow.nn import Question, VolumeNetworks
from resinflow.presets.families import model_directory
from resinflow.presets.oneslice.features import (
    in_units,
    section_fields,
    section_speed,
    speed_unit,
)
from resinflow.presets.oneslice.recipe import NAME, SCHEMA, SliceArchitecture

__all__ = ["DrawnVolume", "SliceModel", "load_slice_model", "network_of"]

_FOLD = 4
"""Height and width of a section are continued to multiples of it."""
_BATCH = 8
"""Volumes that are drawn at once."""
_WALL_ERROR = 0.2
"""Pixels by which surfaces that the decoder gives are off; twice what it is, as neighbours err alike."""


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


class SliceModel(TrainedModel[SliceArchitecture, VolumeNetworks]):
    """A trained model of volumes about sections."""

    schema = SCHEMA
    configuration = SliceArchitecture

    @staticmethod
    def networks_of(architecture: SliceArchitecture) -> VolumeNetworks:
        """Return the networks of an architecture, with initial weights."""
        return network_of(architecture)

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
            seed: of the draws.
            drive: of the flow, along x or y.
            expected: the volume of the expected latent in the place of a drawn one: what a regression says.
        """
        drive = Drive.of(drive)
        _check(section, drive)
        straight = section_flow(section, drive)
        flow = straight.turned()
        fields = padded(section_fields(flow), _FOLD)
        speed = section_speed(fields)
        seen = in_units(fields, speed).to(self.device)
        step = section.spacing[2]
        for first in range(0, samples, _BATCH):
            count = min(_BATCH, samples - first)
            generators = [torch.Generator().manual_seed(sample_seed(seed, first + index)) for index in range(count)]
            places = torch.from_numpy(np.asarray(heights) / step)
            leans = None if expected else _bundle_slopes(misalignment, seed, range(first, first + count))
            with torch.inference_mode(), arithmetic(self.device, self.architecture.precision):
                volumes = self._volumes(seen, places, misalignment, generators, leans)
            for volume in volumes.cpu():
                yield _drawn(volume, straight, float(speed), np.asarray(heights))

    def _volumes(
        self,
        section: Tensor,
        heights: Tensor,
        misalignment: float | None,
        generators: list[torch.Generator],
        leans: Tensor | None,
    ) -> Tensor:
        """Volumes (B, 5, D, H, W) about a section (1, 4, 1, H, W), in its units, whose bundles lean so; None: the expected one.

        The path of the channels that are the common slopes leads straight to those.
        """
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
        if leans is not None:
            bridge = Bridge(self.architecture.bridge_noise)
            normal = torch.cat([torch.randn(start[:1].shape, generator=each) for each in generators]).to(self.device)
            begin = start + bridge.noise * networks.noise(normal)
            straight = begin[:, :2] - networks.common_slopes(leans.to(start))

            def change(noisy: Tensor, level: Tensor) -> Tensor:
                learned = networks.denoise(noisy, start, sections, question, level)
                return torch.cat([straight, learned[:, 2:]], dim=1)

            latent = bridge.walk(change, begin, steps=self.architecture.sampler_steps)
        return networks.decode_3d(networks.unscaled(latent), sections, question)


def load_slice_model(name_or_directory: str | Path = NAME, device: Device = "auto") -> SliceModel:
    """Return a model of volumes: the shipped one by name, or that of a model directory or a run.

    Raises:
        InvalidInputError: neither a shipped model nor a model directory, a run that is not finished, or damaged files.
    """
    return SliceModel.load(model_directory(name_or_directory), device)


def _bundle_slopes(misalignment: float | None, seed: int, draws: range) -> Tensor:
    """Slopes of the bundles of draws, (n, 2), along the flow and across it."""
    slopes = []
    for number in draws:
        rng = np.random.default_rng((seed, number))
        slopes.append(draw_bundle_slope(drawn_misalignment(misalignment, rng), rng))
    return torch.from_numpy(np.array(slopes))


def _check(section: Microstructure, drive: Drive) -> None:
    """Refuse what the model was not trained for."""
    check_axis(drive.axis)
    if (drive.boundary, drive.lateral) != (Drive.boundary, Drive.lateral):
        raise InvalidInputError(
            f"the boundary is {drive.boundary!r} and the lateral condition {drive.lateral!r}; needed: {Drive.boundary!r} and "
            f"{Drive.lateral!r}, which the model draws flows for. Solve drawn media for others."
        )
    check_pixels(section)


def _round_fibres(distance: NDArray[np.floating], step: float) -> NDArray[np.floating]:
    """Distances (pixels) of a decoded volume with its fibres smoothed as those of an image are."""
    surfaces = FibreSurfaces(distance, np.full(distance.shape, _WALL_ERROR, dtype=np.float32))
    return fitted_surfaces(surfaces, step).distance


def _drawn(volume: Tensor, section: FlowField, speed: float, heights: NDArray[np.floating]) -> DrawnVolume:
    """The medium and the flow of a volume (5, D, H, W), whose flow is along x, about a section in its own axes."""
    micro, axis = section.microstructure, section.axis
    _, ny, nx = turned(micro.fluid, axis).shape
    fields = cropped(volume, (len(heights), ny, nx))
    step = abs(float(heights[1] - heights[0])) if len(heights) > 1 else micro.spacing[0]
    distance = turned(_round_fibres(fields[0], step / micro.spacing[2]), axis) * micro.spacing[2]
    for place in np.flatnonzero(heights == 0):
        distance[place] = surface_distance(micro)[0]
    medium = Microstructure(distance > 0, (step, *micro.spacing[1:]), distance.astype(np.float32), micro.provenance)
    velocity = turned_vectors(fields[1:4], axis) * (speed * speed_unit(section.turned()))
    pressure = (
        turned(fields[4], axis) / PRESSURE_GAIN + turned(np.broadcast_to(linear_profile(nx), (1, ny, nx)), axis)
    ) * section.pressure_drop
    flow = FlowField(medium, velocity, pressure * medium.fluid, axis, section.pressure_drop, section.viscosity)
    return DrawnVolume(medium, flow)
