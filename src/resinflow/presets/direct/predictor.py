"""Prediction by a deterministic network in voxel space: the baselines that a latent diffusion model has to beat."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from resinflow.flow import Axis, Base, FlowField, InvalidInputError, Microstructure, ModelReport
from resinflow.models import (
    WEIGHTS,
    FlowSolvers,
    StartFlows,
    conditions_of,
    corrected_flow,
    cropped,
    dimensional,
    has_schema,
    load_weights,
    padded,
    padding_warning,
    read_document,
    solved_start,
    write_model,
)
from resinflow.models.device import has_bfloat16
from resinflow.presets.direct.networks import VoxelNetwork
from resinflow.presets.direct.recipe import PRESET, SCHEMA, VoxelConfig


def is_voxel_model(directory: Path) -> bool:
    """Return whether ``directory`` holds a model of the preset ``voxel``; a damaged directory does not."""
    return has_schema(directory, SCHEMA)


class VoxelPredictor:
    """A trained deterministic model: network, configuration, scaling and the story of its training.

    Attributes:
        name: what the model is called in tables.
        config: conditions and sizes of the network.
        network: the network with its weights.
        log: how it was trained (recipe, data fingerprint, history).
    """

    def __init__(
        self,
        name: str,
        config: VoxelConfig,
        network: VoxelNetwork,
        log: dict[str, Any] | None = None,
        solvers: FlowSolvers | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.network = network.eval()
        self.log = log or {}
        self._solvers = solvers

    @property
    def base(self) -> Base:
        """The flow that the network corrects."""
        return self.config.base

    @classmethod
    def load(cls, directory: str | Path, solvers: FlowSolvers | None = None) -> VoxelPredictor:
        """Rebuild a model from its directory (``config.json``, ``model.safetensors``, ``log.json``).

        Raises:
            InvalidInputError: not such a directory, or damaged files.
            MissingDependencyError: a Fourier neural operator without the package that has it.
        """
        name, config, log = read_document(Path(directory), SCHEMA, VoxelConfig)
        network = VoxelNetwork(config)
        load_weights(network, Path(directory) / WEIGHTS)
        return cls(name, config, network, log, solvers)

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        document = {"schema": SCHEMA, "preset": PRESET, "name": self.name, "config": self.config.model_dump(mode="json")}
        return write_model(directory, self.network, document, self.log)

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
        """Return the predicted 3-D flow, with one permeability sample: its own.

        Args:
            micro: the medium; fibres run roughly along z, voxels square in the slice plane.
            axis: ``x`` or ``y``, the direction of the pressure drop.
            pressure_drop: Pa.
            viscosity: Pa s.
            samples: 1 or None; there is nothing to draw.
            steps: 1 or None; the network is called once.
            seed: without effect.
            start: planar and base flow of this medium and drive where they are known already.
            project: make the field conserve mass exactly; a model without solvers cannot.

        Raises:
            InvalidInputError: an axis or a medium that the model does not know, no start flows and no solver for them, or more
                than one sample or step.
        """
        if samples not in (None, 1) or steps not in (None, 1):
            raise InvalidInputError(
                f"{self.name} is deterministic: samples is {samples} and steps is {steps}; needed: 1 each, or leave them out."
            )
        if start is None:
            start = solved_start(self._solvers, micro, self.base, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity)
        begun = time.perf_counter()
        conditions = conditions_of(start, axis, self.config)
        _, nz, ny, nx = conditions.fields.shape
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=self.config.network.kind == "unet" and has_bfloat16()),
        ):
            fields = padded(conditions.fields, self.network.stride)
            correction = cropped(self.network.unscaled(self.network(fields)), (nz, ny, nx))
        report = ModelReport(
            model=self.name,
            sampler="none",
            steps=1,
            seed=seed,
            samples=1,
            wall_time=0.0,
            warnings=padding_warning(micro.shape, self.network.stride),
        )
        projector = self._solvers.project if project and self._solvers is not None else None
        flow = corrected_flow(start, axis, dimensional(start, axis, conditions, correction), report, projector)
        return replace(flow, report=replace(report, wall_time=time.perf_counter() - begun))
