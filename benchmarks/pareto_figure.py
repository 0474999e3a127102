"""The points of ``benchmarks/pareto.py``: their file, their table and their figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#555555", "#8a5fb0", "#1f6fb4", "#3fa9b5", "#3a9a5b", "#d1562b", "#c79a1e", "#d46a9f")
MARKERS = "os^vD<>P"
ALL_NAMED = 3  # settings of a longer curve are named at its ends
PANELS = (("velocity_error", "velocity: relative L2 error"), ("permeability_error", "K: relative error"))


@dataclass(frozen=True)
class Point:
    """What a way gave, over all media: means and medians."""

    curve: str
    setting: str
    seconds: float
    wall_seconds: float
    velocity_error: float
    velocity_error_median: float
    permeability_error: float
    permeability_error_median: float
    media: int


def write_csv(points: Sequence[Point], path: Path) -> None:
    """One row a point."""
    from resinflow.flow import replacing

    names = list(Point.__dataclass_fields__)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for point in points:
            writer.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in (getattr(point, n) for n in names)])


def read_csv(path: Path) -> list[Point]:
    """What :func:`write_csv` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = [name for name in Point.__dataclass_fields__ if name not in ("curve", "setting", "media")]
    return [
        Point(row["curve"], row["setting"], **{name: float(row[name]) for name in numbers}, media=int(row["media"]))
        for row in rows
    ]


def draw_panel(axes: Axes, points: Sequence[Point], quantity: str, label: str) -> None:
    """One error against time: a line a curve, its settings beside the points, and the front of the best."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for number, curve in enumerate(dict.fromkeys(point.curve for point in points)):
        mine = [point for point in points if point.curve == curve]
        times, errors = [point.seconds for point in mine], [100 * getattr(point, quantity) for point in mine]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(times, errors, MARKERS[number % len(MARKERS)] + "-", ms=5, lw=1.2, alpha=0.9, color=colour, label=curve)
        for place in range(len(mine)) if len(mine) <= ALL_NAMED else (0, len(mine) - 1):
            where = {"xytext": (5, 4), "textcoords": "offset points", "fontsize": 7, "color": colour}
            axes.annotate(mine[place].setting, (times[place], errors[place]), **where)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("seconds of one core a sample", fontsize=9)
    axes.set_ylabel(f"{label}, % (mean)", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw(points: Sequence[Point], path: Path) -> None:
    """Velocity and K side by side, one legend."""
    from resinflow.view import checked_target, new_figure, save_figure

    figure = new_figure((11.0, 5.4))
    panels = figure.subplots(1, 2)
    for axes, (quantity, label) in zip(panels, PANELS, strict=True):
        draw_panel(axes, points, quantity, label)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(
        f"accuracy against time, means of {points[0].media} test media; beside the points: tolerance of K, or samples",
        fontsize=10,
    )
    save_figure(figure, checked_target(path))


def table_of(points: Sequence[Point]) -> Table:
    """All points."""
    table = Table(title="errors against the truth of the data set, and time a sample on one core")
    for heading in ("way", "setting", "CPU s", "s", "velocity: mean", "median", "K: mean", "median"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for p in points:
        errors = (p.velocity_error, p.velocity_error_median, p.permeability_error, p.permeability_error_median)
        cells = [f"{p.seconds:.3g}", f"{p.wall_seconds:.3g}", *(f"{100 * value:.2f} %" for value in errors)]
        table.add_row(p.curve, p.setting, *cells)
    return table
