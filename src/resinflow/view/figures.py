"""Figures of a flow and of a prediction beside the truth, written as PNG, PDF or SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from resinflow.flow import FlowField, checked_target
from resinflow.view.comparison import compose_comparison
from resinflow.view.output import save_figure
from resinflow.view.panels import (
    add_colour_bar,
    add_headline,
    checked_slice,
    draw_field,
    draw_microstructure,
    draw_streamlines,
    panel_size,
    slice_fields,
    spread_field,
    style_axes,
)
from resinflow.view.placing import BAR_ROOM, LABEL_ROOM, ROW_LABEL_ROOM, Spaces, placed_panels
from resinflow.view.scales import SPREAD, scales_of, sequential
from resinflow.view.wording import describe_permeability, describe_problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SIDE = 2.9  # inches: a square panel
_GAP = 0.12  # inches between panels


def flow_figure(flow: FlowField, path: str | Path, *, slice_index: int | None = None, image: NDArray | None = None) -> Path:
    """Draw one flow and return the path: microstructure, speed with streamlines, components, pressure, and the spread if known.

    Slices stand as the image does: row 0 on top, y downwards.

    Args:
        flow: solved or predicted.
        path: .png, .pdf or .svg; an older file is replaced in one step.
        slice_index: z slice shown, counted from 0; the middle one by default.
        image: greys (nz or 1, ny, nx) of the medium, shown with the outlines of the fibres upon them.

    Raises:
        InvalidInputError: another suffix, a slice that does not exist, an image of another shape, or a folder that cannot be
            written.
    """
    target = checked_target(path)
    return save_figure(compose_flow(flow, slice_index, image), target)


def comparison_figure(
    prediction: FlowField,
    truth: FlowField | None = None,
    planar: FlowField | None = None,
    *,
    path: str | Path,
    slice_index: int | None = None,
    image: NDArray | None = None,
) -> Path:
    """Draw a prediction beside the true and the planar flow, and its error, on common colour scales; return the path.

    One row per flow and one for the error (prediction - truth); columns |v|, vx, vy, vz and pressure. The scales are those of
    the truth (of the prediction, without a truth); values beyond show as arrow ends of the colour bars. Where the prediction
    carries a spread it is drawn beside the size of its error. A prediction by itself is drawn as :func:`flow_figure` does.

    Args:
        prediction: the flow in question.
        truth: the true flow of the same problem.
        planar: the flow of each slice by itself, of the same problem.
        path: .png, .pdf or .svg; an older file is replaced in one step.
        slice_index: z slice shown, counted from 0; the middle one by default.
        image: greys (nz or 1, ny, nx) of the medium, shown with the outlines of the fibres upon them.

    Raises:
        InvalidInputError: flows of different problems, another suffix, a slice that does not exist, an image of another shape,
            or a folder that cannot be written.
    """
    if truth is None and planar is None:
        return flow_figure(prediction, path, slice_index=slice_index, image=image)
    target = checked_target(path)
    return save_figure(compose_comparison(prediction, truth, planar, slice_index, image), target)


def compose_flow(flow: FlowField, slice_index: int | None = None, image: NDArray | None = None) -> Figure:
    """Return the figure that :func:`flow_figure` writes.

    Raises:
        InvalidInputError: a slice that does not exist, or an image of another shape.
    """
    index = checked_slice(flow, slice_index)
    micro = flow.microstructure
    fields = slice_fields(flow, index)
    scales = scales_of(fields)
    if flow.velocity_std is not None:
        fields["spread"] = spread_field(flow, index)
        scales["spread"] = sequential(fields["spread"], colours=SPREAD)
    panel = panel_size(micro, _SIDE)
    columns = (len(fields) + 2) // 2
    spaces = Spaces(
        columns=(ROW_LABEL_ROOM, *[_GAP] * columns), rows=(BAR_ROOM["top"], BAR_ROOM["top"] + _GAP, LABEL_ROOM["bottom"])
    )
    figure, grid = placed_panels(panel, spaces, f"{describe_permeability(flow)}\n{describe_problem(flow, index)}")
    panels = list(grid.ravel())
    draw_microstructure(panels[0], micro, index, image)
    add_headline(panels[0], f"fibre fraction {micro.fibre_fraction:.3f}")
    for axes, (name, field) in zip(panels[1:], fields.items(), strict=False):
        picture = draw_field(axes, field, scales[name], micro)
        add_colour_bar(figure, picture, [axes], scales[name], name, [field], panel)
    draw_streamlines(panels[1], flow, index)
    for number, axes in enumerate(panels):
        if number > len(fields):
            axes.set_axis_off()
        style_axes(axes, label_x=number // columns == 1, label_y=number % columns == 0)
    return figure
