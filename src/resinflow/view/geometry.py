"""A flow as meshes in micrometres: the fibre surface, streamlines, cuts through the speed, the frame of the box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, COMPONENTS, FlowField, Microstructure
from resinflow.view.panels import MICROMETRE

_SMOOTHING = 0.7  # voxels: rounds the staircase of a mask
_STEP = 0.2  # voxels: a streamline's integration step
_MOST_THINNED = 0.98  # part of the points that may go
_COURSE = 1e-3  # of the box's longest edge: by how much a drawn streamline may leave the computed one


def fibre_surface(pyvista: Any, flow: FlowField) -> Any:
    """Return the fibre surface (micrometres), closed by flat ends where fibres leave the box; empty without fibres."""
    micro = flow.microstructure
    if micro.fluid.all():
        return pyvista.PolyData()
    depth = _depth_in_fibre(micro) / MICROMETRE
    inside = _box_grid(pyvista, depth, micro.spacing, "depth").clip_scalar(scalars="depth", invert=False, value=0.0)
    return inside.extract_surface(algorithm="dataset_surface") if inside.n_cells else pyvista.PolyData()


def _depth_in_fibre(micro: Microstructure) -> NDArray[np.float64]:
    """Return the distance (m) of voxel centres to the fibre surface, positive in the fibres, from the mask if need be."""
    if micro.signed_distance is not None:
        return -np.asarray(micro.signed_distance, dtype=np.float64)
    if not micro.fluid.any():
        return np.full(micro.shape, min(micro.spacing))
    from scipy import ndimage

    # Both transforms measure between voxel centres, so that their difference vanishes on the voxel faces between.
    inside = np.asarray(ndimage.distance_transform_edt(~micro.fluid, sampling=micro.spacing))
    outside = np.asarray(ndimage.distance_transform_edt(micro.fluid, sampling=micro.spacing))
    return ndimage.gaussian_filter(inside - outside, (0.0, _SMOOTHING, _SMOOTHING), mode="nearest")


def trace_streamlines(pyvista: Any, flow: FlowField, count: int, seed: int) -> Any:
    """Return streamlines from ``count`` fluid voxels; empty if nothing flows.

    They are drawn with the square root of the speed as their weight, and thinned out where they run straight.

    Returns:
        Polylines in micrometres with the point data ``velocity``, m/s.
    """
    speed = np.asarray(flow.speed, dtype=np.float64) * flow.microstructure.fluid
    if not speed.any() or count < 1:
        return pyvista.PolyData()
    velocity = np.moveaxis(np.asarray(flow.velocity, dtype=np.float64), 0, -1)
    grid = _box_grid(pyvista, velocity, flow.microstructure.spacing, "velocity")
    # The square root draws lines into slow pores too; in proportion to the speed they would all run in one channel.
    weight = np.sqrt(speed).ravel()
    voxels = np.random.default_rng(seed).choice(weight.size, count, p=weight / weight.sum())
    index = np.array(np.unravel_index(voxels, speed.shape))[::-1].T
    starts = (index + 0.5) * np.array(flow.microstructure.spacing[::-1]) / MICROMETRE
    extent = float(np.linalg.norm(flow.microstructure.extent)) / MICROMETRE
    lines = grid.streamlines_from_source(
        pyvista.PolyData(starts),
        vectors="velocity",
        integration_direction="both",
        max_length=5.0 * extent,
        initial_step_length=_STEP,
        max_step_length=_STEP,
        terminal_speed=1e-6 * float(speed.max()),
    )
    return lines.decimate_polyline(_MOST_THINNED, maximum_error=_COURSE) if lines.n_cells else lines


def speed_cuts(pyvista: Any, flow: FlowField) -> tuple[Any, Any]:
    """Return the voxels on three cuts through the middle of the box, as flat faces in micrometres.

    Returns:
        The faces in the fluid (cell data ``speed``, m/s), and those in the fibres.
    """
    fluid, fibres = [], []
    for number in range(3):
        faces = _cut(pyvista, flow, number)
        solid = ~np.asarray(faces["fluid"], dtype=bool)
        fluid.append(faces.extract_cells(~solid))
        fibres.append(faces.extract_cells(solid))
    joined = (pyvista.merge(parts) if any(part.n_cells for part in parts) else pyvista.PolyData() for parts in (fluid, fibres))
    in_fluid, in_fibres = (part.extract_surface(algorithm="dataset_surface") if part.n_cells else part for part in joined)
    return in_fluid, in_fibres


def _cut(pyvista: Any, flow: FlowField, number: int) -> Any:
    """Return the middle layer of voxels across array axis ``number`` as a flat grid, with ``speed`` and ``fluid`` by cell."""
    micro = flow.microstructure
    middle = micro.shape[number] // 2
    edges = [np.arange(count + 1) * step / MICROMETRE for count, step in zip(micro.shape, micro.spacing, strict=True)]
    edges[number] = np.array([(middle + 0.5) * micro.spacing[number] / MICROMETRE])
    z, y, x = edges
    grid = pyvista.RectilinearGrid(x, y, z)
    for name, values in (("speed", flow.speed.astype(np.float32)), ("fluid", micro.fluid)):
        grid.cell_data[name] = np.take(values, middle, axis=number).ravel()
    return grid


def direction_arrow(pyvista: Any, flow: FlowField) -> Any:
    """Return an arrow in front of the inlet that points along the flow."""
    size = np.array(flow.microstructure.extent[::-1]) / MICROMETRE  # (x, y, z)
    number = COMPONENTS.index(flow.axis)
    direction = np.zeros(3)
    direction[number] = 1.0
    length = 0.15 * flow.microstructure.extent[AXES.index(flow.axis)] / MICROMETRE
    start = size / 2
    start[number] = -1.3 * length
    return pyvista.Arrow(start=start, direction=direction, scale=length)


def _box_grid(pyvista: Any, values: NDArray[np.floating], spacing: tuple[float, float, float], name: str) -> Any:
    """Return a grid (micrometres) whose points are the voxel centres and the box faces, with ``values`` (nz, ny, nx[, 3]).

    The outermost values hold up to the faces, so that surfaces and lines reach them and a single slice has a depth.
    """
    coordinates = [
        np.concatenate([[0.0], np.arange(count) + 0.5, [count]]) * step / MICROMETRE
        for count, step in zip(values.shape[:3], spacing, strict=True)
    ]
    z, y, x = coordinates
    grid = pyvista.RectilinearGrid(x, y, z)
    widths = np.array([(1, 1)] * 3 + [(0, 0)] * (values.ndim - 3))
    padded = np.pad(values, widths, mode="edge")
    grid.point_data[name] = padded.reshape(-1, *values.shape[3:])
    return grid
