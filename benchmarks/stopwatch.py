"""What benchmarks share: the command line, wall and processor time of named parts, memory, processes of their own."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(__file__).parents[1]
T = TypeVar("T")


def command_line(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the text of a program."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def bound_threads(threads: int) -> dict[str, str]:
    """Return the environment of a process that computes with so many threads."""
    return {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}


def in_child(command: Sequence[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what a process of its own prints as JSON on its last line; end the program if that process fails."""
    child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if child.returncode:
        reason = (
            "killed, probably for memory" if child.returncode < 0 else (child.stderr.strip().splitlines() or ["no message"])[-1]
        )
        raise SystemExit(f"{' '.join(command[1:])} failed: {reason}")
    return json.loads(child.stdout.splitlines()[-1])


def peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(frozen=True)
class Seconds:
    """Wall time and processor time (all threads of the process)."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.wall * factor, self.cpu * factor)


def now() -> Seconds:
    """Return both clocks; only differences mean something."""
    return Seconds(time.perf_counter(), time.process_time())


def timed(work: Callable[[], T]) -> tuple[T, Seconds]:
    """Return the result of ``work`` and what it took."""
    start = now()
    result = work()
    return result, now() - start


class Stopwatch:
    """Adds up what named parts take.

    Attributes:
        total: per name the time so far.
        calls: per name the number of calls so far.
    """

    def __init__(self) -> None:
        self.total: dict[str, Seconds] = defaultdict(Seconds)
        self.calls: dict[str, int] = defaultdict(int)

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Add the time of a block to ``name``."""
        start = now()
        try:
            yield
        finally:
            self._add(name, now() - start)

    def watch(self, network: nn.Module, name: str) -> None:
        """Add the time of every call of a network to ``name``."""
        starts: list[Seconds] = []
        network.register_forward_pre_hook(lambda *_: starts.append(now()))
        network.register_forward_hook(lambda *_: self._add(name, now() - starts.pop()))

    def clear(self) -> None:
        """Forget everything so far."""
        self.total.clear()
        self.calls.clear()

    def _add(self, name: str, seconds: Seconds) -> None:
        self.total[name] += seconds
        self.calls[name] += 1
