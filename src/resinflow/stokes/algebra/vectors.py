"""Kernels on whole vectors: fields (rows + 1, width) and states (4, rows + 1, width).

Sums are formed a row at a time, so that no split between threads changes them, and leave out the ends of a row, which in
a periodic box repeat other places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.pool import Pool, kernel


class Step(NamedTuple):
    """The vectors of a step of conjugate gradients, (4, rows + 1, width) each.

    Attributes:
        search: direction of the step.
        solution: iterate, in double precision.
        change: preconditioned image of the direction.
        residual: preconditioned residual.
        dual_change: what the dual of the residual changes by.
        dual: dual of the residual.
    """

    search: NDArray[np.float32]
    solution: NDArray[np.float64]
    change: NDArray[np.float32]
    residual: NDArray[np.float32]
    dual_change: NDArray[np.float32]
    dual: NDArray[np.float32]


@kernel
def _dot(lo, hi, a, b, partial):
    for r in range(lo, hi):
        x, y = a[r], b[r]
        total = 0.0
        for j in range(1, x.size - 1):
            total += x[j] * y[j]
        partial[r] = total


@kernel
def _combine(lo, hi, a, out, scale, keep):
    for r in range(lo, hi):
        x, y = a[r], out[r]
        for j in range(x.size):
            y[j] = scale * x[j] + keep * y[j]


@kernel
def _advance(lo, hi, size, step, partial):
    search, solution, change, residual = step.search, step.solution, step.change, step.residual
    dual_change, dual = step.dual_change, step.dual
    for r in range(lo, hi):
        s, x, t, z, dt, d = search[r], solution[r], change[r], residual[r], dual_change[r], dual[r]
        for j in range(s.size):
            x[j] += size * s[j]
        total = 0.0
        for j in range(s.size):
            z[j] -= size * t[j]
            d[j] -= size * dt[j]
        for j in range(1, s.size - 1):
            total += z[j] * d[j]
        partial[r] = total


def _lines(array: NDArray) -> NDArray:
    return array.reshape(-1, array.shape[-1])


def dot(pool: Pool, a: NDArray, b: NDArray) -> float:
    """Return the inner product, summed in double precision."""
    a, b = _lines(a), _lines(b)
    partial = np.empty(len(a))
    pool.run(_dot, *a.shape, a, b, partial)
    return float(partial.sum())


def combine(pool: Pool, a: NDArray, out: NDArray, scale: float, keep: float) -> None:
    """``out = scale a + keep out`` in place."""
    kind = out.dtype.type
    a = _lines(a)
    pool.run(_combine, *a.shape, a, _lines(out), kind(scale), kind(keep))


def advance(pool: Pool, size: float, step: Step) -> float:
    """Make a step of a given size, in place.

    ``solution += size search; residual -= size change; dual -= size dual_change``.

    Returns:
        ``residual . dual`` after it.
    """
    lines = Step(*(_lines(array) for array in step))
    partial = np.empty(len(lines.search))
    pool.run(_advance, *lines.search.shape, np.float32(size), lines, partial)
    return float(partial.sum())
