"""Training of the three stages of every preset with Lightning: 3-D branch, 2-D branch, latent diffusion."""

from resinflow.train.config import STAGES, StageName, TrainingConfig, load_training_config
from resinflow.train.fold import Fold
from resinflow.train.history import best_validation_loss
from resinflow.train.presets import Recipe, load_recipe, on_machine, train_recipe
from resinflow.train.run import train_stage
from resinflow.train.trainer import fit_stage

__all__ = [
    "STAGES",
    "Fold",
    "Recipe",
    "StageName",
    "TrainingConfig",
    "best_validation_loss",
    "fit_stage",
    "load_recipe",
    "load_training_config",
    "on_machine",
    "train_recipe",
    "train_stage",
]
