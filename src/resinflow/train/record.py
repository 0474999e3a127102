"""A run directory: what it belongs to, where the results of its stages are, and how another run goes on from it.

``run.json`` holds one recipe, one data set, one fold and one start. It is written on first use and compared ever after.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from resinflow.data import FlowSource, Fold, data_fingerprint
from resinflow.flow import InvalidInputError, replacing
from resinflow.models import CONFIG, WEIGHTS, read_document, read_log, weights_fingerprint
from resinflow.train.preset import Start
from resinflow.train.stage_options import MACHINE_OPTIONS, BaseRecipe

__all__ = ["MODEL", "RECORD", "open_start", "read_record", "record_run", "recorded_recipe", "result_of", "weights_of"]

RECORD = "run.json"
MODEL = "model"
_WEIGHTS = "networks.safetensors"

Recipe = TypeVar("Recipe", bound=BaseRecipe)


def record_run(
    folder: Path,
    recipe: BaseModel,
    source: FlowSource,
    fold: Fold | None = None,
    *,
    start: str | None = None,
    without: Collection[str] = (),
    accepted: bool = True,
) -> None:
    """Write the recipe, data, fold and the sha256 of the weights that a run starts from on first use; refuse others afterwards.

    A recipe that differs in :data:`~resinflow.train.MACHINE_OPTIONS` alone is the same one, and options that did not exist when
    the run began count as their defaults.

    Args:
        folder: the run directory, or that of a stage which has a recipe of its own.
        recipe: of the run, or the options of the stage.
        source: the data set.
        fold: of the cross-validation.
        start: sha256 of the weights that the run starts from.
        without: keys of the recipe that do not belong to this folder.
        accepted: False: only compare, since the data and the recipe may still be refused, which leaves no folder behind.

    Raises:
        InvalidInputError: the directory belongs to another recipe, data set, fold or starting model.
    """
    record = {
        "recipe": recipe.model_dump(mode="json", exclude=set(without)),
        "data": data_fingerprint(source),
        "fold": asdict(fold) if fold is not None else None,
        "start": start,
    }
    path = folder / RECORD
    if not path.is_file():
        if not accepted:
            return
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return
    before = read_record(path)
    same = {
        "recipe": _same_recipe(before.get("recipe"), recipe, without),
        "data set": before.get("data") == record["data"],
        "fold": before.get("fold") == record["fold"],
        "starting model": before.get("start") == start,
    }
    for name, agrees in same.items():
        if not agrees:
            raise InvalidInputError(f"{folder} was started with another {name}; needed: the same, or another run directory.")


def read_record(path: Path) -> Mapping[str, Any]:
    """Return what a run directory began with: recipe, data, fold and start.

    Raises:
        InvalidInputError: a damaged file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InvalidInputError(f"{path} is damaged; needed: the file as written. Copy it again, or use another run directory.")
    return record


def recorded_recipe(run: Path, recipe: Recipe) -> Recipe:
    """Return the recipe with the options that each stage of the run began with, where a stage has recorded its own.

    Raises:
        InvalidInputError: a damaged record.
    """
    changes: dict[str, BaseModel] = {}
    for stage in recipe.stages:
        path = run / stage / RECORD
        if path.is_file():
            try:
                changes[stage] = type(recipe.options(stage)).model_validate(read_record(path).get("recipe"))
            except ValidationError:
                raise InvalidInputError(
                    f"{path} is damaged; needed: the file as written. Copy it again, or use another run directory."
                ) from None
    return recipe.model_copy(update=changes)


def _same_recipe(before: object, recipe: BaseModel, without: Collection[str]) -> bool:
    try:
        first = type(recipe).model_validate(before)
    except ValidationError:
        return False
    one, other = (_computed(each.model_dump(mode="json", exclude=set(without))) for each in (first, recipe))
    return one == other


def _computed(values: Any) -> Any:
    """The part of a recipe that decides what is computed."""
    if isinstance(values, dict):
        return {name: _computed(value) for name, value in values.items() if name not in MACHINE_OPTIONS}
    return values


def weights_of(run: Path, stage: str) -> Path:
    """Return the file of a stage's weights; a stage that is not the last one is finished when it is there."""
    return run / stage / _WEIGHTS


def result_of(run: Path, stage: str, stages: tuple[str, ...]) -> Path:
    """Return what a finished stage gives its user: its weights, the last one the model directory."""
    return run / MODEL if stage == stages[-1] else weights_of(run, stage)


def weights_before(run: Path, stage: str, stages: tuple[str, ...], start: Path | None) -> Path | None:
    """Return the weights that a stage starts from: those of the stage before, else ``start``; None: from nothing.

    Raises:
        InvalidInputError: the stage before is not finished, and there is no start.
    """
    place = stages.index(stage)
    if place == 0:
        return start
    before = stages[place - 1]
    if weights_of(run, before).is_file():
        return weights_of(run, before)
    if start is None:
        raise InvalidInputError(f"{run} has no finished stage {before}; train it first: resinflow train {before}.")
    return start


def open_start(directory: Path, recipe: BaseRecipe, *, schema: str, free: Collection[str]) -> Start:
    """Return the model in ``directory`` as the start of a run with the networks of ``recipe``.

    Args:
        directory: of a model; or of a run, whose last finished stage is taken.
        recipe: of the run that starts.
        schema: of the preset's model directories.
        free: options of a model that its networks do not depend on: a run may change them.

    Raises:
        InvalidInputError: not a model of this preset, a run without a finished stage, damaged files, or networks of other
            sizes, conditions or units.
    """
    if (directory / RECORD).is_file() and not (directory / CONFIG).is_file():
        name, model, log, weights = _of_run(directory, type(recipe))
    else:
        name, model, log = read_document(directory, schema, type(recipe.model))
        weights = directory / WEIGHTS
    mine, theirs = recipe.model.model_dump(mode="json"), model.model_dump(mode="json")
    differing = [key for key in mine if key not in free and mine[key] != theirs[key]]
    if differing:
        key = differing[0]
        raise InvalidInputError(
            f"the model {name!r} to start from has {key} {theirs[key]!r}, the recipe {mine[key]!r}; needed: the same. Write "
            f"model: {{{key}: {theirs[key]}}} into the recipe, or train from nothing."
        )
    return Start(weights, {"name": name, "sha256": weights_fingerprint(weights.parent, weights.name), **log})


def _of_run(run: Path, kind: type[BaseRecipe]) -> tuple[str, BaseModel, dict[str, Any], Path]:
    """Name, model options, log and weights of a run's last finished stage."""
    try:
        recipe = kind.model_validate(read_record(run / RECORD).get("recipe"))
    except ValidationError:
        preset = kind.model_fields["preset"].default
        raise InvalidInputError(f"{run} trains no model of the preset {preset}; needed: a run that does.") from None
    finished = [weights_of(run, stage) for stage in kind.stages if weights_of(run, stage).is_file()]
    if not finished:
        raise InvalidInputError(f"{run} has no finished stage; train it first: resinflow train {kind.stages[0]}.")
    return recipe.name, recipe.model, read_log(run), finished[-1]
