"""A Dask scheduler and two workers, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Cluster = tuple[str, list[subprocess.Popen]]
"""Address of the scheduler, and the processes of the workers."""


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A real scheduler and two worker processes of one thread each, as ``dask scheduler`` and ``dask worker`` start them."""
    place = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    common = ["--no-dashboard", "--scheduler-file", str(place)]
    leader = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1", *common]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *common]
    started = [subprocess.Popen(leader, **quiet)]
    try:
        started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        yield _address_in(place), started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


def _address_in(place: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if place.is_file() and place.stat().st_size:
            return json.loads(place.read_text())["address"]
        time.sleep(0.05)
    raise TimeoutError("the scheduler did not start")
