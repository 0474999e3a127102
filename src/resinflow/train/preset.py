"""What a family of models gives the engine that trains it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from resinflow.data import FlowSource
from resinflow.flow import InvalidInputError
from resinflow.models import MIRRORS, Mirror, load_weights
from resinflow.train.stage import Stage
from resinflow.train.stage_options import BaseRecipe

__all__ = ["Model", "Preset", "Start", "Visit"]

Networks = TypeVar("Networks", bound=nn.Module)
Recipe = TypeVar("Recipe", bound=BaseRecipe)
Batch = TypeVar("Batch", bound=tuple[Tensor, ...])


class Model(Protocol):
    """What the last stage ends in."""

    def save(self, directory: str | Path) -> Path:
        """Write it to ``directory``, whole or not at all, and return that."""
        ...


@dataclass(frozen=True)
class Visit:
    """One visit of training to a sample: all that the sample's mirrors depend on.

    Attributes:
        seed: of the stage.
        epoch: counted from 0.
        position: of the sample in the training split.
        index: of the sample in the data set.
    """

    seed: int
    epoch: int
    position: int
    index: int


@dataclass(frozen=True)
class Start:
    """The trained model whose networks a run starts with.

    Attributes:
        weights: its file of weights.
        log: its name, the sha256 of its weights, and its own log: recipe, data and history.
    """

    weights: Path
    log: dict[str, Any]


class Preset(ABC, Generic[Networks, Recipe, Batch]):
    """How a family of models trains: its networks, what its stages learn from a sample, and the model that they end in.

    Attributes:
        block: modules of this type compute their activations again where ``gradient_checkpointing`` asks for it.
        recipe_per_stage: whether the options of a stage belong to its own folder, so that a run may go on with another recipe
            for its later stages; otherwise the run directory has one recipe for all stages.
    """

    block: ClassVar[type[nn.Module]]
    recipe_per_stage: ClassVar[bool] = False

    @abstractmethod
    def networks(self, stage: str, recipe: Recipe, source: FlowSource) -> Networks:
        """Return the networks that a stage needs, with initial weights, and with what they must know of the data."""

    def load(self, networks: Networks, weights: Path) -> None:
        """Fill the networks with the weights of the stage before, or of a model to start from.

        Raises:
            InvalidInputError: missing, damaged or foreign weights.
        """
        load_weights(networks, weights)

    def adopt(self, networks: Networks, weights: Path) -> None:
        """Fill the networks with what a stage of another recipe has learned, whatever shape the rest has there.

        Raises:
            InvalidInputError: missing, damaged or foreign weights.
        """
        self.load(networks, weights)

    @abstractmethod
    def batch(self, source: FlowSource, index: int, recipe: Recipe) -> Batch:
        """Return what is kept in memory of one sample, in the precision that it is kept in."""

    @abstractmethod
    def shown(self, batch: Batch, mirrors: tuple[Mirror, ...], recipe: Recipe) -> Batch:
        """Return a sample as the networks see it, from what is kept of it: mirrored, padded, in single precision."""

    def mirrors(self, stage: str, recipe: Recipe, visit: Visit) -> tuple[Mirror, ...]:
        """Return the mirrors of a training sample: by default any of the eight combinations, equally likely."""
        draws = np.random.default_rng([visit.seed % 2**32, visit.epoch, visit.index]).random(len(MIRRORS))
        return tuple(mirror for mirror, draw in zip(MIRRORS, draws, strict=True) if draw < 0.5)

    @abstractmethod
    def stage(self, name: str, networks: Networks, recipe: Recipe) -> Stage[Any, Any, Any]:
        """Return the stage that trains some of the networks."""

    def measure(
        self,
        stage: str,
        networks: Networks,
        recipe: Recipe,
        batches: Iterable[Batch],
        *,
        from_nothing: bool,
        device: torch.device,
    ) -> None:
        """Fill the scales of the networks before the first epoch of a stage; none by default.

        Args:
            stage: that begins.
            networks: to be filled, on the CPU.
            recipe: of the run.
            batches: of the training split.
            from_nothing: whether the networks have initial weights, neither of an earlier stage nor of another model.
            device: where the stage will train.
        """

    def describe(self, source: FlowSource, networks: Networks) -> dict[str, Any]:
        """Return what the log of a model says of its data, beside their fingerprint and recipe; nothing by default."""
        return {}

    @abstractmethod
    def predictor(self, recipe: Recipe, networks: Networks, log: dict[str, Any]) -> Model:
        """Return the model that the last stage ends in."""

    def start(self, directory: Path, recipe: Recipe) -> Start:
        """Return the trained model in ``directory`` as the start of a run.

        Raises:
            InvalidInputError: a preset whose training starts from nothing (the default), or a model that does not fit.
        """
        raise InvalidInputError(
            f"the recipe {recipe.name!r} has preset {recipe.preset!r}, whose training starts from nothing; needed: a recipe "
            "without preset, or no model to start from."
        )
