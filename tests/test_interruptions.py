"""Signals, kills and companions: a command ends in one line and a status, and what is run again ends as if nothing had been."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from resinflow.data import FlowStore
from resinflow.search.trials import _starting
from tests.conftest import TINY_RECIPE, TINY_TRAINING

COMMAND = (sys.executable, "-c", "from resinflow.cli.app import main; main()")
PATIENCE = 300.0
"""Seconds that a busy machine may take to load the libraries of two processes."""


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a command as the leader of a process group of its own, as a terminal does."""
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(process: subprocess.Popen[str], is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end_group(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, list[str]]:
    """Send a signal to all processes of a command, as Ctrl-C does; return its status and the lines on stderr."""
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors.splitlines()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of a data set that takes seconds."""
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({name: list(v) if isinstance(v, tuple) else v for name, v in TINY_RECIPE.items()}))
    return path


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """A search whose trials end when they are told to."""
    endless = {**TINY_TRAINING, "vae3d": {**TINY_TRAINING["vae3d"], "epochs": 100_000, "workers": 0}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(endless))
    space = {"vae3d.learning_rate": {"values": [1e-3, 2e-3, 3e-3]}}
    path = tmp_path / "search.yaml"
    path.write_text(yaml.safe_dump({"name": "a", "base": "tiny.yaml", "mode": "grid", "stage": "vae3d", "space": space}))
    return path


WORDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "ended by SIGTERM")}


def assert_one_line(ending: tuple[int, list[str]], number: signal.Signals) -> None:
    status, lines = ending
    assert len(lines) == 1, lines
    assert (status, lines[0].partition(";")[0]) == WORDS[number]


@pytest.mark.parametrize(
    ("number", "begun"),
    [
        (signal.SIGINT, "search.json"),
        pytest.param(signal.SIGINT, "trials/*/vae3d/last.ckpt", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "trials/*/vae3d/last.ckpt", marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_all_processes_of_a_search_ends_it_in_one_line(number, begun, search, tiny_store: FlowStore, tmp_path):
    run = tmp_path / "run"
    process = start("search", search, "--data", tiny_store.path, "--run", run, "--jobs", 2, "--device", "cpu")
    wait_for(process, lambda: any(run.glob(begun)))
    assert_one_line(end_group(process, number), number)


def test_a_signal_that_comes_while_processes_are_started_waits_until_they_are_whole():
    steps: list[str] = []

    def interrupted_start() -> None:
        with _starting():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # as if another thread took it
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            steps.append("whole")

    with pytest.raises(KeyboardInterrupt):
        interrupted_start()
    assert steps == ["whole"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", WORDS)
def test_a_signal_to_a_training_ends_it_in_one_line_with_the_status_of_the_signal(
    number, workers, search, tiny_store: FlowStore, tmp_path
):
    run = tmp_path / "run"
    words = ("--data", tiny_store.path, "--run", run, "--recipe", search.with_name("tiny.yaml"), "--workers", workers)
    process = start("train", "vae3d", *words, "--device", "cpu")
    wait_for(process, (run / "vae3d" / "last.ckpt").is_file)
    assert_one_line(end_group(process, number), number)


@pytest.mark.parametrize("number", WORDS)
def test_a_signal_to_a_generation_ends_it_in_one_line_with_the_status_of_the_signal(number, recipe, tmp_path):
    values = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump({**values, "samples": 5000}))
    process = start("data", "generate", recipe, tmp_path / "set.zarr", "--workers", 1)
    wait_for(process, lambda: count(tmp_path / "set.zarr") > 0)
    assert_one_line(end_group(process, number), number)


def count(store: Path) -> int:
    """Samples of a data set that are on disk."""
    return len(list((store / "complete" / "c").glob("*"))) if store.exists() else 0


def assert_equal(path: Path, truth: FlowStore) -> None:
    """Every array of a data set is, bit by bit, that of one that was made in one go; nothing else lies there."""
    store = FlowStore.open(path)
    assert store.fields == truth.fields
    for name in store.fields:
        assert np.array_equal(store.read(name), truth.read(name), equal_nan=True), name
    assert store.attributes == truth.attributes
    assert not [file for file in path.rglob("*") if file.name.endswith(".partial")]
    assert not list(path.parent.glob(".*"))


def test_two_processes_at_once_on_one_data_set_make_the_same_as_one(recipe, tiny_store: FlowStore, tmp_path):
    store = tmp_path / "set.zarr"
    first = start("data", "generate", recipe, store, "--workers", 1)
    wait_for(first, lambda: (store / "zarr.json").is_file())
    second = start("data", "generate", recipe, store, "--workers", 1)
    ends = [(process.communicate(timeout=PATIENCE), process.returncode) for process in (first, second)]
    statuses = [status for _, status in ends]
    assert 0 in statuses
    for (_, errors), status in ends:  # the later one may find the split drawn between its look and its own draw
        assert (status, errors) == (0, "") or "a split is drawn once" in errors
    assert_equal(store, tiny_store)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_generation_whose_parent_is_killed_ends_the_same_when_it_is_run_again(workers, recipe, tiny_store, tmp_path):
    store = tmp_path / "set.zarr"
    process = start("data", "generate", recipe, store, "--workers", workers)
    wait_for(process, lambda: count(store) > 1)
    process.kill()  # its workers, if any, see that it is gone and end by themselves
    process.communicate(timeout=PATIENCE)
    assert count(store) < len(tiny_store)
    again = start("data", "generate", recipe, store, "--workers", workers)
    _, errors = again.communicate(timeout=PATIENCE)
    assert (again.returncode, errors) == (0, "")
    assert_equal(store, tiny_store)


@pytest.mark.slow
def test_many_kills_at_any_time_leave_a_generation_that_ends_the_same(recipe, tiny_store: FlowStore, tmp_path):
    store, delays = tmp_path / "set.zarr", np.random.default_rng(0).uniform(0.0, 1.5, 6)
    for delay in delays:
        process = start("data", "generate", recipe, store, "--workers", 2)
        wait_for(process, lambda: (store / "zarr.json").is_file())
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    again = start("data", "generate", recipe, store, "--workers", 2)
    _, errors = again.communicate(timeout=PATIENCE)
    assert (again.returncode, errors) == (0, "")
    assert_equal(store, tiny_store)


@pytest.mark.slow
def test_two_searches_at_once_in_one_folder_try_every_point_once(search, tiny_store: FlowStore, tmp_path):
    values = yaml.safe_load(search.with_name("tiny.yaml").read_text())
    values["vae3d"]["epochs"] = 1
    search.with_name("tiny.yaml").write_text(yaml.safe_dump(values))
    alone = tmp_path / "alone"
    words = ("search", search, "--data", tiny_store.path, "--device", "cpu", "--run")
    assert start(*words, alone).communicate(timeout=PATIENCE)[1] == ""
    both = [start(*words, tmp_path / "both") for _ in range(2)]
    assert [process.communicate(timeout=PATIENCE)[1] for process in both] == ["", ""]
    tables = [
        sorted(line.split(",")[:3] for line in (run / "results.csv").read_text().splitlines())
        for run in (alone, tmp_path / "both")
    ]
    assert len(tables[1]) == 4
    shutil.rmtree(alone)
