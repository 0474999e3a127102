"""The families of models: latent, direct and paper."""

from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DIRECT
from resinflow.presets.latent.networks import LatentDiffusion, Process, process_of
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import (
    PRESETS,
    DiffusionConfig,
    ModelConfig,
    TrainingConfig,
    Vae2dConfig,
    Vae3dConfig,
    load_training_config,
)
from resinflow.presets.load import PREDICTORS, load_model, model_directory
from resinflow.presets.paper.predictor import PaperPredictor

__all__ = [
    "DIRECT",
    "PREDICTORS",
    "PRESETS",
    "DiffusionConfig",
    "DirectPredictor",
    "LatentDiffusion",
    "LatentPredictor",
    "ModelConfig",
    "PaperPredictor",
    "Process",
    "TrainingConfig",
    "Vae2dConfig",
    "Vae3dConfig",
    "load_model",
    "load_training_config",
    "model_directory",
    "process_of",
]
