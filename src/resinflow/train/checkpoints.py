"""Checkpoints of a stage: ``last.ckpt`` to go on from and ``best.ckpt`` by validation loss; early stopping that resumes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from resinflow.flow import InvalidInputError, replacing

LAST, BEST = "last.ckpt", "best.ckpt"
_MONITOR = "validation_loss"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or not there.

    Lightning's own way goes over the system's temporary folder; a move from there to another disk can be killed half-way.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write beside ``path``, then take its place."""
        with replacing(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = lambda storage, _: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return the content of a checkpoint: tensors and plain values only.

        Raises:
            InvalidInputError: a truncated or foreign file.
        """
        if not zipfile.is_zipfile(path):
            raise InvalidInputError(f"{path} is no whole checkpoint; copy it again, or remove it to train this stage anew.")
        return super().load_checkpoint(path, map_location, weights_only=True)


class StageCheckpoint(ModelCheckpoint):
    """One file, replaced after every epoch (``last.ckpt``) or after every best one (``best.ckpt``, weights alone).

    Args:
        folder: of the stage.
        name: ``LAST`` or ``BEST``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        best = name == BEST
        super().__init__(
            folder,
            filename=Path(name).stem,
            monitor=_MONITOR if best else None,
            save_top_k=1,
            save_weights_only=best,
            save_on_train_epoch_end=True,  # after validation and after the callbacks that write the history
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value so far, also where the run directory has moved since."""
        here = str(self.dirpath)

        def moved(path: str) -> str:
            return str(Path(here) / Path(path).name) if path else path

        paths = {name: moved(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best = {moved(path): value for path, value in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": here})


class Patience(EarlyStopping):
    """Stops after ``epochs`` epochs without a smaller validation loss; a resumed run that had stopped stays stopped.

    Args:
        epochs: without improvement.
    """

    def __init__(self, epochs: int) -> None:
        # a loss that is not finite is no improvement, and the patience decides
        super().__init__(_MONITOR, patience=epochs, check_finite=False, check_on_train_epoch_end=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once if the checkpoint that training goes on from was the last one."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def load_best(module: L.LightningModule, path: Path) -> None:
    """Fill ``module`` with the weights of ``best.ckpt``.

    Raises:
        InvalidInputError: no such file, because no epoch had a finite validation loss, or a damaged one.
    """
    if not path.is_file():
        raise InvalidInputError(
            f"{path} does not exist; needed: an epoch with a finite validation loss. Lower the learning rate."
        )
    module.load_state_dict(AtomicCheckpointIO().load_checkpoint(path)["state_dict"])
