"""The report of one tow: K with its intervals, figures, budget, method and how it is computed again, as one HTML page."""

from __future__ import annotations

import io
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate import TextTable
from resinflow.flow import COMPONENTS, DARCY, Microstructure, PermeabilityTensor, checked_target, replacing
from resinflow.view.overlay import compose_segmentation
from resinflow.view.page import Report, Section, html_page
from resinflow.view.panels import add_grid, new_figure
from resinflow.view.window_figures import compose_representativity, compose_window_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from resinflow.tow import Budget, TowAnswer, TowOptions  # which would load the solver

_SQUARE_MICROMETRES = 1e12
_RESOLUTION = 110  # dots per inch
_PACKAGES = ("resinflow", "numpy", "scipy", "numba", "scikit-image")
_ROUNDING = 1e-9
"""Entries below this part of the largest are zero."""
_PLANES = ((0, 1), (0, 2), (1, 2))
_METHODS = {
    "slice": "All slices are alike: each axis across the fibres is solved as Stokes flow in one slice, and the axis along them "
    "as one Poisson problem.",
    "volume": "Each axis is solved as a Stokes flow in three dimensions.",
}


def write_tow_report(
    path: str | Path,
    answer: TowAnswer,
    options: TowOptions,
    *,
    micro: Microstructure,
    title: str,
    image: NDArray | None = None,
    lines: Sequence[str] = (),
) -> Path:
    """Write the report of a tow and return its path; the page needs no other file, and fetches none.

    Args:
        path: .html; an older file is replaced in one step.
        answer: what the image tells of its tow.
        options: how it was assessed.
        micro: the medium.
        title: heading of the page.
        image: greys (nz or 1, ny, nx) from which the medium was segmented; without them fibres and fluid are drawn.
        lines: commands that give the answer again.

    Raises:
        InvalidInputError: another suffix, or a place that cannot be written.
    """
    target = checked_target(path, (".html",))
    figures = {
        "surfaces": compose_segmentation(micro, image),
        "ellipses": compose_ellipses(answer.tensor, answer.budget),
        "map": compose_window_map(answer.windows, micro),
        "curve": compose_representativity(answer.representativity),
    }
    page = html_page(_report(answer, options, micro, title, lines), {name: _png(figure) for name, figure in figures.items()})
    with replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def compose_ellipses(tensor: PermeabilityTensor, budget: Budget) -> Figure:
    """Return the figure of the tensor's ellipses in the planes of the axes: sqrt(K) in every direction, um.

    Bars on the axes are the 90 % intervals of the budget. Of the plane of x and y, y points downwards as in the image.
    """
    figure = new_figure((12.0, 4.0))
    for axes, plane in zip(figure.subplots(1, 3), _PLANES, strict=True):
        _draw_ellipse(axes, tensor, budget, plane)
        if plane == (0, 1):
            axes.invert_yaxis()
    return figure


def _draw_ellipse(axes: Axes, tensor: PermeabilityTensor, budget: Budget, plane: tuple[int, int]) -> None:
    first, second = plane
    scale = float(np.abs(tensor.symmetric).max()) or 1.0
    values, vectors = np.linalg.eigh(tensor.symmetric[np.ix_(plane, plane)] / scale)  # eigh scales poorly at 1e-14
    radii = np.sqrt(np.clip(values, 0.0, None) * scale * _SQUARE_MICROMETRES)
    angles = np.linspace(0.0, 2 * np.pi, 181)
    x, y = vectors @ (radii[:, None] * np.stack([np.cos(angles), np.sin(angles)]))
    axes.plot(x, y, color="C0")
    for radius, (way_x, way_y) in zip(radii, vectors.T, strict=True):
        axes.plot([-radius * way_x, radius * way_x], [-radius * way_y, radius * way_y], color="C0", lw=0.8, ls="--")
    ends = [np.sqrt(np.array(budget.intervals[place]) * _SQUARE_MICROMETRES) for place in plane]
    axes.plot(ends[0], (0, 0), color="C1", marker="|", lw=2)
    axes.plot((0, 0), ends[1], color="C1", marker="|", lw=2)
    reach = 1.08 * max(float(radii.max()), *(float(end[1]) for end in ends)) or 1.0
    names = COMPONENTS[first], COMPONENTS[second]
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set(xlabel=f"sqrt(K) along {names[0]}, um", ylabel=f"sqrt(K) along {names[1]}, um")
    axes.tick_params(labelsize=7)
    add_grid(axes)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_RESOLUTION, bbox_inches="tight", pad_inches=0.1)
    return stream.getvalue()


def _report(answer: TowAnswer, options: TowOptions, micro: Microstructure, title: str, lines: Sequence[str]) -> Report:
    map_text = tuple(f"Window {row}, {column}: {reason}" for row, column, reason in answer.windows.reasons)
    sections = [
        Section("Permeability of the tow", table=_numbers(answer)),
        Section(
            "Fibre surfaces",
            figure="surfaces",
            caption="Outlines of the fibres on the image where it is at hand, the whole and its middle; in micrometres.",
        ),
        Section(
            "Tensor",
            text=_tensor_words(answer.tensor),
            table=_tensor_table(answer.tensor),
            figure="ellipses",
            caption="Ellipses whose radius is the square root of K in every direction; dashed: principal axes within the "
            "plane; orange: 90 % intervals of the tow along the axes. Fibres are taken to run along z in a single section.",
        ),
        Section(
            "What makes K uncertain",
            text=(f"{answer.budget.advice[:1].upper()}{answer.budget.advice[1:]}",),
            table=_budget_table(answer.budget),
        ),
        Section("What reduces each source", table=_advice_table(answer.budget)),
        Section(
            "Local K",
            text=map_text,
            figure="map",
            caption="K of each window with the fibres of the middle slice; crosses: windows without a way through.",
        ),
        Section(
            "K against the size of the window",
            figure="curve",
            caption="Geometric means of the windows with their deviation, K of the whole image, and the interval that size and "
            "place of the image leave open for the infinite tow.",
        ),
        Section("Method", text=_method(answer, options)),
        Section("Versions", table=_versions()),
    ]
    if lines:
        sections.append(Section("The same again", table=TextTable(("commands",), tuple((line,) for line in lines))))
    notes = (
        *micro.provenance.get("notes", ()),
        *micro.provenance.get("warnings", ()),
        *answer.budget.warnings,
        *answer.tensor.warnings,
    )
    opening = (f"{micro.describe()}.", *(f"Note: {str(note).removesuffix('.')}." for note in notes))
    return Report(title, opening, tuple(sections))


def _numbers(answer: TowAnswer) -> TextTable:
    rows = []
    for place, axis in enumerate(COMPONENTS):
        value, (low, high) = answer.budget.permeability[place], answer.budget.intervals[place]
        upscaled = float(answer.upscaled[place, place])
        difference = f" ({upscaled / value - 1:+.0%})" if value > 0 else ""
        rows.append(
            (
                f"K{axis}{axis}",
                f"{value * _SQUARE_MICROMETRES:.4g}",
                f"{low * _SQUARE_MICROMETRES:.4g} to {high * _SQUARE_MICROMETRES:.4g}",
                f"{value:.4g}",
                f"{value / DARCY:.4g}",
                f"{upscaled * _SQUARE_MICROMETRES:.4g}{difference}",
            )
        )
    header = ("", "um^2", "90 % interval of the tow, um^2", "m^2", "darcy", "from the map of windows, um^2")
    return TextTable(header, tuple(rows), f"Whole image: {answer.tensor.conditions}.")


def _tensor_table(tensor: PermeabilityTensor) -> TextTable:
    values = tensor.in_unit("um^2")
    values = np.where(np.abs(values) < _ROUNDING * np.abs(values).max(), 0.0, values)
    rows = zip(COMPONENTS, values, strict=True)
    return TextTable(("K, um^2", *COMPONENTS), tuple((axis, *(f"{value:.4g}" for value in row)) for axis, row in rows))


def _tensor_words(tensor: PermeabilityTensor) -> tuple[str, ...]:
    from resinflow.tow import gebart_values

    ways = tensor.principal_directions.round(3) + 0.0  # no -0
    principal = "; ".join(
        f"{value * _SQUARE_MICROMETRES:.4g} um^2 along ({', '.join(f'{part:.3f}' for part in way)})"
        for value, way in zip(tensor.principal_values, ways, strict=True)
    )
    words = [f"Principal values: {principal}.", f"The tensor is {tensor.statement}."]
    gebart = gebart_values(tensor)
    if gebart is not None:
        across, along = (f"{value * _SQUARE_MICROMETRES:.4g} um^2" for value in gebart[1:])
        words.append(f"Gebart's formula for a hexagonal array of the same fraction gives {across} across and {along} along.")
    return tuple(words)


def _budget_table(budget: Budget) -> TextTable:
    rows = [
        (
            source.name,
            source.basis,
            *(f"{deviation:.1%}" for deviation in source.deviations),
            f"{max(budget.shares(source)):.0%}",
        )
        for source in budget.sources
    ]
    rows.append(("all together", "", *(f"{deviation:.1%}" for deviation in budget.deviations), ""))
    header = ("source", "measured by", *COMPONENTS, "largest share of the variance")
    return TextTable(header, tuple(rows), "x, y, z: standard deviations of ln K; squares add up.", names=2)


def _advice_table(budget: Budget) -> TextTable:
    return TextTable(("source", "what reduces it"), tuple((source.name, source.advice) for source in budget.sources), names=2)


def _method(answer: TowAnswer, options: TowOptions) -> tuple[str, ...]:
    rows, columns = answer.windows.shape
    sizes = " and ".join(f"{size.size * 1e6:.4g}" for size in answer.representativity.sizes)
    tilt = "not given, and counts as zero" if options.misalignment is None else f"{options.misalignment:g} degrees"
    pixel = f"{options.pixel_deviation:.1%}" if options.pixel_deviation else "not given, and counts as zero"
    return (
        f"K of the whole image is that of steady Stokes flow of a Newtonian resin, {answer.tensor.conditions}, solved to a "
        f"relative error of {options.tolerance:g}; wall rule: {options.wall_rule}. {_METHODS[answer.tensor.method]}",
        f"The map is {rows} x {columns} windows, each solved by itself under the same condition, to a relative error of 0.001 "
        "at best. Beside K of the whole stands that of a Darcy flow over the map.",
        f"Windows of {sizes} um tell how much ln K scatters from place to place; that of the whole is that of its windows over "
        "their number (Matheron's integral range), with Student's factor.",
        f"Every source of the budget is a standard deviation of ln K; squares add up to the 90 % interval. Error of the pixel "
        f"size: {pixel}; misalignment of the fibres: {tilt}.",
    )


def _versions() -> TextTable:
    rows = [(name, version(name)) for name in _PACKAGES]
    return TextTable(("package", "version"), (("Python", platform.python_version()), *rows))
