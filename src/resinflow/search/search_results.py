"""The results of a search: one row a point, as tables and a summary that are rewritten after every trial."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from resinflow.flow import replacing
from resinflow.search.search_plan import SearchPlan
from resinflow.search.search_points import DEATHS, ERROR, counting, decoded, is_given_up, trials_by_point

VALUES = "values"
"""Attribute of a trial: the value of every fold."""
State = Literal["complete", "pruned", "failed", "running", "waiting", "interrupted"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
FINISHED: tuple[State, ...] = ("complete", "pruned", "failed")
_TOP = 10


@dataclass(frozen=True)
class TrialRow:
    """What is known of one point.

    Attributes:
        number: of the point, which names its folder; of a grid the place in it.
        state: ``interrupted`` until another process takes the point up.
        value: validation loss, the mean over the folds; of a pruned trial the last one seen.
        spread: standard deviation over the folds, None for a single one.
        parameters: dotted keys of the training recipe and their values.
        seconds: wall time of the trial that counts.
        attempts: trials that were begun for the point.
        error: what a failed one raised.
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
        """Whether nothing more will be tried."""
        return self.state in FINISHED


def rows_of(plan: SearchPlan, trials: Sequence[FrozenTrial]) -> list[TrialRow]:
    """Return one row a point that was begun, by number."""
    return [_row(plan, point, attempts) for point, attempts in sorted(trials_by_point(trials).items())]


def best_first(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the complete rows, lowest value first."""
    return sorted((row for row in rows if row.state == "complete"), key=lambda row: (row.value, row.number))


def describe_parameters(row: TrialRow) -> str:
    """Return the parameters of a row in one line."""
    return ", ".join(f"{key} = {_text(value)}" for key, value in row.parameters.items())


def describe_value(row: TrialRow) -> str:
    """Return the value of a row with its spread over the folds."""
    if row.value is None:
        return "-"
    return f"{row.value:.5g}" if row.spread is None else f"{row.value:.5g} +- {row.spread:.2g}"


def write_tables(plan: SearchPlan, rows: Sequence[TrialRow], folder: Path) -> None:
    """Write results.csv, top10.csv and summary.txt, each in one step."""
    _write_csv(folder / "results.csv", plan, rows)
    _write_csv(folder / "top10.csv", plan, best_first(rows)[:_TOP])
    with replacing(folder / "summary.txt") as temporary:
        temporary.write_text("\n".join(_summary(plan, rows)) + "\n", encoding="utf-8")


def _row(plan: SearchPlan, point: int, attempts: Sequence[FrozenTrial]) -> TrialRow:
    trial = counting(attempts)
    error = ""
    if trial is not None:
        state, error = _STATES[trial.state], trial.user_attrs.get(ERROR, "")
    elif is_given_up(attempts):
        state, error = "failed", f"its process died {DEATHS} times"
    else:
        state = "interrupted"
    shown = trial or attempts[-1]
    spread = _spread(shown.user_attrs.get(VALUES, []))
    known = plan.points[point] if plan.points else decoded(plan, shown.params or shown.system_attrs.get("fixed_params", {}))
    return TrialRow(
        number=point,
        state=state,
        value=shown.value if state in ("complete", "pruned") else None,
        spread=spread if state == "complete" else None,
        parameters=known,
        seconds=shown.duration.total_seconds() if state in FINISHED and shown.duration is not None else None,
        attempts=sum(attempt.state != TrialState.WAITING for attempt in attempts),
        error=error,
    )


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation of a sample."""
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5


def _write_csv(path: Path, plan: SearchPlan, rows: Sequence[TrialRow]) -> None:
    keys = [axis.key for axis in plan.axes]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "state", "value", "spread", *keys, "seconds", "attempts", "error"])
        for row in rows:
            found = [_text(row.parameters[key]) if key in row.parameters else "" for key in keys]
            seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
            writer.writerow([row.number, row.state, row.value, row.spread, *found, seconds, row.attempts, row.error])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _summary(plan: SearchPlan, rows: Sequence[TrialRow]) -> list[str]:
    config = plan.config
    states = Counter(row.state for row in rows)
    folds = f", mean over {config.folds} folds" if config.folds > 1 else ""
    lines = [
        f"search {config.name}: {config.mode}, stage {config.stage}",
        f"value: lowest validation loss of a trial{folds}; lower is better",
        f"trials: {plan.size} planned; " + (", ".join(f"{count} {state}" for state, count in states.items()) or "none begun"),
        f"time: {sum(row.seconds or 0.0 for row in rows):.0f} s in all trials together",
    ]
    best = best_first(rows)[:_TOP]
    if best:
        lines += ["", "best:"]
        lines += [
            f"{place:3d}. trial {row.number}: {describe_value(row)}  {describe_parameters(row)}"
            for place, row in enumerate(best, 1)
        ]
    failed = [row for row in rows if row.state == "failed"]
    if failed:
        lines += ["", "failed:"]
        lines += [f"     trial {row.number}: {row.error}  {describe_parameters(row)}" for row in failed]
    return lines
