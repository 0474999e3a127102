"""Ctrl-C and the end of a queueing system's job, as one interruption that is not lost on the way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE = 2.0
"""Seconds in which signals are one interruption: a terminal and a parent process both tell a process to stop."""


class Interruption:
    """Whether the process was told to stop.

    The exception alone is not enough: libraries that are interrupted while they hold a lock may raise another one instead.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    @property
    def received(self) -> bool:
        """Whether a signal has come."""
        return self._last is not None

    def check(self) -> None:
        """Raise where a signal has come.

        Raises:
            KeyboardInterrupt: it has.
        """
        if self.received:
            raise KeyboardInterrupt

    def handle(self, _: int, __: FrameType | None) -> None:
        """Take a signal and raise, once for signals that come together: clearing up after the first is not disturbed."""
        now = time.monotonic()
        if self._last is None or now - self._last > _ONE:
            self._last = now
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Make SIGTERM an interruption like Ctrl-C, and remember either; the handlers that were there come back."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    handlers = {number: signal.signal(number, interruption.handle) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
