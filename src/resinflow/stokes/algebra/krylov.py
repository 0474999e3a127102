"""Conjugate gradients for the Stokes system in the inner product of Bramble and Pasciak.

Bramble and Pasciak, Mathematics of Computation 50 (1988) 1. With preconditioners ``P < A`` and ``S`` of the Schur complement

    K = [[A, G], [G^T, 0]],    M = [[P, 0], [G^T, -S]],    H = [[A - P, 0], [0, S]]

the block triangular ``M^-1 K`` is symmetric and positive definite in the inner product of ``H``: conjugate gradients apply, and
need about half the steps of MINRES, whose residual falls every other step only. Residuals ``z = M^-1 r`` are preconditioned
ones; their duals ``d = H z`` come without applying P or S:

    z_u = P^-1 r_u,    d_u = A z_u - r_u,    d_p = G^T z_u - r_p,    z_p = S^-1 d_p
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.algebra.vectors import Step, advance, combine, dot
from resinflow.stokes.problem.system import PRESSURE

End = Literal["stopped", "limit", "indefinite"]


@dataclass(frozen=True)
class Descent:
    """How an iteration ended, and its residual norms ``sqrt(z . d)`` from the first on."""

    end: End
    residuals: tuple[float, ...]

    @property
    def iterations(self) -> int:
        """Number of iterations made."""
        return len(self.residuals) - 1


class BramblePasciak:
    """The iteration with its work space, for repeated use on one system."""

    def __init__(self, pool: Pool, preconditioner: TwoScale) -> None:
        """Vectors are in single precision; the iterate is the caller's."""
        self._pool, self._preconditioner = pool, preconditioner
        self.vectors = [preconditioner.system.new_state() for _ in range(4)]
        """Work space: free for other use between runs, as long as the places outside the unknowns stay zero."""

    def run(
        self,
        right: NDArray[np.float32],
        solution: NDArray[np.float64],
        *,
        inflation: float,
        stop: Callable[[float], bool],
        max_iterations: int,
    ) -> Descent:
        """Add to ``solution`` the solution of ``system x = right``.

        Each step: ``c = M^-1 K s``, ``e = H c``, ``a = (z . d) / (s . e)``, ``x += a s``, ``z -= a c``, ``d -= a e``, and the
        next direction ``s = z + b s`` with b the new ``z . d`` over the old.

        Args:
            right: (4, rows + 1, width); overwritten.
            solution: (4, rows + 1, width), improved in place.
            inflation: factor on the velocity preconditioner's inverse that makes it larger than that of ``A``.
            stop: called with ``sqrt(z . d)`` at the start and after every step; True ends the iteration.
            max_iterations: upper bound.

        Returns:
            The end (``indefinite``: the inflation was too small, or rounding took over) and the residuals.
        """
        pool, system = self._pool, self._preconditioner.system
        search, change, residual, dual = self.vectors
        image = right
        dual[...] = right
        self._precondition(dual, residual, inflation)
        norm = dot(pool, residual, dual)
        if norm < 0:
            return Descent("indefinite", (0.0,))
        residuals = [float(np.sqrt(norm))]
        if stop(residuals[-1]) or norm == 0.0:
            return Descent("stopped", tuple(residuals))
        search[...] = residual
        step = Step(search, solution, change, residual, image, dual)
        for _ in range(max_iterations):
            system.apply(pool, search, image)
            self._precondition(image, change, inflation)
            curvature = dot(pool, search, image)
            if curvature <= 0:
                return Descent("indefinite", tuple(residuals))
            latest = advance(pool, norm / curvature, step)
            residuals.append(float(np.sqrt(max(latest, 0.0))))
            if latest < 0:
                return Descent("indefinite", tuple(residuals))
            if stop(residuals[-1]):
                return Descent("stopped", tuple(residuals))
            combine(pool, residual, search, 1.0, latest / norm)
            norm = latest
        return Descent("limit", tuple(residuals))

    def _precondition(self, right: NDArray[np.float32], out: NDArray[np.float32], inflation: float) -> None:
        """Write the preconditioned ``right`` to ``out`` and turn ``right`` into its dual, ``(A u - r_u, G^T u - r_p)``."""
        preconditioner = self._preconditioner
        preconditioner.apply_velocity(right, out, inflation)
        out[PRESSURE] = 0
        preconditioner.system.apply(self._pool, out, right, keep=-1.0)
        preconditioner.apply_pressure(right[PRESSURE], out[PRESSURE])
