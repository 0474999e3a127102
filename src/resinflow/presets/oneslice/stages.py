"""The three stages of the preset oneslice. Each trains its own networks; the others are frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from resinflow.data import FlowSource
from resinflow.diffusion import Bridge
from resinflow.models import Mirror, mirror_fields, section_flow
from resinflow.nn import SECTION_CHANNELS, VOLUME_CHANNELS, Question, ResidualBlock, VolumeNetworks
from resinflow.presets.oneslice.features import in_units, section_fields, section_speed, volume_fields
from resinflow.presets.oneslice.model import SliceModel, network_of
from resinflow.presets.oneslice.recipe import (
    SliceDiffusionOptions,
    SliceRecipe,
    SliceStageOptions,
    SliceVae2dOptions,
    SliceVae3dOptions,
)
from resinflow.train.preset import Preset
from resinflow.train.stage import Part, Stage

Options = TypeVar("Options", bound=SliceStageOptions)

SliceBatch = tuple[Tensor, Tensor, Tensor]
"""Volumes (B, 5, D, H, W), some of their slices as sections (B, 4, S, H, W), and (B, 2): the distance between slices in pixels
and the tangent of the largest tilt."""
_WALL = 1.0
"""Pixels from the surface within which an error counts fully; beyond, its weight falls by e with every pixel."""


def section_places(depth: int) -> list[int]:
    """Return which slices of a volume are sections that training asks about: the middle one, and one to either side."""
    middle = depth // 2
    return sorted({max(middle - 2, 0), middle, min(middle + 2, depth - 1)})


class _Exercise(NamedTuple):
    """A section of a volume, what is asked about it, and the answer, velocities in the section's own unit."""

    volume: Tensor
    section: Tensor
    question: Question


class SliceStage(Stage[VolumeNetworks, Options, SliceBatch], Generic[Options]):
    """What the stages share: the question about a batch of volumes."""

    def exercise(self, batch: SliceBatch, part: Part) -> _Exercise:
        """Choose the section and the slices about it: at random in training, the middle one and all of them in validation."""
        volume, sections, facts = batch
        count, depth = len(volume), volume.shape[2]
        step, misalignment = facts.unbind(dim=1)
        known = torch.ones_like(step)
        rows = torch.arange(count)
        options = torch.tensor(section_places(depth))
        chosen = torch.full((count,), len(options) // 2)
        first, slices = torch.zeros(count, dtype=torch.long), depth
        if part == "train":
            slices = min(self.options.slices, depth)
            chosen = torch.randint(len(options), (count,))
            lowest = (options[chosen] - slices + 1).clamp_min(0)  # of the windows that hold the section
            highest = options[chosen].clamp_max(depth - slices)
            first = lowest + (torch.rand(count) * (highest - lowest + 1)).long()
            known = (torch.rand(count) >= self.options.unknown_share).to(step)
        places = options[chosen]
        window = first[:, None] + torch.arange(slices)
        section = sections[rows, :, chosen][:, :, None]
        speed = section_speed(section)
        part_of = torch.stack([item[:, span] for item, span in zip(volume, window, strict=True)])
        heights = (window - places[:, None]).to(step) * step[:, None]
        question = Question(heights, misalignment, known)
        return _Exercise(in_units(part_of, speed), in_units(section, speed), question)

    def configure_optimizers(self) -> Any:
        """Return Muon with one cycle of the learning rate over the whole stage."""
        return self.muon()


class SliceVae3dStage(SliceStage[SliceVae3dOptions]):
    """Stage 1: encoder_3d and decoder_3d reconstruct volumes about one of their sections."""

    def __init__(self, networks: VolumeNetworks, options: SliceVae3dOptions) -> None:
        super().__init__(networks, [networks.encoder_3d, networks.carrier, networks.decoder_3d], options)

    def losses(self, batch: SliceBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the errors of what is decoded, and the divergence; decoding sees a drawn latent in training."""
        (volume, section, question), networks, options = self.exercise(batch, part), self.networks, self.options
        posterior = networks.encode_3d(volume, section, question)
        latent = posterior.sample() if part == "train" else posterior.mean
        terms = _errors(networks.decode_3d(latent, section, question), volume)
        kl = posterior.kl()
        loss = terms["wall"] + options.flow_weight * (terms["velocity"] + terms["pressure"])
        loss = loss + options.flow_rate_weight * terms["flow_rate"] + options.kl_weight * kl
        return {"loss": loss, "kl": kl, **terms}


class SliceVae2dStage(SliceStage[SliceVae2dOptions]):
    """Stage 2: encoder_2d learns the expectation of the latent given the section."""

    def __init__(self, networks: VolumeNetworks, options: SliceVae2dOptions) -> None:
        super().__init__(networks, [networks.encoder_2d, networks.ask], options)

    def losses(self, batch: SliceBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the mean square error of the latent; in validation, also the errors of what is decoded of it."""
        (volume, section, question), networks = self.exercise(batch, part), self.networks
        with torch.no_grad():
            aim = networks.scaled(networks.encode_3d(volume, section, question).mean)
        estimate = networks.encode_2d(section, question)
        loss = nn.functional.mse_loss(estimate, aim)
        if part == "train":
            return {"loss": loss}
        return {"loss": loss, **_errors(networks.decode_3d(networks.unscaled(estimate), section, question), volume)}


class SliceDiffusionStage(SliceStage[SliceDiffusionOptions]):
    """Stage 3: the denoiser learns the way from the expected latent and noise to that of encoder_3d."""

    def __init__(self, networks: VolumeNetworks, options: SliceDiffusionOptions, bridge: Bridge) -> None:
        super().__init__(networks, [networks.denoiser, networks.ask_level], options)
        self.bridge = bridge

    def losses(self, batch: SliceBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the matching loss; common channels count like one place each."""
        (volume, section, question), networks = self.exercise(batch, part), self.networks
        with torch.no_grad():
            aim = networks.scaled(networks.encode_3d(volume, section, question).mean)
            start = networks.encode_2d(section, question)
        draw = self.bridge.draw(start, aim, normal=networks.noise(torch.randn_like(aim)))
        estimate = networks.denoise(draw.latent, start, section, question, draw.level)
        common, own = (estimate - draw.goal).square().split([networks.common, aim.shape[1] - networks.common], dim=1)
        loss = common.mean() + own.mean()
        return {"loss": loss, "common": common.mean(), "own": own.mean()}


def _errors(decoded: Tensor, volume: Tensor) -> dict[str, Tensor]:
    """Errors of a decoded volume (B, 5, D, H, W): of the distance beside the surfaces (pixels), of the flow relative to it."""
    error = decoded - volume
    weight = torch.exp(-(volume[:, :1].abs() - _WALL).clamp_min(0))
    wall = (error[:, :1].abs() * weight).sum() / weight.sum().clamp_min(1)
    velocity = _relative(error[:, 1:4], volume[:, 1:4])
    pressure = _relative(error[:, 4:], volume[:, 4:])
    rate, aim = (fields[:, 1].mean(dim=(1, 2, 3)) for fields in (error, volume))
    flow_rate = (rate.abs() / aim.abs().clamp_min(1e-3)).mean()
    return {"wall": wall, "velocity": velocity, "pressure": pressure, "flow_rate": flow_rate}


def _relative(error: Tensor, fields: Tensor) -> Tensor:
    """The mean over samples of the RMS error over the RMS value."""
    squares, values = (each.square().mean(dim=(1, 2, 3, 4)) for each in (error, fields))
    return ((squares + 1e-12) / (values + 1e-6)).sqrt().mean()


class SlicePreset(Preset[VolumeNetworks, SliceRecipe, SliceBatch]):
    """Volumes about sections: what is kept of a sample, and the stages."""

    block = ResidualBlock

    def networks(self, stage: str, recipe: SliceRecipe, source: FlowSource) -> VolumeNetworks:
        """Return all networks, whatever the stage."""
        return network_of(recipe.model)

    def batch(self, source: FlowSource, index: int, recipe: SliceRecipe) -> SliceBatch:
        """Return volume, sections and facts of a sample, in half precision but for the facts."""
        sample = source.sample(index)
        micro = sample.truth.microstructure
        tilt = float(np.tan(np.radians(source.read("misalignment", index))))
        volume = torch.from_numpy(volume_fields(sample.truth)).half()
        pages = [micro.slice_at(place) for place in section_places(micro.shape[0])]
        fields = [section_fields(section_flow(page, source.info.drive)) for page in pages]
        sections = torch.from_numpy(np.concatenate(fields, axis=1)).half()
        return volume, sections, torch.tensor([micro.spacing[0] / micro.spacing[2], tilt])

    def shown(self, batch: SliceBatch, mirrors: tuple[Mirror, ...], recipe: SliceRecipe) -> SliceBatch:
        """Return the sample of the medium mirrored by every one of ``mirrors``, in single precision."""
        volume, sections, facts = (tensor.float() for tensor in batch)
        for mirror in mirrors:
            volume, sections = mirror_fields(volume, VOLUME_CHANNELS, mirror), mirror_fields(sections, SECTION_CHANNELS, mirror)
        return volume, sections, facts

    def stage(self, name: str, networks: VolumeNetworks, recipe: SliceRecipe) -> SliceStage[Any]:
        """Return one of the three stages."""
        if name == "vae3d":
            return SliceVae3dStage(networks, recipe.vae3d)
        if name == "vae2d":
            return SliceVae2dStage(networks, recipe.vae2d)
        return SliceDiffusionStage(networks, recipe.diffusion, Bridge(recipe.model.bridge_noise))

    def measure(
        self,
        stage: str,
        networks: VolumeNetworks,
        recipe: SliceRecipe,
        batches: Iterable[SliceBatch],
        *,
        from_nothing: bool,
        device: torch.device,
    ) -> None:
        """Set the scale of the latents before the second stage."""
        if stage != "vae2d":
            return
        reader = SliceVae3dStage(networks, recipe.vae3d)
        squares, count = torch.zeros_like(networks.latent_scale), 0
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=recipe.vae2d.precision == "bf16-mixed"),
        ):
            for batch in batches:
                latent = networks.encode_3d(*reader.exercise(batch, "validation")).mean.float()
                squares += latent.square().sum(dim=(0, 2, 3, 4))
                count += latent[:, 0].numel()
        networks.latent_scale.copy_((squares / count).sqrt().clamp_min(1e-3))

    def predictor(self, recipe: SliceRecipe, networks: VolumeNetworks, log: dict[str, Any]) -> SliceModel:
        """Return the model that the last stage ends in."""
        return SliceModel(recipe.name, recipe.model, networks, log)


PRESET = SlicePreset()
