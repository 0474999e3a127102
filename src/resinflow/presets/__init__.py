"""The families of models: latent, direct and paper."""

from resinflow.presets.direct.predictor import VoxelPredictor, is_voxel_model
from resinflow.presets.direct.recipe import DIRECT
from resinflow.presets.latent.networks import LatentDiffusion, Process, process_of
from resinflow.presets.latent.predictor import FlowPredictor
from resinflow.presets.latent.recipe import (
    PRESETS,
    DiffusionConfig,
    ModelConfig,
    TrainingConfig,
    Vae2dConfig,
    Vae3dConfig,
    load_training_config,
)
from resinflow.presets.load import load_branched_model, load_model, model_directory
from resinflow.presets.paper.predictor import PaperPredictor, is_paper_model, sample_seed

__all__ = [
    "DIRECT",
    "PRESETS",
    "DiffusionConfig",
    "FlowPredictor",
    "LatentDiffusion",
    "ModelConfig",
    "PaperPredictor",
    "Process",
    "TrainingConfig",
    "Vae2dConfig",
    "Vae3dConfig",
    "VoxelPredictor",
    "is_paper_model",
    "is_voxel_model",
    "load_branched_model",
    "load_model",
    "load_training_config",
    "model_directory",
    "process_of",
    "sample_seed",
]
