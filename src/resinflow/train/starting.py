"""A trained model that a run goes on from: more training, other weights of the losses, or media of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resinflow.core import InvalidInputError
from resinflow.model.calibration_file import weights_fingerprint
from resinflow.model.config import ModelConfig
from resinflow.model.directory import WEIGHTS
from resinflow.model.document import read_document
from resinflow.model.predictor import SCHEMA

_PREDICTION_OPTIONS = frozenset({"bridge_noise", "sampler_steps", "samples", "mirror_images", "precision"})
"""Options of a model that its networks' weights do not depend on the shape or the input of: a run may change them."""


@dataclass(frozen=True)
class StartModel:
    """The model whose networks a run starts with.

    Attributes:
        weights: its file of weights.
        story: its name, the sha256 of its weights, and its log: recipe, data and history.
    """

    weights: Path
    story: dict[str, Any]


def open_start(directory: Path | None, config: ModelConfig) -> StartModel | None:
    """Return the model in ``directory`` as the start of a run with the networks of ``config``; None for no directory.

    Raises:
        InvalidInputError: not a model of our own kind, damaged files, or networks of other sizes, conditions or units.
    """
    if directory is None:
        return None
    name, found, log = read_document(directory, SCHEMA, ModelConfig)
    mine, theirs = config.model_dump(mode="json"), found.model_dump(mode="json")
    differing = [key for key in mine if key not in _PREDICTION_OPTIONS and mine[key] != theirs[key]]
    if differing:
        key = differing[0]
        raise InvalidInputError(
            f"the model {name!r} to start from has {key} {theirs[key]!r}, the recipe {mine[key]!r}; needed: the same. Write "
            f"model: {{{key}: {theirs[key]}}} into the recipe, or train from nothing."
        )
    return StartModel(directory / WEIGHTS, {"name": name, "sha256": weights_fingerprint(directory), **log})
