"""How the law of the fibres' slopes trains."""

from __future__ import annotations

from typing import Any, ClassVar

from resinflow.nn import SlopeNetwork
from resinflow.presets.drawn_training import DrawnPreset
from resinflow.presets.tilts.model import TiltModel, network_of
from resinflow.presets.tilts.recipe import TiltRecipe
from resinflow.presets.tilts.stages import DrawnBundles, TiltStage, gathered
from resinflow.train.stage import Part

__all__ = ["TILTS"]


class TiltPreset(DrawnPreset[TiltRecipe, SlopeNetwork]):
    """A law of slopes that is learned from random bundles."""

    recipe = TiltRecipe
    result: ClassVar[str] = "law of slopes"
    drawn: ClassVar[str] = "random bundles (resinflow.media.packed_fibres)"
    collate = staticmethod(gathered)

    def networks(self, recipe: TiltRecipe) -> SlopeNetwork:
        """Return the network with initial weights."""
        return network_of(recipe.model)

    def items(self, recipe: TiltRecipe, part: Part) -> DrawnBundles:
        """Return random bundles."""
        return DrawnBundles(recipe, part)

    def stage(self, networks: SlopeNetwork, recipe: TiltRecipe) -> TiltStage:
        """Return the one stage."""
        return TiltStage(networks, recipe.tilts)

    def model(self, recipe: TiltRecipe, networks: SlopeNetwork, log: dict[str, Any]) -> TiltModel:
        """Return the law."""
        return TiltModel(recipe.name, recipe.model, networks, log)


TILTS = TiltPreset()
