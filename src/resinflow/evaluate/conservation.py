"""How well a flow field keeps the physics: mass balance, equal flow rates, no flow in the fibres."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, COMPONENTS, FlowField, ratio, rms


@dataclass(frozen=True)
class PhysicsCheck:
    """Violations of the physics, all relative, zero for a perfect field, NaN where a number has no meaning.

    Attributes:
        divergence: RMS of div(u) over RMS of |grad u|, by the staggered velocities where the field has them.
        divergence_at_centres: the same by central differences at voxel centres, for every field: this one compares methods.
            A field of independent random numbers has 0.58; an exact flow has the truncation error of the grid.
        flow_rate_variation: standard deviation over mean of the flux through the planes normal to the flow axis.
        velocity_in_solid: largest speed in a fibre voxel over the mean speed in the fluid.
    """

    divergence: float
    divergence_at_centres: float
    flow_rate_variation: float
    velocity_in_solid: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return asdict(self)


def check_physics(flow: FlowField) -> PhysicsCheck:
    """Return every check of this module for one field."""
    centres = divergence_at_centres(flow)
    return PhysicsCheck(
        divergence=centres if flow.face_velocity is None else divergence_on_faces(flow),
        divergence_at_centres=centres,
        flow_rate_variation=flow_rate_variation(flow),
        velocity_in_solid=velocity_in_solid(flow),
    )


def divergence_at_centres(flow: FlowField) -> float:
    """RMS of div(u) over RMS of |grad u| by central differences on the true spacing.

    Only voxels count whose neighbours along every axis are fluid; an axis of one voxel has no gradient. NaN if there is no
    such voxel or no gradient.
    """
    fluid = flow.microstructure.fluid
    usable = fluid.copy()
    for axis, count in enumerate(fluid.shape):
        if count > 1:
            usable &= _shifted(fluid, axis, 1) & _shifted(fluid, axis, -1)
    velocity = np.asarray(flow.velocity, dtype=np.float64)
    divergence = np.zeros(int(usable.sum()))
    squared_gradient = np.zeros_like(divergence)
    for derivative in COMPONENTS:
        axis = AXES.index(derivative)
        if fluid.shape[axis] == 1:
            continue
        step = flow.microstructure.spacing[axis]
        for number, component in enumerate(COMPONENTS):
            slope = _central_difference(velocity[number], axis, step)[usable]
            squared_gradient += slope**2
            if component == derivative:
                divergence += slope
    return ratio(rms(divergence), float(np.sqrt(squared_gradient.mean())) if squared_gradient.size else 0.0)


def divergence_on_faces(flow: FlowField) -> float:
    """RMS over the fluid voxels of their net outflow per volume, by the staggered velocities, over the RMS of |grad u|.

    |grad u| comes from the differences between neighbouring voxels, fibres (at rest) included, so that it exists in gaps
    one voxel wide. NaN without staggered velocities or without a gradient.
    """
    if flow.faces is None:
        return float("nan")
    fluid = flow.microstructure.fluid
    spacing = flow.microstructure.spacing
    divergence = flow.faces.divergence()
    velocity = np.asarray(flow.velocity, dtype=np.float64) * fluid
    energy = sum(float(((np.diff(velocity, axis=axis + 1) / step) ** 2).sum()) for axis, step in enumerate(spacing))
    count = int(fluid.sum())
    return ratio(rms(divergence[fluid]), float(np.sqrt(energy / count)) if count else 0.0)


def flow_rates(flow: FlowField) -> NDArray[np.float64]:
    """Return the flux (m^3/s) through every plane normal to the flow axis, from inlet to outlet.

    Planes are voxel faces where the field has staggered velocities, planes of voxel centres otherwise.
    """
    number = COMPONENTS.index(flow.axis)
    axis = AXES.index(flow.axis)
    source = flow.velocity[number] if flow.face_velocity is None else flow.face_velocity[number]
    others = tuple(k for k in range(3) if k != axis)
    area = float(np.prod([flow.microstructure.spacing[k] for k in others]))
    return np.asarray(source, dtype=np.float64).sum(axis=others) * area


def flow_rate_variation(flow: FlowField) -> float:
    """Standard deviation over mean of :func:`flow_rates`; NaN if nothing flows."""
    rates = flow_rates(flow)
    return ratio(float(rates.std()), abs(float(rates.mean())))


def velocity_in_solid(flow: FlowField) -> float:
    """Largest speed in a fibre voxel over the mean speed in the fluid; 0 without fibres, NaN if nothing flows."""
    fluid = flow.microstructure.fluid
    speed = np.asarray(flow.speed, dtype=np.float64)
    inside = float(speed[~fluid].max()) if not fluid.all() else 0.0
    return ratio(inside, float(speed[fluid].mean()) if fluid.any() else 0.0)


def _shifted(mask: NDArray[np.bool_], axis: int, by: int) -> NDArray[np.bool_]:
    """Return the neighbour's value ``by`` voxels along ``axis``; False beyond the box."""
    moved = np.roll(mask, -by, axis)
    outside: list[slice | int] = [slice(None)] * mask.ndim
    outside[axis] = -1 if by > 0 else 0
    moved[tuple(outside)] = False
    return moved


def _central_difference(values: NDArray[np.float64], axis: int, step: float) -> NDArray[np.float64]:
    # The wrapped values on the first and last plane are never read: their voxels lack a neighbour inside the box.
    return (np.roll(values, -1, axis) - np.roll(values, 1, axis)) / (2.0 * step)
