"""Several processes of one search on this machine, each on its share of the cores or on a GPU of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch

from resinflow.flow import InvalidInputError
from resinflow.search.search import Objective, Watch, prepare_search, publish, run_search
from resinflow.search.search_interruption import interruptible
from resinflow.search.search_plan import SearchPlan
from resinflow.search.search_results import TrialRow, rows_of
from resinflow.search.search_storage import HEARTBEAT, Heartbeat

_LOOK = 1.0  # seconds between looks at the storage
_GPUS = "CUDA_VISIBLE_DEVICES"
_EXIT_ERROR, _EXIT_INTERRUPTED = 2, 130


@dataclass(frozen=True)
class _Job:
    """What one process gets; it is sent to it."""

    plan: SearchPlan
    objective: Objective
    folder: Path
    storage: str | None
    trials: int | None
    data: str
    beat: Heartbeat
    gpu: str | None
    share: int


def run_search_jobs(
    plan: SearchPlan,
    objective: Objective,
    folder: str | Path,
    *,
    jobs: int,
    storage: str | None = None,
    trials: int | None = None,
    data: str = "",
    beat: Heartbeat = HEARTBEAT,
    watch: Watch | None = None,
) -> list[TrialRow]:
    """Run a search as :func:`~resinflow.search.search.run_search` does, in ``jobs`` processes.

    They share the GPUs in turn, or the cores. ``objective`` is sent to them: a function or an object of a module.

    Raises:
        InvalidInputError: as ``run_search``, or a process that ended early.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; every process has noted that its trial is to be tried again.
    """
    folder = Path(folder)
    shared = prepare_search(plan, folder, storage=storage, data=data, beat=beat)
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of PyTorch and the database's connections
    errors: SimpleQueue[str] = context.SimpleQueue()
    gpus = _visible_gpus()
    processes = []
    for place in range(jobs):
        most = None if trials is None else trials // jobs + (place < trials % jobs)
        gpu = gpus[place % len(gpus)] if gpus else None
        job = _Job(plan, objective, folder, storage, most, data, beat, gpu, jobs)
        processes.append(context.Process(target=_run_job, args=(job, errors)))
    try:
        with interruptible():
            for process in processes:
                process.start()
            while any(process.is_alive() for process in processes):
                if watch is not None:
                    watch(rows_of(plan, shared.trials()))
                time.sleep(_LOOK)
    finally:
        _stop(processes)
    rows = publish(plan, shared, folder, watch)
    failed = [process for process in processes if process.exitcode]
    if failed and sum(row.finished for row in rows) < plan.size:  # else the other processes have made up for it
        reason = errors.get() if not errors.empty() else f"exit status {failed[0].exitcode}"
        raise InvalidInputError(
            f"{len(failed)} of {jobs} processes ended early ({reason}); needed: room for all of them; "
            "run the same command again, with fewer jobs if memory was short."
        )
    return rows


def _stop(processes: list[BaseProcess]) -> None:
    """End what still runs, and wait until it has noted so in the storage."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        if process.pid is not None:
            process.join()


def _run_job(job: _Job, errors: SimpleQueue[str]) -> None:
    """Be one process of a search."""
    if job.gpu is not None:
        os.environ[_GPUS] = job.gpu
    torch.set_num_threads(max(1, torch.get_num_threads() // job.share))
    try:
        run_search(
            job.plan,
            job.objective,
            job.folder,
            storage=job.storage,
            trials=job.trials,
            data=job.data,
            beat=job.beat,
        )
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)
    except InvalidInputError as error:
        errors.put(str(error))
        sys.exit(_EXIT_ERROR)


def _visible_gpus() -> list[str]:
    """Return the GPUs that this process sees, as the variable that hides the others names them."""
    named = os.environ.get(_GPUS)
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    return [str(place) for place in range(torch.cuda.device_count())]
