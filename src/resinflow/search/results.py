"""The results of a search: one row a point, as tables, a summary and a figure that are rewritten after every trial."""

from __future__ import annotations

import csv
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from optuna.trial import FrozenTrial, TrialState

from resinflow.flow import replacing
from resinflow.search.plan import SearchAxis, SearchPlan
from resinflow.search.study import DEATHS, ERROR, VALUES, counting_trial, decode_values, is_given_up, trials_by_point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

State = Literal["complete", "pruned", "failed", "running", "waiting", "interrupted"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_TOP = 10
_RESOLUTION = 130  # dots per inch
_PANEL = (4.0, 3.0)  # inches
_COLUMNS = 3
_COMPLETE, _PRUNED, _BEST = "#1f4e79", "#8a8a8a", "#c0392b"
_WIDE = 10.0
"""Values that span more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class TrialRow:
    """The result of one point.

    Attributes:
        number: of the point, which names its folder; of a grid the place in it.
        state: ``interrupted`` until another process takes the point up.
        value: validation loss, the mean over the folds; of a pruned trial the last one seen.
        spread: standard deviation over the folds, None for a single one.
        parameters: dotted keys of the training recipe and their values.
        seconds: wall time of the trial that counts.
        attempts: number of trials that started for the point.
        error: message of the exception of a failed trial.
    """

    number: int
    state: State
    value: float | None
    spread: float | None
    parameters: dict[str, Any]
    seconds: float | None
    attempts: int
    error: str

    @property
    def finished(self) -> bool:
        """Whether the point needs no further trial."""
        return self.state in ("complete", "pruned", "failed")

    @property
    def value_text(self) -> str:
        """The value with its spread over the folds."""
        if self.value is None:
            return "-"
        return f"{self.value:.5g}" if self.spread is None else f"{self.value:.5g} +- {self.spread:.2g}"

    @property
    def parameter_text(self) -> str:
        """The parameters in one line."""
        return ", ".join(f"{key} = {_text(value)}" for key, value in self.parameters.items())


def rows_of(plan: SearchPlan, trials: Sequence[FrozenTrial]) -> list[TrialRow]:
    """Return one row for every point that has a trial, by number."""
    return [_row(plan, point, attempts) for point, attempts in sorted(trials_by_point(trials).items())]


def best_first(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the complete rows, lowest value first."""
    return sorted((row for row in rows if row.state == "complete"), key=lambda row: (row.value, row.number))


def write_results(plan: SearchPlan, rows: Sequence[TrialRow], folder: Path) -> None:
    """Write results.csv, top10.csv, summary.txt and search.png, each in one step."""
    _write_csv(folder / "results.csv", plan, rows)
    _write_csv(folder / "top10.csv", plan, best_first(rows)[:_TOP])
    with replacing(folder / "summary.txt") as temporary:
        temporary.write_text("\n".join(_summary(plan, rows)) + "\n", encoding="utf-8")
    draw_search(plan, rows, folder / "search.png")


def draw_search(plan: SearchPlan, rows: Sequence[TrialRow], path: Path) -> None:
    """Write the figure of a search in one step: the history first, then one panel an option."""
    from matplotlib.figure import Figure

    count = 1 + len(plan.axes)
    columns = min(count, _COLUMNS)
    height = -(-count // columns)
    figure = Figure(figsize=(columns * _PANEL[0], height * _PANEL[1] + 0.4), layout="constrained")
    panels: list[Axes] = list(figure.subplots(height, columns, squeeze=False).ravel())
    for panel in panels[count:]:
        panel.set_axis_off()
    _draw_history(panels[0], rows, plan.size)
    for panel, (key, axis) in zip(panels[1:], plan.axes.items(), strict=False):
        _draw_option(panel, key, axis, [row for row in rows if key in row.parameters])
    values = [row.value for row in rows if row.value is not None]
    for panel in panels[:count]:
        if values and 0 < _WIDE * min(values) < max(values):
            panel.set_yscale("log")
        panel.set_ylabel("validation loss")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="0.92")
        panel.set_axisbelow(True)
    count = sum(row.finished for row in rows)
    title = f"{plan.recipe.name}: {plan.recipe.mode} over stage {plan.recipe.stage}"
    folds = f", {plan.recipe.folds} folds" if plan.recipe.folds > 1 else ""
    figure.suptitle(f"{title}{folds}; {count} of {plan.size} trials finished", fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_RESOLUTION)


def _row(plan: SearchPlan, point: int, attempts: Sequence[FrozenTrial]) -> TrialRow:
    trial = counting_trial(attempts)
    state, error = "interrupted", ""
    if trial is not None:
        state, error = _STATES[trial.state], trial.user_attrs.get(ERROR, "")
    elif is_given_up(attempts):
        state, error = "failed", f"its process died {DEATHS} times"
    latest = trial or attempts[-1]
    parameters = latest.params or latest.system_attrs.get("fixed_params", {})
    values = latest.user_attrs.get(VALUES, [])
    finished = state in ("complete", "pruned", "failed") and latest.duration is not None
    return TrialRow(
        number=point,
        state=state,
        value=latest.value if state in ("complete", "pruned") else None,
        spread=statistics.stdev(values) if state == "complete" and len(values) > 1 else None,
        parameters=plan.points[point] if plan.points else decode_values(plan, parameters),
        seconds=latest.duration.total_seconds() if finished and latest.duration else None,
        attempts=sum(attempt.state != TrialState.WAITING for attempt in attempts),
        error=error,
    )


def _write_csv(path: Path, plan: SearchPlan, rows: Sequence[TrialRow]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "state", "value", "spread", *plan.axes, "seconds", "attempts", "error"])
        for row in rows:
            options = [_text(row.parameters[key]) if key in row.parameters else "" for key in plan.axes]
            seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
            writer.writerow([row.number, row.state, row.value, row.spread, *options, seconds, row.attempts, row.error])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _summary(plan: SearchPlan, rows: Sequence[TrialRow]) -> list[str]:
    recipe = plan.recipe
    states = Counter(row.state for row in rows)
    folds = f", mean over {recipe.folds} folds" if recipe.folds > 1 else ""
    lines = [
        f"search {recipe.name}: {recipe.mode}, stage {recipe.stage}",
        f"value: lowest validation loss of a trial{folds}; lower is better",
        f"trials: {plan.size} planned; " + (", ".join(f"{count} {state}" for state, count in states.items()) or "none begun"),
        f"time: {sum(row.seconds or 0.0 for row in rows):.0f} s in all trials together",
    ]
    best = best_first(rows)[:_TOP]
    if best:
        lines += ["", "best:"]
        lines += [f"{n:3d}. trial {row.number}: {row.value_text}  {row.parameter_text}" for n, row in enumerate(best, 1)]
    failures = [row for row in rows if row.state == "failed"]
    if failures:
        lines += ["", "failed:", *(f"     trial {row.number}: {row.error}  {row.parameter_text}" for row in failures)]
    return lines


def _draw_history(panel: Axes, rows: Sequence[TrialRow], size: int) -> None:
    """Every trial by its number, the best so far as a step line, failed trials as crosses at the foot."""
    from matplotlib.ticker import MaxNLocator

    _scatter(panel, rows, [float(row.number) for row in rows])
    complete = [row for row in rows if row.state == "complete"]
    best = [min(row.value for row in complete[: place + 1] if row.value is not None) for place in range(len(complete))]
    if best:
        numbers = [*(row.number for row in complete), rows[-1].number]
        panel.step(numbers, [*best, best[-1]], where="post", color=_BEST, lw=1.2, label="best so far")
    failures = [row.number for row in rows if row.state == "failed"]
    if failures:
        foot = panel.get_xaxis_transform()
        panel.plot(failures, [0.03] * len(failures), "x", color=_BEST, ms=6, transform=foot, label="failed", clip_on=False)
    panel.set_xlim(-0.5, max([size - 1, *(row.number for row in rows)]) + 0.5)
    panel.set_xlabel("trial")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=7, frameon=False)


def _draw_option(panel: Axes, key: str, axis: SearchAxis, rows: Sequence[TrialRow]) -> None:
    """The value against one option: numbers on a scale that shows the whole range, anything else side by side."""
    panel.set_xlabel(key)
    values = axis.values or axis.ends
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        panel.set_xscale("log" if axis.log or (low > 0 and high >= _WIDE * low) else "linear")
        panel.margins(x=0.08)
        panel.plot([low, high], [0.5, 0.5], " ", transform=panel.get_xaxis_transform())
        _scatter(panel, rows, [row.parameters[key] for row in rows])
        return
    texts = [json.dumps(value) for value in values]
    labels = [text.strip('"[]').replace(", ", "-") for text in texts]
    panel.set_xticks(range(len(labels)), labels, rotation=20 if max(map(len, labels)) > 8 else 0, fontsize=7)
    panel.set_xlim(-0.5, len(labels) - 0.5)
    _scatter(panel, rows, [float(texts.index(json.dumps(row.parameters[key]))) for row in rows])


def _scatter(panel: Axes, rows: Sequence[TrialRow], places: Sequence[float]) -> None:
    """Complete trials full with their spread over the folds, pruned ones hollow, the best one ringed."""
    best = best_first(rows)[:1]
    for state, face, edge in (("complete", _COMPLETE, _COMPLETE), ("pruned", "none", _PRUNED)):
        points = [
            (place, row.value, row.spread or 0.0, row)
            for place, row in zip(places, rows, strict=True)
            if row.state == state and row.value is not None
        ]
        if points:
            x, y, spread, _ = zip(*points, strict=True)
            panel.errorbar(x, y, spread, fmt="none", ecolor=edge, elinewidth=0.8)
            panel.plot(x, y, "o", ms=4.5, mfc=face, mec=edge, label=state)
        for place, value, _, row in points:
            if row in best:
                panel.plot([place], [value], "o", ms=9, mfc="none", mec=_BEST, mew=1.4)
