"""Wall and processor time of named parts, blocks of code and networks alike; what several benchmarks share."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")


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
    """Both clocks; only differences mean something."""
    return Seconds(time.perf_counter(), time.process_time())


def timed(work: Callable[[], T]) -> tuple[T, Seconds]:
    """Result of ``work`` and what it took."""
    begun = now()
    result = work()
    return result, now() - begun


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
        begun = now()
        try:
            yield
        finally:
            self._add(name, now() - begun)

    def watch(self, network: nn.Module, name: str) -> None:
        """Add the time of every call of a network to ``name``."""
        begun: list[Seconds] = []
        network.register_forward_pre_hook(lambda *_: begun.append(now()))
        network.register_forward_hook(lambda *_: self._add(name, now() - begun.pop()))

    def clear(self) -> None:
        """Forget everything so far."""
        self.total.clear()
        self.calls.clear()

    def _add(self, name: str, seconds: Seconds) -> None:
        self.total[name] += seconds
        self.calls[name] += 1
