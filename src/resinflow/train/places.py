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


def weights_before(run: Path, stage: StageName) -> Path | None:
    """Return the weights that a stage starts from; None for the first one.

    Raises:
        InvalidInputError: the stage before is not finished.
    """
    place = STAGES.index(stage)
    if place == 0:
        return None
    before = STAGES[place - 1]
    if not weights_of(run, before).is_file():
        raise InvalidInputError(f"{run} has no finished stage {before}; train it first: resinflow train {before}.")
    return weights_of(run, before)
