"""The two-scale block preconditioner.

Below the pore size the Schur complement of the Stokes system acts like ``volume / viscosity`` times the identity; above it
like Darcy's law with the local permeability, a Poisson operator weighted by the local Stokes response ``w``. The sum of
both inverses is right on both scales (the idea of Cahouet and Chabard, Int. J. Numer. Meth. Fluids 8 (1988) 869, carried
from the time step to the pore size). Iteration counts then depend neither on size nor on resolution.
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

from resinflow.stokes.operators import StokesSystem

_RESPONSE_TOLERANCE = 1e-2
"""Where the response only weights the preconditioner, a loose solve is enough."""

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


def two_scale(system: StokesSystem, response_tolerance: float = _RESPONSE_TOLERANCE) -> TwoScale:
    """Build the preconditioner: multigrid for ``A`` and ``L_w``, and the local response by one solve a component."""
    hierarchies = [_hierarchy(block) if block.shape[0] else None for block in system.blocks]
    cycles = tuple(_cycle(hierarchy) for hierarchy in hierarchies)
    parts = [
        np.zeros(0) if hierarchy is None else hierarchy.solve(volume, tol=response_tolerance, accel="cg")
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
    row_sums = np.abs(poisson @ np.ones(poisson.shape[0]))
    open_side = np.bincount(labels, weights=row_sums > 1e-9 * poisson.diagonal(), minlength=count) > 0
    if open_side.all():
        return lambda pressure: pressure
    sizes = np.bincount(labels, minlength=count)
    free = ~open_side[labels]

    def remove(pressure: NDArray[np.float64]) -> NDArray[np.float64]:
        means = np.bincount(labels, weights=pressure, minlength=count) / sizes
        return np.where(free, pressure - means[labels], pressure)

    return remove
