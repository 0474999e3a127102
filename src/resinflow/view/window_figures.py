"""Figures of a tow: the map of local K over its windows, and K against the size of the window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resinflow.flow import COMPONENTS, Microstructure, checked_target
from resinflow.view.output import save_figure
from resinflow.view.panels import add_grid, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from resinflow.tow import Representativity, WindowMap  # which would load the solver

_MICROMETRES = 1e6
_SQUARE_MICROMETRES = 1e12


def window_map_figure(windows: WindowMap, path: str | Path, *, micro: Microstructure | None = None) -> Path:
    """Draw the map of local Kxx, Kyy, Kzz over the windows, with the fibres of the middle slice behind it, and return the path.

    Args:
        windows: the map.
        path: .png, .pdf or .svg.
        micro: the medium, whose fibres are shown.

    Raises:
        InvalidInputError: another suffix, or a place that cannot be written.
    """
    target = checked_target(path)
    return save_figure(compose_window_map(windows, micro), target)


def compose_window_map(windows: WindowMap, micro: Microstructure | None = None) -> Figure:
    """Return the figure of :func:`window_map_figure`; windows without K are hatched, those without a way through crossed."""
    from matplotlib.colors import LogNorm

    figure = new_figure((13.0, 4.6))
    panels = figure.subplots(1, 3)
    ends = (windows.edges_x[0], windows.edges_x[-1], windows.edges_y[-1], windows.edges_y[0])
    extent = tuple(end * _MICROMETRES for end in ends)
    for place, (axes, name) in enumerate(zip(panels, COMPONENTS, strict=True)):
        values = windows.component(place, place) * _SQUARE_MICROMETRES
        positive = values[values > 0]
        shown = np.ma.masked_where(~(values > 0), values)
        norm = LogNorm(positive.min(), positive.max()) if positive.size and positive.min() < positive.max() else None
        image = axes.pcolormesh(
            windows.edges_x * _MICROMETRES, windows.edges_y * _MICROMETRES, shown, norm=norm, cmap="viridis"
        )
        figure.colorbar(image, ax=axes, shrink=0.85, label=f"K{name}{name}, um^2").ax.yaxis.set_minor_formatter("")
        for row, column in zip(*np.nonzero(values == 0), strict=True):
            x, y = (0.5 * (edges[k] + edges[k + 1]) for edges, k in ((windows.edges_x, column), (windows.edges_y, row)))
            axes.plot(x * _MICROMETRES, y * _MICROMETRES, "x", color="black", ms=6)
        if micro is not None:
            fluid = micro.fluid[micro.shape[0] // 2]
            fibres = np.zeros((*fluid.shape, 4))
            fibres[..., 3] = 0.35 * ~fluid
            axes.imshow(fibres, extent=extent, interpolation="nearest", aspect="equal", zorder=2)
        axes.set(xlim=extent[:2], ylim=extent[2:], aspect="equal", xlabel="x, um", ylabel="y, um")
    return figure


def representativity_figure(answer: Representativity, path: str | Path) -> Path:
    """Draw K against the size of the window with its scatter, and the interval for the infinite tow; return the path.

    Raises:
        InvalidInputError: another suffix, or a place that cannot be written.
    """
    target = checked_target(path)
    return save_figure(compose_representativity(answer), target)


def compose_representativity(answer: Representativity) -> Figure:
    """Return the figure of :func:`representativity_figure`: a panel an axis, medians with the range of 68 % of the windows."""
    figure = new_figure((13.0, 4.2))
    edge = float(np.sqrt(answer.area)) * _MICROMETRES
    for place, (axes, name) in enumerate(zip(figure.subplots(1, 3), COMPONENTS, strict=True)):
        sizes = [size for size in answer.sizes if np.isfinite(size.deviation[place])]
        middle = np.array([np.exp(size.mean[place]) for size in sizes]) * _SQUARE_MICROMETRES
        reach = np.exp([size.deviation[place] for size in sizes])
        axes.errorbar(
            [size.size * _MICROMETRES for size in sizes],
            middle,
            yerr=[middle - middle / reach, middle * reach - middle],
            fmt="o",
            capsize=3,
            label="windows: geometric mean and deviation",
        )
        low, high = (end * _SQUARE_MICROMETRES for end in answer.interval()[place])
        axes.plot(edge, answer.whole[place] * _SQUARE_MICROMETRES, "s", color="black", label="the whole image")
        if np.isfinite(low):
            axes.axhspan(low, high, color="C1", alpha=0.25, label="90 % interval of the infinite tow")
        axes.set(xscale="log", yscale="log", xlabel="edge of the window, um", ylabel=f"K{name}{name}, um^2")
        for line in (axes.xaxis, axes.yaxis):
            line.set_major_formatter("{x:g}")
            line.set_minor_formatter("{x:g}")
        axes.tick_params(which="both", labelsize=7)
        add_grid(axes)
        axes.legend(fontsize=7, frameon=False)
    return figure
