"""Prediction by a deterministic network in voxel space: the baselines that a latent diffusion model has to beat."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from resinflow.models import (
    WEIGHTS,
    Choice,
    CorrectingPredictor,
    ResolvedSampling,
    SampleWatch,
    StartFlows,
    arithmetic,
    check_scales,
    conditions_of,
    corrected_permeabilities,
    cropped,
    dimensional,
    padded,
    read_document,
    restored_networks,
)
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.recipe import NAME, SCHEMA, DirectArchitecture


class DirectPredictor(CorrectingPredictor[DirectArchitecture, DirectNetwork]):
    """A deterministic network that corrects a base flow; its prediction has one permeability sample: its own."""

    schema = SCHEMA
    preset = NAME
    choices: ClassVar[frozenset[Choice]] = frozenset()

    @property
    def stride(self) -> int:
        """Height and width that the networks take are multiples of it."""
        return self.networks.stride

    @property
    def defaults(self) -> ResolvedSampling:
        """One call of the network; nothing is sampled."""
        return ResolvedSampling(samples=1, steps=1)

    @classmethod
    def restored(cls, directory: Path) -> Self:
        """Return the model in ``directory`` on the CPU.

        Raises:
            MissingDependencyError: a Fourier neural operator without the package that has it.
        """
        name, architecture, log = read_document(directory, cls.schema, DirectArchitecture)
        network = restored_networks(partial(DirectNetwork, architecture), directory / WEIGHTS)
        check_scales(directory / WEIGHTS, target_scale=network.target_scale)
        return cls(name, architecture, network, log)

    def draw(self, start: StartFlows, sampling: ResolvedSampling, watch: SampleWatch | None = None) -> NDArray[np.floating]:
        """Return the correction (1, 4, nz, ny, nx)."""
        conditions = conditions_of(start, self.architecture)
        precision = "auto" if self.architecture.network.kind == "unet" else "float32"  # no Fourier transforms in bfloat16
        with torch.inference_mode(), arithmetic(self.device, precision):
            fields = padded(conditions.fields, self.stride).to(self.device)
            output = self.networks.unscaled(self.networks(fields))
        correction = dimensional(start, conditions, cropped(output, conditions.shape))
        if watch is not None:
            watch(corrected_permeabilities(start.base, correction), 1)
        return correction
