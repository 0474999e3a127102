"""The points of ``benchmarks/pareto.py``: their file, their table and their figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#555555", "#8a5fb0", "#1f6fb4", "#3fa9b5", "#3a9a5b", "#d1562b", "#c79a1e", "#d46a9f")
MARKERS = "os^vD<>P"
ALL_NAMED = 3  # settings of a longer curve are named at its ends
OFFSETS = tuple((x, y) for y in (8, -9, 4, -4, 0, 14, -14, 20) for x in (0, 9, -9, 14, -14, 18, -18, 22, -22))
"""Places of a name relative to its point, in typographic points."""
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
    """One error against time: a line a curve. :func:`name_points` writes the settings beside the points."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for number, curve in enumerate(dict.fromkeys(point.curve for point in points)):
        mine = [point for point in points if point.curve == curve]
        times, errors = [point.seconds for point in mine], [100 * getattr(point, quantity) for point in mine]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(times, errors, MARKERS[number % len(MARKERS)] + "-", ms=5, lw=1.2, alpha=0.9, color=colour, label=curve)
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


def name_points(axes: Axes, points: Sequence[Point], quantity: str) -> None:
    """Write the settings beside the points, where they cover neither each other nor a marker; the layout must be done."""
    pixels = axes.figure.dpi / 72  # of a typographic point
    places = {p: axes.transData.transform((p.seconds, 100 * getattr(p, quantity))) for p in points}
    markers = [Bbox.from_extents(*(place - 3 * pixels), *(place + 3 * pixels)) for place in places.values()]
    lines: list[NDArray[np.float64]] = []
    names: list[tuple[Point, str]] = []
    for number, curve in enumerate(dict.fromkeys(point.curve for point in points)):
        mine = [point for point in points if point.curve == curve]
        ends = [places[point] for point in mine]
        lines += [np.linspace(*pair, 20) for pair in pairwise(ends)]
        shown = mine if len(mine) <= ALL_NAMED else [mine[0], mine[-1]]
        names += [(point, COLOURS[number % len(COLOURS)]) for point in shown if point.setting]
    covered = np.concatenate(lines) if lines else np.empty((0, 2))
    texts: list[Bbox] = []
    for point, colour in names:
        text = axes.annotate(
            point.setting,
            (point.seconds, 100 * getattr(point, quantity)),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=7,
            color=colour,
            ha="center",
            va="center",
        )
        text.set_in_layout(False)
        box = text.get_window_extent().padded(pixels)
        boxes = [box.translated(*(pixels * np.array(offset))) for offset in OFFSETS]
        costs = [
            100 * sum(other.overlaps(each) for other in (*texts, *markers))
            + sum(each.contains(*spot) for spot in covered)
            + np.hypot(0.5 * offset[0], offset[1]) / 3
            for each, offset in zip(boxes, OFFSETS, strict=True)
        ]
        best = int(np.argmin(costs))
        text.set_position(OFFSETS[best])
        texts.append(boxes[best])


def draw(points: Sequence[Point], path: Path) -> None:
    """Write the figure that :func:`compose` returns."""
    from resinflow.flow import checked_target
    from resinflow.view import save_figure

    save_figure(compose(points), checked_target(path))


def compose(points: Sequence[Point]) -> Figure:
    """Velocity and K side by side, one legend."""
    from resinflow.view import new_figure

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
    figure.draw_without_rendering()
    for axes, (quantity, _) in zip(panels, PANELS, strict=True):
        name_points(axes, points, quantity)
    return figure


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
