"""The command `resinflow tow`: K of a tow with its 90 % intervals, what they are made of, and the map of its windows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from resinflow.cli.answer import AsJson, medium_answer, print_json
from resinflow.cli.console import COMMAND_LINE, counting_parts, make_console, print_medium_line
from resinflow.cli.options import FLAT, MediumOptions
from resinflow.cli.outputs import check_outputs
from resinflow.cli.permeability import sized
from resinflow.flow import FIGURE_SUFFIXES, InvalidInputError, read_length

if TYPE_CHECKING:
    from resinflow.tow import TowAnswer

_MAPS = (".csv", ".vti", ".zarr", ".json")
"""tow.MAP_SUFFIXES and the whole answer, which would load heavy libraries."""
_WITH_ERROR = re.compile(r"(.*?)\s*(?:\+-|\+/-|±)\s*([0-9.]+)\s*%")
_CONDITIONS = Literal["periodic", "symmetric sides", "periodic sides", "no-slip sides"]


def tow(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, FLAT] = MediumOptions(),
    window: str | None = None,
    misalignment: float | None = None,
    condition: _CONDITIONS = "symmetric sides",
    tolerance: float = 1e-4,
    wall_rule: Literal["auto", "plain", "gap", "surface"] = "auto",
    output: Annotated[
        list[Path] | None,
        Parameter(
            name=["--output", "-o"],
            help="Save the map of the windows (.csv, .vti, .zarr) or all but the map (.json); may be repeated.",
            negative="",
        ),
    ] = None,
    figure: Path | None = None,
    curve: Path | None = None,
    html: Path | None = None,
    folder: Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    as_json: AsJson = False,
) -> None:
    """Find K of the tow that an image was taken from, with 90 % intervals, a budget of what they are made of, and a map.

    Example: resinflow tow section.tif --pixel-size 0.47um+-1% --misalignment 5 --figure map.png -o map.csv

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a medium or flow field saved before (.vti, .npz, .nc, .zarr).
    window
        Edge of the windows of the map, e.g. 60um; by default a third of the image's shorter edge.
    misalignment
        Largest tilt of the fibre bundle from z, degrees, which a single section does not show: media are drawn round it.
    condition
        On the sides of the image and of its windows.
    tolerance
        Relative error of K at which the iteration stops.
    wall_rule
        Where the walls are: surface (the fibre surfaces that a grey image tells), plain or gap (the faces of the voxels).
    figure
        Save a figure (.png, .pdf, .svg) of the map.
    curve
        Save a figure of K against the size of the window, with the interval for the infinite tow.
    html
        Save a report (.html) that stands alone: numbers, figures, budget, method, versions, and this command line.
    folder
        Keeps what the windows gave, so that running again continues.
    workers
        Processes of this machine that solve windows.
    scheduler
        Address of a Dask scheduler (tcp://host:8786) whose workers solve the windows; needs --folder.
    """
    outputs = output or []
    pictures = ((figure, FIGURE_SUFFIXES), (curve, FIGURE_SUFFIXES), (html, (".html",)))
    check_outputs(*((path, _MAPS) for path in outputs), *pictures)
    image, deviation = _pixel_error(image)
    image = sized(image, medium)
    image.check(medium)
    edge = None if window is None else read_length("window", window)

    from resinflow.tow import TowOptions, assess_tow
    from resinflow.view import representativity_figure, window_map_figure, write_tow_report

    console = make_console(as_json=as_json)
    micro = image.read(medium)
    print_medium_line(console, micro, medium.name)
    options = TowOptions(condition, edge, tolerance, wall_rule, deviation, misalignment)
    with counting_parts(console) as watch:
        answer = assess_tow(micro, options, folder=folder, workers=workers, scheduler=scheduler, watch=watch)
    _print_answer(console, answer)
    written = [_save(answer, path) for path in outputs]
    if figure is not None:
        written.append(window_map_figure(answer.windows, figure, micro=micro))
    if curve is not None:
        written.append(representativity_figure(answer.representativity, curve))
    if html is not None:
        title, greys = f"Permeability of a tow: {medium.name}", image.greys(medium, micro, micro.shape[0] // 2)
        lines = (COMMAND_LINE.get(),)
        written.append(write_tow_report(html, answer, options, micro=micro, title=title, image=greys, lines=lines))
    for path in written:
        console.print(f"wrote {path}")
    if as_json:
        about = medium_answer(micro, str(medium))
        warnings = list(dict.fromkeys((*about["warnings"], *answer.budget.warnings, *answer.tensor.warnings)))
        print_json({"medium": about, **answer.to_dict(), "warnings": warnings})


def _pixel_error(image: MediumOptions) -> tuple[MediumOptions, float]:
    """The options with the pixel size alone, and its relative standard deviation: 0.47um+-1% is 0.47um and 0.01.

    The size may be left out, +-1%, where the file has it.
    """
    match = _WITH_ERROR.fullmatch(image.pixel_size) if isinstance(image.pixel_size, str) else None
    if match is None:
        return image, 0.0
    try:
        return replace(image, pixel_size=match[1] or None), float(match[2]) / 100
    except ValueError:
        raise InvalidInputError(f"the pixel size is {image.pixel_size!r}; needed: e.g. 0.47um+-1%.") from None


def _save(answer: TowAnswer, path: Path) -> Path:
    if path.suffix != ".json":
        return answer.windows.save(path)
    from resinflow.evaluate import write_json
    from resinflow.flow import replacing

    with replacing(path) as temporary:
        write_json(answer.to_dict(), temporary)
    return path


def _print_answer(console: Console, answer: TowAnswer) -> None:
    from resinflow.evaluate import TextTable

    budget = answer.budget
    cells = []
    for place, axis in enumerate("xyz"):
        low, high = (end * 1e12 for end in budget.intervals[place])
        upscaled = answer.upscaled[place, place] * 1e12
        direct = budget.permeability[place] * 1e12
        difference = f" ({upscaled / direct - 1:+.0%})" if direct > 0 else ""
        cells.append((f"K{axis}{axis}, um^2", f"{direct:.4g}", f"{low:.4g} to {high:.4g}", f"{upscaled:.4g}{difference}"))
    titles = ("", "whole image", "90 % interval of the tow", "from the map of windows")
    console.print(TextTable(titles, tuple(cells), answer.tensor.conditions).terminal(wrapped=False))
    rows = [(source.name, *(f"{deviation:.1%}" for deviation in source.deviations), source.basis) for source in budget.sources]
    rows.append(("all together", *(f"{deviation:.1%}" for deviation in budget.deviations), ""))
    caption = "standard deviations of ln K; squares add up"
    console.print(TextTable(("source", "x", "y", "z", "basis"), tuple(rows), caption).terminal())
    console.print(budget.advice)
    for row, column, reason in answer.windows.reasons:
        console.print(f"note: window {row}, {column}: {reason}", style="yellow")
    for warning in (*answer.budget.warnings, *answer.tensor.warnings):
        console.print(f"note: {warning}", style="yellow")
