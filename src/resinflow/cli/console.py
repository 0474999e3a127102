"""Output that the commands share: the medium, plausibility of K, warnings, and progress (on terminals only)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from resinflow.cli.plausibility import plausibility_of
from resinflow.flow import Drive, FlowField, Microstructure, format_length, format_permeability

COMMAND_LINE: ContextVar[str] = ContextVar("COMMAND_LINE", default="resinflow")
"""The command line that runs, quoted as a shell reads it."""


def make_console(*, as_json: bool = False) -> Console:
    """Return a console that wraps nothing when its output goes to a file; on stderr where stdout is for JSON."""

    def console(width: int | None) -> Console:  # names of files hold [, ] and :
        return Console(stderr=as_json, highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)

    return terminal if (terminal := console(None)).is_terminal else console(140)


@contextmanager
def working(console: Console, what: str) -> Iterator[None]:
    """Show the name of a step on a terminal while it runs."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@contextmanager
def following(console: Console, what: str) -> Iterator[Callable[[float, float], None]]:
    """Yield a function (K in m^2, about its relative error) that shows both on a terminal while a solver runs."""
    if not console.is_terminal:
        yield lambda permeability, error: None
        return
    with console.status(what) as status:
        yield lambda permeability, error: status.update(
            f"{what}: K so far {permeability:.3g} m^2, error about {min(error, 1.0):.1%}"
        )


@contextmanager
def following_draws(console: Console, what: str) -> Iterator[Callable[[Sequence[float], int], None]]:
    """Yield a function (K of the draws so far in m^2, their number in the end) that shows them on a terminal.

    It shows how many there are, the time, and the last K with the mean and the interval of all.
    """
    from resinflow.evaluate import draws_in_words

    bar = (TextColumn(what), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    columns = (*bar, TextColumn("{task.fields[moment]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None, moment="")
        yield lambda values, total: progress.update(task, completed=len(values), total=total, moment=draws_in_words(values))


@contextmanager
def counting(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (count, total) that drives a progress bar with rate and remaining time on a terminal."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count, total: progress.update(task, completed=count, total=total)


@contextmanager
def counting_parts(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function (what, count, total) that drives one progress bar for every part of a job on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def show(what: str, count: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=count, total=total)

        yield show


def print_medium(console: Console, micro: Microstructure, source: str, drive: Drive) -> None:
    """Print size, voxel size, fibre fraction, notes and warnings of its reading and, if it is extruded, what that means."""
    from resinflow.media import is_extruded

    print_medium_line(console, micro, source)
    if not is_extruded(micro):
        return
    if drive.axis == "z":
        meaning = "the fibres stand straight along z, and so does the flow: vx and vy are zero."
    elif drive.lateral == "no-slip" and drive.boundary == "pressure":
        meaning = "the fibres stand straight along z, and only the walls of the box make the slices' flows differ."
    else:
        meaning = "the flow is the same in every slice and vz is zero."
    console.print(f"All slices are alike (a single image is extruded along z): {meaning} 3-D effects need a stack.")


def print_medium_line(console: Console, micro: Microstructure, source: str) -> None:
    """Print size, voxel size, fibre fraction, and notes and warnings of its reading."""
    console.print(f"{source}: {micro.describe()}")
    for note in micro.provenance.get("notes", ()):
        console.print(note)
    for warning in micro.provenance.get("warnings", ()):
        _print_warning(console, warning)


def print_plausibility(console: Console, flow: FlowField) -> None:
    """Print K in all units beside Gebart's value for the same fibres, with warnings if K or their diameter is implausible."""
    console.print(f"K{flow.axis}{flow.axis} = {format_permeability(flow.permeability)}")
    plausibility = plausibility_of(flow)
    if plausibility.gebart is not None and plausibility.fibre_diameter is not None and flow.permeability > 0:
        along = flow.axis == "z"
        console.print(
            f"Gebart, {'along' if along else 'across'} fibres taken to run along z (hexagonal array of the same fraction, "
            f"fibres of {format_length(plausibility.fibre_diameter)}): {format_permeability(plausibility.gebart)}"
            f"{_ALONG if along else ''}"
        )
    for warning in plausibility.warnings:
        _print_warning(console, warning)


_ALONG = "; along fibres the formula gives about twice the K of the exact array"


def _print_warning(console: Console, warning: str | None) -> None:
    if warning:
        console.print(f"warning: {warning}", style="yellow")


def print_warnings(console: Console, flows: Mapping[str, FlowField]) -> None:
    """Print what the reports of ``flows`` warn of, each once, with the names of the flows if there are several."""
    names: dict[str, list[str]] = {}
    for name, flow in flows.items():
        for warning in flow.report.warnings if flow.report is not None else ():
            names.setdefault(warning, []).append(name)
    for warning, concerned in names.items():
        whose = f" ({'; '.join(concerned)})" if len(flows) > 1 else ""
        console.print(f"note{whose}: {warning}", style="yellow")


def save_all(console: Console, flow: FlowField, paths: Sequence[Path]) -> None:
    """Save ``flow`` to every path and say so."""
    for path in paths:
        console.print(f"wrote {flow.save(path)}")


_INTERVAL = 60.0
"""Seconds between two lines of a log."""


class Pace:
    """Rate and remaining time, counted from the first report: the samples of an earlier run do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0, 0)

    def note(self, count: int, total: int) -> None:
        """Take note of the numbers of finished and of all samples."""
        now = self._clock()
        self._first = self._first or (now, count)
        self._last = (now, count, total)

    @property
    def count(self) -> int:
        """Samples of this run."""
        return self._last[1] - self._first[1] if self._first else 0

    @property
    def seconds(self) -> float:
        """Time from the first to the last report."""
        return self._last[0] - self._first[0] if self._first else 0.0

    @property
    def rate(self) -> float | None:
        """Samples a minute; None before the first one."""
        return 60 * self.count / self.seconds if self.count and self.seconds > 0 else None

    def describe(self) -> str:
        """Return rate and remaining time in words; empty before the first sample."""
        if self.rate is None:
            return ""
        minutes = (self._last[2] - self._last[1]) / self.rate
        return f"{self.rate:.0f} a minute, {f'{minutes:.0f} min' if minutes >= 1 else f'{60 * minutes:.0f} s'} left"


@contextmanager
def showing_pace(console: Console, what: str, pace: Pace) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (count, total) that keeps ``pace`` and shows it."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[rate]}"))
    printed = [time.monotonic()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None, rate="")

        def show(count: int, total: int) -> None:
            pace.note(count, total)
            rate = pace.rate
            progress.update(task, completed=count, total=total, rate="" if rate is None else f"{rate:.0f}/min")
            if not console.is_terminal and time.monotonic() - printed[0] >= _INTERVAL and count < total:
                printed[0] = time.monotonic()
                console.print(f"{count} of {total} {what}: {pace.describe()}")

        yield show
