"""K of tiny grids by a sparse direct solve: the equations put together face by face, apart from the solver's kernels."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from resinflow.flow.drive import Drive
from resinflow.flow.microstructure import Microstructure
from resinflow.stokes.problem.cutcell import cut_faces
from resinflow.stokes.problem.pose import pose

FLOW = 2
Place = tuple[int, int, int]


def direct_permeability(micro: Microstructure, drive: Drive, wall_rule: str) -> float:
    """K of the discrete problem, m^2, to about the rounding of the direct solve."""
    return _Assembly(micro, drive, wall_rule).permeability()


class _Assembly:
    """Flow along the last axis, lengths in voxels along the flow, unit viscosity and pressure drop."""

    def __init__(self, micro: Microstructure, drive: Drive, wall_rule: str) -> None:
        self.fluid = micro.fluid.transpose(drive.turned)
        self.shape: Place = self.fluid.shape
        spacing = [micro.spacing[axis] for axis in drive.turned]
        self.step = spacing[FLOW]
        self.lengths = [length / self.step for length in spacing]
        self.periodic = drive.boundary == "periodic"
        self.lateral = "periodic" if self.periodic else drive.lateral
        self.wraps = [self.lateral == "periodic"] * 2 + [self.periodic]
        self.rule = wall_rule
        self.opening, self.own = self._surfaces(micro, drive) if wall_rule == "surface" else (self._open(), None)
        self.numbers: dict[tuple[int, Place], int] = {}
        for axis, field in enumerate(self.opening):
            for place in zip(*np.nonzero(field), strict=True):
                self.numbers[axis, place] = len(self.numbers)

    def _open(self) -> list[NDArray]:
        """1 on faces between two fluid voxels and on those of the open ends."""
        fields = []
        for axis in range(3):
            shape = [count + (k == axis and not self.wraps[k]) for k, count in enumerate(self.shape)]
            field = np.zeros(shape)
            for place in product(*map(range, shape)):
                beside = self._voxels_beside(axis, place)
                field[place] = all(self.fluid[voxel] for voxel in beside) and (len(beside) == 2 or axis == FLOW)
            fields.append(field)
        return fields

    def _surfaces(self, micro: Microstructure, drive: Drive) -> tuple[list[NDArray], list[NDArray]]:
        """Open fractions and diagonals (times the square of a voxel) of the faces that carry the flow."""
        problem = pose(micro, drive, "surface")
        if problem is None:
            return [np.zeros(self.shape)] * 3, [np.zeros(self.shape)] * 3
        self.fluid = problem.grid.fluid
        distance = np.asarray(micro.signed_distance, dtype=float).transpose(drive.turned)
        dz, dy, dx = (micro.spacing[axis] for axis in drive.turned)
        faces = cut_faces(distance, (dz, dy, dx), drive.boundary, drive.lateral)
        unknown = [field.unknown for field in problem.grid.faces]
        opening = [np.where(here, field.aperture, 0.0) for here, field in zip(unknown, faces, strict=True)]
        return opening, [field.diagonal * self.step**2 for field in faces]

    def _voxels_beside(self, axis: int, place: Place) -> list[Place]:
        """The voxels before and after a face; one on a side of the box."""
        voxels = []
        for k in (place[axis] - 1, place[axis]):
            if self.wraps[axis] or 0 <= k < self.shape[axis]:
                voxels.append((*place[:axis], k % self.shape[axis], *place[axis + 1 :]))
        return voxels

    def _next(self, axis: int, place: Place, along: int, step: int) -> Place | None:
        """The face beside, None beyond the box."""
        count = self.opening[axis].shape[along]
        k = place[along] + step
        if self.wraps[along]:
            k %= count
        return (*place[:along], k, *place[along + 1 :]) if 0 <= k < count else None

    def _share(self, axis: int, place: Place) -> float:
        return 0.5 if axis == FLOW and not self.periodic and place[FLOW] in (0, self.shape[FLOW]) else 1.0

    def _wall(self, axis: int, place: Place, along: int) -> float:
        """Coefficient of a wall half a voxel beyond the end of the run of unknowns through a face."""
        if self.rule == "plain":
            return 2.0
        count, sides = 1, 0
        for step in (-1, 1):
            beside = self._next(axis, place, along, step)
            while beside is not None and (axis, beside) in self.numbers and beside != place:
                count += 1
                beside = self._next(axis, beside, along, step)
            sides += beside is None
        mirrored = sides > 0 and (along == FLOW or self.lateral == "symmetry")
        count *= 2 if mirrored else 1
        return 6 * count / (3 * count - 2)

    def _missing(self, axis: int, place: Place, along: int, beside: Place | None) -> float:
        """What a neighbour that is no unknown adds to the diagonal, in conductances."""
        if beside is None:
            walled = along not in (axis, FLOW) and self.lateral == "no-slip"
            return self._wall(axis, place, along) if walled else 0.0
        if axis == along or any(self.fluid[voxel] for voxel in self._voxels_beside(axis, beside)):
            return 1.0
        return self._wall(axis, place, along)

    def _viscous(self) -> tuple[list[int], list[int], list[float]]:
        rows, columns, values = [], [], []
        for (axis, place), number in self.numbers.items():
            diagonal = 0.0
            for along, step in product(range(3), (-1, 1)):
                conductance = (1.0 if along == axis else self._share(axis, place)) / self.lengths[along] ** 2
                beside = self._next(axis, place, along, step)
                other = self.numbers.get((axis, beside)) if beside is not None else None
                if other is None:
                    diagonal += conductance * self._missing(axis, place, along, beside) if self.own is None else 0.0
                elif other != number:
                    rows.append(number)
                    columns.append(other)
                    values.append(-conductance)
                    diagonal += conductance if self.own is None else 0.0
            rows.append(number)
            columns.append(number)
            values.append(diagonal if self.own is None else self.own[axis][place])
        return rows, columns, values

    def permeability(self) -> float:
        """K in m^2."""
        count, voxels = len(self.numbers), int(np.prod(self.shape))
        if count == 0:
            return 0.0
        rows, columns, values = self._viscous()
        load = np.zeros(count + voxels)
        pairs, open_voxels = [], set()
        length = self.shape[FLOW]
        for (axis, place), number in self.numbers.items():
            area = self.opening[axis][place] / self.lengths[axis]
            beside = [int(np.ravel_multi_index(voxel, self.shape)) for voxel in self._voxels_beside(axis, place)]
            if len(beside) == 2:
                pairs.append(beside)
                signs = (-1.0, 1.0)
            else:
                open_voxels.add(beside[0])
                signs = (1.0,) if place[axis] == 0 else (-1.0,)
            for voxel, sign in zip(beside, signs, strict=True):
                rows += [number, count + voxel]
                columns += [count + voxel, number]
                values += [sign * area] * 2
            if axis == FLOW and (self.periodic or place[FLOW] == 0):
                load[number] = area / (length if self.periodic else 1)
        for voxel in self._held(pairs, open_voxels, voxels):
            rows.append(count + voxel)
            columns.append(count + voxel)
            values.append(1.0)
        solution = _solved(csc_array(coo_array((values, (rows, columns)), shape=(load.size, load.size))), load)
        work = float(load @ solution)
        return work * length * self.step**2 / (self.shape[0] * self.shape[1])

    def _held(self, pairs: list[list[int]], open_voxels: set[int], voxels: int) -> list[int]:
        """One voxel of every pore with a free level of the pressure (a voxel without faces is one)."""
        first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
        _, labels = connected_components(
            coo_array((np.ones(first.size), (first, second)), shape=(voxels, voxels)), directed=False
        )
        fixed = {labels[voxel] for voxel in open_voxels}
        return [int(np.argmax(labels == label)) for label in np.unique(labels) if label not in fixed]


def _solved(matrix: csc_array, load: NDArray) -> NDArray:
    """The solution, refined with residuals of extended precision."""
    factors = splu(matrix)
    solution = factors.solve(load)
    entries = matrix.tocoo()
    for _ in range(3):
        products = entries.data.astype(np.longdouble) * solution[entries.col]
        residual = load.astype(np.longdouble)
        np.subtract.at(residual, entries.row, products)
        solution = solution + factors.solve(residual.astype(float))
    return solution
