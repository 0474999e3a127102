"""Ctrl-C and SIGTERM: both end a stage at once, on all devices, and reach the caller as KeyboardInterrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import lightning as L
from lightning.pytorch.callbacks import Callback


class TermInterrupts(Callback):
    """Makes SIGTERM, by which a queueing system ends a job, an interruption like Ctrl-C.

    Lightning's own handler tells the other processes by a collective operation in the middle of whatever they do: with
    several devices they wait for each other for ever. Nothing is lost by ending at once: the last epoch is on disk.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the place of Lightning's handler, which is there by now; it restores the caller's in the end."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interruption of a Lightning trainer reach the caller.

    Raises:
        KeyboardInterrupt: the trainer was interrupted.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:  # Lightning ends the process itself, and ignores SIGINT from then on
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
