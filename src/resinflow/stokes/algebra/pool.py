"""How the kernels are compiled, and how their rows are shared out between threads.

Every kernel takes a range of rows ``lo, hi`` first and writes only what belongs to those rows, so that any split gives the same
result, bit for bit. They release the interpreter lock; plain threads run them, which (unlike a parallel loop inside the
kernel) needs no second compilation and may be used from several threads and processes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from types import TracebackType
from typing import Any

import numba

kernel = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp", "nnan"})
"""Decorator: division by zero does not branch, sums may be reordered; both are what lets the loops use vector registers."""

_SMALLEST_SHARE = 100_000
"""Values a thread must have to do before it is worth waking."""


def threads_at_hand() -> int:
    """Return the number of threads that numba is allowed to use (``NUMBA_NUM_THREADS``)."""
    return numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


class Pool:
    """A pool of threads that run a kernel over its rows; leaving the context ends the threads."""

    def __init__(self, threads: int | None = None) -> None:
        """``threads``: how many; by default :func:`threads_at_hand`."""
        self.threads = threads or threads_at_hand()
        self._executor = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def run(self, work: Callable[..., Any], rows: int, width: int, *arguments: Any) -> None:
        """Call ``work(lo, hi, *arguments)`` over ``rows`` rows of about ``width`` values each."""
        shares = min(self.threads, rows, rows * width // _SMALLEST_SHARE)
        if self._executor is None or shares <= 1:
            work(0, rows, *arguments)
            return
        cuts = [rows * k // shares for k in range(shares + 1)]
        waiting = [self._executor.submit(work, lo, hi, *arguments) for lo, hi in pairwise(cuts[1:])]
        try:
            work(0, cuts[1], *arguments)
            for future in waiting:
                future.result()
        except BaseException:  # a signal, which must find whole arrays
            wait(waiting)
            raise
