"""Every preset behind one recipe: which one it is for, what trains its stages, and what a machine may change in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from pydantic import BaseModel, ConfigDict, ValidationError

from resinflow.core import InvalidInputError
from resinflow.data.config import read_config
from resinflow.train.config import StageConfig, StageName, TrainingConfig, load_training_config
from resinflow.train.fold import Fold
from resinflow.train.paper_config import PaperTrainingConfig, load_paper_config
from resinflow.train.paper_run import train_paper_stage
from resinflow.train.run import train_stage

Recipe = TrainingConfig | PaperTrainingConfig


class _Head(BaseModel):
    """The one key that tells the presets' recipes apart."""

    model_config = ConfigDict(extra="ignore")

    preset: str | None = None


def load_recipe(path: str | Path) -> Recipe:
    """Return the recipe in a YAML file: that of the published system where it says ``preset: paper``.

    Raises:
        InvalidInputError: no such file, an unknown key or a value out of range.
    """
    published = PaperTrainingConfig.model_fields["preset"].default
    return load_paper_config(path) if read_config(Path(path), _Head).preset == published else load_training_config(path)


def train_recipe(
    stage: StageName,
    data: str | Path,
    run: str | Path,
    recipe: Recipe,
    *,
    callbacks: Sequence[Callback] = (),
    fold: Fold | None = None,
) -> Path:
    """Train one stage of the recipe's preset; see :func:`resinflow.train.run.train_stage`."""
    if isinstance(recipe, PaperTrainingConfig):
        return train_paper_stage(stage, data, run, recipe, callbacks=callbacks, fold=fold)
    return train_stage(stage, data, run, recipe, callbacks=callbacks, fold=fold)


def on_machine(recipe: Recipe, stage: StageName, *, devices: int | None = None, workers: int | None = None) -> Recipe:
    """Return the recipe with another number of devices or workers for a stage; it stays the same recipe to its run.

    Raises:
        InvalidInputError: a number out of range, or a batch that the devices cannot share equally.
    """
    options: StageConfig = getattr(recipe, stage)
    chosen = {name: value for name, value in (("devices", devices), ("workers", workers)) if value is not None}
    try:
        changed = type(options).model_validate({**options.model_dump(), **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "devices"
        raise InvalidInputError(f"{stage}: {place}: {first['msg'].removeprefix('Value error, ')}.") from None
    return recipe.model_copy(update={stage: changed})
