"""From a medium's start flows to the fields that networks see, and from their corrections back to a flow.

Everything between is dimensionless and has the flow along x; what goes in and comes out is in SI and in the medium's axes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, Axis, FlowField, InvalidInputError, Microstructure
from resinflow.models.features import Conditions, Inputs, build_conditions, defined_voxels
from resinflow.models.start import StartFlows
from resinflow.stokes import project as projected

Array = NDArray[np.floating]

PROJECTION_TOLERANCE = 1e-6
"""Largest difference of the flow rate between two planes that a correction may leave, relative to its own; the base flow's are
1e-5 at most."""


def conditions_of(start: StartFlows, inputs: Inputs) -> Conditions:
    """Return what the networks see, with the flow along x.

    Raises:
        InvalidInputError: an axis that no model knows, voxels that are not square in the slice plane, or a medium at rest.
    """
    check_axis(start.planar.axis)
    check_pixels(start.planar.microstructure)
    planar, base = start.planar.turned(), start.base.turned()
    return build_conditions(planar, base, speed=inputs.speed, hidden=inputs.hidden, learns=inputs.learns)


def dimensional(start: StartFlows, conditions: Conditions, outputs: Array) -> Array:
    """Return what networks give (samples, 4, nz, ny, nx) as corrections in m/s and Pa and in the medium's axes.

    Velocities are zero where the base flow lets no resin through, pressures in the fibres.
    """
    corrections = outputs if conditions.offset is None else outputs + conditions.offset
    units = np.array([conditions.speed] * 3 + [conditions.drop], dtype=corrections.dtype).reshape(1, 4, 1, 1, 1)
    return _turned_back(units * corrections, start.base.axis) * defined_voxels(start.base)


def corrected_flow(start: StartFlows, changes: Array, *, project: bool) -> FlowField:
    """Return base flow plus mean correction, with the spread of the members and their permeabilities.

    With ``project`` the field conserves mass exactly and nothing crosses the faces of voxels that the base flow lets no resin
    through. What the projection takes from the flow rate one factor for the whole field gives back, so that K is the mean of
    the members' own.

    Args:
        start: planar and base flow.
        changes: (samples, 4, nz, ny, nx), corrections of velocity and pressure from :func:`dimensional`.
        project: whether the mean correction is made to conserve mass, as the base flow does.
    """
    base, micro = start.base, start.base.microstructure
    along = AXES[::-1].index(base.axis)
    scale = base.viscosity * base.length / base.pressure_drop
    rates = _rates(base, changes)
    several = len(changes) > 1
    mean = changes.mean(axis=0)
    change = replace(
        base,
        microstructure=Microstructure(base.open_voxels, micro.spacing),
        velocity=mean[:3],
        pressure=base.pressure + mean[3],
        face_velocity=None,
        report=None,
    )
    if project:
        change = projected(change, tolerance=PROJECTION_TOLERANCE)
    whole = replace(_sum(base, change), microstructure=micro)
    if project:
        whole = _with_rate(whole, along, float(rates.mean()))
    return replace(
        whole,
        velocity_std=changes[:, :3].std(axis=0, ddof=1) if several else None,
        pressure_std=changes[:, 3].std(axis=0, ddof=1) if several else None,
        permeability_samples=scale * rates,
        report=None,
    )


def corrected_permeabilities(base: FlowField, changes: Array) -> list[float]:
    """Return K, m^2, of a base flow with each of several corrections (samples, 4, nz, ny, nx), m/s and Pa."""
    return [float(rate) for rate in base.viscosity * base.length / base.pressure_drop * _rates(base, changes)]


def _rates(base: FlowField, changes: Array) -> NDArray[np.float64]:
    """Mean velocity along the drive, m/s, of the base flow with each correction."""
    along = AXES[::-1].index(base.axis)
    return base.velocity[along].mean(dtype=np.float64) + changes[:, along].mean(axis=(1, 2, 3), dtype=np.float64)


def check_axis(axis: Axis) -> None:
    """Refuse an axis that no model knows.

    Raises:
        InvalidInputError: z.
    """
    if axis not in ("x", "y"):
        raise InvalidInputError(f"the model's flow axis is {axis!r}; needed: x or y. Along z use resinflow.solve.")


def check_pixels(micro: Microstructure) -> None:
    """Refuse pixels that no model knows.

    Raises:
        InvalidInputError: they are not square.
    """
    _, dy, dx = micro.spacing
    if abs(dy - dx) > 0.01 * dx:
        raise InvalidInputError(f"the pixels are {dx:g} x {dy:g} m; needed: square pixels in the slice plane. Resample first.")


def _sum(base: FlowField, change: FlowField) -> FlowField:
    """Base plus change, with staggered velocities where both have them; the change carries the pressure of the sum."""
    faces = None
    if base.face_velocity is not None and change.face_velocity is not None:
        u, v, w = (first + second for first, second in zip(base.face_velocity, change.face_velocity, strict=True))
        faces = (u, v, w)
    return replace(change, velocity=base.velocity + change.velocity, face_velocity=faces)


def _with_rate(flow: FlowField, along: int, rate: float) -> FlowField:
    """The flow times the one factor that gives it this mean velocity along an axis; as it is where none is sensible."""
    own = float(flow.velocity[along].mean(dtype=np.float64))
    if own * rate <= 0:
        return flow
    factor = rate / own
    faces = flow.face_velocity
    if faces is not None:
        faces = (faces[0] * factor, faces[1] * factor, faces[2] * factor)
    return replace(flow, velocity=flow.velocity * factor, face_velocity=faces)


def _turned_back(fields: Array, axis: Axis) -> Array:
    """Undo :meth:`resinflow.FlowField.turned` on (samples, 4, nz, ny, nx)."""
    return fields if axis == "x" else np.ascontiguousarray(fields[:, [1, 0, 2, 3]].swapaxes(3, 4))
