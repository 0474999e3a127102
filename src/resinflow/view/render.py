"""A flow in three dimensions, drawn by pyvista: fibres with the streamlines between them, or cuts through the speed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from resinflow.flow import SCENE_SUFFIXES, FlowField, InvalidInputError, MissingDependencyError, checked_target, replacing
from resinflow.view.geometry import direction_arrow, fibre_surface, speed_cuts, trace_streamlines
from resinflow.view.panels import FIBRE_GREY, MICROMETRE
from resinflow.view.scales import SEQUENTIAL, sequential, unit_for
from resinflow.view.scene_page import scene_page
from resinflow.view.wording import describe_drive, describe_permeability

Scene = Literal["streamlines", "speed"]
_PAGE = ".html"

_CAMERA = (-1.35, -1.75, 1.15)  # direction from which the box is seen
_ZOOM, _ZOOM_TALL = 0.92, 0.7  # a tall box is nearer to the edges of a wide window
_ASIDE = 0.06  # of the window's width, by which the box makes place for the colour bar
_FIBRE_COLOUR = "#d0d0d0"
_LABEL_SIZE = 4.0  # VTK's measure for the labels of the axes, in no unit
_TUBE = 0.003  # of the box's diagonal
_FASTEST = 98  # percentile of the speed on the streamlines at which the colours end


def render_flow(
    flow: FlowField,
    path: str | Path,
    *,
    kind: Scene = "streamlines",
    streamlines: int = 150,
    window: tuple[int, int] = (1400, 1000),
    seed: int = 0,
) -> Path:
    """Draw a flow in three dimensions and return the path: a picture, or a page to turn and zoom in any browser.

    ``streamlines`` shows fibres (grey) and streamlines coloured by speed; they start at fluid voxels drawn at random with a
    probability that rises with the speed, so that they show where the resin goes. ``speed`` shows the speed in the voxels of
    three cuts through the middle of the box. No display is needed. A page holds its viewer and its data and loads nothing.

    Args:
        flow: solved or predicted.
        path: .png, .jpg or .html; an older file is replaced in one step.
        kind: what is shown.
        streamlines: how many are started.
        window: width and height in pixels.
        seed: of the choice of the starting points.

    Raises:
        MissingDependencyError: pyvista, or for a page trame-vtk, is not installed.
        InvalidInputError: another suffix or kind, or a folder that cannot be written.
    """
    target = checked_target(path, SCENE_SUFFIXES)
    if kind not in get_args(Scene):
        raise InvalidInputError(f"the kind of view is {kind!r}; needed: one of {', '.join(get_args(Scene))}.")
    pyvista = load_pyvista()
    with open_plotter(pyvista, window) as plotter:
        if kind == "speed":
            _add_cuts(plotter, pyvista, flow)
        else:
            _add_fibres(plotter, pyvista, flow)
            _add_streamlines(plotter, pyvista, flow, streamlines, seed)
        _add_frame(plotter, pyvista, flow)
        if target.suffix.lower() == _PAGE:
            plotter.render()
            middle = tuple(0.5 * edge / MICROMETRE for edge in reversed(flow.microstructure.extent))
            page = scene_page(plotter.render_window, describe_permeability(flow), describe_drive(flow), middle)
            with replacing(target) as temporary:
                temporary.write_text(page, encoding="utf-8")
        else:
            plotter.add_text(describe_permeability(flow), position="upper_edge", font_size=11, color="black")
            with replacing(target) as temporary:
                plotter.screenshot(temporary)
    return target


def load_pyvista() -> Any:
    """Return the module pyvista.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module("pyvista")
    except ImportError:
        raise MissingDependencyError(
            "3-D pictures need pyvista, which is not installed; run: pip install 'resinflow[view]'."
        ) from None


@contextmanager
def open_plotter(pyvista: Any, window: tuple[int, int]) -> Iterator[Any]:
    """Yield a plotter that draws off screen, of a window (width, height) in pixels, on white."""
    # Without a display VTK tries X first and tells of it on stderr before it renders off screen.
    with pyvista.vtk_verbosity("off"):
        plotter = pyvista.Plotter(off_screen=True, window_size=list(window))
        try:
            plotter.set_background("white")
            yield plotter
        finally:
            plotter.close()


def _add_fibres(plotter: Any, pyvista: Any, flow: FlowField) -> None:
    surface = fibre_surface(pyvista, flow)
    if surface.n_points:
        plotter.add_mesh(
            surface, color=_FIBRE_COLOUR, smooth_shading=True, split_sharp_edges=True, opacity=0.35, ambient=0.4, diffuse=0.6
        )


def _add_streamlines(plotter: Any, pyvista: Any, flow: FlowField, count: int, seed: int) -> None:
    lines = trace_streamlines(pyvista, flow, count, seed)
    if not lines.n_points:
        return
    unit, size = unit_for(float(flow.speed.max()))
    lines["speed"] = (np.linalg.norm(lines["velocity"], axis=1) / size).astype(np.float32)
    diagonal = float(np.linalg.norm(flow.microstructure.extent)) / MICROMETRE
    plotter.add_mesh(
        lines.tube(radius=_TUBE * diagonal, n_sides=6),
        scalars="speed",
        cmap=SEQUENTIAL,
        clim=(0.0, float(np.percentile(lines["speed"], _FASTEST))),
        scalar_bar_args=_bar(f"speed in {unit}"),
    )


def _add_cuts(plotter: Any, pyvista: Any, flow: FlowField) -> None:
    in_fluid, in_fibres = speed_cuts(pyvista, flow)
    if in_fibres.n_cells:
        plotter.add_mesh(in_fibres, color=FIBRE_GREY, lighting=False)
    if in_fluid.n_cells:
        scale = sequential(in_fluid["speed"])
        in_fluid["speed"] = in_fluid["speed"] / np.float32(scale.size)
        plotter.add_mesh(
            in_fluid,
            scalars="speed",
            cmap=SEQUENTIAL,
            clim=(scale.low, scale.high),
            lighting=False,
            scalar_bar_args=_bar(f"speed in {scale.unit}"),
        )


def _bar(title: str) -> dict[str, Any]:
    place = {"vertical": True, "position_x": 0.87, "position_y": 0.25}
    return {"title": title, "color": "black", "fmt": "%.3g", "title_font_size": 18, "label_font_size": 16, **place}


def _add_frame(plotter: Any, pyvista: Any, flow: FlowField) -> None:
    depth, width, length = (value / MICROMETRE for value in flow.microstructure.extent)
    box = pyvista.Box(bounds=(0.0, length, 0.0, width, 0.0, depth))
    plotter.add_mesh(box, style="wireframe", color="black", line_width=1.5)
    plotter.add_mesh(direction_arrow(pyvista, flow), color="black")
    axes = plotter.show_bounds(
        mesh=box,
        xtitle="x in µm",
        ytitle="y in µm",
        ztitle="z in µm",
        color="black",
        location="outer",
        ticks="outside",
        bold=False,
        n_xlabels=3,
        n_ylabels=3,
        n_zlabels=3,
        fmt="%.4g",
        use_3d_text=True,
    )
    axes.SetScreenSize(_LABEL_SIZE)
    plotter.camera_position = [tuple(np.array(_CAMERA) * 100), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
    plotter.reset_camera()
    plotter.camera.zoom(_ZOOM if depth <= max(width, length) else _ZOOM_TALL)
    _step_aside(plotter)


def _step_aside(plotter: Any) -> None:
    """Move the scene to the left by moving the camera to the right."""
    camera, (width, height) = plotter.camera, plotter.window_size
    place, middle = np.array(camera.position), np.array(camera.focal_point)
    to_the_right = np.cross(middle - place, camera.up)
    seen = 2 * np.linalg.norm(middle - place) * np.tan(np.radians(camera.view_angle) / 2) * width / height
    step = _ASIDE * seen * to_the_right / np.linalg.norm(to_the_right)
    camera.position, camera.focal_point = tuple(place + step), tuple(middle + step)
