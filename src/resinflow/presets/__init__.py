"""The families of models: latent, direct and paper."""

from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DirectRecipe
from resinflow.presets.families import FAMILIES, load_model, load_recipe, model_directory
from resinflow.presets.latent.networks import LatentDiffusion, Process, process_of
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import STAGES, LatentArchitecture, LatentRecipe, StageName
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import PaperRecipe

__all__ = [
    "FAMILIES",
    "STAGES",
    "DirectPredictor",
    "DirectRecipe",
    "LatentArchitecture",
    "LatentDiffusion",
    "LatentPredictor",
    "LatentRecipe",
    "PaperPredictor",
    "PaperRecipe",
    "Process",
    "StageName",
    "load_model",
    "load_recipe",
    "model_directory",
    "process_of",
]
