"""The figure of a prediction beside the true and the planar flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate import Comparison, check_comparable, compare
from resinflow.flow import FlowField
from resinflow.view.panels import (
    add_colour_bar,
    add_headline,
    checked_slice,
    draw_field,
    draw_microstructure,
    in_fluid,
    panel_size,
    slice_fields,
    spread_field,
    style_axes,
)
from resinflow.view.placing import BAR_ROOM, LABEL_ROOM, ROW_LABEL_ROOM, Spaces, placed_panels
from resinflow.view.scales import ERROR, PRESSURE_UNITS, SPREAD, VELOCITY_UNITS, diverging, scales_of, sequential
from resinflow.view.wording import describe_permeability, describe_problem, score_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SIDE = 2.0  # inches: a square panel
_GAP, _NAME_ROOM = 0.1, 0.12  # inches: between panels, and left of the label of y
_NAME_OFFSET = -40.0  # points: a row's name stands left of the ticks and their label

Fields = dict[str, NDArray[np.float64]]


def compose_comparison(
    prediction: FlowField,
    truth: FlowField | None = None,
    planar: FlowField | None = None,
    slice_index: int | None = None,
    image: NDArray | None = None,
) -> Figure:
    """Return the figure that :func:`~resinflow.view.figures.comparison_figure` writes, for a prediction and another flow.

    Raises:
        InvalidInputError: flows of different problems, a slice that does not exist, or an image of another shape.
    """
    index = checked_slice(prediction, slice_index)
    candidates = {"truth": truth, "prediction": prediction, "planar flow": planar}
    flows = {name: flow for name, flow in candidates.items() if flow is not None}
    for flow in flows.values():
        check_comparable(flow, prediction)
    rows = {name: slice_fields(flow, index) for name, flow in flows.items()}
    with_spread = prediction.velocity_std is not None
    count = len(rows) + (truth is not None)
    heads = [f"{name}: {describe_permeability(flow)}" for name, flow in flows.items()]
    spaces = Spaces(
        columns=(_GAP, ROW_LABEL_ROOM + _NAME_ROOM, *[_GAP] * (4 + with_spread), BAR_ROOM["right"] if with_spread else _GAP),
        rows=(
            BAR_ROOM["top"],
            *[_GAP] * (count - 1),
            LABEL_ROOM["bottom"] + (BAR_ROOM["bottom"] if truth is not None else 0.0),
        ),
    )
    title = "\n".join([*heads, describe_problem(prediction, index)])
    figure, grid = placed_panels(panel_size(prediction.microstructure, _SIDE), spaces, title)
    _draw_rows(figure, grid[: len(rows), 1:6], rows, prediction)
    errors = {name: rows["prediction"][name] - rows["truth"][name] for name in rows["truth"]} if truth is not None else None
    if errors is not None:
        _draw_errors(figure, grid[-1, 1:6], errors, prediction)
    if with_spread:
        _draw_spread(figure, grid[:, 6], prediction, truth, index, list(rows).index("prediction"))
    draw_microstructure(grid[0, 0], prediction.microstructure, index, image)
    add_headline(grid[0, 0], f"fibre fraction {prediction.microstructure.fibre_fraction:.3f}")
    _write_scores(grid[1:, 0], _scores(flows))
    names = [*rows, "prediction - truth"][:count]
    _style_grid(grid, names)
    return figure


def _draw_rows(figure: Figure, grid: NDArray[np.object_], rows: dict[str, Fields], prediction: FlowField) -> None:
    """Draw every flow on the scales of the first one (the truth where there is one), one colour bar a column."""
    panel = panel_size(prediction.microstructure, _SIDE)
    scales = scales_of(next(iter(rows.values())))
    for column, (name, scale) in enumerate(scales.items()):
        fields = [row[name] for row in rows.values()]
        images = [
            draw_field(axes, field, scale, prediction.microstructure)
            for axes, field in zip(grid[:, column], fields, strict=True)
        ]
        add_colour_bar(figure, images[0], list(grid[:, column]), scale, name, fields, panel)


def _draw_errors(figure: Figure, row: NDArray[np.object_], errors: Fields, prediction: FlowField) -> None:
    panel = panel_size(prediction.microstructure, _SIDE)
    for axes, (name, error) in zip(row, errors.items(), strict=True):
        scale = diverging(error, PRESSURE_UNITS if name == "p" else VELOCITY_UNITS, ERROR)
        image = draw_field(axes, error, scale, prediction.microstructure)
        add_colour_bar(figure, image, [axes], scale, f"error of {name}", [error], panel, "bottom")


def _draw_spread(
    figure: Figure, column: NDArray[np.object_], prediction: FlowField, truth: FlowField | None, index: int, row: int
) -> None:
    """Draw the spread in the prediction's row and the length of the error vector, on the same scale, in the error's row."""
    panel = panel_size(prediction.microstructure, _SIDE)
    fluid = prediction.microstructure.fluid[index]
    fields = {row: ("spread", spread_field(prediction, index))}
    if truth is not None:
        error = np.sqrt(((prediction.velocity[:, index] - truth.velocity[:, index]) ** 2).sum(axis=0))
        fields[len(column) - 1] = ("size of the error", in_fluid(error, fluid))
    scale = sequential(np.concatenate([field for _, field in fields.values()]), colours=SPREAD)
    for number, axes in enumerate(column):
        if number not in fields:
            axes.set_axis_off()
            continue
        label, field = fields[number]
        image = draw_field(axes, field, scale, prediction.microstructure)
        add_colour_bar(figure, image, [axes], scale, label, [field], panel, "right")


def _write_scores(column: NDArray[np.object_], scores: dict[str, Comparison]) -> None:
    for axes in column:
        axes.set_axis_off()
    for axes, (name, score) in zip(column, scores.items(), strict=False):
        axes.text(0.0, 0.98, score_lines(name, score), transform=axes.transAxes, fontsize=7, va="top", linespacing=1.45)


def _style_grid(grid: NDArray[np.object_], names: list[str]) -> None:
    rows = len(names)
    for row, name in enumerate(names):
        for column, axes in enumerate(grid[row]):
            style_axes(axes, label_x=row == rows - 1, label_y=column == 1)
        grid[row, 1].annotate(
            name,
            (0.0, 0.5),
            xycoords="axes fraction",
            xytext=(_NAME_OFFSET, 0.0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="center",
            fontsize=9,
            fontweight="bold",
        )


def _scores(flows: dict[str, FlowField]) -> dict[str, Comparison]:
    if "truth" not in flows:
        return {}
    return {name: compare(flow, flows["truth"]) for name, flow in flows.items() if name != "truth"}
