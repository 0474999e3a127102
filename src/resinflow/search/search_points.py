"""Which trial stands for which point of a search, and which points still lack one: functions of what the storage holds.

A point is a combination of a grid (its place in the grid), or a suggestion of ``tpe`` (the number of its first trial). The
storage hands out trial numbers and changes of state atomically; from that follows the rule: **of all trials of a point the one
with the lowest number counts, unless its process died**. The others are surplus and end at once. So every point is tried once,
however many processes share the storage and whenever one of them is killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from resinflow.search.search_plan import Axis, SearchPlan

POINT, BEGUN, ERROR, INTERRUPTED, SURPLUS = "point", "begun", "error", "interrupted", "surplus"
"""Attributes of a trial: its point, that it gave a sign of life, what it raised, that it was interrupted, that another trial
counts."""
DEATHS = 3
"""A point whose process died so often (out of memory, say) is given up."""


def point_of(trial: FrozenTrial) -> int:
    """Return the point that a trial stands for."""
    return trial.user_attrs.get(POINT, trial.number)


def is_dead(trial: FrozenTrial) -> bool:
    """Whether the process of a trial ended before the trial did: it failed without an error of its own."""
    return trial.state == TrialState.FAIL and not trial.user_attrs.keys() & {ERROR, SURPLUS}


def trials_by_point(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Return the trials of every point by their numbers, without the surplus ones.

    Waiting and running trials that will turn out to be surplus are still among them, behind the one that counts.
    """
    points: dict[int, list[FrozenTrial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if SURPLUS not in trial.user_attrs:
            points.setdefault(point_of(trial), []).append(trial)
    return points


def counting(attempts: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the trial that counts among those of one point, None if all have died."""
    return next((trial for trial in attempts if not is_dead(trial)), None)


def is_given_up(attempts: Sequence[FrozenTrial]) -> bool:
    """Whether a point's processes died too often; interruptions by the user are no deaths."""
    return sum(is_dead(trial) and INTERRUPTED not in trial.user_attrs for trial in attempts) >= DEATHS


def missing_points(plan: SearchPlan, trials: Sequence[FrozenTrial]) -> list[int]:
    """Return the points that need a trial to be enqueued: those of the grid without one, and those whose trials died."""
    points = trials_by_point(trials)
    wanted = range(len(plan.points)) if plan.points else sorted(points)
    return [point for point in wanted if counting(points.get(point, ())) is None and not is_given_up(points.get(point, ()))]


def suggestions_left(plan: SearchPlan, trials: Sequence[FrozenTrial]) -> int:
    """Return how many points ``tpe`` may still suggest; none in a grid."""
    return 0 if plan.points else max(plan.size - len(trials_by_point(trials)), 0)


def is_surplus(plan: SearchPlan, trials: Sequence[FrozenTrial], number: int) -> bool:
    """Whether the running trial ``number`` must not run: another one counts for its point, or the search is full.

    Only trials with lower numbers decide, and those never become more: all processes come to the same answer.
    """
    trial = next(trial for trial in trials if trial.number == number)
    before = trials_by_point([other for other in trials if other.number < number])
    if POINT not in trial.user_attrs:  # drawn, not enqueued: of a grid two processes saw the last enqueued trial
        return bool(plan.points) or len(before) >= plan.size
    return counting(before.get(point_of(trial), ())) is not None


def suggested(plan: SearchPlan, trial: Trial) -> dict[str, Any]:
    """Return the values of a trial's options, enqueued or drawn.

    Optuna gets the members of a list of values as JSON texts: a category of its own cannot be a list.
    """
    return decoded(plan, {axis.key: _suggest(axis, trial) for axis in plan.axes})


def encoded(plan: SearchPlan, point: int, attempts: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Return the parameters with which a missing point is enqueued: of the grid, or of the suggestion whose trials died."""
    if plan.points:
        return {key: json.dumps(value) for key, value in plan.points[point].items()}
    return dict(max((trial.params for trial in attempts), key=len, default={}))


def decoded(plan: SearchPlan, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the training recipe's options from the parameters of a trial."""
    return {
        axis.key: json.loads(parameters[axis.key]) if axis.values else parameters[axis.key]
        for axis in plan.axes
        if axis.key in parameters
    }


def _suggest(axis: Axis, trial: Trial) -> str | int | float:
    if axis.values:
        return trial.suggest_categorical(axis.key, [json.dumps(value) for value in axis.values])
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return trial.suggest_int(axis.key, axis.low, axis.high, log=axis.log)
    return trial.suggest_float(axis.key, axis.low, axis.high, log=axis.log)
