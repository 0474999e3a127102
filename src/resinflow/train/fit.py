"""Fitting of one stage of any preset: resume, checkpoints, early stopping, accumulation, precision, logs, devices."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import signal
import threading
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.utils.checkpoint import checkpoint

from resinflow.flow import InvalidInputError, Terminated, replacing
from resinflow.train.epochs import FiniteLosses
from resinflow.train.history import HistoryWriter
from resinflow.train.seeds import SeededBatches
from resinflow.train.stage_options import StageOptions

__all__ = ["LAST", "checkpoint_activations", "compile_networks", "explained_compiler_errors", "fit_stage"]

LAST, BEST = "last.ckpt", "best.ckpt"
_MONITOR = "validation_loss"


def fit_stage(
    folder: Path,
    module: L.LightningModule,
    data: L.LightningDataModule,
    options: StageOptions,
    *,
    callbacks: Sequence[Callback] = (),
    seed: int | None = None,
    device: torch.device | None = None,
) -> None:
    """Train ``module`` in ``folder``, from ``last.ckpt`` on where there is one; afterwards it holds the weights to keep.

    After every epoch the folder holds ``last.ckpt``, ``best.ckpt`` (smallest ``validation_loss``) and ``history/metrics.csv``.
    A process that was killed at any moment and started again gives the curve and, on a CPU, the very weights of one that ran
    through: order, augmentation and the generators that a step draws from depend on (seed, epoch, sample or batch) alone.

    Args:
        folder: of the stage, inside the run directory.
        module: logs ``train_...`` and ``validation_...`` once an epoch (``on_epoch``), each with its ``batch_size``, and
            ``validation_loss`` among them.
        data: its loaders give this process's share of the batches (:class:`~resinflow.train.data.StageData`).
        options: of the stage. Checkpointing of activations is the module's own matter.
        callbacks: further ones, called before checkpoints are written.
        seed: of the stage; by default the one that PyTorch was seeded with last.
        device: what to train on; by default the best that is there.

    Raises:
        InvalidInputError: devices that are not there, a damaged checkpoint, no working compiler where one is asked for, or
            an epoch whose loss is not finite; the checkpoints of the epochs before stay.
        KeyboardInterrupt: the user (SIGINT) stops the process, or the queueing system (SIGTERM; then it is a ``Terminated``).
    """
    seed = torch.initial_seed() if seed is None else seed
    terminations: list[int] = []
    trainer = _make_trainer(folder, options, [TermInterrupts(terminations), *callbacks], seed, device)
    if options.compile:
        compile_networks(module)
    if trainer.world_size > 1:
        _log_means_over_processes(module, trainer.world_size)
    last = folder / LAST
    with _heard_interruptions(terminations), explained_compiler_errors() if options.compile else nullcontext():
        # the checkpoint is the run's own and holds tensors and numbers only
        trainer.fit(module, data, ckpt_path=last if last.is_file() else None, weights_only=True)
    if options.keep == "best":
        load_best(module, folder / BEST)


def _make_trainer(
    folder: Path, options: StageOptions, callbacks: list[Callback], seed: int, device: torch.device | None
) -> L.Trainer:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for category in (UserWarning, FutureWarning):  # hints, and what Lightning itself has to change
        warnings.filterwarnings("ignore", module="lightning", category=category)
    ours: list[Callback] = [
        SeededBatches(seed),
        PartialGroups(options.accumulate),
        HistoryWriter(folder),
        *callbacks,
        # these come last: a checkpoint is written when everything else of the epoch is on disk
        *([Patience(options.patience)] if options.patience is not None else []),
        FiniteLosses(),
        StageCheckpoint(folder, BEST),
        StageCheckpoint(folder, LAST),
    ]
    try:
        return L.Trainer(
            max_epochs=options.epochs,
            precision=options.precision,
            accelerator="auto" if device is None else device.type,
            devices=options.devices,
            # the buffers are constants, and in validation the processes may have different numbers of batches
            strategy=DDPStrategy(broadcast_buffers=False) if options.devices > 1 else "auto",
            use_distributed_sampler=False,
            accumulate_grad_batches=options.accumulate,
            gradient_clip_val=options.gradient_clip,
            logger=TensorBoardLogger(folder, name="", version="tensorboard") if _has_tensorboard() else False,
            callbacks=ours,
            plugins=[AtomicCheckpointIO(), *_cluster(options)],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1_000_000,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InvalidInputError(
            f"devices is {options.devices}, which cannot be used: {reason}; needed: as many as there are."
        ) from None


def _cluster(options: StageOptions) -> list[SLURMEnvironment]:
    """The queueing system, if this process is one of its tasks; it must have started one task a device."""
    if not SLURMEnvironment.detect():
        return []
    environment = SLURMEnvironment(auto_requeue=False)  # Lightning's own requeueing writes a checkpoint in mid-epoch
    environment.validate_settings(num_devices=options.devices, num_nodes=1)
    return [environment]


def _has_tensorboard() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


def _log_means_over_processes(module: L.LightningModule, processes: int) -> None:
    """Make every logged term the mean over the samples of all processes; else each would see, and stop by, its own.

    Lightning averages the processes' integer sample counts and truncates the mean; multiples of their number stay exact.
    """
    log = module.log

    def log_mean(name: str, value: Any, *, batch_size: int, **options: Any) -> None:
        log(name, value, batch_size=batch_size * processes, **{**options, "sync_dist": True})

    setattr(module, "log", log_mean)  # noqa: B010 - of a narrower type than the method


class PartialGroups(Callback):
    """Makes the step after an epoch's last, smaller group of batches the mean over that group.

    Lightning divides every batch's loss by the full group size; three batches of a group of four would count three quarters.
    The correction comes before the gradients are clipped.

    Args:
        accumulate: batches of a full group.
    """

    def __init__(self, accumulate: int) -> None:
        self._accumulate = accumulate
        self._batch = 0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember the place in the epoch."""
        self._batch = batch_idx

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Scale the gradients of a group that is not full."""
        size = self._batch % self._accumulate + 1
        if size < self._accumulate:
            for parameter in (each for group in optimizer.param_groups for each in group["params"]):
                if parameter.grad is not None:
                    parameter.grad.mul_(self._accumulate / size)


def checkpoint_activations(networks: nn.Module, kind: type[nn.Module]) -> None:
    """Let every submodule of ``kind`` forget its activations and compute them again in the backward pass.

    Memory for time, the gradients stay the same; names of the weights do not change.
    """
    for block in networks.modules():
        if isinstance(block, kind):
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)


def compile_networks(module: nn.Module) -> None:
    """Compile, in place and on first use, the outermost submodules that are called as functions.

    Containers without a ``forward`` of their own are looked into. Names of the weights do not change.
    """
    for child in module.children():
        if _has_forward(child):
            child.compile()
        else:
            compile_networks(child)


@contextmanager
def explained_compiler_errors() -> Iterator[None]:
    """Turn a failure of the compiler, which shows at the first step, into one line.

    Raises:
        InvalidInputError: torch.compile does not work here.
    """
    from torch._dynamo.exc import TorchDynamoException  # loads the compiler

    try:
        yield
    except TorchDynamoException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "TORCHDYNAMO_VERBOSE" not in line]
        reason = " ".join(lines[:2]) or type(error).__name__  # what failed, and why
        raise InvalidInputError(
            f"torch.compile failed ({reason[:200]}); needed: a working C++ compiler, or compile: false in the recipe."
        ) from None


def _has_forward(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward


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
        # losses that are not finite have their own callback
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


class TermInterrupts(Callback):
    """Makes SIGTERM, by which a queueing system ends a job, an interruption like Ctrl-C.

    Lightning's own handler tells the other processes by a collective operation in the middle of whatever they do: with
    several devices they wait for each other for ever. Nothing is lost by ending at once: the last epoch is on disk.

    Args:
        terminations: SIGTERM is added to it when it comes; what it raises may meet the death of a process that reads samples,
            and be lost.
    """

    def __init__(self, terminations: list[int]) -> None:
        self._terminations = terminations

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the place of Lightning's handler, which is there by now; it restores the caller's in the end."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._terminations.append(number)
        if os.name == "posix":  # torch would raise anywhere, to the very end, that a process which reads samples is dead
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise Terminated


@contextmanager
def _heard_interruptions(terminations: list[int]) -> Iterator[None]:
    """Let an interruption of a Lightning trainer reach the caller.

    Raises:
        KeyboardInterrupt: the trainer was interrupted; a ``Terminated`` where there are ``terminations``.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:  # Lightning ends the process itself, and ignores SIGINT from then on
        signal.signal(signal.SIGINT, handler)
        raise (Terminated if terminations else KeyboardInterrupt) from None
    except RuntimeError as error:  # the processes that read samples got the signal, too, and are missed
        if not terminations:
            raise
        signal.signal(signal.SIGINT, handler)
        raise Terminated from error
