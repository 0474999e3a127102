"""Every preset behind one recipe: which one it is for, what trains its stages, and what a machine may change in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.callbacks import Callback
from pydantic import BaseModel, ConfigDict, ValidationError

from resinflow.data import Fold
from resinflow.flow import InvalidInputError, read_config
from resinflow.presets.direct.recipe import DIRECT, DirectStageName, VoxelTrainingConfig, load_voxel_config
from resinflow.presets.direct.run import train_direct
from resinflow.presets.latent.recipe import TrainingConfig, load_training_config
from resinflow.presets.latent.run import train_stage
from resinflow.presets.paper.recipe import PaperTrainingConfig, load_paper_config
from resinflow.presets.paper.run import train_paper_stage
from resinflow.train import STAGES, StageConfig, StageName

Recipe = TrainingConfig | PaperTrainingConfig | VoxelTrainingConfig
PresetStage = StageName | DirectStageName
"""The stages of all presets."""


class _Head(BaseModel):
    """The one key that tells the presets' recipes apart."""

    model_config = ConfigDict(extra="ignore")

    preset: str | None = None


def load_recipe(path: str | Path) -> Recipe:
    """Return the recipe in a YAML file: ``preset: paper`` and ``preset: voxel`` say whose it is, without it is our own model's.

    Raises:
        InvalidInputError: no such file, an unknown key or a value out of range.
    """
    preset = read_config(Path(path), _Head).preset
    if preset == PaperTrainingConfig.model_fields["preset"].default:
        return load_paper_config(path)
    if preset == VoxelTrainingConfig.model_fields["preset"].default:
        return load_voxel_config(path)
    return load_training_config(path)


def stage_options(recipe: Recipe, stage: PresetStage) -> StageConfig:
    """Return the options of one stage of a recipe.

    Raises:
        InvalidInputError: a stage that the recipe's preset does not have.
    """
    if stage not in _stages(recipe):
        raise _other_preset(recipe, stage)
    return getattr(recipe, stage)


def train_recipe(
    stage: PresetStage,
    data: str | Path,
    run: str | Path,
    recipe: Recipe,
    *,
    callbacks: Sequence[Callback] = (),
    fold: Fold | None = None,
    start: Path | None = None,
) -> Path:
    """Train one stage of the recipe's preset; see :func:`resinflow.presets.latent.run.train_stage`.

    Raises:
        InvalidInputError: as there, a stage that the recipe's preset does not have, or a start for another preset than our own.
    """
    if start is not None and not isinstance(recipe, TrainingConfig):
        raise InvalidInputError(
            f"the recipe {recipe.name!r} has preset {recipe.preset!r}, whose training starts from nothing; needed: a recipe "
            "without preset, or no model to start from."
        )
    if isinstance(recipe, VoxelTrainingConfig) and stage == DIRECT:
        return train_direct(data, run, recipe, callbacks=callbacks, fold=fold)
    if isinstance(recipe, VoxelTrainingConfig) or stage == DIRECT:
        raise _other_preset(recipe, stage)
    if isinstance(recipe, PaperTrainingConfig):
        return train_paper_stage(stage, data, run, recipe, callbacks=callbacks, fold=fold)
    return train_stage(stage, data, run, recipe, callbacks=callbacks, fold=fold, start=start)


def on_machine(recipe: Recipe, stage: PresetStage, *, devices: int | None = None, workers: int | None = None) -> Recipe:
    """Return the recipe with another number of devices or workers for a stage; it stays the same recipe to its run.

    Raises:
        InvalidInputError: a number out of range, a batch that the devices cannot share equally, or a stage that the recipe's
            preset does not have.
    """
    options = stage_options(recipe, stage)
    chosen = {name: value for name, value in (("devices", devices), ("workers", workers)) if value is not None}
    try:
        changed = type(options).model_validate({**options.model_dump(), **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "devices"
        raise InvalidInputError(f"{stage}: {place}: {first['msg'].removeprefix('Value error, ')}.") from None
    return recipe.model_copy(update={stage: changed})


def _stages(recipe: Recipe) -> tuple[PresetStage, ...]:
    return (DIRECT,) if isinstance(recipe, VoxelTrainingConfig) else STAGES


def _other_preset(recipe: Recipe, stage: PresetStage) -> InvalidInputError:
    fitting = "preset: voxel" if stage == DIRECT else "another preset"
    return InvalidInputError(
        f"the recipe {recipe.name!r} has no stage {stage}; needed: {', '.join(_stages(recipe))}, or a recipe with {fitting}."
    )
