"""A 3-D picture of the fibres and the streamlines between them, drawn off screen by pyvista."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.core import DARCY, FlowField, InvalidInputError, Microstructure, MissingDependencyError
from resinflow.core.files import replacing
from resinflow.core.flow import COMPONENTS
from resinflow.core.microstructure import AXES
from resinflow.view.panels import MICROMETRE
from resinflow.view.scales import SEQUENTIAL, unit_for

SUFFIXES = (".png", ".jpg")
_CAMERA = (-1.35, -1.75, 1.15)  # direction from which the box is seen
_SMOOTHING = 0.7  # voxels: rounds the staircase of a mask
_FIBRE_COLOUR = "#d0d0d0"
_TUBE = 0.003  # of the box's diagonal


def render_flow(
    flow: FlowField, path: str | Path, *, streamlines: int = 150, window: tuple[int, int] = (1400, 1000), seed: int = 0
) -> Path:
    """Render fibres (grey) and streamlines coloured by speed, and return the path.

    Streamlines start at fluid voxels drawn at random with a probability that rises with the speed, so that they show where the
    resin goes. No display is needed.

    Args:
        flow: solved or predicted.
        path: .png or .jpg; an older file is replaced in one step.
        streamlines: how many are started.
        window: width and height in pixels.
        seed: of the choice of the starting points.

    Raises:
        MissingDependencyError: pyvista is not installed.
        InvalidInputError: another suffix, or a folder that cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: one of {', '.join(SUFFIXES)}.")
    pyvista = _pyvista()
    unit, size = unit_for(float(flow.speed.max()))
    # Without a display VTK tries X first and tells of it on stderr before it renders off screen.
    with pyvista.vtk_verbosity("off"):
        plotter = pyvista.Plotter(off_screen=True, window_size=list(window))
        try:
            plotter.set_background("white")
            _add_fibres(plotter, pyvista, flow)
            _add_streamlines(plotter, pyvista, flow, streamlines, seed, f"speed in {unit}", size)
            _add_frame(plotter, pyvista, flow)
            with replacing(target) as temporary:
                plotter.screenshot(temporary)
        finally:
            plotter.close()
    return target


def _pyvista() -> Any:
    try:
        return importlib.import_module("pyvista")
    except ImportError:
        raise MissingDependencyError(
            "3-D pictures need pyvista, which is not installed; run: pip install 'resinflow[view]'."
        ) from None


def _add_fibres(plotter: Any, pyvista: Any, flow: FlowField) -> None:
    surface = fibre_surface(pyvista, flow)
    if surface.n_points:
        plotter.add_mesh(surface, color=_FIBRE_COLOUR, smooth_shading=True, split_sharp_edges=True, opacity=0.4)


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
    # Both transforms measure between voxel centres, so that their difference vanishes on the voxel faces between.
    inside = np.asarray(ndimage.distance_transform_edt(~micro.fluid, sampling=micro.spacing))
    outside = np.asarray(ndimage.distance_transform_edt(micro.fluid, sampling=micro.spacing))
    return ndimage.gaussian_filter(inside - outside, (0.0, _SMOOTHING, _SMOOTHING), mode="nearest")


def _add_streamlines(plotter: Any, pyvista: Any, flow: FlowField, count: int, seed: int, title: str, size: float) -> None:
    lines = trace_streamlines(pyvista, flow, count, seed)
    if not lines.n_points:
        return
    lines["speed"] = np.linalg.norm(lines["velocity"], axis=1) / size
    diagonal = float(np.linalg.norm(flow.microstructure.extent)) / MICROMETRE
    plotter.add_mesh(
        lines.tube(radius=_TUBE * diagonal, n_sides=8),
        scalars="speed",
        cmap=SEQUENTIAL,
        clim=(0.0, float(np.percentile(lines["speed"], 98))),
        scalar_bar_args={
            "title": title,
            "color": "black",
            "fmt": "%.3g",
            "vertical": True,
            "position_x": 0.87,
            "position_y": 0.25,
        },
    )


def trace_streamlines(pyvista: Any, flow: FlowField, count: int, seed: int) -> Any:
    """Return streamlines (micrometres; point data ``velocity``, m/s) from ``count`` fluid voxels; empty if nothing flows."""
    speed = np.asarray(flow.speed, dtype=np.float64) * flow.microstructure.fluid
    if not speed.any() or count < 1:
        return pyvista.PolyData()
    velocity = np.moveaxis(np.asarray(flow.velocity, dtype=np.float64), 0, -1)
    grid = _box_grid(pyvista, velocity, flow.microstructure.spacing, "velocity")
    # The square root draws lines into slow pores too; in proportion to the speed they would all run in one channel.
    weight = np.sqrt(speed).ravel()
    chosen = np.random.default_rng(seed).choice(weight.size, count, p=weight / weight.sum())
    index = np.array(np.unravel_index(chosen, speed.shape))[::-1].T
    starts = (index + 0.5) * np.array(flow.microstructure.spacing[::-1]) / MICROMETRE
    extent = float(np.linalg.norm(flow.microstructure.extent)) / MICROMETRE
    return grid.streamlines_from_source(
        pyvista.PolyData(starts),
        vectors="velocity",
        integration_direction="both",
        max_length=5.0 * extent,
        initial_step_length=0.2,
        max_step_length=0.2,
        terminal_speed=1e-6 * float(speed.max()),
    )


def _add_frame(plotter: Any, pyvista: Any, flow: FlowField) -> None:
    depth, width, length = (value / MICROMETRE for value in flow.microstructure.extent)
    box = pyvista.Box(bounds=(0.0, length, 0.0, width, 0.0, depth))
    plotter.add_mesh(box, style="wireframe", color="black", line_width=1.5)
    plotter.add_mesh(_direction_arrow(pyvista, flow), color="black")
    plotter.show_bounds(
        mesh=box,
        xtitle="x in um",
        ytitle="y in um",
        ztitle="z in um",
        color="black",
        location="outer",
        ticks="outside",
        font_size=11,
        n_xlabels=3,
        n_ylabels=3,
        n_zlabels=3,
        fmt="%.4g",
    )
    label = f"K = {flow.permeability:.4g} m^2 = {flow.permeability / DARCY:.4g} darcy"
    plotter.add_text(label, position="upper_edge", font_size=11, color="black")
    plotter.camera_position = [tuple(np.array(_CAMERA) * 100), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
    plotter.reset_camera()
    plotter.camera.zoom(1.05)


def _direction_arrow(pyvista: Any, flow: FlowField) -> Any:
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
