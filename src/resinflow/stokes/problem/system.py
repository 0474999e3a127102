"""The discrete Stokes system ``[[A, G], [G^T, 0]]`` in finite-volume form, free of matrices.

``A`` is block-diagonal (one scalar operator per velocity component), symmetric and positive definite; ``G`` is the
volume-weighted pressure gradient and ``G^T`` minus the net outflow of a voxel. Lengths are in voxel lengths along the flow,
volumes in voxels: conductances are ``1 / spacing^2``, areas ``1 / spacing``, and the load of a face is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra import saddle, viscous
from resinflow.stokes.algebra.level import Ends, Rows, Saddle
from resinflow.stokes.algebra.multigrid import Viscous
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.stencil import BLOCKED
from resinflow.stokes.problem.mask import FLOW, FaceLayer, Grid, WallRule

PRESSURE = 3
"""Place of the pressure in a state (4, rows + 1, width); 0 to 2 are the velocities on the z, y and x faces."""


_REST_UNIT = float(np.finfo(np.float32).eps) / 2
"""Relative rounding of the rest of the excess."""


NO_REST = np.zeros((3, 1, 1), dtype=np.float32)
"""The rest of an excess that single precision holds as it is."""


@dataclass(frozen=True)
class StokesSystem:
    """Operators and load over the rows of a grid, for unit viscosity.

    Attributes:
        rows: layout of all fields.
        grid: the staggered grid, flow along the last axis.
        excess: (3, rows + 1, width), what walls and open sides add to the diagonal of ``A``; BLOCKED on faces without unknown.
        rest: (3, rows + 1, width), what rounding took from ``excess``: their sum is the equations', to 15 digits. Or
            (3, 1, 1), where it took nothing.
        openness: (3, rows + 1, width) open fractions of the faces, or (3, 1, 1) where all unknown faces are fully open.
        spacing: (z, y, x), voxel edges over the edge along the flow.
        labels: int (rows + 1, width), the pore of every voxel that carries flow, from 1; 0 elsewhere.
        pores: largest label.
    """

    rows: Rows
    grid: Grid
    excess: NDArray[np.float32]
    rest: NDArray[np.float32]
    openness: NDArray[np.float32]
    spacing: tuple[float, float, float]
    labels: NDArray[np.integer]
    pores: int

    @property
    def voxels(self) -> int:
        """Voxels in a row."""
        return self.grid.fluid.shape[FLOW]

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """Control volumes of lateral and of flow velocities by place in a row, (2, width): half on open sides of the box."""
        shares = np.ones((2, self.rows.array_shape[1]), dtype=np.float32)
        if not self.rows.wraps[2]:
            shares[1, [1, self.voxels + 1]] = 0.5
        return shares

    @property
    def free_level(self) -> bool:
        """Whether the pressure is known up to a constant in every pore only."""
        return self.rows.wraps[2]

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Shape of a state: velocities and pressure."""
        return (PRESSURE + 1, *self.rows.array_shape)

    def new_state(self, dtype: type = np.float32) -> NDArray:
        """Return a state of zeros."""
        return np.zeros(self.state_shape, dtype=dtype)

    def conductance(self, dtype: type = np.float32) -> NDArray:
        """Conductance of full faces, (z, y, x)."""
        return self.area(dtype) ** 2

    def area(self, dtype: type = np.float32) -> NDArray:
        """Area of faces, (z, y, x); 0 along an axis without gradients."""
        steps = zip(self.spacing, _flat_axes(self.grid), strict=True)
        return np.array([0.0 if flat else 1 / step for step, flat in steps], dtype=dtype)

    def unknown(self, component: int) -> NDArray[np.bool_]:
        """Places of the unknowns of a component, (rows + 1, width)."""
        return self.excess[component] < BLOCKED / 10

    def component(self, number: int) -> Viscous:
        """The viscous operator of one component."""
        share = self.shares[int(number == FLOW)]
        rest = self.rest[number] if self.has_rest else None
        return Viscous(self.rows, self.excess[number], rest, share, self.conductance())

    @property
    def has_rest(self) -> bool:
        """Whether single precision leaves anything out of the excess."""
        return self.rest.shape[1] > 1

    @property
    def partly_open(self) -> bool:
        """Whether faces may be open in part."""
        return self.openness.shape[1] > 1

    def saddle(self, dtype: type = np.float32) -> Saddle:
        """What kernels need to know of the system; conductances and areas of a dtype. Single precision leaves out the rest."""
        rest = self.rest if dtype is np.float64 and self.has_rest else None
        openness = self.openness if self.partly_open else None
        layout, areas = self.rows.layout, self.area(dtype)
        return Saddle(self.excess, rest, openness, self.shares, self.conductance(dtype), areas, layout, self.voxels)

    def add_load(self, state: NDArray, factor: float) -> None:
        """Add ``factor`` times the load to the momentum equations of a state, in place."""
        places = slice(1, self.voxels + 1) if self.free_level else slice(1, 2)
        weights = self._load_weights(places)
        state[FLOW][:-1, places] += np.where(self.unknown(FLOW)[:-1, places], factor * weights, 0)
        self.rows.wrap(state[FLOW])

    def work(self, state: NDArray) -> float:
        """Return ``load . velocity``: the flow rate, summed over the planes with a load (all in a periodic box, else one)."""
        places = slice(1, self.voxels + 1) if self.free_level else slice(1, 2)
        return float((state[FLOW][:-1, places] * self._load_weights(places)).sum(dtype=np.float64))

    def rounding(self, state: NDArray[np.float64]) -> float:
        """Return what rounding may add to ``velocity . A velocity``: that of the rest of the excess, and of double arithmetic.

        Terms are rounded one by one, so that sums of them grow with the root of their number: one unit stands for all.
        """
        unit, total = float(np.finfo(np.float64).eps) / 2, 0.0
        terms = 2 * float(self.conductance(np.float64).sum())
        for component in range(PRESSURE):
            for some in self.rows.portions:
                squares = state[component, some] ** 2
                if self.has_rest:
                    total += _REST_UNIT * float(np.einsum("rj,rj->", np.abs(self.rest[component, some]), squares))
                total += unit * terms * float(squares.sum())
        return total

    def _load_weights(self, places: slice) -> NDArray[np.float32]:
        """Open fractions of the faces at some places of every row, or 1."""
        openness = self.openness[FLOW]
        return openness[:-1, places] if openness.shape[0] > 1 else openness

    def apply(self, pool: Pool, state: NDArray, out: NDArray, *, scale: float = 1.0, keep: float = 0.0) -> float:
        """``out = scale (system state) + keep out`` in place; return ``state . system state``."""
        return float(self.apply_rows(pool, state, out, scale=scale, keep=keep).sum())

    def apply_rows(
        self, pool: Pool, state: NDArray, out: NDArray, *, scale: float = 1.0, keep: float = 0.0
    ) -> NDArray[np.float64]:
        """Do what :meth:`apply` does; return ``state . system state`` of every row."""
        rows, kind = self.rows, state.dtype.type
        partial = np.empty(rows.count)
        arguments = (self.saddle(kind), state, out, kind(scale), kind(keep), partial)
        pool.run(saddle.apply_saddle, rows.count, 4 * rows.points, *arguments)
        return partial


def build_system(grid: Grid, labels: NDArray[np.integer], rule: WallRule) -> StokesSystem:
    """Return the discrete Stokes system of a grid whose voxels belong to the pores ``labels`` (0: no flow)."""
    nz, ny, nx = grid.fluid.shape
    rows = Rows((nz, ny, nx if grid.wraps[FLOW] else nx + 1), grid.wraps)
    step = grid.spacing[FLOW]
    spacing = (grid.spacing[0] / step, grid.spacing[1] / step, 1.0)
    excess, rest = (np.zeros((3, *rows.array_shape), dtype=np.float32) for _ in range(2))
    for component, faces in enumerate(grid.faces):
        excess[component], rest[component] = pack_excess(rows, _excess(grid, faces, spacing, rule))
    openness = np.ones((3, 1, 1), dtype=np.float32)
    numbered, first = np.unique(labels[labels > 0]), np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
    first[numbered] = np.arange(1, numbered.size + 1)
    smallest = np.int8 if numbered.size < 128 else np.int32  # kernels are compiled for two kinds
    packed = rows.pack(first[labels], smallest)
    return StokesSystem(rows, grid, excess, rest if rest.any() else NO_REST, openness, spacing, packed, int(numbered.size))


def pack_excess(rows: Rows, values: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the excess (z, y, x) of a component as a field of single precision, and the field of what that leaves out."""
    rounded = values.astype(np.float32)
    return rows.pack(rounded, outside=float(BLOCKED)), rows.pack(values - rounded)


def _excess(grid: Grid, faces: FaceLayer, spacing: tuple[float, float, float], rule: WallRule) -> NDArray[np.float64]:
    """Excess of the diagonal of one component, (z, y, x)."""
    excess = np.zeros(faces.unknown.shape)
    whole = np.ones_like(excess)
    for axis in range(3):
        side = "symmetry" if axis == FLOW else grid.lateral
        normal = axis == faces.normal
        mirrored = side == "symmetry" and not grid.wraps[axis] and not normal
        count = faces.unknown.shape[axis]
        lines = (int(np.prod(faces.unknown.shape[:axis])), count, -1)
        share = whole if normal else np.ascontiguousarray(faces.share)
        viscous.wall_excess(
            np.ascontiguousarray(faces.unknown).reshape(lines),
            np.ascontiguousarray(faces.solid_beside).reshape(lines),
            share.reshape(lines),
            0.0 if _flat_axes(grid)[axis] else 1 / spacing[axis] ** 2,
            Ends(normal, grid.wraps[axis], mirrored, normal or side != "no-slip", side == "no-slip", rule == "plain"),
            excess.reshape(lines),
        )
    excess[~faces.unknown] = float(BLOCKED)
    return excess


def _flat_axes(grid: Grid) -> tuple[bool, bool, bool]:
    """Axes along which nothing changes: one voxel between symmetry planes, or in a period (a face is its own neighbour).

    Nor does anything that slices apart see of one another.
    """
    free = grid.lateral == "symmetry"
    z, y, x = (
        (k == 0 and grid.apart) or (count == 1 and (wraps or (free and k != FLOW)))
        for k, (count, wraps) in enumerate(zip(grid.fluid.shape, grid.wraps, strict=True))
    )
    return z, y, x
