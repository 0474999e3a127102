"""Running a search: the trials of one process, and several processes on this machine."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
import torch
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError

from resinflow.data import data_fingerprint, open_flows
from resinflow.flow import InvalidInputError, Terminated, check_whole, replacing
from resinflow.presets import STAGES, LatentRecipe
from resinflow.presets.training import Device, resolve_device
from resinflow.search.objective import Objective, StageObjective, TrialSetup, check_start
from resinflow.search.plan import SearchPlan
from resinflow.search.results import TrialRow, rows_of, write_results
from resinflow.search.study import ERROR, HEARTBEAT, INTERRUPTED, POINT, TRIALS, VALUES, Heartbeat, SharedStudy, open_study

RowWatch = Callable[[list[TrialRow]], None]
"""Sees all rows after every trial."""
_ERROR_LENGTH = 500
_POLL = 0.5  # seconds between looks at the trials of other processes
_LOOK = 1.0  # seconds between looks at the processes of this machine
_ONE_INTERRUPTION = 2.0  # seconds
_GPUS = "CUDA_VISIBLE_DEVICES"
_EXIT_ERROR, _EXIT_INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Search:
    """A search, as every one of its processes gets it.

    Attributes:
        plan: what is tried.
        objective: trains one recipe and returns its validation loss; for several processes a function or object of a module.
        folder: where the results and the trials' folders are.
        storage: URL of a database; by default the SQLite file ``search.db`` in the folder.
        data: fingerprint of the data set; a search goes on only with the same.
        heartbeat: how the death of a process is noticed.
        write: writes the results after every trial; None: nobody does, and the folder is not claimed for the search.
    """

    plan: SearchPlan
    objective: Objective
    folder: Path
    storage: str | None = None
    data: str = ""
    heartbeat: Heartbeat = HEARTBEAT
    write: Callable[[SearchPlan, list[TrialRow], Path], None] | None = write_results

    def run(self, *, jobs: int = 1, trials: int | None = None, watch: RowWatch | None = None) -> list[TrialRow]:
        """Run the trials that are still to be run, and return one row a point.

        Running again, and any number of processes with the same storage, go on together: no point is tried twice, except one
        whose process was interrupted or died. A trial that raises is recorded with its error and the search goes on. The
        results are rewritten after every trial, each file in one step.

        Args:
            jobs: processes on this machine; they share the GPUs in turn, or the cores.
            trials: the most that this call begins.
            watch: sees the rows after every trial.

        Raises:
            InvalidInputError: folder or storage hold another search, the storage cannot be used, or a process ended early.
            KeyboardInterrupt: on Ctrl-C, or SIGTERM (then it is a ``Terminated``); the trials that were running are tried
                again by the next call.
        """
        shared = self.open()
        with remembering_interruption() as interruption:
            try:
                if jobs > 1:
                    _run_processes(self, shared, jobs, trials, watch)
                else:
                    _Worker(self, shared, interruption, watch).run(trials)
            except StorageInternalError as error:
                if interruption:
                    raise interruption[0] from error
                reason = str(error).splitlines()[0]
                raise InvalidInputError(
                    f"the storage was lost ({reason}); needed: one that answers; run the same command again."
                ) from error
        return self.publish(shared, watch)

    def open(self) -> SharedStudy:
        """Claim the folder and return the study that the processes share, made on first use.

        Raises:
            InvalidInputError: folder or storage hold another search, or the storage cannot be used.
        """
        claim = {  # without defaults: options that later versions add do not make another search of it
            "search": self.plan.recipe.model_dump(mode="json", exclude={"base"}, exclude_defaults=True),
            "training": self.plan.base.model_dump(mode="json", exclude_defaults=True),
            "data": self.data,
        }
        path = self.folder / "search.json"
        if self.write is not None and path.is_file():
            self._compare(json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(claim)))
        if self.storage is None:
            self.folder.mkdir(parents=True, exist_ok=True)
        url = self.storage or f"sqlite:///{(self.folder / 'search.db').resolve()}"
        shared = open_study(url, self.plan, claim, self.heartbeat)
        if self.write is not None:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(claim, indent=1) + "\n", encoding="utf-8")
        return shared

    def _compare(self, earlier: dict[str, Any], claim: dict[str, Any]) -> None:
        """Refuse another search than the one of the folder; the number of trials may be raised."""
        for part, name in {"search": "search recipe", "training": "training recipe", "data": "data set"}.items():
            then, now = earlier.get(part), claim[part]
            if then == now:
                continue
            detail = ""
            if isinstance(then, dict) and isinstance(now, dict):
                keys = [key for key in (*then, *now) if then.get(key) != now.get(key)]
                if keys == [TRIALS, TRIALS] and now[TRIALS] > then[TRIALS]:
                    continue
                values = (json.dumps(each.get(keys[0], "the default")) for each in (then, now))
                detail = f" ({keys[0]} was {' and is '.join(values)})"
            raise InvalidInputError(
                f"{self.folder} holds a search with another {name}{detail}; needed: the same, or another directory. Only "
                "trials can be raised."
            )

    def publish(self, shared: SharedStudy, watch: RowWatch | None) -> list[TrialRow]:
        """Write what the storage holds, show the rows and return them."""
        rows = rows_of(self.plan, shared.trials())
        if self.write is not None:
            self.write(self.plan, rows, self.folder)
        if watch is not None:
            watch(rows)
        return rows


def search_training(
    plan: SearchPlan,
    data: str | Path,
    folder: str | Path,
    *,
    jobs: int = 1,
    storage: str | None = None,
    trials: int | None = None,
    device: Device = "auto",
    watch: RowWatch | None = None,
) -> list[TrialRow]:
    """Search over trainings on a data set; see :class:`Search` and its ``run`` for the options.

    Raises:
        InvalidInputError: as there; fewer than one job or trial, there is no such device, the data set cannot be trained on, or
            a stage to start from is missing.
        KeyboardInterrupt: as there.
    """
    check_whole("jobs", jobs, 1)
    if trials is not None:
        check_whole("trials", trials, 1)
    resolve_device(device)
    source = open_flows(data)  # a mistake in these would fail every trial
    source.indices("train")
    if isinstance(plan.base, LatentRecipe):  # the published system measures its own factors
        dict(source.statistics)
    if plan.start is not None:
        for stage in STAGES[: STAGES.index(plan.recipe.stage)]:
            check_start(plan.start, stage)
    objective = StageObjective(str(data), plan.start, plan.recipe.keep_weights, device)
    search = Search(plan, objective, Path(folder), storage, data_fingerprint(source))
    return search.run(jobs=jobs, trials=trials, watch=watch)


@contextmanager
def remembering_interruption() -> Iterator[list[type[KeyboardInterrupt]]]:
    """Make SIGTERM, by which a queueing system ends a job, an interruption like Ctrl-C, and yield those that have come.

    The exception alone is not enough: libraries that are interrupted while they hold a lock may raise another one instead.
    Signals that come together are one interruption: a terminal and a parent process both tell a process to stop.
    """
    interruptions: list[type[KeyboardInterrupt]] = []
    latest = -math.inf

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal latest
        interruptions.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        if time.monotonic() - latest > _ONE_INTERRUPTION:
            latest = time.monotonic()
            raise interruptions[0]

    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM) if main}
    if main and os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see _starting
    try:
        yield interruptions
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Worker:
    """One process of a search."""

    def __init__(
        self, search: Search, shared: SharedStudy, interruption: list[type[KeyboardInterrupt]], watch: RowWatch | None
    ) -> None:
        self._search = search
        self._shared = shared
        self._interruption = interruption
        self._watch = watch
        self._count = 0
        self._number = -1

    def run(self, limit: int | None) -> None:
        """Run trials until none is left to begin and none runs elsewhere that may have died."""
        patience = self._search.heartbeat.grace + 2 * self._search.heartbeat.interval
        deadline = math.inf
        while limit is None or self._count < limit:
            self._check()
            work = self._shared.find_work()
            if work == "trial":
                self._run_one()
                deadline = math.inf
            elif work == "wait" and time.monotonic() < deadline:
                deadline = min(deadline, time.monotonic() + patience)
                time.sleep(_POLL)
            else:  # what still runs elsewhere is alive: its own process finishes it
                return

    def _run_one(self) -> None:
        """Begin one trial, and publish the results if it was not surplus."""
        count, study = self._count, self._shared.study
        try:
            study.optimize(self._try, n_trials=1, catch=(Exception,))
        except (UpdateFinishedTrialError, ValueError):
            # it was failed when this process gave no sign of life (a suspended machine, say): its point is tried elsewhere
            if self._number < 0 or not study.trials[self._number].state.is_finished():
                raise
        if self._count > count:
            self._search.publish(self._shared, self._watch)

    def _try(self, trial: optuna.Trial) -> float:
        """Return the value of a trial, and note on it why there is none."""
        self._number = trial.number
        if not self._shared.begin(trial):
            return math.nan  # no value: the trial fails
        self._count += 1
        try:
            return self._value(trial)
        except KeyboardInterrupt:
            trial.set_user_attr(INTERRUPTED, True)
            raise
        except (TrialPruned, UpdateFinishedTrialError, StorageInternalError):
            raise
        except Exception as error:
            if self._interruption:  # what an interrupted library made of it
                trial.set_user_attr(INTERRUPTED, True)
                raise self._interruption[0] from error
            trial.set_user_attr(ERROR, f"{type(error).__name__}: {' '.join(str(error).split())}"[:_ERROR_LENGTH])
            raise

    def _value(self, trial: optuna.Trial) -> float:
        """Train every fold and return the mean."""
        plan = self._search.plan
        folds, stage = plan.recipe.folds, plan.recipe.stage
        recipe = plan.training(self._shared.suggest(trial))
        folder = self._search.folder / plan.place(trial.user_attrs[POINT])
        values: list[float] = []
        for place in range(folds):
            first = place * recipe.options(stage).epochs if place else 0

            def report(epoch: int, loss: float, first: int = first) -> None:
                self._check()
                trial.report(loss, first + epoch)  # epochs count on from fold to fold
                if trial.should_prune():
                    raise TrialPruned

            fold, run = ((place, folds), folder / f"fold-{place}") if folds > 1 else (None, folder)
            value = float(self._search.objective(TrialSetup(recipe, stage, run, fold, report)))
            if not math.isfinite(value):
                raise ArithmeticError(f"the validation loss is {value}")
            values.append(value)
            trial.set_user_attr(VALUES, values)
        return sum(values) / folds

    def _check(self) -> None:
        if self._interruption:
            raise self._interruption[0]


def _run_processes(search: Search, shared: SharedStudy, jobs: int, trials: int | None, watch: RowWatch | None) -> None:
    """Run a search in processes of its own, each on its share of the cores or on a GPU of its own."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of PyTorch and the database's connections
    errors: SimpleQueue[str] = context.SimpleQueue()
    gpus: list[Any] = _visible_gpus() or [None]
    limits = [None if trials is None else trials // jobs + (place < trials % jobs) for place in range(jobs)]
    processes = [
        context.Process(target=_run_process, args=(search, limit, gpus[place % len(gpus)], jobs, errors))
        for place, limit in enumerate(limits)
    ]
    try:
        with _starting():
            for process in processes:
                process.start()
        while any(process.is_alive() for process in processes):
            if watch is not None:
                watch(rows_of(search.plan, shared.trials()))
            time.sleep(_LOOK)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
        for process in processes:
            if process.pid is not None:
                process.join()  # by then it has noted in the storage that its trial is to be tried again
    failures = [process for process in processes if process.exitcode]
    if failures and sum(row.finished for row in search.publish(shared, watch)) < search.plan.size:  # not made up for
        reason = errors.get() if not errors.empty() else f"exit status {failures[0].exitcode}"
        raise InvalidInputError(
            f"{len(failures)} of {jobs} processes ended early ({reason}); needed: room for all of them; "
            "run the same command again, with fewer jobs if memory was short."
        )


@contextmanager
def _starting() -> Iterator[None]:
    """Put signals off until the processes that the block starts are whole, and keep Ctrl-C from them until they are ready.

    A process that still imports its libraries would answer Ctrl-C with a traceback, so it inherits a mask. The mask alone
    does not shield the block: it is one thread's, and a signal that another thread takes would raise here between the start
    of a process and what that process waits to be told.
    """
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    late: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        late.append(number)

    handlers = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in late[:1]:
            signal.raise_signal(number)


def _run_process(search: Search, trials: int | None, gpu: str | None, jobs: int, errors: SimpleQueue[str]) -> None:
    if gpu is not None:
        os.environ[_GPUS] = gpu
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    sys.unraisablehook = lambda _: None  # what an interruption meets in a destructor is none of the user's
    try:
        search.run(trials=trials)
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)
    except InvalidInputError as error:
        errors.put(str(error))
        sys.exit(_EXIT_ERROR)


def _visible_gpus() -> list[str]:
    """Return the GPUs that this process sees, as the variable that hides the others names them."""
    names = os.environ.get(_GPUS)
    if names is None:
        return [str(place) for place in range(torch.cuda.device_count())]
    return [name for name in names.split(",") if name.strip()]
