"""The solver's first version, the baseline of ``benchmarks/solver.py``: sparse matrices and algebraic multigrid (pyamg).

The same discretisation: MINRES on the assembled saddle-point system with the two-scale preconditioner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyamg
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix, dia_array
from scipy.sparse.csgraph import connected_components
from solver_operators import StokesSystem, assemble, face_area

from resinflow.flow import Microstructure
from resinflow.stokes.problem.mask import FLOW, WallRule, build_grid
from resinflow.stokes.problem.pores import find_pores

_RESPONSE_TOLERANCE = 1e-2
"""The response only weights a preconditioner and a start field: a loose solve is enough."""

Cycle = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class TwoScale:
    """The parts of the preconditioner, for unit viscosity.

    Attributes:
        system: the Stokes system.
        velocity_cycles: one multigrid V-cycle per component of ``A``.
        response: ``w = A^-1 (volume 1) / volume`` on the velocity unknowns, m^2 / (Pa s) per m^3 of control volume.
        poisson: ``L_w = G^T diag(w) G``.
        poisson_solver: multigrid hierarchy of ``L_w``.
        project: removes from a pressure the mean of every pore whose pressure level is free.
    """

    system: StokesSystem
    velocity_cycles: tuple[Cycle, Cycle, Cycle]
    response: NDArray[np.float64]
    poisson: csr_array
    poisson_solver: Any
    project: Cycle

    def apply(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the preconditioned residual of the whole system (velocity unknowns first)."""
        count = self.response.size
        momentum, continuity = residual[:count], self.project(residual[count:])
        parts = [cycle(part) for cycle, part in zip(self.velocity_cycles, self.system.split(momentum), strict=True)]
        pressure = continuity / self.system.voxel_volume + _cycle(self.poisson_solver)(continuity)
        return np.concatenate([*parts, self.project(pressure)])


def two_scale(system: StokesSystem) -> TwoScale:
    """Build the preconditioner: multigrid for ``A`` and ``L_w``, and the local response by one loose solve a component."""
    hierarchies = [_hierarchy(block) if block.nnz else None for block in system.blocks]
    cycles = tuple(_cycle(hierarchy) for hierarchy in hierarchies)
    parts = [
        np.zeros(0) if hierarchy is None else hierarchy.solve(volume, tol=_RESPONSE_TOLERANCE, accel="cg")
        for hierarchy, volume in zip(hierarchies, system.split(system.volume), strict=True)
    ]
    response = np.concatenate(parts) / system.volume
    poisson = csr_array(system.gradient.T @ dia_array((response[None], [0]), shape=(response.size,) * 2) @ system.gradient)
    return TwoScale(
        system=system,
        velocity_cycles=(cycles[0], cycles[1], cycles[2]),
        response=response,
        poisson=poisson,
        poisson_solver=_hierarchy(poisson),
        project=_free_mean_removal(poisson),
    )


def _hierarchy(matrix: csr_array) -> Any:
    """Classical (Ruge-Stueben) multigrid: it follows the strong couplings of thin voxels by itself."""
    plain = csr_matrix(matrix)
    plain.indices, plain.indptr = plain.indices.astype(np.int32), plain.indptr.astype(np.int32)
    return pyamg.ruge_stuben_solver(plain, max_coarse=200)


def _cycle(hierarchy: Any) -> Cycle:
    """One V-cycle from zero; its smoothing is symmetric, as MINRES needs it."""
    if hierarchy is None:
        return lambda residual: residual
    operator = hierarchy.aspreconditioner(cycle="V")
    return operator.matvec


def _free_mean_removal(poisson: csr_array) -> Cycle:
    """Return the projection that removes the mean over every pore without an open side (its pressure level is free)."""
    count, labels = connected_components(poisson, directed=False)
    row_sums = np.abs(poisson @ np.ones(poisson.indptr.size - 1))
    open_side = np.bincount(labels, weights=row_sums > 1e-9 * poisson.diagonal(), minlength=count) > 0
    if open_side.all():
        return lambda pressure: pressure
    sizes = np.bincount(labels, minlength=count)
    free = ~open_side[labels]

    def remove(pressure: NDArray[np.float64]) -> NDArray[np.float64]:
        means = np.bincount(labels, weights=pressure, minlength=count) / sizes
        return np.where(free, pressure - means[labels], pressure)

    return remove


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


@dataclass(frozen=True)
class Solution:
    """Permeability (m^2) from the mean flux and from the energy functional, iterations, and the residual history."""

    permeability: float
    corrected: float
    iterations: int
    residuals: tuple[float, ...]


def solve(
    micro: Microstructure, *, tolerance: float = 1e-6, max_iterations: int = 300, wall_rule: WallRule = "plain"
) -> Solution:
    """Solve for pressure-driven flow along x between symmetry planes.

    ``tolerance`` is the energy norm of the field's error relative to the field's own; the error of the corrected K is about its
    square.
    """
    pores = find_pores(micro.fluid, (False, False, False))
    grid = build_grid(pores.through[pores.labels], micro.spacing, "pressure", "symmetry")
    system = assemble(grid, wall_rule)
    preconditioner = two_scale(system)
    count = system.load.size
    rhs = np.concatenate([system.load, np.zeros(np.count_nonzero(grid.fluid))])

    def matrix(x: NDArray[np.float64]) -> NDArray[np.float64]:
        velocity, pressure = x[:count], x[count:]
        return np.concatenate([system.apply_viscous(velocity) + system.gradient @ pressure, system.gradient.T @ velocity])

    def stop(residual: float, x: NDArray[np.float64]) -> bool:
        power = float(system.load @ x[:count])
        return power > 0 and residual <= tolerance * np.sqrt(power)

    result = minres(matrix, rhs, preconditioner.apply, stop=stop, max_iterations=max_iterations)
    velocity, pressure = result.solution[:count], result.solution[count:]
    momentum = system.load - system.apply_viscous(velocity) - system.gradient @ pressure
    power = float(system.load @ velocity)
    corrected = power + float(velocity @ momentum) - float(pressure @ (system.gradient.T @ velocity))
    faces = grid.faces[FLOW]
    flow = float((system.split(velocity)[FLOW] * face_area(grid, FLOW) * faces.share[faces.unknown]).sum())
    dz, dy, dx = grid.spacing
    nz, ny, nx = grid.fluid.shape
    scale = nx * dx / (nz * dz * ny * dy)
    return Solution(flow / nx * scale, corrected * scale, result.iterations, result.residuals)
