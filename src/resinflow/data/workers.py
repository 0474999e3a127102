"""Calls of a function for many numbers, by this process, by processes of this machine, or by the workers of a Dask cluster."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, cast

from resinflow.flow import InvalidInputError, MissingDependencyError, check_whole

if TYPE_CHECKING:
    from distributed import Client

_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
"""Workers share the cores among them: two pools of threads on one core wait for each other."""
_SMALLEST_WINDOW = 16
"""Samples in flight on a cluster that has no workers yet."""
_PATIENCE = 10.0
"""Seconds to reach a scheduler."""

Make = Callable[[int], int]


def run_on_workers(
    make: Make, indices: list[int], *, workers: int | None = None, scheduler: str | None = None, dashboard: str | None = None
) -> Iterator[int]:
    """Call ``make`` for every number and yield what it returns as it comes.

    Args:
        make: a function that other processes can import.
        indices: the numbers.
        workers: processes of this machine, of one thread each; by default one a core. 1: this process itself, which needs no
            cluster. They end with this process, however it ends.
        scheduler: address of a Dask scheduler whose workers are used instead.
        dashboard: address (``:8787``) of Dask's dashboard on a local cluster; None: no dashboard.

    Raises:
        InvalidInputError: fewer than one worker, no scheduler answers, a dashboard without a local cluster, or a sample whose
            workers die again and again.
        MissingDependencyError: a dashboard without bokeh.
    """
    available = (os.cpu_count() or 1) if workers is None else check_whole("workers", workers, 1)
    count = min(available, max(len(indices), 1))
    if dashboard is not None and (scheduler is not None or count == 1):
        raise InvalidInputError("a dashboard was asked for; needed: a local cluster of two or more workers and no --scheduler.")
    if not indices:
        return
    if scheduler is None and count == 1:
        yield from map(make, indices)
        return
    with _connected(scheduler) if scheduler is not None else _local_cluster(count, dashboard) as client:
        yield from _as_they_come(client, make, indices)


def check_scheduler(scheduler: str) -> None:
    """Refuse the address of a Dask scheduler that does not answer.

    Raises:
        InvalidInputError: none answers within ten seconds.
    """
    with _connected(scheduler):
        pass


@contextmanager
def _local_cluster(workers: int, dashboard: str | None) -> Iterator[Client]:
    from distributed import Client, LocalCluster

    if dashboard is not None and importlib.util.find_spec("bokeh") is None:
        raise MissingDependencyError("Dask's dashboard needs bokeh, which is not installed; run: pip install bokeh.")
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=dashboard,  # type: ignore[arg-type] (None: no dashboard, says its documentation)
            memory_limit=0,  # a sample's memory is small and known; a pause at a limit would only slow the others
            env=_ONE_THREAD,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise InvalidInputError(
            f"no Dask scheduler answers at {scheduler} ({type(error).__name__}); start one with: dask scheduler, "
            "and workers with: dask worker ADDRESS."
        ) from None
    with client:
        yield client


def _as_they_come(client: Client, make: Make, indices: list[int]) -> Iterator[int]:
    """Results of a cluster whose workers may come and go: a sample whose worker is lost is made by another.

    Twice as many samples as the cluster has threads are in flight, so that a queue of any length costs the scheduler nothing.
    """
    from distributed import KilledWorker, as_completed

    waiting = iter(indices)
    running = as_completed()
    while True:
        threads = cast(dict[str, int], client.nthreads())
        window = max(2 * sum(threads.values()), _SMALLEST_WINDOW)
        for index in islice(waiting, max(window - running.count(), 0)):
            running.add(client.submit(make, index, pure=False))
        if running.is_empty():
            return
        try:
            yield next(running).result()
        except KilledWorker as error:
            raise InvalidInputError(
                f"workers died again and again over one sample ({str(error).splitlines()[0][:120]}); needed: workers with "
                "more memory; then run the same command again."
            ) from None
