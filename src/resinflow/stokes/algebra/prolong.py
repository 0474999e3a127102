"""From a field on the same grid or a coarser one to the state that an iteration starts from.

Velocities beside walls cannot be interpolated: the profile across a gap of a few voxels lies below the coarse voxel. What
varies slowly is the velocity over the local Stokes response w, the pressure gradient that the flow feels. It is
fitted to the coarse face velocities U by least squares, ``sum c w U / sum c w^2`` with interpolation weights c and the means
of w over coarse faces, and multiplied by the fine w.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import Factors, FlowField, InvalidInputError, interpolation_places
from resinflow.stokes.algebra.twoscale import TwoScale
from resinflow.stokes.problem.problem import Problem, staggered_velocity, to_faces, to_state
from resinflow.stokes.problem.system import PRESSURE

Array = NDArray[np.floating]

_LEAST = 1e-12
"""Squared response, over its largest, below which a face counts as closed."""


def start_state(problem: Problem, preconditioner: TwoScale, flow: FlowField) -> NDArray[np.float64]:
    """Return the state of a field on the grid of ``problem``, or on one coarser by whole factors along every axis.

    The state of a coarser field is not free of divergence, and its amplitude is not the best one.

    Raises:
        InvalidInputError: the field's grid is neither the same nor coarser by whole factors.
    """
    shape, coarse = problem.micro.shape, flow.microstructure.shape
    if shape == coarse:
        return to_state(problem, flow)
    factors = tuple(fine // count for fine, count in zip(shape, coarse, strict=True))
    if tuple(count * factor for count, factor in zip(coarse, factors, strict=True)) != shape:
        raise InvalidInputError(
            f"the field has {coarse} voxels, the medium {shape}; needed: the same, or fewer by whole factors along every axis."
        )
    return to_state(problem, _prolonged(problem, preconditioner, flow, (factors[0], factors[1], factors[2])))


def _prolonged(problem: Problem, preconditioner: TwoScale, flow: FlowField, factors: Factors) -> FlowField:
    """The field on the grid of the problem."""
    state = problem.system.new_state(np.float64)
    for component in range(PRESSURE):
        state[component] = preconditioner.response(component)
    response = to_faces(problem, state)
    velocities = staggered_velocity(flow, problem).components
    means = response.coarse(factors).components
    faces = [_on_fine_faces(velocities[k], response.components[k], means[k], 2 - k, factors) for k in range(3)]
    return replace(
        flow,
        microstructure=problem.micro,
        velocity=np.zeros((3, *problem.micro.shape)),
        pressure=_on_fine_voxels(flow, factors),
        face_velocity=(faces[0], faces[1], faces[2]),
        velocity_std=None,
        pressure_std=None,
        permeability_samples=None,
        report=None,
    )


def _on_fine_faces(velocity: Array, response: Array, mean: Array, normal: int, factors: Factors) -> Array:
    """Fine face velocities: the response times the gradient that the coarse face velocities ask of its coarse mean."""
    demand, weight = mean * velocity, mean * mean
    for axis, factor in enumerate(factors):
        demand, weight = (_interpolated(values, axis, factor, faces=axis == normal) for values in (demand, weight))
    least = _LEAST * float(weight.max(initial=0.0))
    return response * np.divide(demand, weight, out=np.zeros_like(demand), where=weight > least)


def _on_fine_voxels(flow: FlowField, factors: Factors) -> Array:
    """Pressure interpolated between voxels; those in the fibres have that of the nearest fluid voxel."""
    micro = flow.microstructure
    nearest = ndimage.distance_transform_edt(~micro.fluid, sampling=micro.spacing, return_distances=False, return_indices=True)
    z, y, x = np.asarray(nearest)
    pressure = flow.pressure[z, y, x]
    for axis, factor in enumerate(factors):
        pressure = _interpolated(pressure, axis, factor, faces=False)
    return pressure


def _interpolated(values: Array, axis: int, factor: int, *, faces: bool) -> Array:
    """Values on a grid finer along an axis, linear in between and constant beyond the first and the last place."""
    count = values.shape[axis]
    if factor == 1 or count == 1:
        return values if factor == 1 else np.repeat(values, factor, axis)
    if faces:
        fine = np.arange((count - 1) * factor + 1) / factor
        before = np.minimum(fine.astype(np.int64), count - 2)
        part = fine - before
    else:
        before, part = interpolation_places(count, factor)
        part = np.clip(part, 0.0, 1.0)
    part = part.reshape([-1 if k == axis else 1 for k in range(3)])
    return np.take(values, before, axis) * (1.0 - part) + np.take(values, before + 1, axis) * part
