"""From the flow on a finer grid to the grid that stores it, by conservative averages.

The means of fine face velocities over every coarse face carry the fine flow rates through the coarse planes and voxels: what
conserved mass on the fine grid conserves it on the coarse one, to rounding. Voxels that a fibre surface cuts let resin
through even where their centre, which decides the stored mask, lies in the fibre.
:func:`resinflow.stokes.stored.fit_to_mask` leads that resin around them, for whoever needs a field of the mask alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import (
    BlockedMediumError,
    Drive,
    DriveOptions,
    Factors,
    FlowField,
    InvalidInputError,
    Microstructure,
    ModelReport,
    SolverReport,
    blocks,
    check_flow,
    check_medium,
    refined_medium,
)
from resinflow.media import Fibres
from resinflow.stokes.certify import certify
from resinflow.stokes.estimate import warn_of_narrow_gaps
from resinflow.stokes.extruded import extended, layer_drive, layer_of, mean_slice
from resinflow.stokes.problem.mask import WallRule
from resinflow.stokes.solve import MAX_ITERATIONS, PosedStokes, posed_stokes, solve, solve_discrete

Array = NDArray[np.floating]


def solve_refined(
    fibres: Fibres,
    micro: Microstructure,
    refinement: Factors,
    drive: Drive | None = None,
    *,
    wall_rule: WallRule,
    tolerance: float,
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return the flow through ``fibres``, solved on a finer grid, on the grid of ``micro``.

    The field has the means over the voxels, conserves mass, and its K is that of the finer grid.

    Args:
        fibres: the fibres of the medium.
        micro: the same fibres on the grid of the result.
        refinement: finer voxels per voxel along (z, y, x).
        drive: as :func:`resinflow.solve`.
        wall_rule: as :func:`resinflow.solve`; ``surface`` takes the exact signed distance of the finer grid.
        tolerance: relative error of K on the finer grid.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: the medium does not percolate on either grid.
        ConvergenceError: the tolerance was not met.
    """
    nz, ny, nx = (count * factor for count, factor in zip(micro.shape, refinement, strict=True))
    fine = fibres.microstructure((nz, ny, nx), micro.provenance)
    drive = Drive.of(drive, **conditions)
    flow = solve(fine, drive, tolerance=tolerance, wall_rule=wall_rule)
    if flow.permeability == 0:
        raise InvalidInputError(f"the medium does not percolate along {drive.axis} on the finer grid")
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
    if flow.faces is None:
        raise InvalidInputError("the flow has no face_velocity; needed: staggered velocities, which the solver returns.")
    faces = flow.faces.coarse(factors)
    return replace(
        flow,
        microstructure=micro,
        velocity=faces.centres(),
        pressure=_pressure_means(flow, factors, micro),
        face_velocity=faces.components,
    )


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


FACTORS: Factors = (2, 2, 2)
"""Finer voxels per voxel along (z, y, x): the grid that the flows of the standard data set are solved on."""
TRUTH_TOLERANCE = 1e-4
"""Relative error of K of the flow that predictions are compared with, as in the standard data set."""
_LARGEST_TOLERANCE = 0.5


@dataclass(frozen=True)
class Work:
    """The work of a solve on the finer grid, without its set-up.

    Attributes:
        iterations: Krylov steps.
        seconds: wall time.
        permeability_error: estimated relative error of K that is left.
    """

    iterations: int
    seconds: float
    permeability_error: float

    @classmethod
    def of(cls, flow: FlowField) -> Work:
        """Return the work that a solver's report states; a flow at rest took none."""
        report = flow.report
        if not isinstance(report, SolverReport):
            return cls(0, 0.0, 0.0)
        return cls(report.iterations, report.wall_time, report.permeability_error)


@dataclass(frozen=True)
class Refinement:
    """A flow that the solver improved, from a start, to a wanted accuracy on a finer grid.

    Attributes:
        flow: averages on the grid of the start; K is the finer grid's.
        shape: voxels (nz, ny, nx) of the finer grid.
        setup_seconds: wall time of the fibre surfaces, the discrete system and its preconditioner; no start changes it.
        work: of the solve from the start.
        cold: work of a solve from the solver's own start; None where there was no such solve.
        truth: the flow at :data:`TRUTH_TOLERANCE` or better on the grid of the start; None without the cold solve.
    """

    flow: FlowField
    shape: tuple[int, int, int]
    setup_seconds: float
    work: Work
    cold: Work | None = None
    truth: FlowField | None = None


def certified(flow: FlowField) -> FlowField:
    """Return the flow with its certificate (:func:`resinflow.stokes.certify`) in its report.

    The certificate speaks of the discrete problem on the flow's own grid: with walls where the fibre surfaces are if the flow
    knows of surfaces that cut voxels, else with plain walls on the faces of the mask.

    Raises:
        InvalidInputError: a flow without report.
        ConvergenceError: the Poisson solve failed.
    """
    check_flow(flow)
    if flow.report is None:
        raise InvalidInputError("the flow has no report to hold a certificate; needed: a model's or a solver's flow.")
    return replace(flow, report=replace(flow.report, certificate=certify(flow)))


def check_refinement(tolerance: float) -> None:
    """Raise InvalidInputError unless ``tolerance`` is a relative error of K that a solver can be asked for."""
    if not 0 < tolerance < _LARGEST_TOLERANCE:
        raise InvalidInputError(
            f"the tolerance of the refinement is {tolerance:g}; needed: above 0 and below {_LARGEST_TOLERANCE:g}, a relative "
            "error of K, e.g. --refine 0.01."
        )


def refine_flow(
    flow: FlowField, tolerance: float, *, compare: bool = False, factors: Factors = FACTORS, threads: int | None = None
) -> Refinement:
    """Hand a flow to the solver until the error of K on a finer grid is estimated below ``tolerance``.

    The finer grid has the fibre surfaces of the medium's signed distance, estimated from the mask where there is none
    (:func:`resinflow.flow.surface.refined_medium`), and walls there. The error is estimated from above.

    Args:
        flow: the start: a model's flow, or any other flow of the medium.
        tolerance: relative error of K, above 0 and below 0.5.
        compare: also solve from the solver's own start, which measures what ``flow`` saves, and on to the truth.
        factors: finer voxels per voxel along (z, y, x).
        threads: as :func:`resinflow.solve`.

    Raises:
        InvalidInputError: a tolerance out of range, or a medium that does not percolate along the flow on either grid.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> refinement = rf.refine_flow(rf.response_flow(micro), 0.05)
        >>> refinement.shape
        (6, 32, 32)
        >>> refinement.work.permeability_error <= 0.05
        True
    """
    check_flow(flow)
    check_refinement(tolerance)
    micro, drive = flow.microstructure, flow.drive
    if drive.axis != "z" and micro.shape[0] > 1 and layer_of(micro) is not None and layer_drive(micro, drive) is not None:
        in_slice = refine_flow(mean_slice(flow), tolerance, compare=compare, factors=(1, *factors[1:]), threads=threads)
        truth = None if in_slice.truth is None else extended(in_slice.truth, micro, drive)
        return replace(in_slice, flow=extended(in_slice.flow, micro, drive), truth=truth)
    fine = refined_medium(micro, factors)
    with posed_stokes(fine, drive, "surface", threads) as posed:
        if posed is None:
            raise _blocked(drive)
        warm = posed.solve(tolerance, initial=flow)
        cold = posed.solve(tolerance) if compare else None
        truth = None if cold is None else _finished(posed, cold, min(tolerance, TRUTH_TOLERANCE))
    name = flow.report.model if isinstance(flow.report, ModelReport) else "another flow"
    refined = _averaged(warm, micro, factors, posed.setup_seconds, (f"refined from a prediction by {name}",))
    return Refinement(
        flow=refined,
        shape=fine.shape,
        setup_seconds=posed.setup_seconds,
        work=Work.of(warm),
        cold=None if cold is None else Work.of(cold),
        truth=None if truth is None else _averaged(truth, micro, factors, posed.setup_seconds),
    )


def solve_finer(
    micro: Microstructure,
    drive: Drive | None = None,
    *,
    tolerance: float = TRUTH_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    factors: Factors = FACTORS,
    watch: Callable[[int, float], None] | None = None,
    follow: Callable[[float, float], None] | None = None,
    state: str | Path | None = None,
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return the flow that the solver finds on a finer grid, averaged: what a model with the base ``grid`` predicts.

    Args:
        micro: the medium; its fibre surfaces are those of its signed distance, or estimated from the mask.
        drive: as :func:`resinflow.solve`.
        tolerance: relative error of K on the finer grid.
        max_iterations: as :func:`resinflow.solve`.
        factors: finer voxels per voxel along (z, y, x).
        watch: as :func:`resinflow.solve`.
        follow: as :func:`resinflow.solve`.
        state: as :func:`resinflow.solve`, on the finer grid.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: as :func:`refine_flow`.
        ConvergenceError: the tolerance was not met.
    """
    check_medium(micro)
    drive = Drive.of(drive, **conditions)
    layer, single = layer_of(micro), layer_drive(micro, drive)
    if layer is not None and single is not None and layer is not micro:
        in_slice = solve_finer(
            layer,
            single,
            tolerance=tolerance,
            max_iterations=max_iterations,
            factors=(1, *factors[1:]),
            watch=watch,
            follow=follow,
            state=state,
        )
        return extended(in_slice, micro, drive)
    medium = refined_medium(micro, factors)
    fine = solve_discrete(medium, drive, tolerance, max_iterations, "surface", watch=watch, follow=follow, state=state)
    if fine.permeability == 0:
        raise _blocked(drive)
    return _averaged(fine, micro, factors)


def _finished(posed: PosedStokes, flow: FlowField, tolerance: float) -> FlowField:
    """The flow at a tighter tolerance: itself if it meets it, else solved on; its report counts all of the work."""
    work = Work.of(flow)
    if work.permeability_error <= tolerance:
        return flow
    further = posed.solve(tolerance, initial=flow)
    if not isinstance(further.report, SolverReport):
        return further
    report = further.report
    total = replace(report, iterations=report.iterations + work.iterations, wall_time=report.wall_time + work.seconds)
    return replace(further, report=total)


def _averaged(
    fine: FlowField, micro: Microstructure, factors: Factors, setup_seconds: float = 0.0, origin: tuple[str, ...] = ()
) -> FlowField:
    """The means on the stored grid; the report tells the grid and warns of narrow gaps; a set-up apart adds to its time."""
    if "surface" in fine.microstructure.provenance:  # what an image does not tell, no grid finds
        fine = warn_of_narrow_gaps(fine, surfaces=True, pixel=min(micro.spacing[1:]))
    flow = coarse_grain(fine, factors, micro)
    if not isinstance(flow.report, SolverReport):
        return flow
    nz, ny, nx = fine.microstructure.shape
    surfaces = micro.provenance.get("surface", "known") if micro.signed_distance is not None else "estimated from the mask"
    words = "; ".join((*origin, f"solved on {nx} x {ny} x {nz} voxels with fibre surfaces {surfaces}"))
    seconds = flow.report.wall_time + setup_seconds
    return replace(flow, report=replace(flow.report, wall_time=seconds, warnings=(*flow.report.warnings, words)))


def _blocked(drive: Drive) -> BlockedMediumError:
    return BlockedMediumError(
        f"the medium does not percolate along {drive.axis} on the finer grid, so that nothing flows: K = 0; needed: a medium "
        "with a way through, or leave out the refinement."
    )
