"""The one stage of the preset direct."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from resinflow.data import FlowSource
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DirectRecipe
from resinflow.presets.flow_stage import FlowBatch, FlowPreset, FlowStage
from resinflow.train import FlowStageOptions
from resinflow.train.stage import Part


class DirectStage(FlowStage[DirectNetwork, FlowStageOptions]):
    """The network learns the correction from the conditions, by the loss of every decoded flow."""

    def __init__(self, network: DirectNetwork, options: FlowStageOptions) -> None:
        super().__init__(network, [network], options)

    def losses(self, batch: FlowBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the error of the correction and of its flow rate."""
        conditions, target = batch
        loss, logged = self.decoding(self.networks(conditions), target, conditions)
        return {"loss": loss, **logged}


class DirectPreset(FlowPreset[DirectNetwork, DirectRecipe]):
    """One deterministic network from the conditions to the correction, voxel by voxel."""

    def networks(self, stage: str, recipe: DirectRecipe, source: FlowSource) -> DirectNetwork:
        """Return the network.

        Raises:
            MissingDependencyError: a Fourier neural operator without the package that has it.
        """
        return DirectNetwork(recipe.model)

    def stage(self, name: str, networks: DirectNetwork, recipe: DirectRecipe) -> DirectStage:
        """Return the stage."""
        return DirectStage(networks, recipe.direct)

    def predictor(self, recipe: DirectRecipe, networks: DirectNetwork, log: dict[str, Any]) -> DirectPredictor:
        """Return the model that the stage ends in."""
        return DirectPredictor(recipe.name, recipe.model, networks, log)


PRESET = DirectPreset()
