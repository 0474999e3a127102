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

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Boundary, Lateral
from resinflow.stokes.problem.mask import FLOW, both_sides, pad_widths, wrapping
from resinflow.stokes.problem.moments import open_moments
from resinflow.stokes.problem.neighbours import Fields, Sums, add_neighbours
from resinflow.stokes.problem.surroundings import curvature, surroundings

SMALLEST_APERTURE = 0.02
"""Faces open by less carry next to no flow (their flux falls with the square of the aperture) and are closed."""

_SEAM_STEP = 0.25
"""Difference of the distance over a seam, in pixels, from which on a medium does not repeat there."""
_LEAST_DRAG = 0.1
"""Least drag of a closed place beside a face, over that of a wall one voxel away. Values from 0 to 1 move K of bundles at 64
pixels by less than 0.1 %; at 0 the systems of distances that are none, and of some media, are singular."""
_MOST_DRAG = 1e8
"""Largest diagonal over that of a face amid the fluid. Faces with more, in gaps that are rounding, are closed."""
_QUANTUM = 2.0**-21
"""Step of the distance, in shortest edges of a voxel: sums and differences of it are exact, so that distances which are alike
(half-way between voxels, say) stay so in every unit and pose, and a wall that lies on a face is seen to do so."""
_PAD, _LARGEST_PAD = 3, 12

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CutFaces:
    """The faces normal to one array axis of a medium with known fibre surfaces.

    Attributes:
        normal: array axis to which the faces are normal.
        aperture: open fraction; 0 for closed faces. Shape (nz, ny, nx) with one more along ``normal`` unless it wraps.
        diagonal: diagonal of ``A`` over the volume of a voxel (1 / m^2); 0 for closed faces.
        share: control volume in voxels: 1, or 0.5 on an open side of the box.
        width: of the gap that a face stands in, m; of closed faces not positive, or that of a gap beside them.
    """

    normal: int
    aperture: Array
    diagonal: Array
    share: Array
    width: Array

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Faces whose velocity is solved for."""
        return self.aperture > 0


def cut_faces(
    distance: Array, spacing: tuple[float, float, float], boundary: Boundary, lateral: Lateral
) -> tuple[CutFaces, CutFaces, CutFaces]:
    """Return apertures, diagonals and gap widths for flow along the last axis, ordered by array axis (z, y, x).

    Args:
        distance: signed distance to the fibre surface at voxel centres (nz, ny, nx), m, positive in the fluid.
        spacing: (dz, dy, dx), m.
        boundary: condition along the flow.
        lateral: condition on the other sides.
    """
    unit = min(spacing)
    box = _Box(distance.shape, (spacing[0] / unit, spacing[1] / unit, spacing[2] / unit), boundary, lateral)
    padded = _padded(np.round(np.asarray(distance, dtype=np.float64) / unit / _QUANTUM) * _QUANTUM, box)
    z, y, x = (_faces(padded, axis, box) for axis in range(3))
    z, y, x = (replace(field, diagonal=field.diagonal / unit**2, width=field.width * unit) for field in (z, y, x))
    return z, y, x


def _padded(distance: Array, box: _Box) -> Array:
    """The distance beyond the box: repeated, mirrored at symmetry planes, continued linearly beyond open ends.

    Where a box repeats but its medium does not (a fibre is cut by the seam), the distance is mirrored as well. Beyond edges
    where that depends on which axis comes first it is the mean of both, so that no axis is preferred.
    """
    forth = _padded_along((0, 1, 2), distance, box)
    if sum(box.wraps) < 2:
        return forth
    return 0.5 * (forth + _padded_along((2, 1, 0), distance, box))


def _padded_along(axes: tuple[int, int, int], distance: Array, box: _Box) -> Array:
    for axis in axes:
        pad = pad_widths(axis, box.pads[axis], box.pads[axis])
        if box.wraps[axis]:
            repeated, mirrored = (np.pad(distance, pad, mode=mode) for mode in ("wrap", "symmetric"))
            distance = np.where(_blocked_seam(distance, axis, box), mirrored, repeated)
        elif axis == FLOW and distance.shape[axis] > _PAD:
            distance = np.pad(distance, pad, mode="reflect", reflect_type="odd")
        else:
            distance = np.pad(distance, pad, mode="edge" if axis == FLOW else "symmetric")
    return distance


def _blocked_seam(distance: Array, axis: int, box: _Box) -> NDArray[np.bool_]:
    """Where resin on one side of the seam of a repeated axis meets a fibre on the other; one place along ``axis``.

    Both sides are continued linearly to the seam. Where they do not meet, the medium may still repeat, with the ridge between
    two fibres beside the seam: then no two values over it differ by more than the distance between their places.
    """
    lines = np.moveaxis(distance, axis, 0)
    if len(lines) < 2:
        return np.moveaxis(np.zeros((1, *lines.shape[1:]), dtype=bool), 0, axis)
    slack, edge = _SEAM_STEP * min(box.spacing), box.spacing[axis]
    ahead, behind = 1.5 * lines[0] - 0.5 * lines[1], 1.5 * lines[-1] - 0.5 * lines[-2]
    blocked = ((ahead > 0) != (behind > 0)) & (np.abs(ahead - behind) > slack)
    pairs = ((lines[0], lines[-1], 1), (lines[1], lines[-1], 2), (lines[0], lines[-2], 2))
    apart = [np.abs(one - other) > count * edge + slack for one, other, count in pairs]
    return np.moveaxis((blocked & (apart[0] | apart[1] | apart[2]))[None], 0, axis)


@dataclass(frozen=True)
class _Profile:
    """What the reference profile needs on the faces normal to one axis, lengths in shortest edges of a voxel.

    Attributes:
        distance: at the face centres.
        aperture: open fraction.
        first: mean of the distance over the open part.
        second: mean of its square.
        width: of the gap.
        around: distance at the face centres and beyond the box.
        crop: where the faces are in it.
    """

    distance: Array
    aperture: Array
    first: Array
    second: Array
    width: Array
    around: Array
    crop: tuple[slice, slice, slice]

    def source(self, where: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Array:
        """Mean of ``-lap psi`` over the open part: with ``|grad d| = 1`` it is ``g = 1 - (W / 2 - <d>) lap d``.

        It is right ``where`` it is needed.
        """
        wanted = np.zeros(self.around.shape, dtype=bool)
        alike = [k for k in range(3) if self.around.shape[k] == 1]  # one place stands for all faces along that axis
        wanted[self.crop] = where.any(axis=tuple(alike), keepdims=True) if alike else where
        return 1.0 - (0.5 * self.width - self.first) * curvature(self.around, spacing, wanted)[self.crop]


@dataclass(frozen=True)
class _Box:
    """The grid and the conditions on its sides; ``spacing`` in shortest edges of a voxel."""

    shape: tuple[int, ...]
    spacing: tuple[float, float, float]
    boundary: Boundary
    lateral: Lateral

    @property
    def wraps(self) -> tuple[bool, bool, bool]:
        return wrapping(self.boundary, self.lateral)

    @property
    def pads(self) -> tuple[int, int, int]:
        """Places beyond the box that are looked at: gaps go on over a seam, and nothing changes along an axis of one voxel."""
        z, y, x = (self._pad(count, wraps=wraps) for count, wraps in zip(self.shape, self.wraps, strict=True))
        return z, y, x

    @staticmethod
    def _pad(count: int, *, wraps: bool) -> int:
        if count == 1:
            return 1
        return min(max(count // 4, _PAD), _LARGEST_PAD) if wraps else _PAD

    @property
    def one_place(self) -> tuple[slice, slice, slice]:
        """Of a padded field, one place along every axis of one voxel, all places along the others."""
        z, y, x = (slice(1, 2) if count == 1 else slice(None) for count in self.shape)
        return z, y, x

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
    share = np.ones([count if k == axis else 1 for k, count in enumerate(unknown.shape)])
    if box.open_ends(axis):
        np.moveaxis(share, axis, 0)[[0, -1]] = 0.5
    elif not box.wraps[axis]:
        np.moveaxis(unknown, axis, 0)[[0, -1]] = False
    else:
        within = tuple(slice(pad, pad + count) for pad, count in zip(box.pads, box.shape, strict=True))
        seam = np.moveaxis(_blocked_seam(padded[within], axis, box), axis, 0)
        np.moveaxis(unknown, axis, 0)[0] &= ~seam[0]
    share = np.broadcast_to(share, unknown.shape)
    if not unknown.any():
        nothing = np.zeros(unknown.shape)
        return CutFaces(axis, nothing, nothing, share, profile.width)
    ends = _ends(profile, axis, box)
    diagonal = _diagonal(axis, profile, unknown, share, box, ends) + _end_walls(axis, unknown, share, box, ends)
    unknown &= diagonal <= _MOST_DRAG * sum(2 / step**2 for step in box.spacing)
    return CutFaces(axis, np.where(unknown, profile.aperture, 0.0), np.where(unknown, diagonal, 0.0), share, profile.width)


def _profile(padded: Array, axis: int, box: _Box) -> _Profile:
    places = padded[box.one_place]
    # along an axis of one voxel all faces are alike; along others the places beyond the box are one less along the normal
    centre = places if box.shape[axis] == 1 else _at_faces(places, axis)
    around = surroundings(centre, box.spacing)
    slope_a, slope_b = (around.slopes[k] for k in range(3) if k != axis)
    moments = open_moments(centre, slope_a, slope_b, around.width)
    counts = tuple(box.shape[k] + (k == axis and not box.wraps[k]) for k in range(3))
    first = [0 if box.shape[k] == 1 else pad - (k == axis) for k, pad in enumerate(box.pads)]
    z, y, x = (slice(start, start + count) for start, count in zip(first, counts, strict=True))
    crop = (z, y, x)
    aperture, mean, square, width = (field[crop].copy() for field in (*moments, around.width))
    aperture = aperture.astype(np.float32).astype(np.float64)  # as the system holds it: the equations are those of it
    fields = (centre[crop], aperture, mean, square, width)
    own, aperture, mean, square, width = (np.broadcast_to(field, counts) for field in fields)
    return _Profile(own, aperture, mean, square, width, np.ascontiguousarray(centre), crop)


@dataclass(frozen=True)
class _Ends:
    """What is beyond the first and the last place of the lines along one axis; arrays have one place along it.

    Attributes:
        closed: no place is beyond: a symmetry plane, an open end, a no-slip side or a blocked seam.
        walled: a no-slip wall is half a voxel beyond.
    """

    closed: NDArray[np.bool_]
    walled: NDArray[np.bool_]


def _ends(profile: _Profile, axis: int, box: _Box) -> tuple[_Ends, _Ends, _Ends]:
    """The ends of the lines along (z, y, x) through the faces normal to ``axis``."""

    def along(k: int) -> _Ends:
        shape = tuple(1 if k == other else count for other, count in enumerate(profile.distance.shape))
        if not box.wraps[k]:
            return _Ends(np.ones(shape, dtype=bool), np.full(shape, box.walled and k not in (FLOW, axis)))
        if k == axis:
            return _Ends(np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool))
        blocked = _blocked_seam(profile.distance, k, box)
        return _Ends(blocked, blocked)

    return along(0), along(1), along(2)


def _diagonal(
    axis: int, profile: _Profile, unknown: NDArray[np.bool_], share: Array, box: _Box, ends: tuple[_Ends, _Ends, _Ends]
) -> Array:
    """Diagonal over voxel volume: as amid the fluid, or what reproduces the reference profile beside walls.

    Beside walls, with < > the mean over the open part of a face and W the gap of f, also in the Psi of its neighbours n:

        diagonal_f = (aperture_f share_f g_f + sum over n of conductance_n Psi_n) / Psi_f,    Psi = (W <d> - <d^2>) / 2

    It never falls below the conductances to other unknowns (``joined``) and a part of those to closed places: where the ridge
    of the distance between converging walls would ask for less, or a distance that is none, the profile is no flow's, and
    ``A`` would lose its positive definiteness.
    """
    plain, joined, pull = (np.zeros(unknown.shape) for _ in range(3))
    beside_wall = profile.aperture < 1
    fields = Fields(
        *(np.ascontiguousarray(field) for field in (profile.first, profile.second, profile.width, profile.aperture))
    )
    sums = Sums(plain, joined, pull, beside_wall)
    for k in range(3):
        if unknown.shape[k] == 1:
            continue  # no other face, or its own neighbour over the seam: nothing changes along that axis
        conductance = np.ascontiguousarray((share if k != axis else np.ones(unknown.shape)) / box.spacing[k] ** 2)
        # beyond a closed end there is no place, hence no gradient; the walls of such ends are added on top
        closed = np.ascontiguousarray(np.moveaxis(ends[k].closed, k, 0)[0])
        add_neighbours(k, fields, np.ascontiguousarray(unknown), conductance, closed, box.wraps[k], sums)
    own = 0.5 * (profile.width * profile.first - profile.second)
    cut = beside_wall & unknown
    fitted = (profile.aperture * share * profile.source(cut, box.spacing) + pull) / np.where(own > 0, own, 1.0)
    floor = joined + _LEAST_DRAG * (plain - joined)
    return np.where(cut, np.maximum(fitted, floor), plain)


def _end_walls(axis: int, unknown: NDArray[np.bool_], share: Array, box: _Box, ends: tuple[_Ends, _Ends, _Ends]) -> Array:
    """What no-slip sides and blocked seams add to the diagonal of a box with symmetric sides there, over voxel volume.

    Such an end is a wall half a voxel away from the first of the N unknowns on a line that ends on it:
    ``6 N / (3 N - 2)`` conductances, as for walls of a mask (:mod:`resinflow.stokes.problem.mask`). Since walls only add to
    the diagonal, no-slip sides never raise the permeability of a box with symmetric ones.
    """
    added = np.zeros(unknown.shape)
    for k in range(3):
        if not ends[k].walled.any():
            continue
        lines, sides = np.moveaxis(unknown, k, 0), np.moveaxis(added, k, 0)
        weights = np.moveaxis(share if k != axis else np.ones(unknown.shape), k, 0)
        walled = np.moveaxis(ends[k].walled, k, 0)[0]
        for place in (0, -1):
            count = np.cumprod(lines if place == 0 else lines[::-1], axis=0).sum(axis=0)
            wall = np.where(walled & (count > 0), 6.0 * count / np.maximum(3.0 * count - 2.0, 1.0), 0.0)
            sides[place] += wall * weights[place] / box.spacing[k] ** 2
    return added


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
    before, after = both_sides(distance, axis)
    return 0.5 * (before + after) - _smaller(*both_sides(second, axis)) / 8
