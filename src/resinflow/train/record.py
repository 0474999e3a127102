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
from resinflow.train.history import METRICS, read_history
from resinflow.train.preset import Start
from resinflow.train.run_directory import MODEL, RECORD, read_record
from resinflow.train.stage_options import MACHINE_OPTIONS, RAISABLE_OPTIONS, BaseRecipe

__all__ = [
    "RAISED",
    "count_epochs",
    "is_finished",
    "open_start",
    "record_run",
    "recorded_recipe",
    "result_of",
    "weights_of",
]

RAISED = "raised"
"""Stands in the folder of a finished stage that goes on, until it is finished again."""
_WEIGHTS = "networks.safetensors"

Recipe = TypeVar("Recipe", bound=BaseRecipe)


def record_run(
    folder: Path,
    recipe: BaseModel,
    source: FlowSource | None,
    fold: Fold | None = None,
    *,
    stage: str | None = None,
    stages: tuple[str, ...] = (),
    start: str | None = None,
    without: Collection[str] = (),
    accepted: bool = True,
) -> None:
    """Write the recipe, data, fold and the sha256 of the weights that a run starts from on first use; refuse others afterwards.

    A recipe that differs in :data:`~resinflow.train.MACHINE_OPTIONS` alone is the same one, and options that did not exist when
    the run began count as their defaults. Epochs and samples may be raised (:func:`_check_raise`).

    Args:
        folder: the run directory, or that of a stage which has a recipe of its own.
        recipe: of the run, or the options of the stage.
        source: the data set; None where there is none, since samples are drawn while a network learns.
        fold: of the cross-validation.
        stage: that is to be trained; None: no option may change.
        stages: of the run, in their order.
        start: sha256 of the weights that the run starts from.
        without: keys of the recipe that do not belong to this folder.
        accepted: False: only compare, since the data and the recipe may still be refused, which leaves no folder behind.

    Raises:
        InvalidInputError: the directory belongs to another recipe, data set, fold or starting model.
    """
    record = {
        "recipe": recipe.model_dump(mode="json", exclude=set(without)),
        "data": None if source is None else data_fingerprint(source),
        "fold": asdict(fold) if fold is not None else None,
        "start": start,
    }
    path = folder / RECORD
    before = read_record(path) if path.is_file() else None
    if before is not None:
        changes = _changes(folder, before.get("recipe"), recipe, without)
        same = {
            "data set": before.get("data") == record["data"],
            "fold": before.get("fold") == record["fold"],
            "starting model": before.get("start") == start,
        }
        for name, agrees in same.items():
            if not agrees:
                raise _another(folder, name)
        if not changes:
            return
        for raised in [_check_raise(folder, stage, stages, key, *values) for key, values in changes.items()]:
            if raised is not None and raised.is_dir():  # before the record says so: killed in between, nothing is lost
                (raised / RAISED).touch()
    if not accepted:
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _another(folder: Path, name: str) -> InvalidInputError:
    return InvalidInputError(f"{folder} was started with another {name}; needed: the same, or another run directory.")


def _check_raise(folder: Path, stage: str | None, stages: tuple[str, ...], key: str, before: Any, now: Any) -> Path | None:
    """Return the folder of the stage whose epochs are changed, None for raised samples; refuse every other change.

    Epochs may become any number that the stage has not passed, as long as no later stage has started from what it learned.
    Samples may become more: from the next epoch on.
    """
    *parents, name = key.split(".")
    other = f"recipe: {key} was {json.dumps(before)} and is {json.dumps(now)}"
    if stage is None or name not in RAISABLE_OPTIONS:
        raise _another(folder, other)
    if name == "samples":
        if before is None or (now is not None and now < before):
            raise _another(folder, f"{other}; it can only be raised")
        return None
    run, changed = (folder, parents[0]) if parents else (folder.parent, stage)
    epochs = count_epochs(run / changed)
    if now < epochs:
        raise _another(folder, f"{other}, but {epochs} epochs of {changed} are done")
    later = [name for name in stages[stages.index(changed) + 1 :] if (run / name / METRICS).is_file()]
    if epochs and (later or changed != stage):
        raise _another(folder, f"{other}, but {(*later, stage)[0]} starts from what {changed} has learned")
    return run / changed


def count_epochs(folder: Path) -> int:
    """Return the number of epochs that a stage has done, by its history."""
    return max((len(values) for values in read_history(folder).values()), default=0)


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


def _changes(folder: Path, before: object, recipe: BaseModel, without: Collection[str]) -> dict[str, tuple[Any, Any]]:
    """The options that decide what is computed and differ from those of the record: dotted key -> value then, value now.

    Raises:
        InvalidInputError: a record of another kind of recipe.
    """
    try:
        first = type(recipe).model_validate(before)
    except ValidationError:
        raise _another(folder, "recipe") from None
    then, now = (_flat(_computed(each.model_dump(mode="json", exclude=set(without)))) for each in (first, recipe))
    return {key: (then.get(key), now.get(key)) for key in (*then, *now) if then.get(key) != now.get(key)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return flat


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


def is_finished(run: Path, stage: str, stages: tuple[str, ...]) -> bool:
    """Return whether a stage has its result, and no more epochs or samples were asked for since."""
    return result_of(run, stage, stages).exists() and not (run / stage / RAISED).exists()


def weights_before(run: Path, stage: str, stages: tuple[str, ...], start: Path | None) -> Path | None:
    """Return the weights that a stage starts from: those of the stage before, else ``start``; None: from nothing.

    Raises:
        InvalidInputError: the stage before is not finished, and there is no start.
    """
    place = stages.index(stage)
    if place == 0:
        return start
    before = stages[place - 1]
    if weights_of(run, before).is_file() and not (run / before / RAISED).exists():
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
