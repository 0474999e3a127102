"""Result tables for the terminal, and the statistics over a test set that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from resinflow.core import DARCY
from resinflow.evaluate.metrics import Comparison

if TYPE_CHECKING:
    from rich.table import Table

NOTHING = "-"
"""Stands for a number that does not exist."""

STATISTICS = ("mean", "median", "p90")

_COLUMNS = {
    "v": ("relative_l2", "percent"),
    "vx": ("relative_l2_x", "percent"),
    "vy": ("relative_l2_y", "percent"),
    "vz": ("relative_l2_z", "percent"),
    "nMAE": ("nmae", "percent"),
    "K": ("permeability_error", "percent"),
    "p": ("pressure_error", "percent"),
    "cos": ("cosine", ".4f"),
    "IoU": ("top_speed_iou", ".3f"),
    "div": ("divergence_at_centres", ".1e"),
    "rate": ("flow_rate_variation", ".1e"),
    "solid": ("velocity_in_solid", ".1e"),
    "time": ("seconds", "time"),
}
_CAPTION = (
    "v, vx, vy, vz, p: relative L2 error; K: |relative error|; these and nMAE in per cent. IoU of the fastest 10 %; div(u) "
    "relative to |grad u| at voxel centres; variation of the flow rate; largest speed in the fibres over the mean in the fluid."
)
_COMPONENTS = {"all": "", "x": "_x", "y": "_y", "z": "_z"}
_COMPONENT_COLUMNS = {
    "L2 error": ("relative_l2", "percent"),
    "nMAE": ("nmae", "percent"),
    "MAE, m/s": ("mae", ".1e"),
    "RMSE, m/s": ("rmse", ".1e"),
    "cosine": ("cosine", ".3f"),
}


@dataclass(frozen=True)
class ResultRow:
    """One way to obtain the flow, and what came out.

    Attributes:
        method: its name.
        permeability: m^2.
        velocity_error: relative L2 error of the velocity, None without a true flow.
        seconds: wall time, None if unknown.
    """

    method: str
    permeability: float
    velocity_error: float | None = None
    seconds: float | None = None


def result_table(rows: Sequence[ResultRow], true_permeability: float | None = None) -> Table:
    """Return one line per method: K in m^2 and darcy, error of the velocity, error of K (signed), time.

    Args:
        rows: in the order shown.
        true_permeability: what K is compared with, m^2; without it that column is empty.
    """
    from rich.table import Table

    table = Table()
    table.add_column("method", no_wrap=True)
    for title in ("K, m^2", "K, darcy", "velocity error (L2)", "K error", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        bias = (row.permeability - true_permeability) / true_permeability if true_permeability else None
        table.add_row(
            row.method,
            f"{row.permeability:.4e}",
            f"{row.permeability / DARCY:.4g}",
            _percent(row.velocity_error),
            NOTHING if bias is None else f"{100 * bias:+.2f} %",
            _time(row.seconds),
        )
    return table


def summary(comparisons: Sequence[Comparison]) -> dict[str, dict[str, float]]:
    """Return ``{number: {mean, median, p90, count}}`` over a test set for every number of :meth:`Comparison.to_dict`.

    NaN and missing values are left out; ``count`` says how many remain, and with none the statistics are NaN. ``p90`` is the
    90th percentile.
    """
    samples = [comparison.to_dict() for comparison in comparisons]
    names = samples[0] if samples else {}
    return {name: _statistics([sample[name] for sample in samples]) for name in names}


def evaluation_table(scores: Mapping[str, Sequence[Comparison]]) -> Table:
    """Return mean, median and 90th percentile of every number over a test set, three lines per method.

    About 120 columns wide; in a narrower console rich cuts numbers short.
    """
    from rich.table import Table

    table = Table(caption=_CAPTION, padding=(0, 0, 0, 1), collapse_padding=True)
    table.add_column("method", no_wrap=True)
    table.add_column("over", no_wrap=True)
    for title in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for method, comparisons in scores.items():
        numbers = summary(comparisons)
        for position, statistic in enumerate(STATISTICS):
            cells = (_cell(numbers, name, statistic, form) for name, form in _COLUMNS.values())
            name = (method, f"  samples: {len(comparisons)}", "")[position]
            table.add_row(name, statistic, *cells, end_section=position == len(STATISTICS) - 1)
    return table


def component_table(scores: Mapping[str, Sequence[Comparison]]) -> Table:
    """Return the velocity errors by component over a test set as mean / median / 90th percentile, four lines per method.

    About 135 columns wide; in a narrower console the cells break into lines.
    """
    from rich.table import Table

    table = Table(caption="mean / median / 90th percentile over the samples; L2 error and nMAE in per cent")
    table.add_column("method", no_wrap=True)
    table.add_column("v", no_wrap=True)
    for title in _COMPONENT_COLUMNS:
        table.add_column(title, justify="right")
    for method, comparisons in scores.items():
        numbers = summary(comparisons)
        for component, suffix in _COMPONENTS.items():
            cells = (
                " / ".join(_cell(numbers, name + suffix, statistic, form) for statistic in STATISTICS)
                for name, form in _COMPONENT_COLUMNS.values()
            )
            table.add_row(method if component == "all" else "", component, *cells, end_section=component == "z")
    return table


def _statistics(values: Sequence[float | None]) -> dict[str, float]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return {**dict.fromkeys(STATISTICS, float("nan")), "count": 0}
    found = (numbers.mean(), np.median(numbers), np.percentile(numbers, 90))
    return {**{name: float(value) for name, value in zip(STATISTICS, found, strict=True)}, "count": numbers.size}


def _cell(numbers: Mapping[str, Mapping[str, float]], name: str, statistic: str, form: str) -> str:
    value = numbers[name][statistic] if name in numbers else float("nan")
    if np.isnan(value):
        return NOTHING
    if form == "percent":
        return f"{100 * value:.3g}"
    return _time(value) if form == "time" else format(value, form)


def _percent(value: float | None) -> str:
    return NOTHING if value is None or np.isnan(value) else f"{100 * value:.2f} %"


def _time(seconds: float | None) -> str:
    if seconds is None or np.isnan(seconds):
        return NOTHING
    return f"{1000 * seconds:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"
