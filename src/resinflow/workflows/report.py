"""What the commands print: the medium, the table, plausibility, warnings. Progress shows on terminals only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from resinflow.core import FlowField, InvalidInputError, Microstructure, format_permeability
from resinflow.core.units import format_length
from resinflow.evaluate.gebart import estimate_fibre_diameter, gebart_permeability, gebart_warning
from resinflow.workflows.medium import is_extruded


def make_console() -> Console:
    """Return a console that wraps nothing when its output goes to a file."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=140)


@contextmanager
def working(console: Console, what: str) -> Iterator[None]:
    """Show on a terminal what is being done."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@contextmanager
def counting(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (done, all) that drives a progress bar with rate and remaining time on a terminal."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_medium(console: Console, micro: Microstructure, source: str) -> None:
    """Print size, voxel size, fibre fraction and, for extruded media, what that means."""
    console.print(f"{source}: {micro.describe()}")
    if is_extruded(micro):
        console.print(
            "All slices are alike (a single image is extruded along z): the planar flow is then exact and vz is zero; "
            "3-D effects need a stack."
        )


def print_plausibility(console: Console, flow: FlowField) -> None:
    """Print K in all units beside Gebart's value for the same fibre fraction and diameter, with a warning if far apart."""
    micro = flow.microstructure
    console.print(f"K{flow.axis}{flow.axis} = {format_permeability(flow.permeability)}")
    diameter = estimate_fibre_diameter(micro)
    if diameter is None or flow.permeability <= 0:
        return
    try:
        gebart = gebart_permeability(micro.fibre_fraction, diameter)
    except InvalidInputError:  # a fraction beyond the closest packing has no Gebart value
        return
    console.print(
        f"Gebart (hexagonal array of the same fraction, fibres of {format_length(diameter)}): {format_permeability(gebart)}"
    )
    warning = gebart_warning(flow.permeability, micro.fibre_fraction, diameter)
    if warning:
        console.print(f"warning: {warning}", style="yellow")


def print_warnings(console: Console, flows: Sequence[FlowField]) -> None:
    """Print what the reports of ``flows`` warn of, each once."""
    found = [warning for flow in flows if flow.report is not None for warning in flow.report.warnings]
    for warning in dict.fromkeys(found):
        console.print(f"note: {warning}", style="yellow")


def save_all(console: Console, flow: FlowField, paths: Sequence[Path]) -> None:
    """Save ``flow`` to every path and say so."""
    for path in paths:
        console.print(f"wrote {flow.save(path)}")
