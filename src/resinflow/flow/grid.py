"""Staggered velocities recovered from those at voxel centres, so that a stored flow can be checked exactly.

The solver keeps velocities on voxel faces; a data set keeps the mean of the two faces of every voxel. As no resin passes the
faces of a voxel that is solid throughout, the faces follow one after the other from there: ``next = 2 centre - previous``.
Rounding errors of float32 add up along a row: 2.5e-6 of the largest velocity at most in the 1500 flows of
recipes/data-stored.yaml (64 x 64 x 11 voxels).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Faces = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def recover_faces(velocity: NDArray[np.floating], passed: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Faces:
    """Return velocities on the x, y and z faces, (nz, ny, nx+1), (nz, ny+1, nx) and (nz+1, ny, nx).

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
        along = -(divergence((u, v, w), spacing) @ step) / (step @ step)
        u += np.where(free, along, 0.0)[..., None] * alternating
    return u, v, w


def divergence(faces: Faces, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the divergence of every voxel (nz, ny, nx), 1/s."""
    u, v, w = faces
    dz, dy, dx = spacing
    return np.diff(u, axis=2) / dx + np.diff(v, axis=1) / dy + np.diff(w, axis=0) / dz


def _from_closed_end(centre: NDArray[np.floating], passed: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    """Faces along ``axis`` when the first face is closed."""
    values, open_ = np.moveaxis(centre, axis, 0), np.moveaxis(passed, axis, 0)
    faces = np.zeros((len(values) + 1, *values.shape[1:]))
    for place, (value, is_open) in enumerate(zip(values, open_, strict=True)):
        faces[place + 1] = np.where(is_open, 2.0 * value - faces[place], 0.0)
    return np.moveaxis(faces, 0, axis)


def _between_open_ends(centre: NDArray[np.floating], passed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Faces along x when both ends are open: forward from the last closed voxel, backward from the first one to the inlet."""
    forward = _from_closed_end(centre, passed, axis=2)
    backward = np.flip(_from_closed_end(np.flip(centre, 2), np.flip(passed, 2), axis=2), 2)
    behind_solid = np.maximum.accumulate(~passed, axis=2)  # a closed voxel stands at or before this voxel
    known = np.concatenate([np.zeros_like(passed[..., :1]), behind_solid], axis=2)
    free = np.all(passed, axis=2, keepdims=True)
    return np.where(known | free, forward, backward)
