"""Media whose slices are all alike, such as an image that is extruded along z: one slice tells the flow of all.

Between symmetry planes or in a period nothing makes one slice differ from the next: the flow in the slice plane is that of a
single slice with vz = 0, and the flow along z has vx = vy = 0 and the same vz in every slice. No-slip walls below and above
make the slices differ; then the medium is solved as any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, Drive, FlowField, Microstructure, surface_distance

Array = NDArray[np.floating]
_WALL = 3
"""Voxels of the walls that stand for no-slip sides of a single slice."""


def layer_of(micro: Microstructure) -> Microstructure | None:
    """Return one slice of a medium whose slices are alike, masks and fibre surfaces; None where they are not."""
    if micro.shape[0] == 1:
        return micro
    distance = micro.signed_distance
    alike = (micro.fluid == micro.fluid[:1]).all() and (distance is None or (distance == distance[:1]).all())
    if not alike:
        return None
    return Microstructure(micro.fluid[:1], micro.spacing, None if distance is None else distance[:1], micro.provenance)


def layer_drive(micro: Microstructure, drive: Drive) -> Drive | None:
    """Return what drives the flow of one slice of an extruded medium; None where walls make the slices' flows differ."""
    if drive.axis == "z":  # the same gradient over a shorter length
        return replace(drive, pressure_drop=drive.pressure_drop / micro.shape[0])
    return None if (drive.boundary, drive.lateral) == ("pressure", "no-slip") else drive


def between_walls(micro: Microstructure, drive: Drive) -> tuple[Microstructure, Drive]:
    """Return a single slice under no-slip sides as a slice between two walls in its plane, and symmetric sides beyond them.

    What is above and below a single slice goes on: its sides are those in its plane. A voxel's wall is at its side of the box.
    The mean velocity of the slice is that of the returned one times the ratio of their voxels. Other media, and flows along z,
    are returned as they are.
    """
    if micro.shape[0] > 1 or drive.axis == "z" or (drive.boundary, drive.lateral) != ("pressure", "no-slip"):
        return micro, drive
    load = replace(drive, lateral="symmetry")
    across = AXES.index("y" if drive.axis == "x" else "x")
    widths = [(_WALL, _WALL) if place == across else (0, 0) for place in range(3)]
    fluid = np.pad(micro.fluid, widths, constant_values=False)
    if micro.signed_distance is None:
        return Microstructure(fluid, micro.spacing, None, micro.provenance), load
    edge, count = micro.spacing[across], fluid.shape[across]
    places = np.arange(count) + 0.5 - _WALL
    to_wall = edge * np.minimum(places, count - 2 * _WALL - places)
    shape = [count if place == across else 1 for place in range(3)]
    distance = np.minimum(np.pad(surface_distance(micro), widths, mode="edge"), to_wall.reshape(shape))
    return Microstructure(distance > 0, micro.spacing, distance.astype(np.float32), micro.provenance), load


def extended(flow: FlowField, micro: Microstructure, drive: Drive) -> FlowField:
    """Return the flow through an extruded medium of which ``flow`` is that of one slice.

    Velocities are views that hold one slice only; the pressure along z falls evenly.
    """
    nz = micro.shape[0]
    if nz == 1:
        return replace(flow, microstructure=micro, pressure_drop=drive.pressure_drop)
    faces = flow.face_velocity
    return replace(
        flow,
        microstructure=micro,
        velocity=np.broadcast_to(flow.velocity, (3, *micro.shape)),
        pressure=_extended_pressure(flow, nz),
        pressure_drop=drive.pressure_drop,
        face_velocity=faces and (_repeated(faces[0], nz), _repeated(faces[1], nz), _repeated(faces[2], nz + 1)),
    )


def mean_slice(flow: FlowField) -> FlowField:
    """Return the mean over the slices of any flow in the slice plane: a start for the flow of one slice."""
    layer, faces = flow.microstructure.slice_at(0), flow.face_velocity
    across = np.zeros((2, *layer.shape[1:]))
    return replace(
        flow,
        microstructure=layer,
        velocity=flow.velocity.mean(axis=1, keepdims=True),
        pressure=flow.pressure.mean(axis=0, keepdims=True),
        face_velocity=faces and (_mean(faces[0]), _mean(faces[1]), across),
        velocity_std=None,
        pressure_std=None,
        permeability_samples=None,
    )


def _repeated(values: Array, count: int) -> Array:
    return np.broadcast_to(values[:1], (count, *values.shape[1:]))


def _mean(values: Array) -> Array:
    return values.mean(axis=0, keepdims=True)


def _extended_pressure(flow: FlowField, count: int) -> Array:
    """The pressure in ``count`` slices; along z that of every open voxel falls evenly, in Pa."""
    if flow.axis != "z":
        return _repeated(flow.pressure, count)
    falling = flow.pressure_drop * (count - 0.5 - np.arange(count))
    return np.where(flow.pressure > 0, falling[:, None, None], 0.0)
