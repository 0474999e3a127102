"""From a medium's start flows to the fields that networks see, and from their corrections back to a flow.

Everything between is dimensionless and has the flow along x; what goes in and comes out is in SI and in the medium's axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, Axis, Base, FlowField, InvalidInputError, Microstructure, ModelReport
from resinflow.models.features import Conditions, InputConfig, build_conditions, defined_voxels
from resinflow.models.start import StartFlows

Array = NDArray[np.floating]


StartSolver = Callable[..., StartFlows]
"""(microstructure, base=, axis=, pressure_drop=, viscosity=) -> StartFlows; from outside, so that a model needs no solver."""
Projector = Callable[[FlowField], FlowField]
"""Returns the nearest field that conserves mass on the faces of the mask; from outside for the same reason."""


@dataclass(frozen=True)
class FlowSolvers:
    """What a model asks of a solver.

    Attributes:
        start: solves the flows that a prediction starts from.
        project: makes a field conserve mass.
    """

    start: StartSolver
    project: Projector


def solved_start(
    solvers: FlowSolvers | None, micro: Microstructure, base: Base, *, axis: Axis, pressure_drop: float, viscosity: float
) -> StartFlows:
    """Return the flows that a prediction starts from.

    Raises:
        InvalidInputError: no solvers, or an axis that no model knows.
    """
    if solvers is None:
        raise InvalidInputError("no start flows were given; needed: start=StartFlows(planar, base), or load_model.")
    _check_axis(axis)
    return solvers.start(micro, base=base, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity)


def conditions_of(start: StartFlows, axis: Axis, inputs: InputConfig) -> Conditions:
    """Return what the networks see, with the flow along x.

    Raises:
        InvalidInputError: an axis that the model does not know, voxels that are not square in the slice plane, or a medium
            at rest.
    """
    _check_axis(axis)
    _, dy, dx = start.planar.microstructure.spacing
    if abs(dy - dx) > 0.01 * dx:
        raise InvalidInputError(f"the pixels are {dx:g} x {dy:g} m; needed: square pixels in the slice plane. Resample first.")
    planar, base = start.planar.turned(), start.base.turned()
    return build_conditions(planar, base, speed=inputs.speed, hidden=inputs.hidden, learns=inputs.learns)


def dimensional(start: StartFlows, axis: Axis, conditions: Conditions, outputs: Array) -> Array:
    """Return what networks give (samples, 4, nz, ny, nx) as corrections in m/s and Pa and in the medium's axes.

    Velocities are zero where the base flow lets no resin through, pressures in the fibres.
    """
    corrections = outputs if conditions.offset is None else outputs + conditions.offset
    units = np.array([conditions.speed] * 3 + [conditions.drop], dtype=corrections.dtype).reshape(1, 4, 1, 1, 1)
    return _turned_back(units * corrections, axis) * defined_voxels(start.base)


def corrected_flow(
    start: StartFlows, axis: Axis, changes: Array, report: ModelReport, projector: Projector | None
) -> FlowField:
    """Return base flow plus mean correction, with the spread of the members and their permeabilities.

    With a projector the field conserves mass exactly and nothing crosses the faces of voxels that the base flow lets no resin
    through. What the projection takes from the flow rate one factor for the whole field gives back, so that K is the mean of
    the members' own.

    Args:
        start: planar and base flow.
        axis: of the flow.
        changes: (samples, 4, nz, ny, nx), corrections of velocity and pressure from :func:`dimensional`.
        report: how they were made.
        projector: makes the mean correction conserve mass, as the base does.
    """
    base, micro = start.base, start.base.microstructure
    along = AXES[::-1].index(axis)
    scale = base.viscosity * micro.extent[AXES.index(axis)] / base.pressure_drop
    rates = base.velocity[along].mean(dtype=np.float64) + changes[:, along].mean(axis=(1, 2, 3), dtype=np.float64)
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
    whole = replace(_sum(base, change if projector is None else projector(change)), microstructure=micro)
    if projector is not None:
        whole = _with_rate(whole, along, float(rates.mean()))
    return replace(
        whole,
        velocity_std=changes[:, :3].std(axis=0, ddof=1) if several else None,
        pressure_std=changes[:, 3].std(axis=0, ddof=1) if several else None,
        permeability_samples=scale * rates,
        report=report,
    )


def _check_axis(axis: Axis) -> None:
    if axis not in ("x", "y"):
        raise InvalidInputError(f"the model's flow axis is {axis!r}; needed: x or y. Along z use resinflow.solve.")


def _sum(base: FlowField, change: FlowField) -> FlowField:
    """Base plus change, with staggered velocities where both have them; the change carries the pressure of the sum."""
    faces = None
    if base.face_velocity is not None and change.face_velocity is not None:
        u, v, w = (first + second for first, second in zip(base.face_velocity, change.face_velocity, strict=True))
        faces = (u, v, w)
    return replace(change, velocity=base.velocity + change.velocity, face_velocity=faces)


def _with_rate(flow: FlowField, along: int, rate: float) -> FlowField:
    """The flow times the one factor that gives it this mean velocity along an axis; as it is where none is sensible."""
    found = float(flow.velocity[along].mean(dtype=np.float64))
    if found * rate <= 0:
        return flow
    factor = rate / found
    faces = flow.face_velocity
    if faces is not None:
        faces = (faces[0] * factor, faces[1] * factor, faces[2] * factor)
    return replace(flow, velocity=flow.velocity * factor, face_velocity=faces)


def _turned_back(fields: Array, axis: Axis) -> Array:
    """Undo :meth:`resinflow.FlowField.turned` on (samples, 4, nz, ny, nx)."""
    return fields if axis == "x" else np.ascontiguousarray(fields[:, [1, 0, 2, 3]].swapaxes(3, 4))
