"""What a run directory belongs to: one recipe, one data set, one fold, one start. Written on first use, compared ever after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from resinflow.data import FlowSource, Fold, data_fingerprint
from resinflow.flow import InvalidInputError, replacing
from resinflow.train.stage import MACHINE_OPTIONS, STAGES, StageName

CLAIM = "run.json"


def claim_run(run: Path, recipe: BaseModel, source: FlowSource, fold: Fold | None = None, *, start: str | None = None) -> None:
    """Write the run's recipe, data, fold and the sha256 of the weights it starts from on first use; refuse others afterwards.

    A recipe that differs in :data:`~resinflow.train.stage.MACHINE_OPTIONS` alone is the same one, and options that did not
    exist when the run was begun count as their defaults.

    Raises:
        InvalidInputError: the directory belongs to another recipe, data set, fold or starting model.
    """
    claim = {
        "recipe": recipe.model_dump(mode="json"),
        "data": data_fingerprint(source),
        "fold": asdict(fold) if fold is not None else None,
        "start": start,
    }
    path = run / CLAIM
    if not path.is_file():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(claim, indent=1) + "\n", encoding="utf-8")
        return
    found = read_claim(path)
    same = {
        "recipe": _same_recipe(found.get("recipe"), recipe),
        "data set": found.get("data") == claim["data"],
        "fold": found.get("fold") == claim["fold"],
        "starting model": found.get("start") == start,
    }
    for name, agrees in same.items():
        if not agrees:
            raise InvalidInputError(f"{run} was started with another {name}; needed: the same, or another run directory.")


def read_claim(path: Path) -> Mapping[str, Any]:
    """Return what a run directory was begun with: recipe, data, fold and start.

    Raises:
        InvalidInputError: a damaged file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInputError(f"{path} is damaged; needed: the file as written. Copy it again, or use another run directory.")
    return found


def _same_recipe(found: Any, recipe: BaseModel) -> bool:
    try:
        begun = type(recipe).model_validate(found)
    except ValidationError:
        return False
    return _computed(begun.model_dump(mode="json")) == _computed(recipe.model_dump(mode="json"))


def _computed(values: Any) -> Any:
    """The part of a recipe that decides what is computed."""
    if isinstance(values, dict):
        return {name: _computed(value) for name, value in values.items() if name not in MACHINE_OPTIONS}
    return values


MODEL = "model"
_WEIGHTS = "networks.safetensors"


def weights_of(run: Path, stage: StageName) -> Path:
    """Return the file of a stage's weights; a stage is finished when it is there."""
    return run / stage / _WEIGHTS


def result_of(run: Path, stage: StageName) -> Path:
    """Return what a finished stage gives its user: its weights, the last one the model directory."""
    return run / MODEL if stage == STAGES[-1] else weights_of(run, stage)


def weights_before(run: Path, stage: StageName, start: Path | None = None) -> Path | None:
    """Return the weights that a stage starts from: those of the stage before, else ``start``; None: from nothing.

    Raises:
        InvalidInputError: the stage before is not finished, and there is no start.
    """
    place = STAGES.index(stage)
    if place == 0:
        return start
    before = STAGES[place - 1]
    if weights_of(run, before).is_file():
        return weights_of(run, before)
    if start is None:
        raise InvalidInputError(f"{run} has no finished stage {before}; train it first: resinflow train {before}.")
    return start
