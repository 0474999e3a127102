"""The discrete Stokes system as sparse matrices: reference of the tests, and part of the benchmark's first version.

``[[A, G], [G^T, 0]]`` in finite-volume form. ``A`` is block-diagonal (one scalar operator per velocity component), symmetric
and positive definite; ``G`` is the volume-weighted pressure gradient and ``G^T`` minus the net outflow of a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from resinflow.stokes.problem.mask import FLOW, FaceLayer, Grid, WallRule

PLAIN_WALL = 2.0
CORNER_WALL = 1.0
"""At a staircase corner (one of the two voxels beside is solid) the neighbour is a wall face a whole voxel away."""


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
        z, y, x = (block.indptr.size - 1 for block in self.blocks)
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
    volume = np.concatenate([faces.share[faces.unknown] * voxel_volume(grid) for faces in grid.faces])
    return StokesSystem(
        blocks=(blocks[0], blocks[1], blocks[2]),
        gradient=csr_array(vstack(gradients)),
        load=_load(grid),
        volume=volume,
        voxel_volume=voxel_volume(grid),
        face_numbers=(numbers[0], numbers[1], numbers[2]),
        voxel_numbers=voxel_numbers,
    )


def voxel_volume(grid: Grid) -> float:
    """Volume of a voxel, m^3."""
    dz, dy, dx = grid.spacing
    return dz * dy * dx


def face_area(grid: Grid, axis: int) -> float:
    """Area of a voxel face normal to an array axis, m^2."""
    return voxel_volume(grid) / grid.spacing[axis]


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


def _viscous(grid: Grid, faces: FaceLayer, numbers: NDArray[np.int64], rule: WallRule) -> csr_array:
    """Assemble ``-lap`` times the control volume for one component."""
    here = faces.unknown
    own = numbers[here]
    diagonal = np.zeros(own.size)
    rows, columns, values = [], [], []
    for axis in range(3):
        conductance = face_area(grid, axis) / grid.spacing[axis] * faces.share[here]
        if axis == faces.normal:
            conductance = np.full(own.size, face_area(grid, axis) / grid.spacing[axis])
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


def _wall_terms(grid: Grid, faces: FaceLayer, axis: int, rule: WallRule):
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


def _gradient(grid: Grid, faces: FaceLayer, numbers: NDArray[np.int64], voxel_numbers: NDArray[np.int64]) -> csr_array:
    """Area times the pressure difference across every unknown face (voxels beyond an open side are left to the load)."""
    axis = faces.normal
    area = face_area(grid, axis)
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
        loads[FLOW][..., 0] = face_area(grid, FLOW)
    else:
        loads[FLOW][...] = face_area(grid, FLOW) / grid.fluid.shape[FLOW]
    return np.concatenate([load[faces.unknown] for load, faces in zip(loads, grid.faces, strict=True)])


def wall_coefficient(width: NDArray[np.integer], rule: WallRule) -> NDArray[np.float64]:
    """Return the wall coefficient for gaps of ``width`` unknowns."""
    if rule == "plain":
        return np.full(width.shape, PLAIN_WALL)
    safe = np.maximum(width, 1)
    return 6.0 * safe / (3.0 * safe - 2.0)


def gap_width(unknown: NDArray[np.bool_], axis: int, *, wraps: bool, mirrored: bool) -> NDArray[np.int64]:
    """Return for every unknown how many consecutive unknowns its row along ``axis`` has (0 where there is none).

    ``mirrored``: the first and last layer lie beside symmetry planes, so that a row which ends there counts twice.
    A row that goes round a periodic axis without meeting a wall has no wall to correct; its width is then of no account.
    """
    rows = np.moveaxis(unknown, axis, 0)
    if wraps:
        rows = np.concatenate([rows, rows, rows])
    before = _run_length(rows)
    after = _run_length(rows[::-1])[::-1]
    width = np.where(rows, before + after - 1, 0)
    if mirrored:
        count = len(rows)
        index = np.arange(count).reshape(-1, *[1] * (rows.ndim - 1))
        at_first = rows & (before == index + 1)
        at_last = rows & (after == count - index)
        width = np.where(at_first | at_last, 2 * width, width)
    if wraps:
        width = width[len(unknown.swapaxes(0, axis)) : 2 * len(unknown.swapaxes(0, axis))]
    return np.moveaxis(width, 0, axis)


def _run_length(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the run of True that ends at each place along the first axis."""
    length = rows.astype(np.int64)
    for k in range(1, len(rows)):
        length[k] *= length[k - 1] + 1
    return length
