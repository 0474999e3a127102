"""Claims about the processes that compute: they refuse in one line, die when they are told to, and outlive nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from resinflow.app.jobs import Desk, Job, Kind
from resinflow.app.user_choices import Choices
from resinflow.app.work_folder import WorkFolder, keep_medium
from resinflow.media import example_path

SIZES = {"pixel_size": "0.78125um", "depth": "50um"}
PATIENCE = 90.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, or fail."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> WorkFolder:
    return WorkFolder(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def desk(work: WorkFolder) -> Iterator[Desk]:
    desk = Desk(work.log)
    desk.start()
    yield desk
    desk.close()


def job_of(kind: Kind, work: WorkFolder, data: bytes | None = None, **choices: object) -> Job:
    """A job on the embedded example, or on other bytes, in a session's folder of its own."""
    folder = work.new_session()
    (folder / "input" / "image.tif").write_bytes(example_path().read_bytes() if data is None else data)
    values = Choices.of({"image": "input/image.tif", "name": "a.tif", **SIZES, **choices})
    return Job(kind, folder, {"choices": asdict(values), "run": "answer-1", "x": 10.0, "y": 10.0, "slice": 0})


def done(desk: Desk, job: Job) -> Job:
    desk.submit(job)
    until(lambda: job.is_over)
    return job


def test_the_example_is_looked_at_and_read_and_a_bad_image_ends_nothing(desk: Desk, work: WorkFolder):
    looked = done(desk, job_of("look", work))
    assert looked.result == {"slices": 11, "height": 64, "width": 64, "tag": None}
    bad = done(desk, job_of("look", work, b"II*\0" + os.urandom(400)))
    assert bad.state == "refused"
    assert "\n" not in bad.line
    read = done(desk, job_of("read", work))
    assert read.state == "done"
    assert 0.4 < read.result["fraction"] < 0.5
    picked = Job("pick", read.folder, {**read.values, "x": 12.0, "y": 6.0})
    assert "thick" in done(desk, picked).result["line"]


def test_a_fault_is_told_with_an_id_that_the_log_has(desk: Desk, work: WorkFolder):
    broken = job_of("answer", work)
    broken.values = {"choices": broken.values["choices"]}  # no folder of the answer: a fault of the server
    assert done(desk, broken).state == "failed"
    assert broken.id in broken.line
    assert broken.id in work.log.read_text()
    assert done(desk, job_of("look", work)).state == "done"


def test_a_running_computation_that_is_cancelled_ends_with_its_process(desk: Desk, work: WorkFolder):
    read = done(desk, job_of("read", work))
    for run in ("answer-1", "answer-2"):
        keep_medium(read.folder, run)
    answer = desk.submit(Job("answer", read.folder, {**read.values, "choices": {**read.values["choices"], "task": "solve"}}))
    behind = desk.submit(Job("answer", read.folder, {**read.values, "run": "answer-2"}))
    until(lambda: answer.state == "running")
    assert desk.place(behind) == 0
    before = workers()
    desk.cancel(answer)
    desk.cancel(behind)
    assert (answer.state, behind.state) == ("cancelled", "cancelled")
    until(lambda: bool(before - workers()))
    assert done(desk, job_of("look", work)).state == "done"


def test_a_closed_desk_leaves_no_process_and_ends_what_waits(work: WorkFolder):
    before = workers()  # of the other desk
    desk = Desk(work.log)
    desk.start()
    until(lambda: len(workers() - before) == 2)
    running, waiting = (desk.submit(job_of("answer", work)) for _ in range(2))
    until(lambda: running.state == "running")
    desk.close()
    until(lambda: running.is_over and waiting.is_over)
    until(lambda: workers() <= before)
    assert waiting.state == "cancelled"


def test_a_desk_that_is_closed_at_once_leaves_no_process(work: WorkFolder):
    before = workers()
    desk = Desk(work.log)
    desk.start()
    desk.close()
    time.sleep(0.5)
    assert workers() <= before


@pytest.mark.slow
def test_of_twenty_sessions_at_once_every_question_is_answered(desk: Desk, work: WorkFolder):
    reads = [desk.submit(job_of("read", work, crop="0:32,0:32")) for _ in range(20)]
    answers = []
    for read in reads:
        until(lambda job=read: job.is_over)
        keep_medium(read.folder, "answer-1")
        choices = {**read.values["choices"], "task": "tensor"}
        answers.append(desk.submit(Job("answer", read.folder, {**read.values, "choices": choices})))
    for job in answers:
        until(lambda job=job: job.is_over)
    assert [job.state for job in (*reads, *answers)] == ["done"] * 40
    assert len({job.result["permeability"] for job in answers}) == 1


def workers() -> set[int]:
    """The processes that compute for this one."""
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return {child.pid for child in children if "resinflow.app.worker" in child.cmdline()}


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path):
    code = (
        "import sys, time; from pathlib import Path; from resinflow.app.jobs import Desk\n"
        f"desk = Desk(Path({str(tmp_path / 'log')!r})); desk.start(); time.sleep(1); print('up', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    children = psutil.Process(parent.pid).children()
    assert len(children) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []
