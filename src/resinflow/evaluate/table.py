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

_PERCENT_COLUMNS = {
    "relative_l2": "velocity L2",
    "relative_l2_x": "vx",
    "relative_l2_y": "vy",
    "relative_l2_z": "vz",
    "nmae": "nMAE",
    "permeability_error": "K",
    "pressure_error": "pressure",
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
    """Return one line per method over a test set; errors in per cent as mean / median / 90th percentile."""
    from rich.table import Table

    table = Table(caption="relative errors in per cent: mean / median / 90th percentile over the samples")
    table.add_column("method", no_wrap=True)
    titles = [*_PERCENT_COLUMNS.values(), "cosine", "IoU top 10 %", "divergence", "flow rate", "in solid", "time", "samples"]
    for title in titles:
        table.add_column(title, justify="right")
    for method, comparisons in scores.items():
        numbers = summary(comparisons)
        if not numbers:
            table.add_row(method, *[NOTHING] * (len(titles) - 1), "0")
            continue
        table.add_row(
            method,
            *(_triple(numbers[name]) for name in _PERCENT_COLUMNS),
            _number(numbers["cosine"]["mean"], ".4f"),
            _number(numbers["top_speed_iou"]["mean"], ".3f"),
            _number(numbers["divergence_at_centres"]["mean"], ".2g"),
            _number(numbers["flow_rate_variation"]["mean"], ".2g"),
            _number(numbers["velocity_in_solid"]["mean"], ".2g"),
            _time(numbers["seconds"]["mean"]),
            str(len(comparisons)),
        )
    return table


def _statistics(values: Sequence[float | None]) -> dict[str, float]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return {**dict.fromkeys(STATISTICS, float("nan")), "count": 0}
    found = (numbers.mean(), np.median(numbers), np.percentile(numbers, 90))
    return {**{name: float(value) for name, value in zip(STATISTICS, found, strict=True)}, "count": numbers.size}


def _triple(statistics: Mapping[str, float]) -> str:
    if not statistics["count"]:
        return NOTHING
    return " / ".join(f"{100 * statistics[name]:.3g}" for name in STATISTICS)


def _percent(value: float | None) -> str:
    return NOTHING if value is None or np.isnan(value) else f"{100 * value:.2f} %"


def _number(value: float, form: str) -> str:
    return NOTHING if np.isnan(value) else format(value, form)


def _time(seconds: float | None) -> str:
    if seconds is None or np.isnan(seconds):
        return NOTHING
    return f"{1000 * seconds:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"
