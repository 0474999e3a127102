"""The objective of a search: it trains one stage and returns the smallest validation loss."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from resinflow.data import Fold
from resinflow.flow import InvalidInputError, replacing
from resinflow.presets import STAGES, StageName
from resinflow.presets.training import Device, train
from resinflow.train import BaseRecipe
from resinflow.train.history import best_validation_loss
from resinflow.train.record import weights_of


@dataclass(frozen=True)
class TrialSetup:
    """The training of one trial.

    Attributes:
        recipe: the training recipe.
        stage: the stage that is judged.
        folder: where the training may write; the same when a trial whose process died is tried again.
        fold: (place, number of folds) of a cross-validation, None for the data set's own validation split.
        report: takes an epoch, counted from 0, and its validation loss; raises where the trial is to be stopped.
    """

    recipe: BaseRecipe
    stage: StageName
    folder: Path
    fold: tuple[int, int] | None
    report: Callable[[int, float], None]


Objective = Callable[[TrialSetup], float]
"""Returns the validation loss of a training; a failure is an exception."""


@dataclass(frozen=True)
class StageObjective:
    """Trains the stage of a trial and returns its smallest validation loss.

    Earlier stages are copied from a run or trained too, on the same fold. The output of a training goes to ``log.txt`` in
    the trial's folder. The objective removes weights and checkpoints once it has the loss.

    Attributes:
        data: the data set.
        start: run directory with the finished earlier stages; None trains them in every trial.
        keep_weights: leave weights and checkpoints where they are.
        device: what to train on.
    """

    data: str
    start: Path | None = None
    keep_weights: bool = False
    device: Device = "auto"

    def __call__(self, setup: TrialSetup) -> float:
        """Return the smallest validation loss of the stage; a loss that the folder already holds needs no training.

        Raises:
            InvalidInputError: ``start`` lacks an earlier stage, the data cannot be used, or no epoch has a finite loss.
        """
        path = setup.folder / "trial.json"
        recipe = setup.recipe.model_dump(mode="json")
        result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if not result or type(setup.recipe).model_validate(result["recipe"]) != setup.recipe:
            gc.collect()  # a training that failed may still hold memory of the GPU
            try:
                with logged(setup.folder / "log.txt"):
                    self._train(setup)
            except Exception:  # a trial that stopped early or failed never resumes; an interrupted one does
                self._clear(setup.folder)
                raise
            result = {"loss": best_validation_loss(setup.folder, setup.stage), "recipe": recipe}
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        self._clear(setup.folder)
        return result["loss"]

    def _train(self, setup: TrialSetup) -> None:
        """Train the stage after those before it."""
        fold = Fold(*setup.fold) if setup.fold is not None else None
        for stage in STAGES[: STAGES.index(setup.stage)]:
            if self.start is None:
                train(stage, self.data, setup.folder, setup.recipe, fold=fold, device=self.device)
            elif not (setup.folder / stage).is_dir():
                check_start(self.start, stage)
                with replacing(setup.folder / stage) as temporary:
                    shutil.copytree(self.start / stage, temporary, ignore=shutil.ignore_patterns("*.ckpt"))
        report = _EpochReport(setup.report)
        train(setup.stage, self.data, setup.folder, setup.recipe, callbacks=(report,), fold=fold, device=self.device)

    def _clear(self, folder: Path) -> None:
        """Remove weights and checkpoints, and the model, which is none without them; histories and logs stay."""
        if not self.keep_weights:
            shutil.rmtree(folder / "model", ignore_errors=True)
            for path in [*folder.rglob("*.ckpt"), *folder.rglob("*.safetensors")]:
                path.unlink()


class _EpochReport(Callback):
    """Reports the validation loss of every epoch, counted from 0; what ``report`` raises ends the training."""

    def __init__(self, report: Callable[[int, float], None]) -> None:
        self._report = report

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the loss of the validation that ran before; the history of the epoch is on disk by now."""
        self._report(trainer.current_epoch, float(trainer.callback_metrics["validation_loss"]))


def check_start(start: Path, stage: StageName) -> None:
    """Refuse a run directory without a finished ``stage`` to start from.

    Raises:
        InvalidInputError: there is none.
    """
    if not weights_of(start, stage).is_file():
        raise InvalidInputError(
            f"{start} has no finished stage {stage}; needed: one to start from; train it, or name another start in the recipe."
        )


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Send the output of a training to a file; its bars and warnings would cover the progress of the search."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        yield
