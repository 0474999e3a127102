"""The study of a search: a database that processes share, and which of its trials stands for which point.

A point is a combination of a grid (its place in the grid), or a suggestion of ``tpe`` (the number of its first trial). The
storage hands out trial numbers and changes of state atomically; from that follows the rule: **of all trials of a point the one
with the lowest number counts, unless its process died**. The others are surplus and end at once. So every point is tried once,
however many processes share the storage and whenever one of them is killed.

Optuna repeats the trials of dead processes too (``RetryHeartbeatStaleTrialCallback``), but only those that it finds itself, and
only if the process that finds one lives long enough to enqueue its successor. Here a successor follows from what the storage
holds, whichever way a trial ended.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import Connection, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from resinflow.flow import InvalidInputError
from resinflow.search.plan import SearchAxis, SearchPlan

POINT, BEGUN, ERROR, INTERRUPTED, SURPLUS, VALUES = "point", "begun", "error", "interrupted", "surplus", "values"
"""Attributes of a trial: its point, that it gave a sign of life, what it raised, that it was interrupted, that another trial
counts, the value of every fold."""
DEATHS = 3
"""A point whose process died so often (out of memory, say) is given up."""
_CLAIM = "claim"
TRIALS = "trials"
"""Key of a search recipe whose value may be raised when the search goes on."""
_OPENINGS = 5
_LOCK_TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class Heartbeat:
    """How the processes of a search see that one of them died.

    Attributes:
        interval: seconds between two signs of life.
        grace: seconds without one after which a running trial counts as dead.
    """

    interval: int = 15
    grace: int = 90


HEARTBEAT = Heartbeat()


class TrialSeededSampler(TPESampler):
    """Optuna's TPE with a fresh generator for every trial, seeded by the search's seed and the number of the trial.

    With one generator for a process, two processes of one seed would make the same first suggestions, and a search that was
    resumed would repeat those of its beginning. The same history gives the same suggestion here.

    Args:
        seed: of the search.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._search_seed = seed

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Seed the estimator for this trial."""
        super().__init__(seed=int(np.random.SeedSequence([self._search_seed, trial.number]).generate_state(1)[0]))
        super().before_trial(study, trial)


@dataclass(frozen=True)
class SharedStudy:
    """The study of a plan in a storage with signs of life.

    Attributes:
        plan: what is tried.
        study: the trials.
        storage: where they are.
        heartbeat: signs of life.
    """

    plan: SearchPlan
    study: optuna.Study
    storage: optuna.storages.RDBStorage
    heartbeat: Heartbeat

    def trials(self) -> list[FrozenTrial]:
        """Return all trials as the storage has them now."""
        return self.study.get_trials(deepcopy=False)

    def find_work(self) -> Literal["trial", "wait", "none"]:
        """Return whether there is a trial to begin, or only to wait for others; a point that needs a trial is enqueued.

        A point needs one if its trials died, or it is one of a grid and has none.
        """
        self._fail_stale_trials()
        trials = self.trials()
        states, points = {trial.state for trial in trials}, trials_by_point(trials)
        if TrialState.WAITING in states:
            return "trial"
        for point in range(self.plan.size) if self.plan.points else points:
            attempts = points.get(point, [])
            if counting_trial(attempts) is None and not is_given_up(attempts):
                self.study.enqueue_trial(self._parameters(point, attempts), user_attrs={POINT: point})
                return "trial"
        if not self.plan.points and len(points) < self.plan.size:
            return "trial"
        return "wait" if TrialState.RUNNING in states else "none"

    def begin(self, trial: Trial) -> bool:
        """Give a trial's first sign of life (``Study.optimize`` gives the later ones); return whether it is to run.

        It is surplus where another one counts for its point, or the search is full. Only trials with lower numbers decide, and
        those never become more: all processes come to the same answer.
        """
        study = self.storage.get_study_id_from_name(self.study.study_name)
        self.storage.record_heartbeat(self.storage.get_trial_id_from_study_id_trial_number(study, trial.number))
        trial.set_user_attr(BEGUN, True)
        earlier = trials_by_point([other for other in self.trials() if other.number < trial.number])
        if POINT in trial.user_attrs:
            surplus = counting_trial(earlier.get(trial.user_attrs[POINT], ())) is not None
        else:  # not enqueued; in a grid two processes saw the last enqueued trial
            surplus = bool(self.plan.points) or len(earlier) >= self.plan.size
            trial.set_user_attr(POINT, trial.number)
        if surplus:
            trial.set_user_attr(SURPLUS, True)
        return not surplus

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Return the values of a trial's options, enqueued or suggested.

        Optuna gets the members of a list of values as JSON texts: a category of its own cannot be a list.
        """
        return decode_values(self.plan, {key: _suggest(key, axis, trial) for key, axis in self.plan.axes.items()})

    def _fail_stale_trials(self) -> None:
        """Mark the trials of dead processes as failed, also those without any sign of life, which Optuna misses."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)
        limit = datetime.now() - timedelta(seconds=self.heartbeat.grace + self.heartbeat.interval)
        for trial in self.trials():
            silent = trial.state == TrialState.RUNNING and BEGUN not in trial.user_attrs
            if silent and trial.datetime_start is not None and trial.datetime_start < limit:
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def _parameters(self, point: int, attempts: Sequence[FrozenTrial]) -> dict[str, Any]:
        """Return what a point is enqueued with: its combination in the grid, or the suggestion whose trials died."""
        if self.plan.points:
            return {key: json.dumps(value) for key, value in self.plan.points[point].items()}
        return max((trial.params for trial in attempts), key=len, default={})


def open_study(url: str, plan: SearchPlan, claim: Mapping[str, Any], heartbeat: Heartbeat) -> SharedStudy:
    """Return the study of a search, made on first use.

    Args:
        url: of a database, as SQLAlchemy has it; Optuna makes its tables there.
        plan: of the search; its recipe names the study.
        claim: all that must be the same in every process of the search.
        heartbeat: signs of life.

    Raises:
        InvalidInputError: the storage cannot be used, or holds a study of this name with another claim.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what failed is in the results
    storage, recipe = _open_storage(url, heartbeat), plan.recipe
    median = optuna.pruners.MedianPruner(n_startup_trials=recipe.pruner_trials, n_warmup_steps=recipe.pruner_epochs)
    study = optuna.create_study(
        storage=storage,
        study_name=recipe.name,
        sampler=TrialSeededSampler(recipe.seed),
        pruner=median if recipe.pruner == "median" else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    digest = _digest(claim)
    earlier = study.user_attrs.get(_CLAIM, digest)
    if earlier != digest and earlier not in (_digest(fewer) for fewer in _with_fewer_trials(claim)):
        raise InvalidInputError(
            f"the storage holds a search {recipe.name} with another recipe or data set; needed: the same; choose another name."
        )
    study.set_user_attr(_CLAIM, digest)
    return SharedStudy(plan, study, storage, heartbeat)


def _digest(claim: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(claim, sort_keys=True).encode()).hexdigest()


def _with_fewer_trials(claim: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The same search with every smaller number of trials: the storage holds the digest of the last one alone."""
    search = claim["search"]
    for trials in range(1, search.get(TRIALS) or 1):
        yield {**claim, "search": {**search, TRIALS: trials}}


def trials_by_point(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Return the trials of every point by their numbers, without the surplus ones.

    Waiting and running trials that will turn out to be surplus are still among them, behind the one that counts.
    """
    points: dict[int, list[FrozenTrial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if SURPLUS not in trial.user_attrs:
            points.setdefault(trial.user_attrs.get(POINT, trial.number), []).append(trial)
    return points


def counting_trial(attempts: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the trial that counts among those of one point, None if all have died."""
    return next((trial for trial in attempts if not _is_dead(trial)), None)


def is_given_up(attempts: Sequence[FrozenTrial]) -> bool:
    """Whether a point's processes died too often; interruptions by the user are no deaths."""
    return sum(_is_dead(trial) and INTERRUPTED not in trial.user_attrs for trial in attempts) >= DEATHS


def decode_values(plan: SearchPlan, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the training recipe's options from the parameters of a trial."""
    return {
        key: json.loads(parameters[key]) if axis.values else parameters[key]
        for key, axis in plan.axes.items()
        if key in parameters
    }


def _is_dead(trial: FrozenTrial) -> bool:
    """Whether the process of a trial ended before the trial did: it failed without an error of its own."""
    return trial.state == TrialState.FAIL and not trial.user_attrs.keys() & {ERROR, SURPLUS}


def _suggest(key: str, axis: SearchAxis, trial: Trial) -> str | int | float:
    if axis.values:
        return trial.suggest_categorical(key, [json.dumps(value) for value in axis.values])
    low, high = axis.ends
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=axis.log)
    return trial.suggest_float(key, low, high, log=axis.log)


def _open_storage(url: str, heartbeat: Heartbeat) -> optuna.storages.RDBStorage:
    """Open the database, several times if need be: processes that start at once may trip over each other's making of tables."""
    opening = 1
    while True:
        try:
            return _connect(url, heartbeat)
        except (ImportError, RuntimeError, SQLAlchemyError, StorageInternalError) as error:
            if opening >= _OPENINGS or isinstance(error, ArgumentError | ImportError | RuntimeError):
                reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0]
                raise InvalidInputError(
                    f"the storage cannot be used ({reason}); needed: the URL of a database that answers and whose driver is "
                    "installed, e.g. sqlite:////folder/search.db or postgresql+psycopg2://user@host/base; check --storage."
                ) from None
        time.sleep(random.uniform(0.1, 0.5) * opening)
        opening += 1


def _connect(url: str, heartbeat: Heartbeat) -> optuna.storages.RDBStorage:
    sqlite = url.startswith("sqlite")
    engine = {"connect_args": {"timeout": _LOCK_TIMEOUT}} if sqlite else {"pool_pre_ping": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of the heartbeat
        storage = optuna.storages.RDBStorage(url, engine, heartbeat_interval=heartbeat.interval, grace_period=heartbeat.grace)
    if sqlite:
        event.listen(storage.engine, "begin", _lock)
    return storage


def _lock(connection: Connection) -> None:
    """Lock an SQLite file before the first look: it knows no row locks, and two processes would take one waiting trial."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
