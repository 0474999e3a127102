"""Jobs wait in a queue and are computed by worker processes: a lane for quick ones and lanes for long ones.

A lane is a thread with one process. A job that is cancelled while it runs ends with its process, and the lane starts another.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from resinflow.flow import Remedy

__all__ = ["Desk", "Job", "Kind", "State"]

Kind = Literal["look", "read", "pick", "answer"]
State = Literal["queued", "running", "done", "refused", "failed", "cancelled"]
QUICK: tuple[Kind, ...] = ("look", "read", "pick")
LONG: tuple[Kind, ...] = ("answer",)
_PATIENCE = 5.0
"""Seconds that a process has to end."""


@dataclass(eq=False)
class Job:
    """One computation. The desk's threads write its state; pages read it.

    Attributes:
        kind: what is computed.
        folder: of its session.
        values: what the worker is told.
        id: under which a fault is logged.
        state: where it stands.
        stage: what is being done.
        iteration: of the solver; None outside of it.
        residual: of that iteration, relative to the first.
        permeability: K so far, m^2; None before there is one.
        error: about the relative error of it; None: not known.
        draws: how many there are so far, whose mean K is; 0 for none.
        interval: m^2, of 90 % by the scatter of the draws; None for fewer than two.
        result: what has come back so far.
        line: why it was refused or failed, in one line.
        remedies: what helps a solver that stopped before its goal, by their names in the library.
        reached: the relative error of K at which it stopped; None: not known.
        stamp: grows with every change.
    """

    kind: Kind
    folder: Path
    values: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    state: State = "queued"
    stage: str = ""
    iteration: int | None = None
    residual: float | None = None
    permeability: float | None = None
    error: float | None = None
    draws: int = 0
    interval: tuple[float, float] | None = None
    result: dict[str, Any] = field(default_factory=dict)
    line: str = ""
    remedies: tuple[Remedy, ...] = ()
    reached: float | None = None
    stamp: int = 0
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.state not in ("queued", "running")

    @property
    def seconds(self) -> float:
        """Time since it was started, or that it took."""
        if self.started_at is None:
            return 0.0
        return (self.ended_at or time.monotonic()) - self.started_at

    def end(self, state: State, line: str = "") -> None:
        """Come to an end."""
        self.state, self.line, self.ended_at = state, line, time.monotonic()
        self.stamp += 1

    def take(self, message: dict[str, Any]) -> None:
        """Take note of what the worker says before the end."""
        if message["event"] == "part":
            self.result = {**self.result, **message["result"]}
        else:
            self.stage = message.get("stage", self.stage)
            self.iteration, self.residual = message.get("iteration"), message.get("residual")
            self.permeability, self.error = message.get("permeability"), message.get("error")
            self.draws, ends = message.get("draws", 0), message.get("interval")
            self.interval = None if ends is None else (float(ends[0]), float(ends[1]))
        self.stamp += 1


class Desk:
    """Takes jobs and has them computed.

    Args:
        log: file to which workers write what goes wrong.
        lanes: long jobs that are computed at once.
    """

    def __init__(self, log: Path, lanes: int = 1) -> None:
        self._log = log
        self._waiting: list[Job] = []
        self._change = threading.Condition()
        self._closed = False
        self._lanes = [_Lane(self, QUICK), *(_Lane(self, LONG) for _ in range(lanes))]

    def start(self) -> None:
        """Start the lanes with their processes."""
        for lane in self._lanes:
            lane.start()

    def submit(self, job: Job) -> Job:
        """Put a job into the queue and return it."""
        with self._change:
            self._waiting.append(job)
            self._change.notify_all()
        return job

    def place(self, job: Job) -> int:
        """Return how many jobs of its lanes wait before a job; 0 for the next one."""
        with self._change:
            kinds = QUICK if job.kind in QUICK else LONG
            before = [other for other in self._waiting if other.kind in kinds]
            return before.index(job) if job in before else 0

    def cancel(self, job: Job) -> None:
        """End a job, wherever it stands; a running one ends with its process."""
        with self._change:
            if job.is_over:
                return
            running = job.state == "running"
            if job in self._waiting:
                self._waiting.remove(job)
            job.end("cancelled")
        if running:
            for lane in self._lanes:
                lane.drop(job)

    def next_job(self, kinds: Sequence[Kind]) -> Job | None:
        """Wait for a job of some kinds and return it as a running one; None when the desk is closed."""
        with self._change:
            while not self._closed:
                job = next((each for each in self._waiting if each.kind in kinds), None)
                if job is not None:
                    self._waiting.remove(job)
                    job.state, job.started_at = "running", time.monotonic()
                    job.stamp += 1
                    return job
                self._change.wait()
        return None

    def close(self) -> None:
        """End all jobs and processes."""
        with self._change:
            self._closed = True
            for job in self._waiting:
                job.end("cancelled")
            self._waiting.clear()
            self._change.notify_all()
        for lane in self._lanes:
            lane.stop()

    def open_process(self, kinds: Sequence[Kind]) -> subprocess.Popen[str]:
        """Start a worker process for some kinds, which ends with this one; its words to the terminal go to the log."""
        with self._log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "resinflow.app.worker", "quick" if kinds == QUICK else "long"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C ends the server, which ends its workers
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def note_fault(self, job: Job, text: str) -> None:
        """Write what went wrong with a job to the log, under its id."""
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} fault {job.id} ({job.kind}, {job.folder.name})\n{text}\n")


class _Lane(threading.Thread):
    """One thread that hands jobs to one process, and listens to it."""

    def __init__(self, desk: Desk, kinds: Sequence[Kind]) -> None:
        super().__init__(daemon=True)
        self._desk = desk
        self._kinds = kinds
        self._job: Job | None = None
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def run(self) -> None:
        self._ready()
        while (job := self._desk.next_job(self._kinds)) is not None:
            self._job = job
            process = self._ready()
            if process is None:
                job.end("cancelled")
                return
            self._hand_over(job, process)
            self._job = None
            self._ready()

    def drop(self, job: Job) -> None:
        """End the process if it computes a job."""
        if self._job is job:
            _end(self._process)

    def stop(self) -> None:
        """End the process for good."""
        with self._lock:
            self._stopped = True
        _end(self._process)

    def _ready(self) -> subprocess.Popen[str] | None:
        """Return a living process; None when the lane was stopped."""
        with self._lock:
            if self._stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = self._desk.open_process(self._kinds)
            return self._process

    def _hand_over(self, job: Job, process: subprocess.Popen[str]) -> None:
        """Have a job computed; return when it is over."""
        task = {"job": job.id, "kind": job.kind, "folder": str(job.folder), "values": job.values}
        try:
            stdin, stdout = _pipes(process)
            if job.is_over:
                return
            stdin.write(json.dumps(task) + "\n")
            stdin.flush()
            for line in stdout:
                message = json.loads(line)
                if message["job"] == job.id and self._heard(job, message):
                    return
        except (OSError, ValueError) as error:
            self._desk.note_fault(job, f"the way to the process broke: {error}")
        _end(process)
        if not job.is_over:
            self._desk.note_fault(job, f"the process ended with status {process.poll()}")
            job.end(
                "failed",
                f"its process ended, perhaps for want of memory (fault {job.id} in app.log of the work folder).",
            )

    def _heard(self, job: Job, message: dict[str, Any]) -> bool:
        """Take a message of the worker; return whether it was the last one of the job."""
        if job.is_over:
            return True
        if message["event"] == "done":
            job.result = {**job.result, **message["result"]}
            job.end("done")
        elif message["event"] == "refused":
            job.remedies, job.reached = tuple(message.get("remedies", ())), message.get("reached")
            job.end("refused", message["line"])
        elif message["event"] == "fault":
            self._desk.note_fault(job, message["trace"])
            job.end(
                "failed",
                f"a fault of resinflow ({message['line']}); its traceback is fault {job.id} in app.log of the work folder.",
            )
        else:
            job.take(message)
        return job.is_over


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise OSError("it has no pipes")
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[str] | None) -> None:
    """End a process and wait until it is gone."""
    if process is None or process.poll() is not None:
        return
    process.kill()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        return
