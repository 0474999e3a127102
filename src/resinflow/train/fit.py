"""Fitting of one stage of any preset: resume, checkpoints, early stopping, accumulation, precision, logs, devices."""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.utils.checkpoint import checkpoint

from resinflow.flow import InvalidInputError
from resinflow.train.checkpoints import BEST, LAST, AtomicCheckpointIO, Patience, StageCheckpoint, load_best
from resinflow.train.data import ReproducibleData, SeededBatches
from resinflow.train.history import HistoryWriter
from resinflow.train.interruption import TermInterrupts, interruptible
from resinflow.train.stage import StageConfig


def fit_stage(
    folder: Path,
    module: L.LightningModule,
    data: L.LightningDataModule,
    options: StageConfig,
    *,
    callbacks: Sequence[Callback] = (),
    seed: int | None = None,
) -> None:
    """Train ``module`` in ``folder``, from ``last.ckpt`` on where there is one; afterwards it holds the weights to keep.

    After every epoch the folder holds ``last.ckpt``, ``best.ckpt`` (smallest ``validation_loss``) and ``history/metrics.csv``.
    A process that was killed at any moment and started again gives the curve and, on a CPU, the very weights of one that ran
    through: order, augmentation and the generators that a step draws from depend on (seed, epoch, sample or batch) alone.

    Args:
        folder: of the stage, inside the run directory.
        module: logs ``train_...`` and ``validation_...`` once an epoch (``on_epoch``), each with its ``batch_size``, and
            ``validation_loss`` among them.
        data: its loaders are plain ones (a data set that draws from PyTorch's generator alone, ``shuffle=True`` for training)
            with ``options.batch_size``; order, seeds, worker processes and the share of each device are set here. Loaders with
            a DistributedSampler are taken as they are.
        options: of the stage. Checkpointing of activations is the module's own matter.
        callbacks: further ones, called before checkpoints are written.
        seed: of the stage; by default the one that PyTorch was seeded with last.

    Raises:
        InvalidInputError: devices that are not there, a damaged checkpoint, or no working compiler where one is asked for.
        KeyboardInterrupt: the user (SIGINT) or the queueing system (SIGTERM) stops the process.
    """
    seed = torch.initial_seed() if seed is None else seed
    trainer = _make_trainer(folder, options, [*callbacks], seed)
    if options.compile:
        compile_networks(module)
    if trainer.world_size > 1:
        _log_means_over_processes(module, trainer.world_size)
    checkpoint = folder / LAST
    with interruptible(), explained_compiler_errors() if options.compile else nullcontext():
        # the checkpoint is the run's own and holds tensors and numbers only
        trainer.fit(
            module,
            ReproducibleData(data, seed, options.workers or 0),
            ckpt_path=checkpoint if checkpoint.is_file() else None,
            weights_only=True,
        )
    if options.keep == "best":
        load_best(module, folder / BEST)


def _make_trainer(folder: Path, options: StageConfig, callbacks: list[Callback], seed: int) -> L.Trainer:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for category in (UserWarning, FutureWarning):  # hints, and what Lightning itself has to change
        warnings.filterwarnings("ignore", module="lightning", category=category)
    terminal = sys.stdout.isatty()
    ours: list[Callback] = [
        TermInterrupts(),
        SeededBatches(seed),
        PartialGroups(options.accumulate),
        HistoryWriter(folder),
        *callbacks,
        # these come last: a checkpoint is written when everything else of the epoch is on disk
        *([Patience(options.patience)] if options.patience is not None else []),
        *([RichProgressBar()] if terminal else []),
        StageCheckpoint(folder, BEST),
        StageCheckpoint(folder, LAST),
    ]
    try:
        return L.Trainer(
            max_epochs=options.epochs,
            precision=options.precision,
            accelerator="auto",
            devices=options.devices,
            # the buffers are constants, and in validation the processes may have different numbers of batches
            strategy=DDPStrategy(broadcast_buffers=False) if options.devices > 1 else "auto",
            use_distributed_sampler=False,
            accumulate_grad_batches=options.accumulate,
            gradient_clip_val=options.gradient_clip,
            logger=TensorBoardLogger(folder, name="", version="tensorboard") if _has_tensorboard() else False,
            callbacks=ours,
            plugins=[AtomicCheckpointIO(), *_cluster(options)],
            enable_progress_bar=terminal,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1_000_000,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InvalidInputError(
            f"devices is {options.devices}, which cannot be used: {reason}; needed: as many as there are."
        ) from None


def _cluster(options: StageConfig) -> list[SLURMEnvironment]:
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
