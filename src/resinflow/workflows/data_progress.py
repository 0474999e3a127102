"""Progress of a long generation: a bar with rate and remaining time on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_INTERVAL = 60.0
"""Seconds between two lines of a log."""


class Pace:
    """Rate and remaining time, counted from the first report on: what an earlier run left is not this one's work."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0, 0)

    def note(self, done: int, total: int) -> None:
        """Take note of the numbers of finished and of all samples."""
        now = self._clock()
        self._first = self._first or (now, done)
        self._last = (now, done, total)

    @property
    def made(self) -> int:
        """Samples of this run."""
        return self._last[1] - self._first[1] if self._first else 0

    @property
    def seconds(self) -> float:
        """Time from the first to the last report."""
        return self._last[0] - self._first[0] if self._first else 0.0

    @property
    def rate(self) -> float | None:
        """Samples a minute; None before the first one."""
        return 60 * self.made / self.seconds if self.made and self.seconds > 0 else None

    def describe(self) -> str:
        """Return rate and remaining time in words; empty before the first sample."""
        if self.rate is None:
            return ""
        minutes = (self._last[2] - self._last[1]) / self.rate
        return f"{self.rate:.0f} a minute, {f'{minutes:.0f} min' if minutes >= 1 else f'{60 * minutes:.0f} s'} left"


@contextmanager
def showing_pace(console: Console, what: str, pace: Pace) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (done, all) that keeps ``pace`` and shows it."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[rate]}"))
    printed = [time.monotonic()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None, rate="")

        def show(done: int, total: int) -> None:
            pace.note(done, total)
            rate = pace.rate
            progress.update(task, completed=done, total=total, rate="" if rate is None else f"{rate:.0f}/min")
            if not console.is_terminal and time.monotonic() - printed[0] >= _INTERVAL and done < total:
                printed[0] = time.monotonic()
                console.print(f"{done} of {total} {what}: {pace.describe()}")

        yield show
