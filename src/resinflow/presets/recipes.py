"""The recipes of all presets. Nothing here loads Lightning."""

from __future__ import annotations

from pathlib import Path

from resinflow.flow import InvalidInputError, read_recipe, read_values
from resinflow.presets.direct.recipe import EARLIER, DirectRecipe
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.presets.paper.recipe import PaperRecipe

Recipe = LatentRecipe | DirectRecipe | PaperRecipe

RECIPES: dict[str, type[Recipe]] = {
    "latent": LatentRecipe,
    "direct": DirectRecipe,
    "paper": PaperRecipe,
}
"""Recipes by their key ``preset``; one without it is of the preset latent."""


def load_recipe(path: str | Path) -> Recipe:
    """Return the recipe ``path`` or ``FILE:VARIANT``, whose key ``preset`` says which family of models it trains.

    Raises:
        InvalidInputError: no such file, an unknown preset or option, or a value out of range.

    Example:
        >>> import resinflow as rf
        >>> rf.load_recipe("recipes/tiny.yaml").name
        'tiny'
    """
    values = read_values(path)
    preset = str(values.get("preset", "latent"))
    recipe = DirectRecipe if preset == EARLIER else RECIPES.get(preset)
    if recipe is None:
        raise InvalidInputError(f"{path}: preset: there is no preset {preset!r}; needed: one of {', '.join(RECIPES)}.")
    return read_recipe(Path(path), recipe)
