"""Training on media that are drawn while a network learns: a preset of one stage, without a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from pydantic import ValidationError
from torch import nn

from resinflow.flow import InvalidInputError, read_recipe
from resinflow.models import Device, TrainedModel, resolve_device, save_weights
from resinflow.train import BaseRecipe
from resinflow.train.data import Samples, StageData
from resinflow.train.fit import fit_stage
from resinflow.train.history import write_log
from resinflow.train.record import RAISED, is_finished, record_run, result_of, weights_of
from resinflow.train.run_directory import MODEL, RECORD, read_record
from resinflow.train.stage import Part, Stage

__all__ = ["DrawnPreset"]

Recipe = TypeVar("Recipe", bound=BaseRecipe)
Networks = TypeVar("Networks", bound=nn.Module)


class DrawnPreset(ABC, Generic[Recipe, Networks]):
    """How a network learns from random media.

    Attributes:
        recipe: type of its recipes.
        result: what it trains, in messages.
        drawn: what it learns from, for the log.
        collate: makes a batch of items; None: PyTorch's own way.
    """

    recipe: type[Recipe]
    result: ClassVar[str]
    drawn: ClassVar[str]
    collate: Callable[[Sequence[Any]], Any] | None = None

    @abstractmethod
    def networks(self, recipe: Recipe) -> Networks:
        """Return the networks with initial weights."""

    @abstractmethod
    def items(self, recipe: Recipe, part: Part) -> Samples[Any]:
        """Return what a part of the training shows, by epoch and position."""

    @abstractmethod
    def stage(self, networks: Networks, recipe: Recipe) -> Stage[Networks, Any, Any]:
        """Return the stage that trains the networks."""

    @abstractmethod
    def model(self, recipe: Recipe, networks: Networks, log: dict[str, Any]) -> TrainedModel[Any, Any]:
        """Return the model that the stage ends in."""

    def read(self, path: Path | None, run: Path) -> Recipe:
        """Return the recipe of a training: that of a file, else that of the run, else the preset's own.

        Args:
            path: of the YAML recipe; None: there is none.
            run: the run directory.

        Raises:
            InvalidInputError: no such file, an unknown option, a value out of range, or a run of another preset.
        """
        if path is not None:
            return read_recipe(path, self.recipe)
        if not (run / RECORD).is_file():
            return self.recipe()  # pyright: ignore[reportCallIssue] - recipes of these presets have defaults for all
        try:
            return self.recipe.model_validate(read_record(run / RECORD).get("recipe"))
        except ValidationError:
            raise InvalidInputError(
                f"{run} trains no {self.result}; needed: a run that does, or another run directory."
            ) from None

    def train(self, run: str | Path, recipe: Recipe, *, callbacks: Sequence[Callback] = (), device: Device = "auto") -> Path:
        """Train the networks in the run directory and return the directory of the model.

        Interrupted at any moment, the same call goes on from the last finished epoch; a finished run is left as it is.

        Args:
            run: the run directory, made if absent.
            recipe: it must be that of the run directory, but for options that say how a machine computes.
            callbacks: further Lightning callbacks; what they raise reaches the caller.
            device: what to train on.

        Raises:
            InvalidInputError: another recipe than the run's, or a device that is not there.
            KeyboardInterrupt: stopped by the user or the queueing system.
        """
        run, chip, (stage,) = Path(run), resolve_device(device), recipe.stages
        record_run(run, recipe, None, stage=stage, stages=recipe.stages)
        result = result_of(run, stage, recipe.stages)
        if is_finished(run, stage, recipe.stages):
            return result
        torch.manual_seed(recipe.seed)
        networks, seed, options = self.networks(recipe), recipe.seed_of(stage), recipe.options(stage)
        L.seed_everything(seed, verbose=False)
        parts = self.items(recipe, "train"), self.items(recipe, "validation")
        data = StageData(*parts, options, seed, workers=options.workers or 0, device=chip, collate=self.collate)
        fit_stage(run / stage, self.stage(networks, recipe), data, options, callbacks=callbacks, seed=seed, device=chip)
        self._save(run, stage, recipe, networks)
        return result

    @rank_zero_only
    def _save(self, run: Path, stage: str, recipe: Recipe, networks: Networks) -> None:
        """Write the result last: where it is, all else is."""
        log = write_log(run, recipe.model_dump(mode="json"), {"fingerprint": None, "drawn": self.drawn})
        save_weights(networks, weights_of(run, stage))
        self.model(recipe, networks, log).save(run / MODEL)
        (run / stage / RAISED).unlink(missing_ok=True)
