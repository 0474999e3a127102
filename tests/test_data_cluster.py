"""Claims about generation on a Dask cluster and under SIGKILL: the same bytes as on one process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resinflow.data import workers
from resinflow.data.generate import generate
from resinflow.data.recipe import DataRecipe, load_data_recipe
from resinflow.data.store import FlowStore
from resinflow.data.workers import run_on_workers
from resinflow.flow.errors import InvalidInputError
from tests.conftest import TINY_RECIPE
from tests.dask_cluster import Cluster
from tests.tamper import tamper
from tests.test_data_store import RECIPE_TEXT, contents


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_the_same_bytes(tiny_store: FlowStore, scheduler: Cluster, tmp_path: Path) -> None:
    address, _ = scheduler
    seen: list[tuple[int, int]] = []
    generate(
        DataRecipe.model_validate(TINY_RECIPE),
        tmp_path / "cluster.zarr",
        scheduler=address,
        watch=lambda done, total: seen.append((done, total)),
    )
    assert contents(tmp_path / "cluster.zarr") == contents(tiny_store.path)
    assert seen == [(done, 8) for done in range(9)]


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(tiny_store: FlowStore, scheduler: Cluster, tmp_path: Path) -> None:
    address, workers = scheduler

    def lose_one(done: int, total: int) -> None:
        if done == 2:
            workers[0].kill()

    generate(DataRecipe.model_validate(TINY_RECIPE), tmp_path / "cluster.zarr", scheduler=address, watch=lose_one)
    assert contents(tmp_path / "cluster.zarr") == contents(tiny_store.path)


def test_what_a_killed_writer_left_behind_goes_with_the_next_call(tiny_store: FlowStore, tmp_path: Path) -> None:
    path = tmp_path / "killed.zarr"
    shutil.copytree(tiny_store.path, path)
    tamper(FlowStore.open(path), "complete", 3, 0)
    for place in ("velocity/c/3/0/0/0/0.1f.partial", "complete/c/3.2e.partial", "seed/zarr.3d.partial", "zarr.4c.partial"):
        (path / place).write_bytes(b"half")
    generate(DataRecipe.model_validate(TINY_RECIPE), path, workers=1)
    assert contents(path) == contents(tiny_store.path)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE", 0.5)
    with pytest.raises(InvalidInputError, match="no Dask scheduler answers at tcp://127.0.0.1:9") as caught:
        generate(DataRecipe.model_validate(TINY_RECIPE), tmp_path / "set.zarr", scheduler="tcp://127.0.0.1:9")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_sample_that_kills_every_worker_is_named_in_one_line() -> None:
    with pytest.raises(InvalidInputError, match="workers died again and again") as caught:
        list(run_on_workers(os._exit, [1, 2], workers=2))
    assert "\n" not in str(caught.value)


def threads_of_worker(index: int) -> int:
    return 100 * index + sum(int(os.environ[f"{name}_NUM_THREADS"]) for name in ("OMP", "NUMBA", "OPENBLAS", "MKL"))


@pytest.mark.slow
def test_local_workers_have_one_thread_each_and_no_dashboard(capfd: pytest.CaptureFixture[str]) -> None:
    assert sorted(run_on_workers(threads_of_worker, [0, 1, 2], workers=2)) == [4, 104, 204]
    assert "8787" not in "".join(capfd.readouterr())


def test_one_worker_is_this_process() -> None:
    assert set(run_on_workers(lambda _: os.getpid(), [1, 2, 3], workers=1)) == {os.getpid()}


@pytest.mark.parametrize("options", [{"workers": 1}, {"scheduler": "tcp://127.0.0.1:9"}])
def test_a_dashboard_without_a_local_cluster_is_refused(options: dict) -> None:
    with pytest.raises(InvalidInputError, match="needed: a local cluster"):
        list(run_on_workers(os._exit, [1, 2], dashboard=":0", **options))


@pytest.mark.slow
def test_generation_killed_several_times_ends_with_the_same_bytes_and_leaves_no_process(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE_TEXT.replace("samples: 4", "samples: 12"))
    path = tmp_path / "killed.zarr"
    command = [sys.executable, "-m", "resinflow", "data", "generate", str(recipe), str(path), "--workers", "2"]
    reached = 0
    for goal in (1, 4, 7):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None and reached < goal:
            time.sleep(0.01)
            reached = int(FlowStore.open(path).complete.sum()) if path.is_dir() else 0
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert goal <= reached < 12
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []
    data_recipe = load_data_recipe(recipe)
    whole = generate(data_recipe, tmp_path / "whole.zarr", workers=1)
    generate(data_recipe, path, workers=1)
    assert contents(path) == contents(whole.path)
