"""Running one function over many sample numbers: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Any

from resinflow.core import InvalidInputError, MissingDependencyError

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_SMALLEST_WINDOW = 16
"""Samples in flight on a cluster that has no workers yet."""
_PATIENCE = 10.0
"""Seconds to reach a scheduler."""

Make = Callable[[int], int]


def run_on_processes(make: Make, indices: list[int], workers: int) -> Iterator[int]:
    """Call ``make`` for every number in ``workers`` processes and yield what it returns as it comes.

    One worker works in this process. The processes end with this one, however it ends.
    """
    if not indices:
        return
    if workers == 1:
        yield from map(make, indices)
        return
    # fresh processes with one thread each: two OpenMP pools on one core wait for each other
    saved = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(min(workers, len(indices)), context, initializer=_end_with_parent) as pool:
            yield from _as_they_come(pool, make, indices, 2 * workers)
    finally:
        for name, value in saved.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _end_with_parent() -> None:
    """End this process when its parent has gone: killed outright, it cannot tell its children."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _as_they_come(pool: ProcessPoolExecutor, make: Make, indices: list[int], in_flight: int) -> Iterator[int]:
    waiting = iter(indices)
    running: set[Future[int]] = set()
    try:
        while True:
            running |= {pool.submit(make, index) for index in islice(waiting, in_flight - len(running))}
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run_on_cluster(make: Make, indices: list[int], scheduler: str) -> Iterator[int]:
    """Call ``make`` for every number on the workers of a Dask scheduler and yield what it returns as it comes.

    Workers may come and go: a sample whose worker is lost is made by another. Twice as many samples as the cluster has threads
    are in flight, so that a queue of any length costs the scheduler nothing.

    Raises:
        InvalidInputError: no scheduler answers.
        MissingDependencyError: Dask is not installed.
    """
    if not indices:
        return
    distributed = _distributed()
    try:
        client = distributed.Client(scheduler, timeout=_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise InvalidInputError(
            f"no Dask scheduler answers at {scheduler} ({type(error).__name__}); start one with: dask scheduler, "
            "and workers with: dask worker ADDRESS."
        ) from None
    with client:
        waiting = iter(indices)
        running = distributed.as_completed()
        while True:
            window = max(2 * sum(client.nthreads().values()), _SMALLEST_WINDOW)
            for index in islice(waiting, max(window - running.count(), 0)):
                running.add(client.submit(make, index, pure=False))
            if running.is_empty():
                return
            yield next(running).result()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise MissingDependencyError(
            "a Dask scheduler needs dask.distributed, which is not installed; run: pip install 'resinflow[cluster]'."
        ) from None
    return distributed
