"""The history of a training, from our ``log.json`` or from ``log.json`` and ``vae_log.json`` of the published programs.

These files come from anywhere. The reader takes JSON alone, bounds its size, and skips all that is no list of numbers by
epoch. It recognises the columns of the published logs by their form: lists of one length in one section.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resinflow.flow import InvalidInputError

LOGS = ("log.json", "model/log.json", "vae_log.json")
"""Where a run directory, a model directory or a published folder has its log, in this order."""

_LARGEST = 64 * 2**20  # bytes
_MOST_SERIES = 400
_LONGEST_NAME = 60
_PASSED_OVER = {"params", "recipe", "data", "versions", "config", "norm_factors", "optimization", "converted_from"}
_RATES = {"lr", "learning_rate", "learning_rate_history"}
_PARTS = {"train": "training", "training": "training", "val": "validation", "validation": "validation", "test": "test"}
_FIRST = re.compile(r"^(train|training|val|validation|test)_(.+)$")
_LAST = re.compile(r"^(.+)_(train|val|test)$")
LEARNING_RATE = "learning rate"
_TERMS = {"kl_coeff": "kl coefficient", "time": "seconds"}


@dataclass(frozen=True)
class Series:
    """One quantity over the epochs of one stage.

    Attributes:
        term: what it is, e.g. ``loss`` or ``learning rate``.
        part: ``training``, ``validation``, ``test``, or nothing for what belongs to no part of the data.
        values: one an epoch (NaN where there is none); a single value was measured once, after the training.
        epochs: of the values, counted from 1; None if they were not taken every epoch.
    """

    term: str
    part: str
    values: tuple[float, ...]
    epochs: tuple[float, ...] | None


@dataclass(frozen=True)
class TrainingLog:
    """The stages of one run, by name and in order, each with its series."""

    name: str
    stages: Mapping[str, tuple[Series, ...]]


def read_training_log(path: str | Path) -> TrainingLog:
    """Read the log of a run. Stages that the run has not trained come from the log of the model that it started from.

    Args:
        path: a log file (.json), or the folder of a run or model with ``log.json``, ``model/log.json`` or ``vae_log.json``.

    Raises:
        InvalidInputError: no log there, no JSON, a file above 64 MiB, or nothing in it that was measured by epoch.
    """
    file = _log_file(Path(path))
    log = _parsed(file)
    log = log.get("published_log", log)
    if not isinstance(log, dict):
        raise _without_history(file)
    history = log.get("history")
    if isinstance(history, dict):
        history = {**_stages_of_start(log), **history}
        sections = {str(stage): _section(columns) for stage, columns in history.items() if isinstance(columns, dict)}
    else:
        sections = {_published_stage(log, file): _published(log)}
    stages = {_clean(stage): tuple(series) for stage, series in sections.items() if series}
    if not stages:
        raise _without_history(file)
    if sum(map(len, stages.values())) > _MOST_SERIES:
        raise InvalidInputError(f"{file} holds more than {_MOST_SERIES} columns; needed: the log of one training.")
    folder = file.parent.parent if file.parent.name == "model" and Path(path).is_dir() else file.parent
    return TrainingLog(_clean(folder.resolve().name or file.stem), stages)


def _stages_of_start(log: Mapping[str, Any]) -> dict[str, Any]:
    start = log.get("start")
    history = start.get("history") if isinstance(start, dict) else None
    return history if isinstance(history, dict) else {}


def best_epoch(stage: tuple[Series, ...]) -> tuple[float, Series] | None:
    """Return the epoch of the lowest validation loss and that loss; None without one.

    The loss is the term ``loss``, or the first other validation term whose name speaks of a loss or a reconstruction.
    """
    candidates = [s for s in stage if s.part == "validation" and s.epochs and any(map(math.isfinite, s.values))]
    ranked = sorted(candidates, key=lambda s: (s.term != "loss", not re.search("loss|recons|cross", s.term)))
    if not ranked or (ranked[0].term != "loss" and not re.search("loss|recons|cross", ranked[0].term)):
        return None
    loss = ranked[0]
    values = [value if math.isfinite(value) else math.inf for value in loss.values]
    return (loss.epochs or ())[values.index(min(values))], loss


def _log_file(path: Path) -> Path:
    if path.is_dir():
        for name in LOGS:
            if (path / name).is_file():
                return path / name
        raise InvalidInputError(f"{path} holds no training log; needed: {', '.join(LOGS[:-1])} or {LOGS[-1]} in it.")
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: the folder of a run, or its log (.json).")
    return path


def _parsed(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    if size > _LARGEST:
        raise InvalidInputError(f"{file} has {size / 2**20:.0f} MiB; needed: a training log, at most {_LARGEST // 2**20} MiB.")
    try:
        log = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        detail = (str(error).splitlines() or [""])[0][:120]
        raise InvalidInputError(f"{file} cannot be read as JSON ({detail}); needed: the log.json of a training.") from None
    if not isinstance(log, dict):
        raise InvalidInputError(f"{file} holds a {type(log).__name__}; needed: a JSON object, the log of a training.")
    return log


def _without_history(file: Path) -> InvalidInputError:
    return InvalidInputError(f"{file} holds no numbers by epoch; needed: the log of a training, with at least one epoch.")


def _published_stage(log: Mapping[str, Any], file: Path) -> str:
    """Name the stage of a published log by what it holds; any other file by its name."""
    if isinstance(log.get("loss"), dict):
        second = "lambda_cross" in log or "stage1_checkpoint" in log or "cross_2d3d_train" in log["loss"]
        return "VAE stage 2" if second else "VAE stage 1"
    return "diffusion" if "train_loss" in log else file.stem


def _published(log: Mapping[str, Any]) -> list[Series]:
    """Return the series of the top level and of every section below it (``loss``, ``physics_metrics``).

    Lists of numbers alone are no history: there is none without a training or validation column.
    """
    sections = {"": log} | {key: value for key, value in log.items() if isinstance(value, dict) and key not in _PASSED_OVER}
    epochs = _numbers(log.get("epoch"))
    series = [entry for columns in sections.values() for entry in _section(columns, epochs)]
    return series if any(entry.part in ("training", "validation") for entry in series) else []


def _section(columns: Mapping[str, Any], epochs: tuple[float, ...] | None = None) -> list[Series]:
    """Return the columns of one section. Those as long as the epochs (or, without these, as most) are by epoch."""
    numbers = {str(name): _numbers(value) for name, value in columns.items() if name not in _PASSED_OVER}
    lists = {name: values for name, values in numbers.items() if values and name not in ("epoch", "step")}
    own = numbers.get("epoch") or epochs
    if own is None and lists:
        length = Counter(map(len, lists.values())).most_common(1)[0][0]
        own = tuple(float(number) for number in range(length))
    # programs count from 0, readers from 1
    counted = tuple(number + 1 for number in own) if own and min(own) == 0.0 else own
    series = []
    for name, values in lists.items():
        term, part = _named(name)
        series.append(Series(term, part, values, counted if counted and len(values) == len(counted) else None))
    measured = {_named(str(name)): value for name, value in columns.items() if _is_number(value)}
    return series + [
        Series(term, part, (_as_float(value),), None) for (term, part), value in measured.items() if part == "test"
    ]


def _named(column: str) -> tuple[str, str]:
    """Split a column's name into term and part: ``train_loss`` and ``kl_val`` alike."""
    if column in _RATES or column.startswith("lr-"):
        return LEARNING_RATE, ""
    if first := _FIRST.match(column):
        return _clean(first[2]), _PARTS[first[1]]
    if last := _LAST.match(column):
        return _clean(last[1]), _PARTS[last[2]]
    return _TERMS.get(column, _clean(column)), ""


def _numbers(value: Any) -> tuple[float, ...] | None:
    """Return a list of numbers as floats (None and what no float holds as NaN); None for all else and without any number."""
    if not isinstance(value, list) or not all(entry is None or _is_number(entry) for entry in value):
        return None
    numbers = tuple(_as_float(entry) for entry in value)
    return numbers if any(map(math.isfinite, numbers)) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.nan


def _clean(name: str) -> str:
    """Return a foreign name as one short line of words without signs that a figure would take for mathematics."""
    words = " ".join(re.sub(r"[_\s]+", " ", name).split())
    printable = "".join(sign for sign in words if sign.isprintable()).replace("$", "")
    return printable[:_LONGEST_NAME] or "unnamed"
