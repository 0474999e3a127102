"""The history of a run: one table of every logged term for each stage, and ``log.json`` that gathers them.

``STAGE/history/metrics.csv`` has one row an epoch; ``log.json`` is::

    {"recipe": {...}, "data": {...}, "history": {stage: {column: [value of each epoch]}}, "versions": {package: version},
     "start": {"name": ..., "sha256": ..., and the log of the model that the run goes on from}}

A value that is missing or not finite is ``null`` there. Both are replaced after every epoch, never half-written.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from resinflow.flow import InvalidInputError, replacing

__all__ = ["LOG", "METRICS", "HistoryWriter", "best_validation_loss", "read_history", "write_log"]

LOG = "log.json"
METRICS = Path("history") / "metrics.csv"
_PACKAGES = ("resinflow", "torch", "lightning", "numpy")
_DIGITS = 9
"""They tell any two float32 numbers apart."""

Row = dict[str, float]
"""Every term of one epoch."""


def read_history(folder: Path) -> dict[str, list[float | None]]:
    """Return the columns of a stage's ``history/metrics.csv``, one value an epoch (None: missing or not finite)."""
    rows = _read_rows(folder / METRICS)
    columns = sorted({name for row in rows.values() for name in row})
    return {name: [_finite(row.get(name)) for _, row in sorted(rows.items())] for name in columns}


def write_log(
    run: Path, recipe: Mapping[str, Any], data: Mapping[str, Any], start: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write ``log.json`` of a run with the histories that its stages have so far, and return its content.

    Args:
        run: the run directory.
        recipe: the whole recipe (plain JSON types).
        data: what identifies the data: at least ``fingerprint``.
        start: name, weights and log of the model that the run goes on from, where there is one.
    """
    log: dict[str, Any] = {
        "recipe": dict(recipe),
        "data": dict(data),
        "history": {stage: read_history(run / stage) for stage in _stages_of(run, list(recipe))},
        "versions": {name: version(name) for name in _PACKAGES},
    }
    if start is not None:
        log["start"] = dict(start)
    with replacing(run / LOG) as temporary:
        temporary.write_text(json.dumps(log, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return log


def best_validation_loss(run: str | Path, stage: str) -> float:
    """Return the smallest validation loss of a stage so far, from the run's ``log.json``.

    Raises:
        InvalidInputError: no log, no such stage in it, or no finite validation loss.
    """
    path = Path(run) / LOG
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: a run directory in which a stage was trained.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["history"].get(stage, {}).get("validation_loss", [])
    except (ValueError, KeyError, AttributeError) as error:
        raise InvalidInputError(f"{path} is no log of a run ({type(error).__name__}); needed: the file as written.") from None
    finite = [value for value in values if value is not None]
    if not finite:
        raise InvalidInputError(f"{path} has no finite validation loss of stage {stage}; needed: at least one epoch of it.")
    return min(finite)


class HistoryWriter(Callback):
    """Appends every logged term, and the last step's learning rate, to the history after each epoch and rewrites the log.

    The table on disk is the memory: a resumed stage keeps the rows before the epoch that it goes on with.

    Args:
        folder: of the stage, inside the run directory. Where that has no ``log.json`` yet, none is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[int, Row] = {}
        self._rate = math.nan

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take up the rows of finished epochs."""
        rows = _read_rows(self._folder / METRICS)
        self._rows = {epoch: row for epoch, row in rows.items() if epoch < trainer.current_epoch}

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Note the learning rate that is used; after the step the schedule has moved on."""
        self._rate = float(optimizer.param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the row of this epoch; all terms are there, since validation runs before."""
        row = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._rows[trainer.current_epoch] = {**row, "lr": self._rate}
        if trainer.is_global_zero:
            _write_rows(self._folder / METRICS, self._rows)
            log = self._folder.parent / LOG
            if log.is_file():
                header = json.loads(log.read_text(encoding="utf-8"))
                write_log(self._folder.parent, header["recipe"], header["data"], header.get("start"))


def _stages_of(run: Path, keys: list[str]) -> list[str]:
    """Stages that have a history, in the order of the recipe's keys."""
    stages = {path.relative_to(run).parts[0] for path in run.glob(f"*/{METRICS}")}
    return sorted(stages, key=lambda stage: (keys.index(stage) if stage in keys else len(keys), stage))


def _read_rows(path: Path) -> dict[int, Row]:
    """Rows by epoch. Runs of older versions have one line for the training and one for the validation terms of an epoch."""
    rows: dict[int, Row] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                values = {name: float(value) for name, value in line.items() if value and name not in ("epoch", "step")}
                rows.setdefault(int(line["epoch"]), {}).update(values)
    return rows


def _write_rows(path: Path, rows: Mapping[int, Row]) -> None:
    columns: Sequence[str] = sorted({name for row in rows.values() for name in row})
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *columns], restval="", lineterminator="\n")
        writer.writeheader()
        for epoch, row in sorted(rows.items()):
            writer.writerow({"epoch": epoch, **{name: f"{value:.{_DIGITS}g}" for name, value in row.items()}})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
