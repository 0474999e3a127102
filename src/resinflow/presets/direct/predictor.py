"""Prediction by a deterministic network in voxel space: the baselines that a latent diffusion model has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from resinflow.flow import Base
from resinflow.models import (
    WEIGHTS,
    Choice,
    Ensemble,
    Predictor,
    StartFlows,
    Way,
    arithmetic,
    conditions_of,
    corrected_flow,
    cropped,
    dimensional,
    load_weights,
    padded,
    padding_warning,
    read_document,
)
from resinflow.presets.direct.networks import VoxelNetwork
from resinflow.presets.direct.recipe import PRESET, SCHEMA, VoxelConfig


class DirectPredictor(Predictor[VoxelConfig, VoxelNetwork]):
    """A deterministic network that corrects a base flow; its prediction has one permeability sample: its own."""

    schema = SCHEMA
    preset = PRESET
    choices: ClassVar[frozenset[Choice]] = frozenset()

    @property
    def base(self) -> Base:
        """The flow that the network corrects."""
        return self.config.base

    @property
    def own(self) -> Way:
        """One call of the network; nothing is drawn."""
        return Way(samples=1, steps=1)

    @classmethod
    def restored(cls, directory: Path) -> Self:
        """Return the model in ``directory`` on the CPU.

        Raises:
            MissingDependencyError: a Fourier neural operator without the package that has it.
        """
        name, config, log = read_document(directory, cls.schema, VoxelConfig)
        network = VoxelNetwork(config)
        load_weights(network, directory / WEIGHTS)
        return cls(name, config, network, log)

    def draw(self, start: StartFlows, way: Way) -> NDArray[np.floating]:
        """Return the correction (1, 4, nz, ny, nx)."""
        conditions = conditions_of(start, self.config)
        precision = "auto" if self.config.network.kind == "unet" else "float32"  # no Fourier transforms in bfloat16
        with torch.inference_mode(), arithmetic(self.device, precision):
            fields = padded(conditions.fields, self.networks.stride).to(self.device)
            output = self.networks.unscaled(self.networks(fields))
        return dimensional(start, conditions, cropped(output, conditions.shape))

    def mean(self, start: StartFlows, members: NDArray[np.floating], way: Way) -> Ensemble:
        """Return the base flow plus the correction, and its velocity."""
        return Ensemble(corrected_flow(start, members, project=way.project), start.base.velocity + members[:, :3])

    def warnings(self, start: StartFlows) -> tuple[str, ...]:
        """Say where a medium is padded for the network."""
        return padding_warning(start.planar.microstructure.shape, self.networks.stride)
