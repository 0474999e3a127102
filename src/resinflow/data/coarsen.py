"""From the flow on a finer grid to the grid that stores it, by conservative averages.

The means of fine face velocities over every coarse face carry the fine flow rates through the coarse planes and voxels: what
conserved mass on the fine grid conserves it on the coarse one, to rounding. Voxels that a fibre surface cuts let resin
through even where their centre, which decides the stored mask, lies in the fibre.
:func:`resinflow.stokes.fit_to_mask` leads that resin around them, for whoever needs a field of the mask alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.core import FlowField, InvalidInputError, Microstructure
from resinflow.media import Fibres
from resinflow.stokes import solve
from resinflow.stokes.prolong import Factors, blocks, face_means
from resinflow.stokes.walls import WallRule

Array = NDArray[np.floating]


def solve_refined(
    fibres: Fibres,
    micro: Microstructure,
    refinement: Factors,
    *,
    wall_rule: WallRule,
    pressure_drop: float,
    viscosity: float,
    tolerance: float,
) -> FlowField:
    """Return the flow along x through ``fibres``, solved on a finer grid, on the grid of ``micro``.

    The field has the means over the voxels, conserves mass, and its K is that of the finer grid.

    Args:
        fibres: what the medium is made of.
        micro: the same fibres on the grid of the result.
        refinement: finer voxels per voxel along (z, y, x).
        wall_rule: as :func:`resinflow.solve`; ``surface`` takes the exact signed distance of the finer grid.
        pressure_drop: Pa.
        viscosity: Pa s.
        tolerance: relative error of K on the finer grid.

    Raises:
        InvalidInputError: the medium does not percolate on either grid.
        ConvergenceError: the tolerance was not met.
    """
    nz, ny, nx = (count * factor for count, factor in zip(micro.shape, refinement, strict=True))
    fine = fibres.microstructure((nz, ny, nx), micro.provenance)
    flow = solve(fine, pressure_drop=pressure_drop, viscosity=viscosity, tolerance=tolerance, wall_rule=wall_rule)
    if flow.permeability == 0:
        raise InvalidInputError("the medium does not percolate along x on the finer grid")
    return coarse_grain(flow, refinement, micro)


def coarse_grain(flow: FlowField, factors: Factors, micro: Microstructure) -> FlowField:
    """Return the means of a flow over the voxels of a coarser grid.

    Face velocities are averaged over the fine faces of every coarse face, so that flow rates through coarse planes and the
    balance of every voxel are those of the fine flow to rounding; velocities at voxel centres are the means of both faces, and
    pressures those of the fluid fine voxels. Resin may pass through voxels whose centre lies in a fibre; their pressure is zero
    as that of the fibres.

    Args:
        flow: with face velocities.
        factors: fine voxels per coarse voxel along (z, y, x).
        micro: the medium on the coarse grid.

    Raises:
        InvalidInputError: no face velocities, or grids that do not fit.
    """
    fine = flow.microstructure
    needed = tuple(count * factor for count, factor in zip(micro.shape, factors, strict=True))
    if fine.shape != needed:
        raise InvalidInputError(f"the flow has {fine.shape} voxels; needed: {needed}, {factors} for each of {micro.shape}.")
    if flow.face_velocity is None:
        raise InvalidInputError("the flow has no face_velocity; needed: staggered velocities, which the solver returns.")
    faces = [face_means(values, 2 - component, factors) for component, values in enumerate(flow.face_velocity)]
    velocity = np.stack([_centred(values, 2 - component) for component, values in enumerate(faces)])
    return replace(
        flow,
        microstructure=micro,
        velocity=velocity,
        pressure=_pressure_means(flow, factors, micro),
        face_velocity=(faces[0], faces[1], faces[2]),
    )


def _centred(faces: Array, axis: int) -> Array:
    """Means of the two faces of every voxel."""
    along = np.moveaxis(faces, axis, 0)
    return np.moveaxis(0.5 * (along[1:] + along[:-1]), 0, axis)


def _pressure_means(flow: FlowField, factors: Factors, micro: Microstructure) -> Array:
    """Means over the fluid part of every voxel; an open voxel without any gets that of the nearest voxel that has one."""
    fluid = flow.microstructure.fluid
    weight = blocks(fluid.astype(np.float64), factors).sum(axis=(1, 3, 5))
    total = blocks(np.where(fluid, flow.pressure, 0.0), factors).sum(axis=(1, 3, 5))
    means = total / np.maximum(weight, 1.0)
    empty = micro.fluid & (weight == 0)
    if empty.any():
        nearest = ndimage.distance_transform_edt(
            weight == 0, sampling=micro.spacing, return_distances=False, return_indices=True
        )
        z, y, x = np.asarray(nearest)
        means = np.where(empty, means[z, y, x], means)
    return np.where(micro.fluid, means, 0.0)
