"""Prediction of a 3-D flow field by latent diffusion, from the planar flow and a base flow."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.flow import Axis, Base, FlowField, InvalidInputError, Microstructure, ModelReport
from resinflow.models import (
    CHANNELS,
    TARGETS,
    WEIGHTS,
    Calibration,
    Conditions,
    FlowSolvers,
    InputConfig,
    Mirror,
    Novelty,
    StartFlows,
    build_target,
    calibrated,
    conditions_of,
    corrected_flow,
    cropped,
    dimensional,
    load_calibration,
    load_weights,
    mirror_fields,
    padded,
    padding_warning,
    read_document,
    solved_start,
    with_novelty,
    write_model,
)
from resinflow.models.device import has_bfloat16
from resinflow.presets.latent.networks import LatentDiffusion, process_of
from resinflow.presets.latent.recipe import ModelConfig

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
"""Samples of a prediction see the medium in these images one after the other. Mirroring back is exact, the networks know the
symmetry by training only: their errors differ between images, so that the mean is better and the spread tells more."""
_AT_ONCE = 2
"""Samples that are drawn at once: for a single field of 64 x 64 pixels in float32 PyTorch has a slow convolution only. More
gain nothing and take memory."""


class FlowPredictor:
    """A trained model: networks, configuration, scaling and the story of its training.

    Attributes:
        name: what the model is called in tables.
        config: sizes of the networks and defaults of the sampler.
        networks: the networks with their weights.
        log: how it was trained (recipe, data fingerprint, history).
        calibration: from the spread of the samples to the size of the error; None where none was measured.
        novelty: what media the model knows; None where none was measured.
    """

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        networks: LatentDiffusion,
        log: dict[str, Any] | None = None,
        solvers: FlowSolvers | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.networks = networks.eval()
        self.log = log or {}
        self.calibration: Calibration | None = None
        self.novelty: Novelty | None = None
        self._solvers = solvers

    @property
    def base(self) -> Base:
        """The flow that the networks correct."""
        return self.config.base

    @classmethod
    def load(cls, directory: str | Path, solvers: FlowSolvers | None = None) -> FlowPredictor:
        """Rebuild a model from its directory (``config.json``, ``model.safetensors``, ``log.json``, ``calibration.json``).

        Raises:
            InvalidInputError: not a model directory, or damaged files.
        """
        directory = Path(directory)
        name, config, log = read_document(directory, SCHEMA, ModelConfig)
        networks = LatentDiffusion(config)
        load_weights(networks, directory / WEIGHTS)
        predictor = cls(name, config, networks, log, solvers)
        if (measured := load_calibration(directory)) is not None:
            predictor.calibration, predictor.novelty = measured.calibration, measured.novelty
        return predictor

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        document = {"schema": SCHEMA, "name": self.name, "config": self.config.model_dump(mode="json")}
        return write_model(directory, self.networks, document, self.log)

    def predict(
        self,
        micro: Microstructure,
        *,
        axis: Axis = "x",
        pressure_drop: float = 1e5,
        viscosity: float = 0.1,
        samples: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        start: StartFlows | None = None,
        project: bool = True,
    ) -> FlowField:
        """Return the predicted 3-D flow: the mean of the samples, with their spread and their permeabilities.

        With a calibration the spread is that of the error, and the report has a 90 % interval of K; a medium unlike the
        training media is warned of.

        Args:
            micro: the medium; fibres run roughly along z, voxels square in the slice plane.
            axis: ``x`` or ``y``, the direction of the pressure drop.
            pressure_drop: Pa.
            viscosity: Pa s.
            samples: how many latents are drawn.
            steps: denoiser calls a sample.
            seed: sample i depends on (seed, i) alone.
            start: planar and base flow of this medium and drive where they are known already.
            project: make the field conserve mass exactly; a model without solvers cannot.

        Raises:
            InvalidInputError: an axis or a medium that the model does not know, or no start flows and no solver for them.
        """
        if start is None:
            start = solved_start(
                self._solvers, micro, self.config.base, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity
            )
        conditions = conditions_of(start, axis, self.config)
        flow, _ = self._ensemble(start, axis, conditions, samples, steps, seed, project=project)
        if self.calibration is not None:
            flow = calibrated(flow, self.calibration, start.base)
        if self.novelty is not None:
            whole = InputConfig(base=self.config.base)  # novelty is told from all conditions, in each medium's own unit
            alike = self.config.hidden == whole.hidden and self.config.speed == whole.speed
            flow = with_novelty(flow, self.novelty, conditions if alike else conditions_of(start, axis, whole))
        return flow

    def ensemble(
        self,
        start: StartFlows,
        *,
        axis: Axis = "x",
        samples: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        project: bool = True,
    ) -> tuple[FlowField, NDArray[np.floating]]:
        """Return what :meth:`predict` does, with the spread as drawn, and the velocity of every sample before projection.

        Shape of the latter: (samples, 3, nz, ny, nx), m/s.
        """
        return self._ensemble(start, axis, conditions_of(start, axis, self.config), samples, steps, seed, project=project)

    def _ensemble(
        self,
        start: StartFlows,
        axis: Axis,
        conditions: Conditions,
        samples: int | None,
        steps: int | None,
        seed: int,
        *,
        project: bool,
    ) -> tuple[FlowField, NDArray[np.floating]]:
        samples = self.config.samples if samples is None else samples
        steps = self.config.sampler_steps if steps is None else steps
        if samples < 1 or steps < 1:
            raise InvalidInputError(f"samples is {samples} and steps is {steps}; needed: at least 1 each.")
        begun = time.perf_counter()
        changes = dimensional(start, axis, conditions, self._sampled(conditions, samples, steps, seed))
        flow = self._flow(start, axis, changes, begun, steps=steps, seed=seed, project=project)
        return flow, start.base.velocity + changes[:, :3]

    def predict_mean_latent(self, start: StartFlows) -> FlowField:
        """Return D3D(E2D): the deterministic cross-reconstruction without the diffusion (flow along x)."""
        begun = time.perf_counter()
        conditions = self.conditions(start)
        with torch.inference_mode(), self._arithmetic():
            fields = padded(conditions.fields, self._stride)
            members = self._decoded(self.networks.vae.encode_2d(fields), fields, conditions)
        return self._flow(start, "x", dimensional(start, "x", conditions, members), begun)

    def reconstruct(self, truth: FlowField, start: StartFlows) -> FlowField:
        """Return D3D(E3D) of a known flow along x: the ceiling that the VAE sets to any prediction."""
        begun = time.perf_counter()
        conditions = self.conditions(start)
        target = build_target(truth, start.base, conditions)
        with torch.inference_mode(), self._arithmetic():
            fields, known = padded(conditions.fields, self._stride), padded(target, self._stride)
            latent = self.networks.vae.encode_3d(self.networks.scaled(known), fields).mean
            members = self._decoded(latent, fields, conditions)
        return self._flow(start, "x", dimensional(start, "x", conditions, members), begun)

    @property
    def _stride(self) -> int:
        """What the networks need height and width to be multiples of."""
        return self.networks.vae.stride

    def conditions(self, start: StartFlows) -> Conditions:
        """Return what the networks see of a flow along x."""
        return conditions_of(start, "x", self.config)

    def _sampled(self, conditions: Conditions, samples: int, steps: int, seed: int) -> NDArray[np.floating]:
        """Draw latents and decode them: (samples, 4, nz, ny, nx), velocity and pressure corrections, dimensionless."""
        # an odd last sample is drawn with a companion that is dropped: two are as quick as one where the latter is slow
        size = min(samples, _AT_ONCE)
        groups = [range(first, first + size) for first in range(0, samples, size)]
        with torch.inference_mode(), self._arithmetic():
            return np.concatenate([self._drawn(conditions, group, steps, seed) for group in groups])[:samples]

    def _drawn(self, conditions: Conditions, group: range, steps: int, seed: int) -> NDArray[np.floating]:
        """Some of the samples, drawn and decoded at once."""
        networks = self.networks
        images = [MIRROR_IMAGES[i % len(MIRROR_IMAGES)] if self.config.mirror_images else () for i in group]
        seen = torch.cat([padded(_mirrored(conditions.fields, CHANNELS, image), self._stride) for image in images])
        start = networks.scaled_latent(networks.vae.encode_2d(seen))
        latent = process_of(self.config).sample(
            lambda noisy, level: networks.denoiser(noisy, start, seen, level),
            start,
            steps=steps,
            generators=[torch.Generator().manual_seed(_sample_seed(seed, index)) for index in group],
        )
        members = self._decoded(networks.unscaled_latent(latent), seen, conditions)
        return np.stack([_mirrored(member, TARGETS, image) for member, image in zip(members, images, strict=True)])

    def _arithmetic(self) -> torch.autocast:
        """The precision of the networks' products."""
        wanted = self.config.precision
        reduced = wanted == "bfloat16" or (wanted == "auto" and has_bfloat16())
        return torch.autocast("cpu", torch.bfloat16, enabled=reduced)

    def _decoded(self, latent: Tensor, fields: Tensor, conditions: Conditions) -> NDArray[np.floating]:
        _, nz, ny, nx = conditions.fields.shape
        return cropped(self.networks.unscaled(self.networks.decode(latent, fields)), (nz, ny, nx))

    def _flow(
        self,
        start: StartFlows,
        axis: Axis,
        changes: NDArray[np.floating],
        begun: float,
        *,
        steps: int = 0,
        seed: int = 0,
        project: bool = True,
    ) -> FlowField:
        """Base plus corrections in SI, in the medium's axes, with the report of the prediction."""
        projector = self._solvers.project if project and self._solvers is not None else None
        report = ModelReport(
            model=self.name,
            sampler=self.config.process if steps else "none",
            steps=steps,
            seed=seed,
            samples=len(changes),
            wall_time=0.0,
            warnings=padding_warning(start.planar.microstructure.shape, self._stride),
        )
        flow = corrected_flow(start, axis, changes, report, projector)
        return replace(flow, report=replace(report, wall_time=time.perf_counter() - begun))


def _mirrored(fields: NDArray[np.floating], names: tuple[str, ...], image: tuple[Mirror, ...]) -> NDArray[np.floating]:
    """Fields (..., channels, nz, ny, nx) of the medium mirrored by each of ``image``; its own inverse."""
    return mirror_fields(torch.from_numpy(fields), names, *image).numpy()


def _sample_seed(seed: int, index: int) -> int:
    """One seed a sample: the result depends neither on the number of samples nor on their order."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0] >> 1)
