"""The Stokes system from a signed distance: fibre surfaces where they are, not where the voxels are.

The staggered grid, its constant conductances and its symmetric form stay; what changes is one number per face each for the
divergence and for the diagonal of ``A``.

Unknowns are mean velocities over the open part of a face; the aperture (open fraction) weights divergence, gradient and load
alike, so that the fluxes of a smooth flow are exact. The diagonal is chosen such that a local reference profile is
reproduced exactly: ``psi = d (W - d) / 2`` across a gap of width W, d the distance from its wall, for which ``-lap psi = 1``
between flat walls (less ``(W / 2 - d) lap d`` beside curved ones). With the face means ``Psi`` of it

    diagonal_f = (aperture_f volume g_f + sum over the six places beside f of conductance Psi_n) / Psi_f,    g = -lap psi,

so that ``A Psi`` equals the load whatever the angle between wall and grid. Any flow near a wall is ``s Psi`` with a slowly
varying s, and its discrete energy ``sum s^2 Psi (A Psi) + sum conductance Psi_f Psi_n (s_f - s_n)^2`` is right to second
order. For walls along the grid it is the gap coefficient of :mod:`resinflow.stokes.problem.mask` for gaps of any real width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Boundary, Lateral
from resinflow.stokes.problem.mask import FLOW, pad_widths, wrapping
from resinflow.stokes.problem.moments import open_moments
from resinflow.stokes.problem.surroundings import surroundings

SMALLEST_APERTURE = 0.02
"""Faces open by less carry next to no flow (their flux falls with the square of the aperture) and are closed."""

_PAD = 3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CutFaces:
    """The faces normal to one array axis of a medium with known fibre surfaces.

    Attributes:
        normal: array axis to which the faces are normal.
        aperture: open fraction; 0 for closed faces. Shape (nz, ny, nx) with one more along ``normal`` unless it wraps.
        diagonal: diagonal of ``A`` over the volume of a voxel (1 / m^2); 0 for closed faces.
        share: control volume in voxels: 1, or 0.5 on an open side of the box.
    """

    normal: int
    aperture: Array
    diagonal: Array
    share: Array

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Faces whose velocity is solved for."""
        return self.aperture > 0


def cut_faces(
    distance: Array, spacing: tuple[float, float, float], boundary: Boundary, lateral: Lateral
) -> tuple[CutFaces, CutFaces, CutFaces]:
    """Return apertures and diagonals for flow along the last axis, ordered by array axis (z, y, x).

    Args:
        distance: signed distance to the fibre surface at voxel centres (nz, ny, nx), m, positive in the fluid.
        spacing: (dz, dy, dx), m.
        boundary: condition along the flow.
        lateral: condition on the other sides.
    """
    box = _Box(distance.shape, spacing, boundary, lateral)
    padded = _padded(np.asarray(distance, dtype=np.float64), box)
    z, y, x = (_faces(padded, axis, box) for axis in range(3))
    return z, y, x


def _padded(distance: Array, box: _Box) -> Array:
    """The distance beyond the box: repeated, mirrored at symmetry planes, continued linearly beyond open ends."""
    for axis in range(3):
        pad = pad_widths(axis, _PAD, _PAD)
        if box.wraps[axis]:
            distance = np.pad(distance, pad, mode="wrap")
        elif axis == FLOW and distance.shape[axis] > _PAD:
            distance = np.pad(distance, pad, mode="reflect", reflect_type="odd")
        else:
            distance = np.pad(distance, pad, mode="edge" if axis == FLOW else "symmetric")
    if box.walled:
        for axis in (0, 1):
            count = box.shape[axis]
            height = (np.arange(-_PAD, count + _PAD) + 0.5) * box.spacing[axis]
            to_side = np.minimum(height, count * box.spacing[axis] - height)
            distance = np.minimum(distance, to_side.reshape([-1 if k == axis else 1 for k in range(3)]))
    return distance


@dataclass(frozen=True)
class _Profile:
    """What the reference profile needs on the faces normal to one axis.

    Attributes:
        aperture: open fraction.
        first: mean of the distance over the open part, m.
        second: mean of its square, m^2.
        width: of the gap, m.
        curvature: Laplacian of the distance, 1 / m.
    """

    aperture: Array
    first: Array
    second: Array
    width: Array
    curvature: Array

    def source(self) -> Array:
        """Mean of ``-lap psi`` over the open part: with ``|grad d| = 1`` it is ``g = 1 - (W / 2 - <d>) lap d``."""
        return 1.0 - (0.5 * self.width - self.first) * self.curvature


@dataclass(frozen=True)
class _Box:
    """The grid and the conditions on its sides."""

    shape: tuple[int, ...]
    spacing: tuple[float, float, float]
    boundary: Boundary
    lateral: Lateral

    @property
    def wraps(self) -> tuple[bool, bool, bool]:
        return wrapping(self.boundary, self.lateral)

    @property
    def walled(self) -> bool:
        """Whether the sides are no-slip walls."""
        return self.lateral == "no-slip" and self.boundary == "pressure"

    def open_ends(self, axis: int) -> bool:
        """Whether the first and last faces normal to ``axis`` are inlet and outlet."""
        return axis == FLOW and self.boundary == "pressure"


def _faces(padded: Array, axis: int, box: _Box) -> CutFaces:
    profile = _profile(padded, axis, box)
    unknown = profile.aperture >= SMALLEST_APERTURE
    share = np.ones(unknown.shape)
    if box.open_ends(axis):
        np.moveaxis(share, axis, 0)[[0, -1]] = 0.5
    elif not box.wraps[axis]:
        np.moveaxis(unknown, axis, 0)[[0, -1]] = False
    diagonal = _diagonal(axis, profile, unknown, share, box)
    return CutFaces(axis, np.where(unknown, profile.aperture, 0.0), np.where(unknown, diagonal, 0.0), share)


def _profile(padded: Array, axis: int, box: _Box) -> _Profile:
    centre = _at_faces(padded, axis)  # _PAD places beyond the box across the faces, _PAD - 1 along
    around = surroundings(centre, box.spacing)
    slope_a, slope_b = (around.slopes[k] for k in range(3) if k != axis)
    moments = open_moments(centre, slope_a, slope_b, around.width)
    counts = [box.shape[k] + (k == axis and not box.wraps[k]) for k in range(3)]
    first = [_PAD - (k == axis) for k in range(3)]
    crop = tuple(slice(start, start + count) for start, count in zip(first, counts, strict=True))
    aperture, mean, square = (field[crop].copy() for field in moments)
    return _Profile(aperture, mean, square, around.width[crop].copy(), around.curvature[crop])


def _diagonal(axis: int, profile: _Profile, unknown: NDArray[np.bool_], share: Array, box: _Box) -> Array:
    """Diagonal over voxel volume: as amid the fluid, or what reproduces the reference profile beside walls.

    Beside walls, with < > the mean over the open part of a face and W the gap of f, also in the Psi of its neighbours n:

        diagonal_f = (aperture_f share_f g_f + sum over n of conductance_n Psi_n) / Psi_f,    Psi = (W <d> - <d^2>) / 2

    It never falls below the conductances to other unknowns (``joined``): where the ridge of the distance between converging
    walls would ask for less, the profile is no flow's, and ``A`` would lose its diagonal dominance.
    """
    plain, joined, pull = (np.zeros(unknown.shape) for _ in range(3))
    beside_wall = profile.aperture < 1
    for k in range(3):
        conductance = (share if k != axis else np.ones(unknown.shape)) / box.spacing[k] ** 2
        wall_beyond = box.walled and k not in (FLOW, axis)
        for step in (-1, 1):
            # beyond symmetry planes and open ends there is no place, hence no gradient; a no-slip side is a place at rest
            place = _beside(np.ones(unknown.shape), k, step, wraps=box.wraps[k], outside=float(wall_beyond))
            first, second = (
                _beside(field, k, step, wraps=box.wraps[k], outside=0.0) for field in (profile.first, profile.second)
            )
            neighbour = _beside(profile.aperture, k, step, wraps=box.wraps[k], outside=0.0 if wall_beyond else 1.0)
            plain += conductance * place
            joined += conductance * _beside(unknown.astype(np.float64), k, step, wraps=box.wraps[k], outside=0.0)
            pull += conductance * 0.5 * (profile.width * first - second)
            beside_wall |= neighbour < 1
    own = 0.5 * (profile.width * profile.first - profile.second)
    fitted = (profile.aperture * share * profile.source() + pull) / np.where(own > 0, own, 1.0)
    return np.where(beside_wall & unknown, np.maximum(fitted, joined), plain)


def _beside(field: Array, axis: int, step: int, *, wraps: bool, outside: float) -> Array:
    """The values one place further along ``axis``; ``outside`` beyond the array unless it wraps."""
    moved = np.roll(field, -step, axis)
    if not wraps:
        np.moveaxis(moved, axis, 0)[-1 if step > 0 else 0] = outside
    return moved


def _second_difference(values: Array, axis: int) -> Array:
    middle = np.diff(values, 2, axis)
    return np.pad(middle, pad_widths(axis, dimensions=values.ndim), mode="edge")


def _smaller(one: Array, other: Array) -> Array:
    """The one of smaller magnitude, 0 where the signs differ: no curvature is read across the middle of a gap."""
    return np.where(one * other > 0, np.where(np.abs(one) < np.abs(other), one, other), 0.0)


def _at_faces(distance: Array, axis: int) -> Array:
    """Distance at the face centres, third order where it is smooth (essentially non-oscillatory).

    d_f = (d_before + d_after) / 2 - m / 8 with m the smaller second difference of the two places, 0 where their signs differ.
    """
    second = _second_difference(distance, axis)
    before, after = _neighbours(distance, axis)
    return 0.5 * (before + after) - _smaller(*_neighbours(second, axis)) / 8


def _neighbours(field: Array, axis: int) -> tuple[Array, Array]:
    """The places before and after every face along ``axis``, as views."""
    moved = np.moveaxis(field, axis, 0)
    return np.moveaxis(moved[:-1], 0, axis), np.moveaxis(moved[1:], 0, axis)
