"""How far K moves with the fibre surfaces: all of them at once, by two solves, and each by itself, from one flow.

Stokes' problem is its own adjoint. With the pressure drop given, a wall that moves by ``n`` out of its fibre changes K by

    dK / K = - (integral over the wall of |du/dn|^2 n dS) / (integral over the resin of |grad u|^2 dV)

(Hadamard; between flat walls W apart that is ``-3 n / W`` for each of them). The same holds for the discrete problem: K is the
stationary value of ``2 f.u - u.A u - 2 p.D u``, and of its terms those that the surfaces change are one for the open part of
every face and one for its diagonal (:mod:`resinflow.stokes.problem.cutcell`). Their derivatives, times the flow as it is, give
that of the solver's own K, also in gaps of a voxel in which no gradient of a velocity can be read. The sum over all walls is 2
to 6 % below what two solves give, which also see faces open that are closed in between; :func:`wall_sensitivity` scales to that
where it is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import (
    Drive,
    DriveOptions,
    FlowField,
    InvalidInputError,
    Microstructure,
    check_flow,
    check_medium,
    with_surface,
)
from resinflow.stokes.drag import FaceDrag, cut_medium, face_drag
from resinflow.stokes.problem.cutcell import CutFaces
from resinflow.stokes.problem.mask import FLOW
from resinflow.stokes.solve import DEFAULT_TOLERANCE, solve

STEP = 0.1
"""Pixels by which the surfaces are moved both ways: what a grey image of good contrast tells them to."""
_CANDIDATES = 12
"""Wall voxels nearest to a voxel among which the one on its wall is: surfaces between voxels are nearer than their voxels."""
_ALIKE = 2.0
"""Differences to both sides are alike where the larger is less than three times the smaller."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceResponse:
    """K of a medium, and of the same medium with all fibre surfaces moved along their normals.

    Attributes:
        flow: through the medium as it is.
        thinner: K where all surfaces are moved into the fibres by ``step``, m^2.
        thicker: K where they are moved out of the fibres, m^2; 0 where that closes the medium.
        step: m.
        pixel: edge of a pixel, m.
    """

    flow: FlowField
    thinner: float
    thicker: float
    step: float
    pixel: float

    @property
    def permeability(self) -> float:
        """K of the medium as it is, m^2."""
        return self.flow.permeability

    @property
    def slope(self) -> float:
        """Derivative of ln K by the displacement, 1 / m, negative: thicker fibres let less through; NaN where K is 0."""
        if not self.thinner > 0 < self.thicker:
            return math.nan
        return math.log(self.thicker / self.thinner) / (2 * self.step)

    @property
    def slope_per_pixel(self) -> float:
        """The same for a displacement of one pixel: -1 means that K falls by 10 % where all surfaces move by 0.1 pixel."""
        return self.slope * self.pixel


def pixel_edge(micro: Microstructure) -> float:
    """Return the shorter edge of a pixel of the slices, m."""
    return min(micro.spacing[1:])


def displaced(micro: Microstructure, displacement: float | NDArray[np.floating]) -> Microstructure:
    """Return the medium with its fibre surfaces moved along their normals.

    Args:
        micro: the medium; without a signed distance the one estimated from its mask is taken.
        displacement: out of the fibres, m: one for all surfaces, or (nz, ny, nx), of which the values near a wall count.
    """
    medium = with_surface(check_medium(micro))
    distance = np.asarray(medium.signed_distance, dtype=np.float64) - displacement
    return Microstructure(distance > 0, medium.spacing, distance, medium.provenance)


def surface_response(
    micro: Microstructure,
    drive: Drive | None = None,
    *,
    pixels: float = STEP,
    tolerance: float = DEFAULT_TOLERANCE,
    **conditions: Unpack[DriveOptions],
) -> SurfaceResponse:
    """Return K of a medium with walls at its fibre surfaces, and with all of them moved both ways: three solves.

    Args:
        micro: the medium; without a signed distance the one estimated from its mask is taken.
        drive: as :func:`resinflow.solve`.
        pixels: displacement in pixels, above 0 and up to 1.
        tolerance: relative error of K.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: as :func:`resinflow.solve`, or a displacement out of range.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> from resinflow.stokes import surface_response
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> response = surface_response(micro, axis="x")
        >>> response.thinner > response.permeability > response.thicker  # m^2
        True
    """
    if not 0 < pixels <= 1:
        raise InvalidInputError(f"the displacement is {pixels:g} pixels; needed: above 0, at most 1.")
    drive = Drive.of(drive, **conditions)
    medium = with_surface(check_medium(micro))
    step = pixels * pixel_edge(medium)
    flow = solve(medium, drive, tolerance=tolerance, wall_rule="surface")
    thinner, thicker = (_permeability(displaced(medium, way * step), drive, tolerance) for way in (-1, 1))
    return SurfaceResponse(flow, thinner, thicker, step, pixel_edge(medium))


def _permeability(micro: Microstructure, drive: Drive, tolerance: float) -> float:
    if not micro.fluid.any():  # the surfaces have closed the last gap
        return 0.0
    return solve(micro, drive, tolerance=tolerance, wall_rule="surface").permeability


def wall_sensitivity(flow: FlowField, *, response: SurfaceResponse | None = None) -> Array:
    """Return what a displacement of each piece of wall does to ln K, (nz, ny, nx), 1 / m, from this one flow.

    The values stand in the outermost voxels of the fibres and are 0 elsewhere, nearly all of them negative. Their sum is
    ``d ln K / d displacement`` of all surfaces; the sum of their products with a displacement (m, out of the fibres) is the
    change of ln K under it. Displacements should vary little over a gap's width along the wall; those of both its walls are
    told apart.

    Args:
        flow: solved with walls at the fibre surfaces; a model's flow gives what it knows of them.
        response: of the same medium and drive; the values are scaled so that their sum is its slope.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium.

    Example:
        >>> import resinflow as rf
        >>> from resinflow.stokes import wall_sensitivity
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> weights = wall_sensitivity(rf.solve(micro))
        >>> weights.sum() < 0  # thicker fibres let less resin through
        True
    """
    check_flow(flow)
    faces = face_drag(flow)
    if faces is None:
        return np.zeros(flow.microstructure.shape)
    micro = with_surface(flow.microstructure)
    step = STEP * pixel_edge(micro)
    thinner, thicker = (cut_medium(micro, flow.drive, way * step) for way in (-1, 1))
    power = sum(float(field.power.sum()) for field in faces)
    edge = micro.spacing[flow.drive.turned[FLOW]]
    voxels = np.zeros([micro.shape[axis] for axis in flow.drive.turned])
    for field, thin, thick in zip(faces, thinner, thicker, strict=True):
        _add_to_voxels(_derivative(field, thin, thick, step, edge) / power, field.cut.normal, voxels)
    weights = _on_walls(voxels.transpose(flow.drive.turned), micro)
    if response is not None and math.isfinite(response.slope):
        weights *= response.slope / weights.sum()
    return weights


def _derivative(field: FaceDrag, thinner: CutFaces, thicker: CutFaces, step: float, edge: float) -> Array:
    """Derivative of the power of every face by a displacement of the walls (m) at constant flow and pressure.

    ``2 u r d(aperture) / aperture - u^2 d(diagonal)``, with u and r velocity and force of the face: the mean of the differences
    to both sides, or the smaller one where they are not alike, since the face closes or its diagonal jumps on the way.
    """
    inwards, outwards = _change(field, thinner, edge) / -step, _change(field, thicker, edge) / step
    smaller = np.where(np.abs(inwards) < np.abs(outwards), inwards, outwards)
    alike = np.abs(inwards - outwards) < _ALIKE * np.abs(smaller)
    stays = thicker.aperture > 0
    return np.where(stays, np.where(alike, 0.5 * (inwards + outwards), smaller), inwards) * (thinner.aperture > 0)


def _change(field: FaceDrag, other: CutFaces, edge: float) -> Array:
    """Change of every face's power with the walls of ``other``, flow and pressure as they are; 0 where either is closed."""
    cut, velocity = field.cut, field.velocity
    carries = (cut.aperture > 0) & (velocity != 0) & (other.aperture > 0)
    opened = 2 * (other.aperture - cut.aperture) / np.where(carries, cut.aperture, 1.0) * field.power
    # beside a wall the inverse of the diagonal falls evenly with the open part, and the diagonal does not
    diagonal = cut.diagonal * (1 - cut.diagonal / np.where(carries, other.diagonal, 1.0))
    return np.where(carries, opened - edge**2 * diagonal * velocity**2, 0.0)


def _add_to_voxels(values: Array, axis: int, voxels: Array) -> None:
    """Add half of every face's value to either voxel beside it, all of it where there is one; a seam has one face."""
    faces, beside = np.moveaxis(values, axis, 0), np.moveaxis(voxels, axis, 0)
    if len(faces) == len(beside):
        beside += 0.5 * (faces + np.roll(faces, -1, axis=0))
        return
    beside += 0.5 * (faces[:-1] + faces[1:])
    beside[0] += 0.5 * faces[0]
    beside[-1] += 0.5 * faces[-1]


def _on_walls(values: Array, micro: Microstructure) -> Array:
    """Move the values of voxels to the outermost voxel of the fibre that is nearest to each.

    A wall voxel lies ``-d`` deep in its fibre, so that its distance from a point less that depth is that of the wall, where it
    lies behind it, and more elsewhere.
    """
    from scipy.spatial import KDTree

    wall = ~micro.fluid & np.asarray(ndimage.binary_dilation(micro.fluid), dtype=bool)
    moved = np.zeros(micro.shape)
    places, targets = np.argwhere(values != 0), np.argwhere(wall)
    if not len(places) or not len(targets):
        return moved
    depth = np.asarray(micro.signed_distance, dtype=np.float64)[wall]
    count = min(_CANDIDATES, len(targets))
    apart, near = KDTree(targets * np.array(micro.spacing)).query(places * np.array(micro.spacing), k=count)
    apart, near = (np.reshape(each, (len(places), count)) for each in (apart, near))
    best = np.take_along_axis(near, (apart + depth[near]).argmin(axis=1)[:, None], axis=1)[:, 0]
    np.add.at(moved, tuple(targets[best].T), values[tuple(places.T)])
    return moved
