"""Tables of flows and of evaluations, as text for a terminal or a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from resinflow.evaluate.scores import Evaluation, Score
from resinflow.evaluate.spread_scores import FlowSpread, pooled
from resinflow.flow import DARCY

if TYPE_CHECKING:
    from rich.table import Table


SPREAD_CAPTION = (
    "normal distributions with the mean and the deviation of the samples, as drawn and calibrated; CRPS of the velocity in per "
    "cent of the RMS speed, that of K of K; coverage of the central 90 % interval over all voxels and over the "
    "media; RMS deviation over RMS error, 1 if calibrated"
)
_NUMBERS = ("CRPS, %", "in 90 %, %", "spread/skill")
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
CAPTION = (
    "v, vx, vy, vz, p: relative L2 error; K: |relative error|; these and nMAE in per cent. IoU of the fastest 10 %; div(u) "
    "relative to |grad u| at voxel centres; variation of the flow rate; largest speed in the fibres over the mean in the "
    "fluid; time of a sample, without the flows that it starts from."
)
_COMPONENTS = {"all": "", "x": "_x", "y": "_y", "z": "_z"}
_COMPONENT_COLUMNS = {
    "L2 error": ("relative_l2", "percent"),
    "nMAE": ("nmae", "percent"),
    "MAE, mm/s": ("mae", "milli"),
    "RMSE, mm/s": ("rmse", "milli"),
    "cosine": ("cosine", ".3f"),
}
COMPONENT_CAPTION = "mean / median / 90th percentile over the samples; L2 error and nMAE in per cent"
_ENSEMBLE_COLUMNS = {
    "CRPS / mean |v|": ("normalised_crps", "percent"),
    "90 % interval covers": ("coverage", "percent"),
    "calibrated would": ("nominal_coverage", "percent"),
    "spread/skill": ("spread_skill", ".3f"),
    "samples": ("samples", ".0f"),
}
ENSEMBLE_CAPTION = (
    "mean / median / 90th percentile over the samples, in per cent; CRPS of a single flow would be its nMAE; spread/skill is "
    "1 if calibrated, below 1 if overconfident"
)
_COST_COLUMNS = {"time of a sample": ("seconds", "time"), "peak memory": ("peak_memory", "memory")}
COST_CAPTION = (
    "mean / median / 90th percentile over the samples; time without the flows that a method starts from; largest resident "
    "memory of the process, all loaded models included"
)


class Scored(Protocol):
    """Scores of one sample: numbers by name, None for those that do not exist."""

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers flat by name."""
        ...


@dataclass(frozen=True)
class TextTable:
    """A table in words, for the terminal and for a report.

    Attributes:
        header: titles of the columns.
        rows: cells as they are shown.
        caption: what the columns mean.
        block: rows that belong together; a line parts the blocks; 0: no lines.
        names: number of leading columns that hold names, not numbers.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    block: int = 0
    names: int = 1

    def terminal(self, *, wrapped: bool = True) -> Table:
        """Return the table for a terminal, with as little space as can be; not ``wrapped``, every cell keeps to one line."""
        from rich.table import Table

        table = Table(caption=self.caption, padding=(0, 0, 0, 1), collapse_padding=True)
        for place, title in enumerate(self.header):
            is_name = place < self.names
            table.add_column(title, justify="left" if is_name else "right", no_wrap=is_name or not wrapped)
        for number, row in enumerate(self.rows, start=1):
            table.add_row(*row, end_section=self.block > 0 and number % self.block == 0)
        return table

    def markdown(self) -> str:
        """Return the table in Markdown, without its caption."""
        rule = ["---" if place < self.names else "--:" for place in range(len(self.header))]
        lines = ([cell.strip().replace("|", "\\|") for cell in line] for line in (self.header, rule, *self.rows))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True)
class ResultRow:
    """The result of one way to obtain the flow.

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


def result_rows(rows: Sequence[ResultRow], true_permeability: float | None = None) -> TextTable:
    """Return one row a method: K in m^2 and darcy, error of the velocity, error of K (signed), time.

    Args:
        rows: in the order shown.
        true_permeability: what K is compared with, m^2; without it that column is empty.
    """
    cells = [
        (
            row.method,
            f"{row.permeability:.4e}",
            f"{row.permeability / DARCY:.4g}",
            NOTHING if row.velocity_error is None or np.isnan(row.velocity_error) else f"{100 * row.velocity_error:.2f} %",
            f"{100 * (row.permeability - true_permeability) / true_permeability:+.2f} %" if true_permeability else NOTHING,
            _time(row.seconds),
        )
        for row in rows
    ]
    return TextTable(("method", "K, m^2", "K, darcy", "velocity error (L2)", "K error", "time"), tuple(cells))


def summary(scores: Sequence[Scored]) -> dict[str, dict[str, float]]:
    """Return ``{number: {mean, median, p90, count}}`` over a test set for every number of the scores' ``to_dict``.

    NaN and missing values are left out; ``count`` says how many remain, and with none the statistics are NaN. ``p90`` is the
    90th percentile.
    """
    samples = [score.to_dict() for score in scores]
    names = samples[0] if samples else {}
    return {name: _statistics([sample[name] for sample in samples]) for name in names}


def score_rows(scores: Mapping[str, Sequence[Scored]]) -> TextTable:
    """Return mean, median and 90th percentile of every number over a test set, three rows per method."""
    rows = []
    for method, samples in scores.items():
        numbers = summary(samples)
        for position, statistic in enumerate(STATISTICS):
            cells = (_cell(numbers, name, statistic, form) for name, form in _COLUMNS.values())
            rows.append(((method, f"  samples: {len(samples)}", "")[position], statistic, *cells))
    return TextTable(("method", "over", *_COLUMNS), tuple(rows), CAPTION, block=len(STATISTICS), names=2)


def component_rows(scores: Mapping[str, Sequence[Scored]]) -> TextTable:
    """Return the velocity errors by component over a test set as mean / median / 90th percentile, four rows per method."""
    rows = []
    for method, samples in scores.items():
        numbers = summary(samples)
        for component, suffix in _COMPONENTS.items():
            columns = {title: (name + suffix, form) for title, (name, form) in _COMPONENT_COLUMNS.items()}
            rows.append((method if component == "all" else "", component, *_triples(numbers, columns)))
    header = ("method", "v", *_COMPONENT_COLUMNS)
    return TextTable(header, tuple(rows), COMPONENT_CAPTION, block=len(_COMPONENTS), names=2)


def cost_rows(scores: Mapping[str, Sequence[Scored]]) -> TextTable:
    """Return time and memory of the methods that have either, one row each."""
    return _one_row_each(scores, _COST_COLUMNS, COST_CAPTION)


def ensemble_rows(scores: Mapping[str, Sequence[Scored]]) -> TextTable:
    """Return the calibration of the methods that gave several samples, one row each."""
    return _one_row_each(scores, _ENSEMBLE_COLUMNS, ENSEMBLE_CAPTION)


def spread_rows(evaluation: Evaluation) -> TextTable:
    """Return the methods whose spread was scored, one row as drawn and one calibrated, over the whole test set."""
    rows = []
    for method, scores in evaluation.scores.items():
        for kind, spreads in flow_spreads(scores).items():
            cells: list[str] = []
            for quantity in ([spread.velocity for spread in spreads], [spread.permeability for spread in spreads]):
                total = pooled(quantity)
                skill = NOTHING if np.isnan(total.spread_skill) else f"{total.spread_skill:.3f}"
                cells += [f"{100 * total.crps:.3g}", f"{100 * total.coverage:.1f}", skill]
            rows.append((method, kind, str(len(spreads)), *cells))
    header = ("method", "spread", "media", *(f"{name}: {number}" for name in ("v", "K") for number in _NUMBERS))
    return TextTable(header, tuple(rows), SPREAD_CAPTION, names=2)


def flow_spreads(scores: Sequence[Score]) -> Mapping[str, list[FlowSpread]]:
    """Return the spreads of a method's predictions as drawn and, where its model is calibrated, calibrated."""
    ensembles = [score.ensemble for score in scores if score.ensemble is not None]
    by_kind = {
        "as drawn": [ensemble.sample_spread for ensemble in ensembles if ensemble.sample_spread is not None],
        "calibrated": [ensemble.calibrated_spread for ensemble in ensembles if ensemble.calibrated_spread is not None],
    }
    return {kind: spreads for kind, spreads in by_kind.items() if spreads}


def _one_row_each(scores: Mapping[str, Sequence[Scored]], columns: Mapping[str, tuple[str, str]], caption: str) -> TextTable:
    """Return the methods for which any number of ``columns`` exists, one row each."""
    rows = []
    for method, samples in scores.items():
        numbers = summary(samples)
        if any(numbers.get(name, {}).get("count") for name, _ in columns.values()):
            rows.append((method, *_triples(numbers, columns)))
    return TextTable(("method", *columns), tuple(rows), caption)


def _triples(numbers: Mapping[str, Mapping[str, float]], columns: Mapping[str, tuple[str, str]]) -> list[str]:
    """Cells that show all statistics of a number."""
    return [" / ".join(_cell(numbers, name, statistic, form) for statistic in STATISTICS) for name, form in columns.values()]


def _statistics(values: Sequence[float | None]) -> dict[str, float]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        return {**dict.fromkeys(STATISTICS, float("nan")), "count": 0}
    triple = (numbers.mean(), np.median(numbers), np.percentile(numbers, 90))
    return {**{name: float(value) for name, value in zip(STATISTICS, triple, strict=True)}, "count": numbers.size}


def _cell(numbers: Mapping[str, Mapping[str, float]], name: str, statistic: str, form: str) -> str:
    value = numbers[name][statistic] if name in numbers else float("nan")
    if np.isnan(value):
        return NOTHING
    if form == "percent":
        return f"{100 * value:.3g}" if value >= 1e-3 else f"{100 * value:.1g}"
    if form == "milli":
        return f"{1e3 * value:.3g}"
    if form == "memory":
        return f"{value / 1e9:.2f} GB"
    return _time(value) if form == "time" else format(value, form)


def _time(seconds: float | None) -> str:
    if seconds is None or np.isnan(seconds):
        return NOTHING
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"
