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
from scipy.sparse import coo_array, csr_array, csr_matrix, dia_array, vstack
from scipy.sparse.csgraph import connected_components

from resinflow.core import Microstructure
from resinflow.stokes.grid import FLOW, Faces, Grid, build_grid
from resinflow.stokes.pores import find_pores
from resinflow.stokes.walls import CORNER_WALL, WallRule, gap_width, wall_coefficient


@dataclass(frozen=True)
class StokesSystem:
    """Matrices and loads over the unknowns of a grid, for unit viscosity and unit pressure drop.

    Attributes:
        blocks: ``A`` per component, ordered by array axis (z, y, x), m (viscosity 1 Pa s).
        gradient: ``G``, (faces, voxels), m^2.
        load: right-hand side of the momentum equations for a pressure drop of 1 Pa over the box.
        volume: control volumes of the velocity unknowns, m^3.
        voxel_volume: m^3.
        face_numbers: per component, the number of every face's unknown, or -1.
        voxel_numbers: (nz, ny, nx), the number of every voxel's pressure, or -1.
    """

    blocks: tuple[csr_array, csr_array, csr_array]
    gradient: csr_array
    load: NDArray[np.float64]
    volume: NDArray[np.float64]
    voxel_volume: float
    face_numbers: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    voxel_numbers: NDArray[np.int64]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of velocity unknowns per component."""
        z, y, x = (block.shape[0] for block in self.blocks)
        return z, y, x

    def split(self, velocity: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Cut a vector of all velocity unknowns into its components (z, y, x)."""
        return np.split(velocity, np.cumsum(self.sizes)[:-1])

    def apply_viscous(self, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``A u``."""
        return np.concatenate([block @ part for block, part in zip(self.blocks, self.split(velocity), strict=True)])


def assemble(grid: Grid, rule: WallRule) -> StokesSystem:
    """Return the discrete Stokes system of ``grid`` for unit viscosity and unit pressure drop."""
    voxel_numbers = _number(grid.fluid)
    numbers = tuple(_number(faces.unknown) for faces in grid.faces)
    blocks = tuple(_viscous(grid, faces, number, rule) for faces, number in zip(grid.faces, numbers, strict=True))
    gradients = [_gradient(grid, faces, number, voxel_numbers) for faces, number in zip(grid.faces, numbers, strict=True)]
    volume = np.concatenate([faces.share[faces.unknown] * grid.voxel_volume for faces in grid.faces])
    return StokesSystem(
        blocks=(blocks[0], blocks[1], blocks[2]),
        gradient=csr_array(vstack(gradients)),
        load=_load(grid),
        volume=volume,
        voxel_volume=grid.voxel_volume,
        face_numbers=(numbers[0], numbers[1], numbers[2]),
        voxel_numbers=voxel_numbers,
    )


def _number(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    numbers = np.full(mask.shape, -1, dtype=np.int64)
    numbers[mask] = np.arange(np.count_nonzero(mask))
    return numbers


def _neighbour(array: NDArray, axis: int, step: int, *, wraps: bool, outside: int) -> NDArray:
    """The values one place further along ``axis``; ``outside`` beyond the box unless it wraps."""
    moved = np.roll(array, -step, axis)
    if not wraps:
        np.moveaxis(moved, axis, 0)[-1 if step > 0 else 0] = outside
    return moved


_BEYOND = -2
"""Marks, among neighbours' numbers and counts of solid voxels, a place outside the box."""


def _viscous(grid: Grid, faces: Faces, numbers: NDArray[np.int64], rule: WallRule) -> csr_array:
    """Assemble ``-lap`` times the control volume for one component."""
    here = faces.unknown
    own = numbers[here]
    diagonal = np.zeros(own.size)
    rows, columns, values = [], [], []
    for axis in range(3):
        conductance = grid.face_area(axis) / grid.spacing[axis] * faces.share[here]
        if axis == faces.normal:
            conductance = np.full(own.size, grid.face_area(axis) / grid.spacing[axis])
        wall = _wall_terms(grid, faces, axis, rule)
        for step in (-1, 1):
            neighbour = _neighbour(numbers, axis, step, wraps=grid.wraps[axis], outside=_BEYOND)[here]
            coupled = neighbour >= 0
            rows.append(own[coupled])
            columns.append(neighbour[coupled])
            values.append(-conductance[coupled])
            diagonal += conductance * np.where(coupled, 1.0, wall(step, neighbour))
    rows.append(own)
    columns.append(own)
    values.append(diagonal)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(coo_array(entries, shape=(own.size, own.size)))


def _wall_terms(grid: Grid, faces: Faces, axis: int, rule: WallRule):
    """Return a function (step, neighbours' numbers) -> what a missing neighbour along ``axis`` adds to the diagonal."""
    here = faces.unknown
    if axis == faces.normal:
        # a wall face a whole voxel away; beyond an open side the normal gradient is zero
        return lambda step, neighbour: np.where(neighbour == _BEYOND, 0.0, 1.0)
    side = "symmetry" if axis == FLOW else grid.lateral
    mirrored = side == "symmetry" and not grid.wraps[axis]
    full = wall_coefficient(gap_width(here, axis, wraps=grid.wraps[axis], mirrored=mirrored)[here], rule)
    beyond = full if side == "no-slip" else 0.0

    def wall(step: int, neighbour: NDArray[np.int64]) -> NDArray[np.float64]:
        solid = _neighbour(faces.solid_beside, axis, step, wraps=grid.wraps[axis], outside=_BEYOND)[here]
        return np.where(neighbour == _BEYOND, beyond, np.where(solid == 2, full, CORNER_WALL))

    return wall


def _gradient(grid: Grid, faces: Faces, numbers: NDArray[np.int64], voxel_numbers: NDArray[np.int64]) -> csr_array:
    """Area times the pressure difference across every unknown face (voxels beyond an open side are left to the load)."""
    axis = faces.normal
    area = grid.face_area(axis)
    shape = (np.count_nonzero(faces.unknown), np.count_nonzero(grid.fluid))
    if grid.wraps[axis]:
        before, after = np.roll(voxel_numbers, 1, axis), voxel_numbers
    else:
        padded = np.pad(voxel_numbers, [(1, 1) if k == axis else (0, 0) for k in range(3)], constant_values=_BEYOND)
        before, after = np.delete(padded, -1, axis), np.delete(padded, 0, axis)
    rows, columns, values = [], [], []
    for voxel, sign in ((before, -1.0), (after, 1.0)):
        inside = faces.unknown & (voxel >= 0)
        rows.append(numbers[inside])
        columns.append(voxel[inside])
        values.append(np.full(rows[-1].size, sign * area))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(coo_array(entries, shape=shape))


def _load(grid: Grid) -> NDArray[np.float64]:
    """Load of a pressure drop of 1 Pa: on the inlet faces, or as a mean gradient in a periodic box.

    The inlet pressure acts on the face of the box itself (half a control volume there), not at a ghost voxel's centre:
    the latter would make the box one voxel longer.
    """
    loads = [np.zeros(faces.unknown.shape) for faces in grid.faces]
    if grid.boundary == "pressure":
        loads[FLOW][..., 0] = grid.face_area(FLOW)
    else:
        loads[FLOW][...] = grid.face_area(FLOW) / grid.fluid.shape[FLOW]
    return np.concatenate([load[faces.unknown] for load, faces in zip(loads, grid.faces, strict=True)])


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
    hierarchies = [_hierarchy(block) if block.shape[0] else None for block in system.blocks]
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


def solve(micro: Microstructure, *, tolerance: float = 1e-6, max_iterations: int = 300) -> Solution:
    """Solve for pressure-driven flow along x between symmetry planes.

    ``tolerance`` is the energy norm of the field's error relative to the field's own; the error of the corrected K is about its
    square.
    """
    pores = find_pores(micro.fluid, (False, False, False))
    grid = build_grid(pores.through[pores.labels], micro.spacing, "pressure", "symmetry")
    system = assemble(grid, "gap")
    preconditioner = two_scale(system)
    count = system.load.size
    rhs = np.concatenate([system.load, np.zeros(system.gradient.shape[1])])

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
    flow = float((system.split(velocity)[FLOW] * grid.face_area(FLOW) * faces.share[faces.unknown]).sum())
    dz, dy, dx = grid.spacing
    nz, ny, nx = grid.fluid.shape
    scale = nx * dx / (nz * dz * ny * dy)
    return Solution(flow / nx * scale, corrected * scale, result.iterations, result.residuals)
