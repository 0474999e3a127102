"""The families of models: latent, direct and paper."""

from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DirectRecipe
from resinflow.presets.latent.networks import LatentDiffusion, Process, process_of
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import STAGES, LatentRecipe, ModelConfig, StageName
from resinflow.presets.load import PREDICTORS, load_model, model_directory
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import PaperRecipe
from resinflow.presets.recipes import RECIPES, Recipe, load_recipe

__all__ = [
    "PREDICTORS",
    "RECIPES",
    "STAGES",
    "DirectPredictor",
    "DirectRecipe",
    "LatentDiffusion",
    "LatentPredictor",
    "LatentRecipe",
    "ModelConfig",
    "PaperPredictor",
    "PaperRecipe",
    "Process",
    "Recipe",
    "StageName",
    "load_model",
    "load_recipe",
    "model_directory",
    "process_of",
]
