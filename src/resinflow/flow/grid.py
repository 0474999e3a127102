"""Fields on the voxel grid and on the faces of its voxels: divergence, means, turning an axis.

The solver keeps velocities on voxel faces; a data set keeps the mean of the two faces of every voxel. :func:`recover_faces`
goes back, so that a stored flow can be checked exactly: as no resin passes the faces of a voxel that is solid throughout, the
faces follow one after the other from there: ``next = 2 centre - previous``. Rounding errors of float32 add up along a row:
2.5e-6 of the largest velocity at most in the 1500 flows of recipes/data-stored.yaml (64 x 64 x 11 voxels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.microstructure import AXES, Axis

COMPONENTS: tuple[Axis, ...] = ("x", "y", "z")
"""Order of the components of a vector; arrays are ordered (z, y, x)."""

Array = NDArray[np.floating]
Factors = tuple[int, int, int]
"""Voxels of a finer grid per voxel along (z, y, x)."""
Spacing = tuple[float, float, float]
"""Edges of a voxel along (z, y, x), m."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Velocities on the faces of the voxels, m/s.

    Attributes:
        x: x component on the faces normal to x, (nz, ny, nx+1).
        y: y component on the faces normal to y, (nz, ny+1, nx).
        z: z component on the faces normal to z, (nz+1, ny, nx).
        spacing: (dz, dy, dx), m.
    """

    x: Array
    y: Array
    z: Array
    spacing: Spacing

    @classmethod
    def at_rest(cls, shape: tuple[int, int, int], spacing: Spacing) -> Faces:
        """Return zero velocities on the faces of (nz, ny, nx) voxels."""
        nz, ny, nx = shape
        return cls(np.zeros((nz, ny, nx + 1)), np.zeros((nz, ny + 1, nx)), np.zeros((nz + 1, ny, nx)), spacing)

    @classmethod
    def of_centres(cls, velocity: Array, spacing: Spacing, wraps: tuple[bool, bool, bool]) -> Faces:
        """Return the means of the two voxels of every face.

        Args:
            velocity: (3, nz, ny, nx), at voxel centres.
            spacing: (dz, dy, dx), m.
            wraps: along which of (z, y, x) the box repeats; a face on a side that does not repeat takes its one voxel's value.
        """
        x, y, z = (_face_values(velocity[k], 2 - k, wraps=wraps[2 - k]) for k in range(3))
        return cls(x, y, z, spacing)

    @property
    def components(self) -> tuple[Array, Array, Array]:
        """The three arrays in the order (x, y, z)."""
        return self.x, self.y, self.z

    def divergence(self) -> NDArray[np.float64]:
        """Return the net outflow of every voxel per volume, (nz, ny, nx), 1/s."""
        dz, dy, dx = self.spacing
        u, v, w = (np.asarray(values, dtype=np.float64) for values in self.components)
        return np.diff(u, axis=2) / dx + np.diff(v, axis=1) / dy + np.diff(w, axis=0) / dz

    def centres(self) -> Array:
        """Return the means of the two faces of every voxel, (3, nz, ny, nx), m/s."""
        shape = (len(self.x), self.x.shape[1], self.y.shape[2])
        velocity = np.empty((3, *shape), dtype=np.result_type(*self.components))
        for component, values in enumerate(self.components):
            along = np.moveaxis(values, 2 - component, 0)
            centre = np.moveaxis(velocity[component], 2 - component, 0)
            np.add(along[1:], along[:-1], out=centre)
            centre *= 0.5
        return velocity

    def coarse(self, factors: Factors) -> Faces:
        """Return the means over the faces of a grid coarser by whole factors: flow rates through its planes stay.

        Args:
            factors: voxels of this grid per voxel of the coarser one along (z, y, x), divisors of (nz, ny, nx).
        """
        x, y, z = (_coarse_faces(values, 2 - k, factors) for k, values in enumerate(self.components))
        dz, dy, dx = (edge * factor for edge, factor in zip(self.spacing, factors, strict=True))
        return Faces(x, y, z, (dz, dy, dx))

    def scaled(self, factor: float) -> Faces:
        """Return the velocities times one factor."""
        x, y, z = (values * factor for values in self.components)
        return Faces(x, y, z, self.spacing)

    def turned(self, axis: Axis) -> Faces:
        """Return the velocities with ``axis`` and x exchanged, a mirror; views, no copies. It is its own inverse."""
        fields = [turned(values, axis) for values in self.components]
        other = COMPONENTS.index(axis)
        fields[0], fields[other] = fields[other], fields[0]
        return Faces(fields[0], fields[1], fields[2], turned_spacing(self.spacing, axis))


def turned(field: NDArray, axis: Axis) -> NDArray:
    """Return a field on the grid (..., nz, ny, nx) with ``axis`` and x exchanged; a view. It is its own inverse."""
    return np.swapaxes(field, AXES.index(axis) - 3, -1)


def turned_vectors(vectors: NDArray, axis: Axis) -> NDArray:
    """Return vectors on the grid (3, nz, ny, nx), components (x, y, z), with ``axis`` and x exchanged: its own inverse."""
    order = [0, 1, 2]
    other = COMPONENTS.index(axis)
    order[0], order[other] = other, 0
    return turned(vectors[order], axis)


def turned_spacing(spacing: Spacing, axis: Axis) -> Spacing:
    """Return (dz, dy, dx) with the edges along ``axis`` and x exchanged."""
    edges = list(spacing)
    place = AXES.index(axis)
    edges[2], edges[place] = edges[place], edges[2]
    return edges[0], edges[1], edges[2]


def blocks(values: NDArray, factors: Factors) -> NDArray:
    """Return (nz, ny, nx) values with every axis split in two: coarse places and the fine ones within (z, rz, y, ry, x, rx)."""
    split = [part for count, factor in zip(values.shape, factors, strict=True) for part in (count // factor, factor)]
    return values.reshape(split)


def recover_faces(velocity: NDArray[np.floating], passed: NDArray[np.bool_], spacing: Spacing) -> Faces:
    """Return the velocities on the faces whose means over the voxels are ``velocity``.

    Args:
        velocity: (3, nz, ny, nx), means over the voxels; driven along x between open faces, closed along y and z.
        passed: (nz, ny, nx), the voxels that resin passes, e.g. :attr:`resinflow.FlowField.open_voxels`; the velocity is zero
            in the others.
        spacing: (dz, dy, dx), m.

    Rows along x that are open all along leave one number open, an alternating flow that voxel centres do not see. It is the
    one that makes the row's divergence least.
    """
    v = _from_closed_end(velocity[1], passed, axis=1)
    w = _from_closed_end(velocity[2], passed, axis=0)
    u = _between_open_ends(velocity[0], passed)
    free = passed.all(axis=2)
    if free.any():
        alternating = (-1.0) ** np.arange(u.shape[2])
        step = np.diff(alternating) / spacing[2]
        along = -(Faces(u, v, w, spacing).divergence() @ step) / (step @ step)
        u += np.where(free, along, 0.0)[..., None] * alternating
    return Faces(u, v, w, spacing)


def _face_values(values: Array, axis: int, *, wraps: bool) -> Array:
    widths = np.zeros((3, 2), dtype=np.int64)
    widths[axis] = 1
    padded = np.pad(values, widths, mode="wrap" if wraps else "edge")
    return 0.5 * (np.delete(padded, 0, axis) + np.delete(padded, -1, axis))


def _coarse_faces(values: Array, normal: int, factors: Factors) -> Array:
    """Means of values on the faces normal to an array axis: every so-many-th plane of faces, averaged within the plane."""
    planes = np.moveaxis(np.moveaxis(values, normal, 0)[:: factors[normal]], 0, normal)
    within = [1 if axis == normal else factor for axis, factor in enumerate(factors)]
    return blocks(planes, (within[0], within[1], within[2])).mean(axis=(1, 3, 5))


def _from_closed_end(centre: NDArray[np.floating], passed: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    """Faces along ``axis`` when the first face is closed."""
    values, is_passed = np.moveaxis(centre, axis, 0), np.moveaxis(passed, axis, 0)
    faces = np.zeros((len(values) + 1, *values.shape[1:]))
    for place, (value, is_open) in enumerate(zip(values, is_passed, strict=True)):
        faces[place + 1] = np.where(is_open, 2.0 * value - faces[place], 0.0)
    return np.moveaxis(faces, 0, axis)


def _between_open_ends(centre: NDArray[np.floating], passed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Faces along x when both ends are open: forward from the last closed voxel, backward from the first one to the inlet."""
    forward = _from_closed_end(centre, passed, axis=2)
    backward = np.flip(_from_closed_end(np.flip(centre, 2), np.flip(passed, 2), axis=2), 2)
    behind_solid = np.maximum.accumulate(~passed, axis=2)  # a closed voxel stands at or before this voxel
    is_determined = np.concatenate([np.zeros_like(passed[..., :1]), behind_solid], axis=2)
    free = np.all(passed, axis=2, keepdims=True)
    return np.where(is_determined | free, forward, backward)
