"""Kernels on whole vectors: fields (rows + 1, width) and states (4, rows + 1, width).

Sums are formed a row at a time, so that no split between threads changes them, and leave out the ends of a row, which in
a periodic box repeat other places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.pool import Team, kernel


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
def _advance(lo, hi, step, search, solution, change, residual, dual_change, dual, partial):
    for r in range(lo, hi):
        s, x, t, z, dt, d = search[r], solution[r], change[r], residual[r], dual_change[r], dual[r]
        for j in range(s.size):
            x[j] += step * s[j]
        total = 0.0
        for j in range(s.size):
            z[j] -= step * t[j]
            d[j] -= step * dt[j]
        for j in range(1, s.size - 1):
            total += z[j] * d[j]
        partial[r] = total


def _lines(array: NDArray) -> NDArray:
    return array.reshape(-1, array.shape[-1])


def dot(team: Team, a: NDArray, b: NDArray) -> float:
    """Return the inner product, summed in double precision."""
    a, b = _lines(a), _lines(b)
    partial = np.empty(len(a))
    team.run(_dot, *a.shape, a, b, partial)
    return float(partial.sum())


def combine(team: Team, a: NDArray, out: NDArray, scale: float, keep: float) -> None:
    """``out = scale a + keep out`` in place."""
    kind = out.dtype.type
    a = _lines(a)
    team.run(_combine, *a.shape, a, _lines(out), kind(scale), kind(keep))


def advance(
    team: Team,
    step: float,
    search: NDArray[np.float32],
    solution: NDArray[np.float64],
    change: NDArray[np.float32],
    residual: NDArray[np.float32],
    dual_change: NDArray[np.float32],
    dual: NDArray[np.float32],
) -> float:
    """``solution += step search; residual -= step change; dual -= step dual_change`` in place; return ``residual . dual``."""
    lines = [_lines(array) for array in (search, solution, change, residual, dual_change, dual)]
    partial = np.empty(len(lines[0]))
    team.run(_advance, *lines[0].shape, np.float32(step), *lines, partial)
    return float(partial.sum())
