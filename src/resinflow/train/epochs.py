"""What is done after every epoch of a stage: losses that are not finite end it, and one line says how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from resinflow.flow import InvalidInputError
from resinflow.train.history import read_history

__all__ = ["EpochLines", "FiniteLosses"]

_LOSSES = {"train_loss": "training", "validation_loss": "validation"}
"""Names in the history, and in sentences."""


class FiniteLosses(Callback):
    """Ends a stage after the first epoch with a loss that is not finite; the checkpoints stay those of the epochs before."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the losses of this epoch, which are those of all processes.

        Raises:
            InvalidInputError: one of them is not finite.
        """
        for name, title in _LOSSES.items():
            loss = float(trainer.callback_metrics.get(name, 0.0))
            if not math.isfinite(loss):
                epoch = trainer.current_epoch + 1
                state = f"the checkpoint of epoch {epoch - 1} stays" if epoch > 1 else "no checkpoint was written"
                raise InvalidInputError(
                    f"the {title} loss of epoch {epoch} is {loss:g}, so that training ended there; {state}. Needed: a lower "
                    "learning_rate, a gradient_clip, or precision: 32-true, in another run directory."
                )


class EpochLines(Callback):
    """Says one line when a stage begins or goes on, and one after every epoch: losses, the best one, the time that is left.

    Args:
        stage: its name.
        folder: of the stage, inside the run directory.
        say: takes a line.
        clock: gives seconds.
    """

    def __init__(
        self, stage: str, folder: Path, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage = stage
        self._folder = folder
        self._say = say
        self._clock = clock
        self._first = 0
        self._start = 0.0
        self.epochs = 0
        """Epochs that were trained since the stage began or went on."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say where the stage stands."""
        self._first, self._start, self.epochs = trainer.current_epoch, self._clock(), 0
        if trainer.is_global_zero:
            where = f"goes on after epoch {self._first}" if self._first else "begins"
            self._say(f"stage {self._stage} {where}: {trainer.max_epochs} epochs of {trainer.num_training_batches} batches")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say what the epoch gave; its row is in the history by now."""
        epoch, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        self.epochs = epoch - self._first
        if not trainer.is_global_zero:
            return
        seconds = (self._clock() - self._start) / self.epochs
        losses = [f"{title} loss {float(trainer.callback_metrics[name]):.4g}" for name, title in _LOSSES.items()]
        remaining = f"{describe_seconds(seconds * (total - epoch))} left" if epoch < total else "the last one"
        self._say(f"{self._stage} epoch {epoch} of {total}: {', '.join(losses)}{self._best()}; {remaining}")

    def _best(self) -> str:
        losses = read_history(self._folder).get("validation_loss", [])
        finite = [(loss, epoch) for epoch, loss in enumerate(losses, start=1) if loss is not None]
        return f" (best {min(finite)[0]:.4g}, epoch {min(finite)[1]})" if finite else ""


def describe_seconds(seconds: float) -> str:
    """Return a time in the unit that suits it: seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 60 else f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
