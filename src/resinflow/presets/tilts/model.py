"""The trained law of the slopes of fibres whose sections in one plane are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.diffusion import Bridge
from resinflow.media import PriorEngine, Stand, draw_bundle_slope
from resinflow.models import Device, TrainedModel
from resinflow.nn import FibreGraph, SlopeNetwork
from resinflow.presets.families import model_directory
from resinflow.presets.tilts.graphs import Plane, deviations_of, graph_of
from resinflow.presets.tilts.recipe import NAME, SCHEMA, TiltArchitecture

__all__ = ["PATH", "TiltModel", "load_tilt_model", "network_of", "tilt_engine"]

PATH = Bridge(1.0)
"""From noise alone to slopes."""
_GAPS = (0.01, 0.12)
"""Gaps that training has seen, in mean diameters."""


def network_of(architecture: TiltArchitecture) -> SlopeNetwork:
    """Return the network of an architecture, with initial weights."""
    return SlopeNetwork(architecture.width, architecture.rounds)


class TiltModel(TrainedModel[TiltArchitecture, SlopeNetwork]):
    """A trained law of slopes (:class:`resinflow.media.SlopeLaw`)."""

    schema = SCHEMA
    configuration = TiltArchitecture

    @staticmethod
    def networks_of(architecture: TiltArchitecture) -> SlopeNetwork:
        """Return the network of an architecture, with initial weights."""
        return network_of(architecture)

    def slopes(self, stand: Stand, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return slopes dx/dz and dy/dz of the fibres of a stand, (n, 2).

        The slope of the bundle is drawn as the misalignment says (:func:`resinflow.media.draw_bundle_slope`), what single
        fibres have beside it by the network.
        """
        radii, settings = stand.discs.radii, stand.settings
        diameter = 2 * float(radii.mean())
        limit = float(np.tan(np.radians(settings.misalignment)))
        gap = float(np.clip(settings.minimum_gap / diameter, *_GAPS))
        plane = Plane(
            stand.discs.centres / diameter, radii / diameter, limit, gap, stand.above / diameter, stand.below / diameter
        )
        graph = FibreGraph(*(tensor.to(self.device) for tensor in graph_of(plane, self.architecture.neighbours)))
        bundle, count = draw_bundle_slope(settings.misalignment, rng), len(radii)
        noise = torch.randn(count + 1, 2, generator=torch.Generator().manual_seed(int(rng.integers(2**62))))

        def change(state: Tensor, level: Tensor) -> Tensor:
            own, scatter = self.networks(graph, state[:count], state[count:, :1], level[:1])
            return torch.cat([own, scatter.expand(-1, 2)])

        with torch.inference_mode():
            state = PATH.walk(change, noise.to(self.device), steps=self.architecture.sampler_steps, twice=True)
        drawn = state.cpu().double().numpy()
        return bundle + deviations_of(float(drawn[count, 0]), drawn[:count], limit)


def load_tilt_model(name_or_directory: str | Path = NAME, device: Device = "auto") -> TiltModel:
    """Return a law of slopes: the shipped one by name, or that of a model directory or a run.

    Raises:
        InvalidInputError: neither a shipped model nor a model directory, a run that is not finished, or damaged files.
    """
    return TiltModel.load(model_directory(name_or_directory), device)


def tilt_engine(model: TiltModel) -> PriorEngine:
    """Return what draws media through slices by a trained law of slopes: outlines as they are, fibres apart."""
    return PriorEngine(law=model, name=NAME, model=model.name)
