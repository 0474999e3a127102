"""Drawing the curves of trainings from their logs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resinflow.cli.console import make_console
from resinflow.flow import InvalidInputError
from resinflow.view import FIGURE_SUFFIXES, TrainingLog, checked_target, compose_training, read_training_log, save_figure


def plot_training(paths: Sequence[Path], output: Path) -> list[Path]:
    """Draw losses and metrics of one or more runs, and return what was written.

    Args:
        paths: run or model directories, or log files.
        output: one figure of all stages (.png, .pdf, .svg), or a folder for one PNG a stage.

    Raises:
        InvalidInputError: no log, one that cannot be read, or a place that cannot be written.
    """
    if not paths:
        raise InvalidInputError("no run was given; needed: one or more run directories or log files.")
    logs = with_distinct_names([read_training_log(path) for path in paths], paths)
    console = make_console()
    for target, stage in _targets(output, logs):
        console.print(f"wrote {save_figure(compose_training(logs, stage), target)}")
    return [target for target, _ in _targets(output, logs)]


def with_distinct_names(logs: Sequence[TrainingLog], paths: Sequence[Path]) -> list[TrainingLog]:
    """Return the logs with names that tell them apart: the folder's, the path where folders are called alike, a number then."""
    names = [log.name for log in logs]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    counted = [name if names.count(name) == 1 else f"{name} ({number + 1})" for number, name in enumerate(names)]
    return [replace(log, name=name) for log, name in zip(logs, counted, strict=True)]


def _targets(output: Path, logs: Sequence[TrainingLog]) -> list[tuple[Path, str | None]]:
    if output.is_dir() or not output.suffix:
        stages = dict.fromkeys(stage for log in logs for stage in log.stages)
        return [(output / f"training_{_slug(stage)}.png", stage) for stage in stages]
    return [(checked_target(output, FIGURE_SUFFIXES), None)]


def _slug(stage: str) -> str:
    """Return a stage's name, which comes from a file, as a file name."""
    return re.sub(r"[^a-z0-9]+", "_", stage.lower()).strip("_") or "stage"
