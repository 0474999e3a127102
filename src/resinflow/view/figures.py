"""Figures of a flow and of a prediction beside the truth, written as PNG, PDF or SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.core import DARCY, FlowField, InvalidInputError
from resinflow.core.files import replacing
from resinflow.core.units import format_length
from resinflow.evaluate.metrics import Comparison, check_comparable, compare
from resinflow.view.panels import (
    add_colour_bar,
    draw_field,
    draw_microstructure,
    draw_streamlines,
    in_fluid,
    panel_size,
    slice_fields,
    style_axes,
)
from resinflow.view.scales import ERROR, PRESSURE, PRESSURE_UNITS, SPREAD, VELOCITY_UNITS, ColourScale, diverging, for_component, sequential

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")
_RESOLUTION = 160  # dots per inch
_SIDE = 2.0  # inches: a square panel of the comparison
_LARGE_SIDE = 2.9
_NAME_OFFSET = -40.0  # points: a row's name stands left of the ticks and their label

Fields = dict[str, NDArray[np.float64]]


def flow_figure(flow: FlowField, path: str | Path, *, slice_index: int | None = None) -> Path:
    """Draw one flow and return the path: microstructure, speed with streamlines, components, pressure, and the spread if known.

    Args:
        flow: solved or predicted.
        path: .png, .pdf or .svg; an older file is replaced in one step.
        slice_index: z slice shown; the middle one by default.

    Raises:
        InvalidInputError: another suffix, a slice that does not exist, or a folder that cannot be written.
    """
    target = _checked_target(path)
    index = _checked_slice(flow, slice_index)
    micro = flow.microstructure
    fields = slice_fields(flow, index)
    scales = _scales(fields)
    if flow.velocity_std is not None:
        fields["spread"] = _spread(flow, index)
        scales["spread"] = sequential(fields["spread"], colours=SPREAD)
    width, height = panel_size(micro, _LARGE_SIDE)
    columns = (len(fields) + 2) // 2
    figure = _new_figure((columns * (width + 0.35) + 0.8, 2 * (height + 0.75) + 0.8))
    grid = figure.subplots(2, columns, squeeze=False)
    panels = list(grid.ravel())
    draw_microstructure(panels[0], micro, index)
    panels[0].set_title(f"fibre fraction {micro.fibre_fraction:.3f}", fontsize=9)
    for axes, (name, field) in zip(panels[1:], fields.items(), strict=False):
        image = draw_field(axes, field, scales[name], micro)
        add_colour_bar(figure, image, [axes], scales[name], name, [field], (width, height))
    draw_streamlines(panels[1], flow, index)
    for number, axes in enumerate(panels):
        if number > len(fields):
            axes.set_axis_off()
        style_axes(axes, left=number % columns == 0, bottom=number + columns > len(fields))
    figure.suptitle(f"{_describe_permeability(flow)}\n{_describe_problem(flow, index)}", fontsize=11)
    return _save(figure, target)


def comparison_figure(
    prediction: FlowField,
    truth: FlowField | None = None,
    planar: FlowField | None = None,
    *,
    path: str | Path,
    slice_index: int | None = None,
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
        slice_index: z slice shown; the middle one by default.

    Raises:
        InvalidInputError: flows of different problems, another suffix, a slice that does not exist, or a folder that cannot
            be written.
    """
    if truth is None and planar is None:
        return flow_figure(prediction, path, slice_index=slice_index)
    target = _checked_target(path)
    index = _checked_slice(prediction, slice_index)
    flows = {"truth": truth, "prediction": prediction, "planar flow": planar}
    shown = {name: flow for name, flow in flows.items() if flow is not None}
    for flow in shown.values():
        check_comparable(flow, prediction)
    rows = {name: slice_fields(flow, index) for name, flow in shown.items()}
    with_spread = prediction.velocity_std is not None
    count = len(rows) + (truth is not None)
    width, height = panel_size(prediction.microstructure, _SIDE)
    columns = 6 + with_spread
    size = (columns * (width + 0.15) + 1.2 + 0.6 * with_spread, count * (height + 0.15) + 1.9)
    figure = _new_figure(size)
    grid = figure.subplots(count, columns, squeeze=False)
    _draw_rows(figure, grid[: len(rows), 1:6], rows, prediction)
    errors = {name: rows["prediction"][name] - rows["truth"][name] for name in rows["truth"]} if truth is not None else None
    if errors is not None:
        _draw_errors(figure, grid[-1, 1:6], errors, prediction)
    if with_spread:
        _draw_spread(figure, grid[:, 6], prediction, truth, index, list(rows).index("prediction"))
    _draw_first_column(grid[:, 0], prediction, index, _scores(shown))
    names = [*rows, "prediction - truth"][:count]
    _style_grid(grid, names)
    heads = [f"{name}: {_describe_permeability(flow)}" for name, flow in shown.items()]
    figure.suptitle("\n".join([*heads, _describe_problem(prediction, index)]), fontsize=10)
    return _save(figure, target)


def _draw_rows(figure: Figure, grid: NDArray[np.object_], rows: dict[str, Fields], prediction: FlowField) -> None:
    """Draw every flow on the scales of the first one (the truth where there is one), one colour bar a column."""
    panel = panel_size(prediction.microstructure, _SIDE)
    scales = _scales(next(iter(rows.values())))
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
    fields = {row: ("spread", _spread(prediction, index))}
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


def _draw_first_column(column: NDArray[np.object_], flow: FlowField, index: int, scores: dict[str, Comparison]) -> None:
    draw_microstructure(column[0], flow.microstructure, index)
    column[0].set_title(f"fibre fraction {flow.microstructure.fibre_fraction:.3f}", fontsize=8)
    for axes in column[1:]:
        axes.set_axis_off()
    for axes, (name, score) in zip(column[1:], scores.items(), strict=False):
        axes.text(0.0, 0.98, _score_lines(name, score), transform=axes.transAxes, fontsize=7, va="top", linespacing=1.45)


def _style_grid(grid: NDArray[np.object_], names: list[str]) -> None:
    rows = len(names)
    for row, name in enumerate(names):
        for column, axes in enumerate(grid[row]):
            style_axes(axes, left=column == 1, bottom=row == rows - 1)
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


def _scales(fields: Fields) -> dict[str, ColourScale]:
    speed = sequential(fields["|v|"])
    largest = speed.high * speed.size
    scales = {"|v|": speed}
    scales |= {name: for_component(fields[name], largest) for name in ("vx", "vy")}
    # vz changes sign about the fibres' tilt and is small: always its own symmetric scale
    scales["vz"] = diverging(fields["vz"], least=1e-3 * largest)
    scales["p"] = sequential(fields["p"], PRESSURE_UNITS, PRESSURE)
    return scales


def _spread(flow: FlowField, index: int) -> NDArray[np.float64]:
    """Return the length of the vector of standard deviations in a slice, m/s, NaN in the fibres."""
    deviation = np.asarray(flow.velocity_std, dtype=np.float64)[:, index]
    return in_fluid(np.sqrt((deviation**2).sum(axis=0)), flow.microstructure.fluid[index])


def _scores(shown: dict[str, FlowField]) -> dict[str, Comparison]:
    if "truth" not in shown:
        return {}
    return {name: compare(flow, shown["truth"]) for name, flow in shown.items() if name != "truth"}


def _score_lines(name: str, score: Comparison) -> str:
    error = score.relative_l2
    parts = [f"v{c} {_percent(getattr(error, c))}" for c in "xyz"]
    lines = [
        f"{name}, relative errors",
        f"velocity (L2)  {_percent(error.total)}",
        "   " + "   ".join(parts[:2]),
        "   " + parts[2],
        f"K  {round(100 * score.permeability_bias, 2) + 0.0:+.2f} %",
        f"pressure (L2)  {_percent(score.pressure_error)}",
        f"IoU of fastest 10 %  {score.top_speed_iou:.3f}",
    ]
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"


def _describe_permeability(flow: FlowField) -> str:
    return f"K = {flow.permeability:.4g} m² = {flow.permeability / DARCY:.4g} darcy"


def _describe_problem(flow: FlowField, index: int) -> str:
    nz, dz = flow.microstructure.shape[0], flow.microstructure.spacing[0]
    place = f"slice {index + 1} of {nz}, z = {format_length((index + 0.5) * dz)}".replace("um", "µm")
    return f"flow along {flow.axis}, pressure drop {flow.pressure_drop:g} Pa, viscosity {flow.viscosity:g} Pa s; {place}"


def _new_figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="compressed")


def _checked_target(path: str | Path) -> Path:
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: one of {', '.join(SUFFIXES)}.")
    return target


def _checked_slice(flow: FlowField, index: int | None) -> int:
    count = flow.microstructure.shape[0]
    if index is None:
        return count // 2
    if not 0 <= index < count:
        raise InvalidInputError(f"slice {index} does not exist; needed: 0 to {count - 1}.")
    return index


def _save(figure: Figure, target: Path) -> Path:
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=_RESOLUTION, bbox_inches="tight", pad_inches=0.1)
    return target
