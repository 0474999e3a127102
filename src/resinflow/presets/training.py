"""The one door to training of every family of models."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning.pytorch.callbacks import Callback
from pydantic import ValidationError

from resinflow.data import FlowSource, Fold
from resinflow.flow import InvalidInputError, check_type, first_fault, replacing
from resinflow.models import Device, resolve_device, save_weights
from resinflow.presets.families import FAMILIES, load_model
from resinflow.train import BaseRecipe, StageOptions
from resinflow.train.engine import train as train_stage
from resinflow.train.history import METRICS
from resinflow.train.preset import Preset
from resinflow.train.record import weights_of
from resinflow.train.run_directory import MODEL

__all__ = ["Device", "adopt_model", "adopt_stage", "on_machine", "preset_of", "resolve_device", "stage_options", "train"]

Recipe = TypeVar("Recipe", bound=BaseRecipe)


def train(
    stage: str,
    data: str | Path | FlowSource,
    run: str | Path,
    recipe: BaseRecipe,
    *,
    fold: Fold | None = None,
    callbacks: Sequence[Callback] = (),
    start: Path | None = None,
    device: Device = "auto",
) -> Path:
    """Train one stage of the recipe's preset; see :func:`resinflow.train.engine.train`.

    Raises:
        InvalidInputError: as there, a stage that the recipe's preset does not have, or a start for a preset that starts from
            nothing.

    Example:
        >>> import resinflow as rf
        >>> recipe = rf.load_recipe("recipes/tiny.yaml")
        >>> rf.train_model("vae3d", "data/small.zarr", "runs/new", recipe).is_file()
        True
    """
    check_type("the recipe", recipe, BaseRecipe, 'a recipe, e.g. rf.load_recipe("recipes/small.yaml")')
    check_type("the data set", data, (str, Path, FlowSource), "its folder or URL, or one that is open (rf.open_flows)")
    check_type("the run", run, (str, Path), "the path of its directory")
    if fold is not None:
        check_type("the fold", fold, Fold, "a Fold, e.g. resinflow.data.Fold(0, 5)")
    if start is not None:
        check_type("the start", start, (str, Path), "the directory of a trained model")
    origin = None if start is None else Path(start)
    stage_options(recipe, stage)
    preset = preset_of(recipe)
    return train_stage(preset, stage, data, run, recipe, fold=fold, callbacks=callbacks, start=origin, device=device)


def preset_of(recipe: BaseRecipe) -> Preset[Any, Any, Any]:
    """Return what trains the family of a recipe."""
    return import_module(FAMILIES[recipe.preset].stages).PRESET


def stage_options(recipe: BaseRecipe, stage: str) -> StageOptions:
    """Return the options of one stage of a recipe.

    Raises:
        InvalidInputError: a stage that the recipe's preset does not have.
    """
    if stage not in recipe.stages:
        owners = [name for name, family in FAMILIES.items() if stage in family.recipe.stages]
        fitting = f"preset: {owners[0]}" if len(owners) == 1 else "another preset"
        raise InvalidInputError(
            f"the recipe {recipe.name!r} has no stage {stage}; needed: {', '.join(recipe.stages)}, or a recipe with {fitting}."
        )
    return recipe.options(stage)


def adopt_stage(start: Path, run: Path, stage: str, source: FlowSource, recipe: BaseRecipe) -> None:
    """Make a finished stage of the run ``start`` one of ``run``, as if ``run`` had trained it.

    Networks that the stage does not train may have another shape in ``run``; they have the recipe's initial weights there.

    Raises:
        InvalidInputError: weights that do not fit.
    """
    preset = preset_of(recipe)
    torch.manual_seed(recipe.seed)  # as every stage does before it makes the networks
    networks = preset.networks(stage, recipe, source)
    preset.adopt(networks, weights_of(start, stage))
    with replacing(run / stage) as temporary:
        (temporary / METRICS).parent.mkdir(parents=True)
        shutil.copyfile(start / stage / METRICS, temporary / METRICS)
        save_weights(networks, temporary / weights_of(run, stage).name)


def adopt_model(start: Path, run: Path, recipe: BaseRecipe) -> None:
    """Make the model of the run ``start`` that of ``run``, under the name and the options of prediction of ``recipe``.

    Raises:
        InvalidInputError: no model, or a damaged one.
    """
    model = load_model(start / MODEL, "cpu")
    preset_of(recipe).predictor(recipe, model.networks, model.log).save(run / MODEL)


def on_machine(recipe: Recipe, stage: str, *, devices: int | None = None, workers: int | None = None) -> Recipe:
    """Return the recipe with another number of devices or workers for a stage; it stays the same recipe to its run.

    Raises:
        InvalidInputError: a number out of range, a batch that the devices cannot share equally, or a stage that the recipe's
            preset does not have.
    """
    options = stage_options(recipe, stage)
    changes = {name: value for name, value in (("devices", devices), ("workers", workers)) if value is not None}
    try:
        changed = type(options).model_validate({**options.model_dump(), **changes})
    except ValidationError as error:
        raise InvalidInputError(f"{stage}: {first_fault(error, 'devices', value=False)}.") from None
    return recipe.model_copy(update={stage: changed})
