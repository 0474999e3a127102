"""A trained model that a run goes on from: more training, other weights of the losses, or media of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from resinflow.flow import InvalidInputError
from resinflow.models import CONFIG, WEIGHTS, read_document, read_log, weights_fingerprint
from resinflow.presets.latent.predictor import SCHEMA
from resinflow.presets.latent.recipe import ModelConfig, TrainingConfig
from resinflow.train import CLAIM, STAGES, read_claim, weights_of

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

    Args:
        directory: of a model; or of a run, whose last finished stage is taken.
        config: of the run that starts.

    Raises:
        InvalidInputError: not a model of our own kind, a run without a finished stage, damaged files, or networks of other
            sizes, conditions or units.
    """
    if directory is None:
        return None
    if (directory / CLAIM).is_file() and not (directory / CONFIG).is_file():
        name, found, log, weights = _of_run(directory)
    else:
        name, found, log = read_document(directory, SCHEMA, ModelConfig)
        weights = directory / WEIGHTS
    mine, theirs = config.model_dump(mode="json"), found.model_dump(mode="json")
    differing = [key for key in mine if key not in _PREDICTION_OPTIONS and mine[key] != theirs[key]]
    if differing:
        key = differing[0]
        raise InvalidInputError(
            f"the model {name!r} to start from has {key} {theirs[key]!r}, the recipe {mine[key]!r}; needed: the same. Write "
            f"model: {{{key}: {theirs[key]}}} into the recipe, or train from nothing."
        )
    return StartModel(weights, {"name": name, "sha256": weights_fingerprint(weights.parent, weights.name), **log})


def _of_run(run: Path) -> tuple[str, ModelConfig, dict[str, Any], Path]:
    """Name, networks, log and weights of a run's last finished stage."""
    try:
        recipe = TrainingConfig.model_validate(read_claim(run / CLAIM).get("recipe"))
    except ValidationError:
        raise InvalidInputError(f"{run} trains no model with a dual-branch VAE of our own; needed: a run that does.") from None
    finished = [weights_of(run, stage) for stage in STAGES if weights_of(run, stage).is_file()]
    if not finished:
        raise InvalidInputError(f"{run} has no finished stage; train it first: resinflow train {STAGES[0]}.")
    return recipe.name, recipe.model, read_log(run), finished[-1]
