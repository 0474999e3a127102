"""Where the stages of a run leave their results, whatever the preset."""

from __future__ import annotations

from pathlib import Path

from resinflow.core import InvalidInputError
from resinflow.train.config import STAGES, StageName

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
