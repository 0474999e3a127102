"""Search over the options of a training recipe: every point of a grid once, or the suggestions of an estimator."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from resinflow.flow import InvalidInputError, replacing
from resinflow.presets.training import Recipe
from resinflow.search.search_figure import write_figure
from resinflow.search.search_interruption import Interruption, interruptible
from resinflow.search.search_plan import SearchPlan
from resinflow.search.search_points import (
    ERROR,
    INTERRUPTED,
    POINT,
    SURPLUS,
    encoded,
    is_surplus,
    missing_points,
    suggested,
    suggestions_left,
    trials_by_point,
)
from resinflow.search.search_results import VALUES, TrialRow, rows_of, write_tables
from resinflow.search.search_storage import HEARTBEAT, Heartbeat, SharedStudy, open_study
from resinflow.train import StageConfig, StageName

_ERROR_LENGTH = 500
_POLL = 0.5  # seconds between looks at the trials of other processes


@dataclass(frozen=True)
class TrialSetup:
    """One training that an objective is asked for.

    Attributes:
        config: the training recipe.
        stage: the stage that is judged.
        folder: where the training may write; the same when a trial whose process died is tried again.
        fold: (place, number of folds) of a cross-validation, None for the data set's own validation split.
        report: takes an epoch, counted from 0, and its validation loss; raises where the trial is to be stopped.
    """

    config: Recipe
    stage: StageName
    folder: Path
    fold: tuple[int, int] | None
    report: Callable[[int, float], None]


Objective = Callable[[TrialSetup], float]
"""Returns the validation loss of a training; a failure is an exception."""
Watch = Callable[[list[TrialRow]], None]
"""Sees all rows after every trial."""


def run_search(
    plan: SearchPlan,
    objective: Objective,
    folder: str | Path,
    *,
    storage: str | None = None,
    trials: int | None = None,
    data: str = "",
    beat: Heartbeat = HEARTBEAT,
    watch: Watch | None = None,
) -> list[TrialRow]:
    """Run the trials of a search that are still to be run, and return one row a point.

    Running again, and any number of processes with the same storage, go on together: no point is tried twice, except one whose
    process was interrupted or died. A trial that raises is recorded with its error and the search goes on. ``results.csv``,
    ``top10.csv``, ``summary.txt`` and ``search.png`` are rewritten after every trial, each in one step.

    Args:
        plan: what is tried.
        objective: trains one recipe and returns its validation loss.
        folder: where the results and the trials' folders are.
        storage: URL of a database; by default the SQLite file ``search.db`` in the folder.
        trials: the most that this call begins.
        data: fingerprint of the data set; a search goes on only with the same.
        beat: how the death of a process is noticed.
        watch: sees the rows after every trial.

    Raises:
        InvalidInputError: the folder or the storage holds another search, or the storage cannot be used.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; the trial that was running is tried again by the next call.
    """
    folder = Path(folder)
    shared = prepare_search(plan, folder, storage=storage, data=data, beat=beat)
    with interruptible() as interruption:
        try:
            _Worker(plan, objective, folder, shared, interruption, watch).run(trials)
        except StorageInternalError as error:
            interruption.check()
            raise InvalidInputError(
                f"the storage was lost ({str(error).splitlines()[0]}); needed: one that answers; run the same command again."
            ) from error
    return publish(plan, shared, folder, watch)


def prepare_search(
    plan: SearchPlan, folder: Path, *, storage: str | None = None, data: str = "", beat: Heartbeat = HEARTBEAT
) -> SharedStudy:
    """Claim the folder for a search and return its shared study, made on first use.

    Raises:
        InvalidInputError: the folder or the storage holds another search, or the storage cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what failed is in the results
    claim = {  # without defaults: options that later versions add do not make another search of it
        "search": plan.config.model_dump(mode="json", exclude={"base"}, exclude_defaults=True),
        "training": plan.base.model_dump(mode="json", exclude_defaults=True),
        "data": data,
    }
    _claim_folder(folder, claim)
    url = storage or f"sqlite:///{(folder / 'search.db').resolve()}"
    return open_study(url, plan.config, claim, beat)


def publish(plan: SearchPlan, shared: SharedStudy, folder: Path, watch: Watch | None = None) -> list[TrialRow]:
    """Write tables and figure from what the storage holds, show the rows and return them."""
    rows = rows_of(plan, shared.trials())
    write_tables(plan, rows, folder)
    write_figure(plan, rows, folder / "search.png")
    if watch is not None:
        watch(rows)
    return rows


def _claim_folder(folder: Path, claim: Mapping[str, Any]) -> None:
    """Write what is searched on first use; refuse another search afterwards."""
    path = folder / "search.json"
    if not path.is_file():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(claim, indent=1) + "\n", encoding="utf-8")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    names = {"search": "search recipe", "training": "training recipe", "data": "data set"}
    for key, name in names.items():
        if found.get(key) != json.loads(json.dumps(claim[key])):
            raise InvalidInputError(f"{folder} holds a search with another {name}; needed: the same, or another directory.")


class _SurplusError(Exception):
    """Another trial counts for the point of this one."""


class _Worker:
    """One process of a search."""

    def __init__(
        self,
        plan: SearchPlan,
        objective: Objective,
        folder: Path,
        shared: SharedStudy,
        interruption: Interruption,
        watch: Watch | None,
    ) -> None:
        self._plan = plan
        self._objective = objective
        self._folder = folder
        self._shared = shared
        self._study = shared.study
        self._interruption = interruption
        self._watch = watch
        self._begun = 0
        self._number: int | None = None

    def run(self, most: int | None) -> None:
        """Run trials until none is left to begin and none runs elsewhere that may have died."""
        waiting_since: float | None = None
        while most is None or self._begun < most:
            self._interruption.check()
            self._shared.bury()
            trials = self._shared.trials()
            missing = missing_points(self._plan, trials)
            queued = any(trial.state == TrialState.WAITING for trial in trials)
            if missing and not queued:
                self._enqueue(missing[0], trials)
            if missing or queued or suggestions_left(self._plan, trials):
                self._run_one()
                waiting_since = None
                continue
            if not any(trial.state == TrialState.RUNNING for trial in trials):
                return
            waiting_since = waiting_since or time.monotonic()
            if time.monotonic() - waiting_since > self._shared.beat.grace + 2 * self._shared.beat.interval:
                return  # they live: their own processes finish them
            time.sleep(_POLL)

    def _enqueue(self, point: int, trials: list[FrozenTrial]) -> None:
        attempts = trials_by_point(trials).get(point, [])
        self._study.enqueue_trial(encoded(self._plan, point, attempts), user_attrs={POINT: point})

    def _run_one(self) -> None:
        """Begin one trial, and publish the results if it was not surplus."""
        before = self._begun
        try:
            self._study.optimize(self._try, n_trials=1, catch=(Exception,))
        except (UpdateFinishedTrialError, ValueError):
            # it was buried when this process gave no sign of life (a suspended machine, say): its point is tried elsewhere
            if self._number is None or not self._study.trials[self._number].state.is_finished():
                raise
        if self._begun > before:
            publish(self._plan, self._shared, self._folder, self._watch)

    def _try(self, trial: optuna.Trial) -> float:
        """Return the value of a trial, and note on it why there is none."""
        self._number = trial.number
        self._shared.begin(trial)
        if is_surplus(self._plan, self._shared.trials(), trial.number):
            trial.set_user_attr(SURPLUS, True)
            raise _SurplusError
        self._begun += 1
        try:
            trial.set_user_attr(POINT, trial.user_attrs.get(POINT, trial.number))
            return self._value(trial)
        except KeyboardInterrupt:
            trial.set_user_attr(INTERRUPTED, True)
            raise
        except (TrialPruned, UpdateFinishedTrialError, StorageInternalError):
            raise
        except Exception as error:
            if self._interruption.received:  # what an interrupted library made of it
                trial.set_user_attr(INTERRUPTED, True)
                raise KeyboardInterrupt from error
            trial.set_user_attr(ERROR, f"{type(error).__name__}: {' '.join(str(error).split())}"[:_ERROR_LENGTH])
            raise

    def _value(self, trial: optuna.Trial) -> float:
        """Train every fold and return the mean."""
        plan, folds = self._plan, self._plan.config.folds
        stage = plan.config.stage
        config = plan.training(suggested(plan, trial))
        options: StageConfig = getattr(config, stage)
        folder = self._folder / "trials" / f"{trial.user_attrs[POINT]:04d}"
        values: list[float] = []
        for place in range(folds):
            report = self._reporter(trial, place * options.epochs)
            fold = (place, folds) if folds > 1 else None
            run = folder if fold is None else folder / f"fold-{place}"
            value = float(self._objective(TrialSetup(config, stage, run, fold, report)))
            if not math.isfinite(value):
                raise ArithmeticError(f"the validation loss is {value}")
            values.append(value)
            trial.set_user_attr(VALUES, values)
        return sum(values) / folds

    def _reporter(self, trial: optuna.Trial, first: int) -> Callable[[int, float], None]:
        """Return what a training reports its epochs to; they count on from fold to fold."""

        def report(epoch: int, loss: float) -> None:
            self._interruption.check()
            trial.report(loss, first + epoch)
            if trial.should_prune():
                raise TrialPruned

        return report
