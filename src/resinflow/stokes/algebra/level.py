"""The layout of all fields in the solver: rows along the flow, one after another, and a last row of zeros.

A field is a float array (rows + 1, width). Row ``z * ny + y`` holds the points of one line along the flow at places 1 to
``points``; place 0 and those after the last are zero, or the wrapped values in a periodic box. A stencil finds the rows
beside its own through a table, in which the row of zeros stands for what lies outside the box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_PORTION = 100_000
"""Values of a field that are looked at together."""

SOUTH, NORTH, BELOW, ABOVE = range(4)


@dataclass(frozen=True)
class Rows:
    """Rows of points.

    Attributes:
        shape: (nz, ny, nx) points.
        wraps: per array axis, are opposite sides of the box joined?
    """

    shape: tuple[int, int, int]
    wraps: tuple[bool, bool, bool]

    @property
    def count(self) -> int:
        """Number of rows, without the row of zeros."""
        return self.shape[0] * self.shape[1]

    @property
    def points(self) -> int:
        """Points in a row."""
        return self.shape[2]

    @property
    def array_shape(self) -> tuple[int, int]:
        """Shape of a field."""
        return self.count + 1, self.points + 2

    @cached_property
    def near(self) -> NDArray[np.int32]:
        """(rows, 4), the rows before and after along y and along z."""
        nz, ny, _ = self.shape
        outside = self.count
        number = np.arange(self.count, dtype=np.int32).reshape(nz, ny)
        table = np.empty((nz, ny, 4), dtype=np.int32)
        for axis, place, length in ((1, SOUTH, ny), (0, BELOW, nz)):
            for step in (0, 1):
                moved = np.roll(number, 1 - 2 * step, axis)
                if not self.wraps[axis]:
                    np.moveaxis(moved, axis, 0)[length - 1 if step else 0] = outside
                table[..., place + step] = moved
        return table.reshape(-1, 4)

    @property
    def portions(self) -> Iterator[slice]:
        """Parts of the rows of a field, for what is not worth a copy of all of it."""
        step = max(_PORTION // self.array_shape[1], 1)
        return (slice(first, first + step) for first in range(0, self.count + 1, step))

    @cached_property
    def layout(self) -> Layout:
        """What kernels need to know of the rows."""
        return Layout(self.near, self.points, self.wraps[2])

    def zeros(self, dtype: type = np.float32) -> NDArray:
        """Return an empty field."""
        return np.zeros(self.array_shape, dtype=dtype)

    def pack(self, values: NDArray, dtype: type = np.float32, outside: float = 0.0) -> NDArray:
        """Return a field from an array (z, y, x); layers beyond the rows' are dropped, missing ones filled with ``outside``."""
        nz, ny, nx = self.shape
        inside = values[:nz, :ny, :nx]
        field = np.full(self.array_shape, outside, dtype=dtype)
        body = field[:-1].reshape(nz, ny, -1)
        body[: inside.shape[0], : inside.shape[1], 1 : inside.shape[2] + 1] = inside
        self.wrap(field)
        return field

    def wrap(self, field: NDArray) -> None:
        """Fill the places beyond both ends of every row of a periodic box, in place."""
        if self.wraps[2]:
            field[:, 0] = field[:, self.points]
            field[:, self.points + 1] = field[:, 1]

    def unpack(self, field: NDArray, shape: tuple[int, int, int]) -> NDArray:
        """Return the array (z, y, x) of ``shape`` that a field holds; layers the rows lack are zero."""
        nz, ny, nx = (min(have, want) for have, want in zip(self.array_layers, shape, strict=True))
        values = np.zeros(shape, dtype=field.dtype)
        body = field[:-1].reshape(*self.shape[:2], -1)
        values[:nz, :ny, :nx] = body[:nz, :ny, 1 : nx + 1]
        return values

    @property
    def array_layers(self) -> tuple[int, int, int]:
        """Layers a field holds along each axis: in a periodic box the first is held again behind the last along the flow."""
        nz, ny, nx = self.shape
        return nz, ny, nx + self.wraps[2]


@dataclass(frozen=True)
class Pairing:
    """How points are aggregated in pairs along some axes.

    Attributes:
        coarse: the aggregates.
        transfer: which points belong to which aggregate.
    """

    coarse: Rows
    transfer: Transfer


def pair_up(fine: Rows, paired: tuple[bool, bool, bool]) -> Pairing:
    """Return the aggregation of ``fine`` in pairs along some axes."""
    shape = tuple((count + 1) // 2 if halve else count for count, halve in zip(fine.shape, paired, strict=True))
    coarse = Rows((shape[0], shape[1], shape[2]), fine.wraps)
    z, y = np.divmod(np.arange(fine.count), fine.shape[1])
    step_z, step_y = 1 + paired[0], 1 + paired[1]
    parent = (z // step_z) * shape[1] + y // step_y
    children = np.full((coarse.count, 4), -1, dtype=np.int32)
    children[parent, 2 * (z % step_z) + y % step_y] = np.arange(fine.count)
    return Pairing(coarse, Transfer(parent.astype(np.int32), children, coarse.points, paired))


Field = NDArray[np.float32]
"""One value per place: (rows + 1, width), see :mod:`resinflow.stokes.algebra.level`."""


class Layout(NamedTuple):
    """Where the places of a level lie.

    Attributes:
        near: (rows, 4), the rows south, north, below and above.
        points: places in a row; they are numbered from 1.
        wrap: whether the rows are periodic.
    """

    near: NDArray[np.int32]
    points: int
    wrap: bool


class Level(NamedTuple):
    """A seven-point stencil with all its conductances, see :mod:`resinflow.stokes.algebra.stencil`.

    Attributes:
        cx: conductance to the place before in the row.
        cy: conductance to the row south.
        cz: conductance to the row below.
        diagonal: BLOCKED where there is no unknown.
        layout: where the places lie.
    """

    cx: Field
    cy: Field
    cz: Field
    diagonal: Field
    layout: Layout


class ViscousLevel(NamedTuple):
    """The viscous operator of one velocity component, see :mod:`resinflow.stokes.algebra.viscous`.

    Attributes:
        excess: diagonal beyond that of a face amid the fluid; BLOCKED where there is no unknown.
        share: (width,), control volume by place in a row, in voxels.
        conductance: (z, y, x), of a full face: 1 / spacing^2.
        layout: where the places lie.
    """

    excess: Field
    share: NDArray[np.float32]
    conductance: NDArray[np.float32]
    layout: Layout


class Transfer(NamedTuple):
    """How the places of a level are aggregated to those of the next coarser one.

    Attributes:
        parent: (fine rows,), the coarse row of every fine row.
        children: (coarse rows, 4), the fine rows of every coarse row; -1 where there is none.
        points: places in a coarse row.
        paired: per array axis (z, y, x), are pairs formed?
    """

    parent: NDArray[np.int32]
    children: NDArray[np.int32]
    points: int
    paired: tuple[bool, bool, bool]


class Saddle(NamedTuple):
    """The whole Stokes system on the finest level, see :mod:`resinflow.stokes.algebra.saddle`.

    Attributes:
        excess: (3, rows + 1, width), diagonal of ``A`` beyond that of a face amid the fluid; BLOCKED without unknown.
        rest: (3, rows + 1, width), what single precision leaves out of ``excess``; None where single precision will do.
        openness: (3, rows + 1, width), open fractions of the faces; None where all unknown faces are fully open. The type
            tells which: numba compiles a kernel once for each, and drops from the one without what concerns openness.
        shares: (2, width), control volumes of lateral and of flow velocities by place in a row, in voxels.
        conductance: (z, y, x), of a full face: 1 / spacing^2.
        area: (z, y, x), of a full face: 1 / spacing.
        layout: where the faces lie.
        voxels: voxels in a row.
    """

    excess: NDArray[np.float32]
    rest: NDArray[np.float32] | None
    openness: NDArray[np.float32] | None
    shares: NDArray[np.float32]
    conductance: NDArray[np.floating]
    area: NDArray[np.floating]
    layout: Layout
    voxels: int


class Ends(NamedTuple):
    """What stands at the ends of the lines of unknowns along one axis (:func:`resinflow.stokes.algebra.viscous.wall_excess`).

    Attributes:
        normal: the lines run along the component's own direction.
        wraps: opposite sides of the box are joined.
        mirrored: the sides of the box are symmetry planes, so that a run that ends there is half of one.
        beyond_open: zero gradient beyond the sides of the box.
        beyond_wall: a wall on the sides of the box.
        plain: the plain wall rule rather than the gap coefficient.
    """

    normal: bool
    wraps: bool
    mirrored: bool
    beyond_open: bool
    beyond_wall: bool
    plain: bool
