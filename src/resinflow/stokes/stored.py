"""The flow on a medium's own grid with walls at the fibre surfaces, and the nearest flow without any in the mask's fibres."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import numpy as np

from resinflow.flow import (
    BlockedMediumError,
    Drive,
    DriveOptions,
    FlowField,
    InvalidInputError,
    Microstructure,
    check_medium,
    with_surface,
)
from resinflow.stokes.certify import project
from resinflow.stokes.problem.mask import WallRule
from resinflow.stokes.solve import solve

GRID_TOLERANCE = 1e-4
"""Relative error of K: a hundredth of what the voxels leave open."""


def grid_flow(
    micro: Microstructure,
    drive: Drive | None = None,
    *,
    tolerance: float = GRID_TOLERANCE,
    wall_rule: WallRule = "surface",
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return the most accurate flow that the solver gives on the medium's own grid.

    With the wall rule ``surface``, a fibre voxel that the surface cuts carries the resin of its open part. So do the means
    over the voxels of the true flow.

    Args:
        micro: the medium; with ``surface`` its signed distance is used, or estimated from the mask.
        drive: as :func:`resinflow.solve`.
        tolerance: relative error of K.
        wall_rule: as :func:`resinflow.solve`.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: as :func:`resinflow.solve`, or nothing percolates along the axis.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> rf.grid_flow(micro, rf.Drive("y")).axis
        'y'
    """
    check_medium(micro)
    medium = with_surface(micro) if wall_rule == "surface" else micro
    drive = Drive.of(drive, **conditions)
    flow = solve(medium, drive, tolerance=tolerance, wall_rule=wall_rule)
    if flow.permeability == 0:
        raise BlockedMediumError(f"the medium does not percolate along {drive.axis}, so that nothing flows: K = 0.")
    return replace(flow, microstructure=micro, pressure=np.where(micro.fluid, flow.pressure, 0.0))


def fit_to_mask(flow: FlowField) -> FlowField:
    """Return the nearest field without flow in the fibres of its mask that conserves mass and has the same K.

    The nearest is meant in the norm weighted by the local response (:func:`resinflow.stokes.certify.project`): resin from
    partly filled voxels takes to the open ones beside them. The projection loses or gains a little flow rate, which one factor
    for the whole field gives back. Pressures in the fibres are dropped.

    Args:
        flow: a field with staggered velocities.

    Raises:
        InvalidInputError: the mask does not percolate along the flow.
        ConvergenceError: the Poisson solve failed.
    """
    admissible = project(flow)
    if admissible.permeability == 0 or flow.permeability == 0 or admissible.faces is None:
        raise InvalidInputError(f"the medium does not percolate along {flow.axis}, so that nothing flows: K = 0.")
    scale = flow.permeability / admissible.permeability
    faces = admissible.faces.scaled(scale)
    pressure = np.where(flow.microstructure.fluid, flow.pressure, 0.0)
    return replace(flow, velocity=admissible.velocity * scale, face_velocity=faces.components, pressure=pressure)
