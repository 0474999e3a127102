"""Preconditioned MINRES for symmetric indefinite systems.

Elman, Silvester and Wathen, Finite Elements and Fast Iterative Solvers (2014), algorithm 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Operator = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class KrylovResult:
    """The iterate, whether it met the tolerance, and the residual norms ``sqrt(r . P r)`` from the first on."""

    solution: NDArray[np.float64]
    converged: bool
    residuals: tuple[float, ...]

    @property
    def iterations(self) -> int:
        """Number of iterations made."""
        return len(self.residuals) - 1


def minres(
    matrix: Operator,
    rhs: NDArray[np.float64],
    preconditioner: Operator,
    *,
    stop: Callable[[float, NDArray[np.float64]], bool],
    max_iterations: int,
    watch: Callable[[int, float], None] | None = None,
) -> KrylovResult:
    """Solve ``matrix x = rhs`` from zero.

    Args:
        matrix: symmetric operator.
        rhs: right-hand side.
        preconditioner: symmetric positive definite operator, an approximate inverse.
        stop: called with ``sqrt(r . P r)`` and the iterate after every step; True ends the iteration as converged.
        max_iterations: upper bound.
        watch: called with the iteration number and the residual relative to the first.

    Returns:
        The last iterate with its history; ``converged`` is False when the bound was met first.
    """
    x = np.zeros_like(rhs)
    v_old, v = np.zeros_like(rhs), rhs.copy()
    z = preconditioner(v)
    gamma_old, gamma = 1.0, float(np.sqrt(z @ v))
    residuals = [gamma]
    eta = gamma
    s_old = s = 0.0
    c_old = c = 1.0
    w_old, w = np.zeros_like(rhs), np.zeros_like(rhs)
    for iteration in range(1, max_iterations + 1):
        z = z / gamma
        image = matrix(z)
        delta = float(image @ z)
        v_old, v = v, image - (delta / gamma) * v - (gamma / gamma_old) * v_old
        z_new = preconditioner(v)
        gamma_new = float(np.sqrt(max(z_new @ v, 0.0)))
        a0 = c * delta - c_old * s * gamma
        a1 = float(np.hypot(a0, gamma_new))
        a2 = s * delta + c_old * c * gamma
        a3 = s_old * gamma
        c_old, c = c, a0 / a1
        s_old, s = s, gamma_new / a1
        w_old, w = w, (z - a3 * w_old - a2 * w) / a1
        x = x + c * eta * w
        eta = -s * eta
        residuals.append(abs(eta))
        z, gamma_old, gamma = z_new, gamma, gamma_new
        if watch is not None:
            watch(iteration, residuals[-1] / residuals[0])
        if stop(residuals[-1], x) or gamma == 0.0:
            return KrylovResult(x, True, tuple(residuals))
    return KrylovResult(x, False, tuple(residuals))
