"""Histograms of the numbers of many samples, one panel a quantity, its parts side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import checked_target
from resinflow.view.output import save_figure
from resinflow.view.panels import add_grid, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_BINS = 20
_COLUMNS = 3
_LABEL = 9  # points
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44")  # Paul Tol's "bright": distinct for colour-blind readers


@dataclass(frozen=True)
class Histogram:
    """One panel: a label with its unit, values by part, and whether the axis is logarithmic."""

    label: str
    values: Mapping[str, NDArray[np.floating]]
    logarithmic: bool = False


def histogram_figure(panels: Sequence[Histogram], path: str | Path) -> Path:
    """Draw densities (every part has area 1, however many samples it holds) and return the path of the figure.

    Raises:
        InvalidInputError: a suffix other than .png, .pdf and .svg, or a folder that cannot be written.
    """
    target = checked_target(path)
    rows = -(-len(panels) // _COLUMNS)
    figure = new_figure((4.0 * _COLUMNS, 2.9 * rows))
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        _draw(axes, panel)
        if place == 0:
            axes.legend(fontsize=_LABEL, frameon=False)
    return save_figure(figure, target)


def _draw(axes: Axes, panel: Histogram) -> None:
    edges = _edges(panel)
    for place, ((part, values), colour) in enumerate(zip(panel.values.items(), _COLOURS, strict=False)):
        # on a logarithmic axis equal areas need densities per decade
        counts, _ = np.histogram(values, edges)
        widths = np.diff(np.log10(edges) if panel.logarithmic else edges)
        density, label = counts / max(counts.sum(), 1) / widths, f"{part} ({len(values)})"
        if place == 0:  # the first part stands behind the others
            axes.stairs(density, edges, color=colour, alpha=0.35, fill=True, label=label)
        else:
            axes.stairs(density, edges, color=colour, lw=1.5, label=label)
    if panel.logarithmic:
        axes.set_xscale("log")
    axes.set_xlabel(panel.label, fontsize=_LABEL)
    axes.set_ylabel("density per decade" if panel.logarithmic else "density", fontsize=_LABEL)
    add_grid(axes)


def _edges(panel: Histogram) -> NDArray[np.float64]:
    values = np.concatenate(list(panel.values.values())).astype(np.float64)
    if panel.logarithmic and values.min() > 0:
        low, high = np.log10(values.min()), np.log10(values.max())
        return np.logspace(low, high if high > low else low + 0.1, _BINS + 1)
    low, high = values.min(), values.max()
    return np.linspace(low, high if high > low else low + max(abs(low), 1.0) * 1e-3, _BINS + 1)
