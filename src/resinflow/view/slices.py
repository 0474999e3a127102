"""One field in all slices of a flow, on one colour scale."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from resinflow.flow import FlowField, InvalidInputError, checked_target, format_length
from resinflow.view.output import save_figure
from resinflow.view.panels import add_colour_bar, draw_field, new_figure, panel_size, slice_fields, style_axes
from resinflow.view.scales import scales_of
from resinflow.view.wording import describe_drive, describe_permeability

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Field = Literal["speed", "vx", "vy", "vz", "pressure"]
_SYMBOLS = {"speed": "|v|", "pressure": "p"}
_SIDE = 1.9  # inches: a square panel
_MOST = 24  # panels that can still be read; more slices are shown at even distances
_WIDTH = 11.0  # inches


def slices_figure(flow: FlowField, path: str | Path, *, field: Field = "speed") -> Path:
    """Draw one field in every slice, bottom to top, and return the path; of more than 24 slices, 24 at even distances.

    Slices are counted from 0 and stand as the image does: row 0 on top, y downwards.

    Args:
        flow: solved or predicted.
        path: .png, .pdf or .svg; an older file is replaced in one step.
        field: ``speed``, a component of the velocity, or ``pressure``.

    Raises:
        InvalidInputError: another suffix or field, or a folder that cannot be written.
    """
    target = checked_target(path)
    return save_figure(compose_slices(flow, field), target)


def compose_slices(flow: FlowField, field: Field = "speed") -> Figure:
    """Return the figure that :func:`slices_figure` writes.

    Raises:
        InvalidInputError: a field that a flow does not have.
    """
    if field not in get_args(Field):
        raise InvalidInputError(f"the field is {field!r}; needed: one of {', '.join(get_args(Field))}.")
    micro = flow.microstructure
    count = micro.shape[0]
    indices = np.unique(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int))
    name = _SYMBOLS.get(field, field)
    fields = slice_fields(flow, slice(None))
    values, scale = fields[name], scales_of(fields)[name]
    width, height = panel_size(micro, _SIDE)
    columns = min(len(indices), max(1, int(_WIDTH / width)))
    rows = math.ceil(len(indices) / columns)
    columns = math.ceil(len(indices) / rows)  # as many as the rows need: 11 slices stand as 4, 4, 3 and not as 5, 5, 1
    figure = new_figure((columns * (width + 0.1) + 1.4, rows * (height + 0.3) + 0.9))
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = list(grid.ravel())
    images = [draw_field(axes, values[index], scale, micro) for axes, index in zip(panels, indices, strict=False)]
    for axes, index in zip(panels, indices, strict=False):
        height_above = format_length((index + 0.5) * micro.spacing[0]).replace("um", "µm")
        axes.set_title(f"slice {index}, z = {height_above}", fontsize=7, pad=3)
    for number, axes in enumerate(panels):
        if number >= len(indices):
            axes.set_axis_off()
        style_axes(axes, label_x=number // columns == rows - 1, label_y=number % columns == 0)
    add_colour_bar(figure, images[0], panels, scale, name, [values], (columns * width, rows * height), "right")
    part = "" if len(indices) == count else f"; {len(indices)} of {count} slices"
    figure.suptitle(f"{describe_permeability(flow)}\n{describe_drive(flow)}{part}", fontsize=10)
    return figure
