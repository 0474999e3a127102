"""How the learned front end trains."""

from __future__ import annotations

from typing import Any, ClassVar

from resinflow.nn import SurfaceNetwork
from resinflow.presets.drawn_training import DrawnPreset
from resinflow.presets.surface.model import SurfaceModel, network_of
from resinflow.presets.surface.recipe import SurfaceRecipe
from resinflow.presets.surface.stages import DrawnSpecimens, SurfaceStage
from resinflow.train.stage import Part

__all__ = ["SURFACE"]


class SurfacePreset(DrawnPreset[SurfaceRecipe, SurfaceNetwork]):
    """A front end that learns from random specimens."""

    recipe = SurfaceRecipe
    result: ClassVar[str] = "front end"
    drawn: ClassVar[str] = "random specimens (resinflow.media.draw_specimen)"

    def networks(self, recipe: SurfaceRecipe) -> SurfaceNetwork:
        """Return the network with initial weights."""
        return network_of(recipe.model)

    def items(self, recipe: SurfaceRecipe, part: Part) -> DrawnSpecimens:
        """Return random specimens."""
        return DrawnSpecimens(recipe, part)

    def stage(self, networks: SurfaceNetwork, recipe: SurfaceRecipe) -> SurfaceStage:
        """Return the one stage."""
        return SurfaceStage(networks, recipe.surface)

    def model(self, recipe: SurfaceRecipe, networks: SurfaceNetwork, log: dict[str, Any]) -> SurfaceModel:
        """Return the front end."""
        return SurfaceModel(recipe.name, recipe.model, networks, log)


SURFACE = SurfacePreset()
