"""Training a stage from the command line."""

from __future__ import annotations

from pathlib import Path

from lightning.fabric.utilities.rank_zero import rank_zero_only

from resinflow.cli.console import make_console
from resinflow.cli.options import TrainingFiles
from resinflow.data import Fold
from resinflow.presets import TrainingConfig, model_directory
from resinflow.presets.training import PresetStage, load_recipe, on_machine, train_recipe


def train_and_print(stage: PresetStage, files: TrainingFiles) -> None:
    """Train (or resume) one stage and say where its result is."""
    recipe = load_recipe(files.recipe) if files.recipe is not None else TrainingConfig()
    recipe = on_machine(recipe, stage, devices=files.devices, workers=files.workers)
    fold = Fold(*files.fold) if files.fold is not None else None
    start = model_directory(files.start) if files.start is not None else None
    made = train_recipe(stage, files.data, files.run, recipe, fold=fold, start=start)
    _report(stage, made)


@rank_zero_only
def _report(stage: PresetStage, made: Path) -> None:
    """Every device has a process; one of them speaks."""
    make_console().print(f"stage {stage} is finished: {made}")
