"""The figure of media drawn round one slice: of some of them slices along z and a view in three dimensions, and K of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import FlowField, InvalidInputError, MissingDependencyError, checked_target, format_length
from resinflow.view.geometry import fibre_surface
from resinflow.view.output import save_figure
from resinflow.view.panels import add_colour_bar, draw_field, new_figure, panel_size, slice_fields, style_axes
from resinflow.view.render import load_pyvista, open_plotter
from resinflow.view.scales import sequential
from resinflow.view.wording import describe_drive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 1.75  # inches: a square panel
_MOST = 5  # slices shown of each draw
_WINDOW = (520, 520)
_CAMERA = (-1.35, -1.75, 1.15)
_ZOOM = 1.3
_FIBRES = "#c8c8c8"


def drawn_media_figure(flows: Sequence[FlowField], path: str | Path, *, mixture: FlowField | None = None) -> Path:
    """Draw some drawn media and the speed in them, a row each, and return the path.

    A row shows up to five slices from bottom to top, all on one colour scale, and the fibres in three dimensions (left out
    where pyvista is not installed).

    Args:
        flows: through the drawn media.
        path: .png, .pdf or .svg; an older file is replaced in one step.
        mixture: of all draws, whose K and interval go to the title.

    Raises:
        InvalidInputError: no flow, another suffix, or a folder that cannot be written.
    """
    target = checked_target(path)
    return save_figure(compose_drawn_media(flows, mixture), target)


def compose_drawn_media(flows: Sequence[FlowField], mixture: FlowField | None = None) -> Figure:
    """Return the figure that :func:`drawn_media_figure` writes.

    Raises:
        InvalidInputError: no flow.
    """
    if not flows:
        raise InvalidInputError("no drawn medium was given; needed: at least one.")
    micro = flows[0].microstructure
    count = micro.shape[0]
    indices = np.unique(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int))
    fields = [slice_fields(flow, slice(None)) for flow in flows]
    speeds = np.concatenate([each["|v|"] for each in fields])
    scale = sequential(speeds)
    scenes = [_scene(flow) for flow in flows]
    columns = len(indices) + int(scenes[0] is not None)
    width, height = panel_size(micro, _SIDE)
    figure = new_figure((columns * (width + 0.1) + 1.0, len(flows) * (height + 0.3) + 0.9))
    grid = figure.subplots(len(flows), columns, squeeze=False)
    picture = None
    known = set(micro.provenance.get("known_slices", ()))
    for row, (flow, values, scene) in enumerate(zip(flows, fields, scenes, strict=True)):
        for column, index in enumerate(indices):
            axes = grid[row, column]
            picture = draw_field(axes, values["|v|"][index], scale, flow.microstructure)
            place = format_length((index + 0.5) * micro.spacing[0]).replace("um", "µm")
            axes.set_title(f"z = {place}{', as seen' if int(index) in known else ''}", fontsize=7, pad=3)
            style_axes(axes, label_x=row == len(flows) - 1, label_y=column == 0)
        if scene is not None:
            axes = grid[row, -1]
            axes.imshow(scene)
            axes.set_axis_off()
            axes.set_title(f"K = {flow.permeability * 1e12:.4g} µm²", fontsize=7, pad=3)
    if picture is not None:
        panels = list(grid.ravel())
        size = (columns * width, len(flows) * height)
        add_colour_bar(figure, picture, panels, scale, "|v|", [speeds], size, "right")
    figure.suptitle(_title(flows[0], mixture), fontsize=10)
    return figure


def _title(flow: FlowField, mixture: FlowField | None) -> str:
    if mixture is None or mixture.permeability_samples is None:
        return f"drawn media, speed; {describe_drive(flow)}"
    interval = mixture.permeability_interval
    words = "" if interval is None else f", 90 % interval {interval[0] * 1e12:.4g} to {interval[1] * 1e12:.4g} µm²"
    count = len(mixture.permeability_samples)
    return f"{count} drawn media: mean K = {mixture.permeability * 1e12:.4g} µm²{words}\nspeed; {describe_drive(flow)}"


def _scene(flow: FlowField) -> NDArray[Any] | None:
    """The fibres in three dimensions as a picture (rows, columns, 3); None without pyvista."""
    try:
        pyvista = load_pyvista()
    except MissingDependencyError:
        return None
    with open_plotter(pyvista, _WINDOW) as plotter:
        surface = fibre_surface(pyvista, flow)
        if surface.n_points:
            plotter.add_mesh(surface, color=_FIBRES, smooth_shading=True, split_sharp_edges=True)
        plotter.view_vector(_CAMERA)
        plotter.camera.zoom(_ZOOM)
        return np.asarray(plotter.screenshot(None, return_img=True))
