"""From a signed distance to the discrete system: grid, pores, diagonals and open fractions of the faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from resinflow.flow import AXES, Boundary, Drive, InvalidInputError, Lateral, Microstructure
from resinflow.stokes.algebra.level import Rows
from resinflow.stokes.algebra.stencil import BLOCKED
from resinflow.stokes.problem.cutcell import CutFaces, cut_faces
from resinflow.stokes.problem.mask import FLOW, FaceLayer, Grid, both_sides, pad_widths, wrapping
from resinflow.stokes.problem.pores import find_pores, winding_clusters
from resinflow.stokes.problem.problem import Problem
from resinflow.stokes.problem.system import NO_REST, StokesSystem, pack_excess

Triple = tuple[float, float, float]

_NO_DRAG = 1e-13
"""Part of a diagonal that is rounding."""


CutProblem = tuple[Problem, tuple[CutFaces, CutFaces, CutFaces]]


def pose_cut(micro: Microstructure, drive: Drive) -> Problem | None:
    """Return the discrete problem with the fibre surfaces of ``micro.signed_distance``, or None where K = 0.

    Raises:
        InvalidInputError: as :func:`cut_problem`.
    """
    posed = cut_problem(micro, drive)
    return None if posed is None else posed[0]


def cut_problem(micro: Microstructure, drive: Drive) -> CutProblem | None:
    """Return the discrete problem and the faces that it was made from, or None where K = 0.

    Voxels take part whose faces are partly open, even if their centre lies in a fibre. Velocities of the system are means
    over the open part of a face; times ``system.openness`` they are flow rates per area of the whole face.

    Raises:
        InvalidInputError: no signed distance, an all-solid box, or a box without any wall (K unbounded).
    """
    if micro.signed_distance is None:
        raise InvalidInputError(
            "the medium has no signed_distance; needed: the distance to the fibre surface. Use the voxel mask."
        )
    if not micro.fluid.any():
        raise InvalidInputError("the medium is all solid; needed: some fluid voxels. Is the mask inverted (True is fluid)?")
    distance = np.asarray(micro.signed_distance, dtype=np.float64).transpose(drive.turned)
    dz, dy, dx = (micro.spacing[axis] for axis in drive.turned)
    walled = drive.boundary == "pressure" and drive.lateral == "no-slip"
    faces = cut_faces(distance, (dz, dy, dx), drive.boundary, drive.lateral)
    if not walled and all((field.aperture[field.unknown] == 1).all() for field in faces) and (distance > 0).all():
        raise InvalidInputError(
            "the medium is all fluid and its sides have no wall, so K is unbounded; needed: some fibres, or no-slip sides."
        )
    labels = _through_pores(faces, distance.shape, drive.boundary, drive.lateral)
    if not labels.any():
        return None
    grid = _grid(faces, labels > 0, (dz, dy, dx), drive.boundary, drive.lateral)
    _check_drag(faces, grid, micro, drive)
    pores = find_pores(micro.fluid.transpose(drive.turned), wrapping(drive.boundary, drive.lateral))
    return Problem(micro, drive, pores, grid, _system(faces, grid, labels)), faces


def _check_drag(faces: tuple[CutFaces, CutFaces, CutFaces], grid: Grid, micro: Microstructure, drive: Drive) -> None:
    """Raise InvalidInputError where the flow could slide through as a block along an axis."""
    for field in faces:
        if _free(field, grid):
            axis = AXES[drive.turned[field.normal]]
            distance = np.asarray(micro.signed_distance)
            z, y, x = (int(index) for index in np.unravel_index(distance.argmin(), micro.shape))
            raise InvalidInputError(
                f"the signed distance leaves every face normal to {axis} fully open, so that no fibre holds the flow along "
                f"{axis} (its least value is {distance[z, y, x]:.2g} m, at voxel z {z}, y {y}, x {x}); needed: fibres that "
                "close some of these faces. Use smaller voxels, or the voxel mask."
            )


def _free(field: CutFaces, grid: Grid) -> bool:
    """Whether all faces normal to an axis are unknowns, and none feels a wall.

    Where any face is closed, those beside it feel it. Without walls a diagonal is the sum of the conductances to other faces.
    """
    unknown = grid.faces[field.normal].unknown
    if not unknown.all():
        return False
    joined = np.zeros(unknown.shape)
    for axis, (count, step) in enumerate(zip(unknown.shape, grid.spacing, strict=True)):
        share = 1.0 if axis == field.normal else field.share
        beside = np.full(count, 2.0 if count > 1 or not grid.wraps[axis] else 0.0)
        if not grid.wraps[axis]:
            beside[0] -= 1
            beside[-1] -= 1
        joined += share / step**2 * beside.reshape([-1 if k == axis else 1 for k in range(3)])
    return bool((field.diagonal - joined <= _NO_DRAG * field.diagonal).all())


def _voxels_beside(shape: tuple[int, ...], axis: int, *, wraps: bool) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Numbers of the voxels before and after every face normal to ``axis``, -1 beyond the box."""
    size = int(np.prod(shape))
    numbers = np.arange(size, dtype=np.int32 if size <= np.iinfo(np.int32).max else np.int64).reshape(shape)
    if wraps:
        return np.roll(numbers, 1, axis), numbers
    padded = np.pad(numbers, pad_widths(axis), constant_values=-1)
    return both_sides(padded, axis)


def _through_pores(
    faces: tuple[CutFaces, CutFaces, CutFaces], shape: tuple[int, ...], boundary: Boundary, lateral: Lateral
) -> NDArray[np.integer]:
    """Label the voxels of the pores that lead through the box (1, 2, ...); voxels are joined by open faces."""
    wraps = wrapping(boundary, lateral)
    within, across = [], []  # pairs of voxels joined inside of the box, and over the seam along the flow
    for field in faces:
        before, after = _voxels_beside(shape, field.normal, wraps=wraps[field.normal])
        inside = field.unknown & (before >= 0) & (after >= 0)
        if field.normal == FLOW and wraps[FLOW]:
            seam = inside[..., 0].copy()
            across.append(np.stack([before[..., 0][seam], after[..., 0][seam]]))
            inside[..., 0] = False
        within.append(np.stack([before[inside], after[inside]]))
    count, labels = _clusters(within, shape)
    flow = faces[FLOW].unknown
    if boundary == "pressure":
        through = np.zeros(count + 1, dtype=bool)
        through[np.intersect1d(labels[..., 0][flow[..., 0]], labels[..., -1][flow[..., -1]])] = True
    else:
        seam = flow[..., 0]
        through = winding_clusters(np.where(seam, labels[..., 0], 0), np.where(seam, labels[..., -1], 0), count)
    carrying = through[labels]
    # what the seam joins is one pore, with one level of the pressure
    pores = _clusters([*within, *across], shape)[1] if across else labels
    numbers = np.zeros(int(pores.max()) + 1, dtype=np.int32)
    numbers[pores[carrying]] = 1
    numbers = np.cumsum(numbers, dtype=np.int32)  # in the order of the clusters
    return np.where(carrying, numbers[pores], 0)


def _clusters(pairs: list[NDArray[np.integer]], shape: tuple[int, ...]) -> tuple[int, NDArray[np.integer]]:
    """Number of clusters of joined voxels, and the cluster (1, 2, ...) of every voxel."""
    first, second = np.concatenate(pairs, axis=1)
    size = int(np.prod(shape))
    graph = coo_array((np.ones(first.size, dtype=np.int8), (first, second)), shape=(size, size))
    count, labels = connected_components(graph, directed=False)
    labels += 1
    return count, labels.reshape(shape)


def _grid(
    faces: tuple[CutFaces, CutFaces, CutFaces],
    carrying: NDArray[np.bool_],
    spacing: Triple,
    boundary: Boundary,
    lateral: Lateral,
) -> Grid:
    wraps = wrapping(boundary, lateral)
    flat = carrying.ravel()
    built = []
    for field in faces:
        before, after = _voxels_beside(carrying.shape, field.normal, wraps=wraps[field.normal])
        beside = [np.where(number >= 0, flat[number], False) for number in (before, after)]
        solid = 2 - beside[0].astype(np.int8) - beside[1].astype(np.int8)
        beyond = (before < 0) | (after < 0)  # a face of an open end has one voxel; others carry resin from one to the other
        carried = np.where(beyond, beside[0] | beside[1], beside[0] & beside[1])
        built.append(FaceLayer(field.normal, field.unknown & carried, solid, field.share))
    return Grid(carrying, spacing, boundary, lateral, (built[0], built[1], built[2]))


def _system(faces: tuple[CutFaces, CutFaces, CutFaces], grid: Grid, labels: NDArray[np.integer]) -> StokesSystem:
    """Rows with the open fractions, and the excess of every diagonal over that of a face amid the fluid.

    excess_f = dx^2 diagonal_f - 2 (sum over the axes k of conductance_k share_k),    share_k = 1 along the normal, else share_f
    """
    nz, ny, nx = grid.fluid.shape
    rows = Rows((nz, ny, nx if grid.wraps[FLOW] else nx + 1), grid.wraps)
    step = grid.spacing[FLOW]
    spacing = (grid.spacing[0] / step, grid.spacing[1] / step, 1.0)
    openness = np.zeros((3, *rows.array_shape), dtype=np.float32)
    for number, (field, carriers) in enumerate(zip(faces, grid.faces, strict=True)):
        openness[number] = rows.pack(np.where(carriers.unknown, field.aperture, 0.0).astype(np.float32))
    excess, rest = np.zeros_like(openness), np.zeros_like(openness)
    pores = int(labels.max(initial=0))
    packed = rows.pack(labels, np.int8 if pores < 128 else np.int32)
    system = StokesSystem(rows, grid, excess, rest, openness, spacing, packed, pores)
    conductance = system.conductance(np.float64)
    for number, (field, carriers) in enumerate(zip(faces, grid.faces, strict=True)):
        share = [1.0 if k == number else field.share for k in range(3)]
        amid = sum(2 * conductance[k] * share[k] for k in range(3))
        beyond = np.where(carriers.unknown, field.diagonal * step**2 - amid, float(BLOCKED))
        excess[number], rest[number] = pack_excess(rows, beyond)
    return system if rest.any() else replace(system, rest=NO_REST)
