"""Training of the three stages with Lightning: 3-D branch, 2-D branch, latent diffusion."""

from resinflow.train.config import TrainingConfig, load_training_config
from resinflow.train.run import STAGES, train_stage

__all__ = ["STAGES", "TrainingConfig", "load_training_config", "train_stage"]
