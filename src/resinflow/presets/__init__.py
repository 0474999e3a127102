"""The families of models: latent, direct and paper."""

from resinflow.presets.families import (
    FAMILIES,
    load_model,
    load_recipe,
    model_directory,
    recorded_recipe_of,
    start_directory,
)
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import STAGES, LatentArchitecture, LatentRecipe, StageName
from resinflow.presets.paper.predictor import PaperPredictor

__all__ = [
    "FAMILIES",
    "STAGES",
    "LatentArchitecture",
    "LatentDiffusion",
    "LatentPredictor",
    "LatentRecipe",
    "PaperPredictor",
    "StageName",
    "load_model",
    "load_recipe",
    "model_directory",
    "recorded_recipe_of",
    "start_directory",
]
