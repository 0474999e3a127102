"""Training a stage from the command line."""

from __future__ import annotations

from typing import Literal

from resinflow.train import TrainingConfig, load_training_config, train_stage
from resinflow.workflows.options import TrainingFiles
from resinflow.workflows.report import make_console


def train_and_print(stage: Literal["vae3d", "vae2d", "diffusion"], files: TrainingFiles) -> None:
    """Train (or resume) one stage and say where its result is."""
    config = load_training_config(files.recipe) if files.recipe is not None else TrainingConfig()
    made = train_stage(stage, files.data, files.run, config)
    make_console().print(f"stage {stage} is finished: {made}")
