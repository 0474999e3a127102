"""The planar flow: every slice solved by itself, as if no resin passed between slices."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Drive, DriveOptions, FlowField, InvalidInputError, Microstructure, SolverReport, check_medium
from resinflow.stokes.estimate import warn_of_narrow_gaps
from resinflow.stokes.layers import slices_at_once, solve_slices
from resinflow.stokes.solve import DEFAULT_TOLERANCE, MAX_ITERATIONS, check_solver_options


def planar_flow(
    micro: Microstructure,
    drive: Drive | None = None,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return the planar flow: the exact flow of each slice between two symmetry planes, vz = 0.

    Its walls are the faces of the voxels (rule ``plain``) also where the medium knows its fibre surfaces: models were trained
    beside this planar flow.

    Slices that are alike are solved once; slices that do not percolate are at rest. Same boundary conditions as
    :func:`resinflow.solve` with ``boundary="pressure"`` and ``lateral="symmetry"``.

    Args:
        micro: the medium.
        drive: as :func:`resinflow.solve`.
        tolerance: relative error of the K of each slice.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: an axis out of the slice plane, other conditions on the box, or a slice without any fibre (its planar
            flow is unbounded).

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> bool(rf.planar_flow(micro, axis="y").velocity[2].any())  # vz
        False
    """
    check_medium(micro)
    drive = Drive.of(drive, **conditions)
    _check_planar(drive)
    started_at = time.perf_counter()
    check_solver_options(tolerance, MAX_ITERATIONS)
    _check_slices(micro)
    first, places = _different(micro)
    count = slices_at_once(micro)
    groups = [solve_slices(_picked(micro, first[k : k + count]), drive, tolerance) for k in range(0, len(first), count)]
    u, v = (np.concatenate([flow.face_velocity[k] for flow in groups if flow.face_velocity])[places] for k in range(2))
    velocity = np.concatenate([flow.velocity for flow in groups], axis=1)[:, places]
    nz, ny, nx = micro.shape
    flow = FlowField(
        microstructure=micro,
        velocity=velocity,
        pressure=np.concatenate([flow.pressure for flow in groups])[places],
        **asdict(drive),
        face_velocity=(u, v, np.zeros((nz + 1, ny, nx))),
        report=_merged(groups, velocity, time.perf_counter() - started_at),
    )
    return warn_of_narrow_gaps(flow, planar=True)


def _check_slices(micro: Microstructure) -> None:
    porosity = micro.fluid.mean(axis=(1, 2))
    for index in np.flatnonzero((porosity == 0) | (porosity == 1))[:1]:
        if porosity[index] == 1:
            raise InvalidInputError(
                f"slice {index} holds no fibre, so its planar flow is unbounded; needed: some fibre in every slice. "
                "Crop the stack."
            )
        raise InvalidInputError(f"slice {index} is all fibre; needed: some fluid in every slice. Crop the stack.")


def _different(micro: Microstructure) -> tuple[list[int], NDArray[np.intp]]:
    """The slices that are like none before them, and for every slice its place among those."""
    masks = np.packbits(micro.fluid.reshape(micro.shape[0], -1), axis=1)
    place_of: dict[bytes, int] = {}
    places = np.array([place_of.setdefault(mask.tobytes(), len(place_of)) for mask in masks])
    return [int(np.flatnonzero(places == place)[0]) for place in range(len(place_of))], places


def _picked(micro: Microstructure, slices: list[int]) -> Microstructure:
    """Some slices one upon another; of them the mask is all that counts."""
    return Microstructure(micro.fluid[slices], micro.spacing)


def _check_planar(drive: Drive) -> None:
    if drive.axis not in ("x", "y"):
        raise InvalidInputError(f"the planar flow's axis is {drive.axis!r}; needed: x or y, the directions in the slice plane.")
    if (drive.boundary, drive.lateral) != (Drive.boundary, Drive.lateral):
        raise InvalidInputError(
            f"the planar flow's boundary is {drive.boundary!r} and its lateral {drive.lateral!r}; "
            f"needed: {Drive.boundary!r} and {Drive.lateral!r}."
        )


def _merged(groups: list[FlowField], velocity: NDArray[np.floating], seconds: float) -> SolverReport:
    """One report for all slices: the worst of each number."""
    reports = [flow.report for flow in groups if isinstance(flow.report, SolverReport)]
    worst = max(reports, key=lambda report: report.iterations)
    resting = [str(index) for index in np.flatnonzero(~velocity.any(axis=(0, 2, 3)))]
    warnings = (f"slices that do not percolate: {', '.join(resting)}",) if resting else ()
    return SolverReport(
        status="converged",
        iterations=worst.iterations,
        residual=max(report.residual for report in reports),
        residual_history=worst.residual_history,
        permeability_error=max(report.permeability_error for report in reports),
        divergence=max(report.divergence for report in reports),
        wall_time=seconds,
        warnings=warnings,
    )
