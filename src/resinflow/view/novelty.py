"""Figure that shows how well the distance to the training media tells foreign media from familiar ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.roc import roc_area, roc_curve
from resinflow.view.panels import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LABEL = 9  # points


def compose_novelty(
    familiar: tuple[str, NDArray[np.floating]], foreign: Mapping[str, NDArray[np.floating]], threshold: float
) -> Figure:
    """Return the ROC of every foreign data set against the familiar one, and the distances of all media.

    Args:
        familiar: name of the familiar data set and the distances of its media to the training media.
        foreign: the same by name.
        threshold: distance above which a prediction warns.
    """
    from matplotlib.ticker import LogLocator

    name, inside = familiar
    figure = new_figure((11.0, 4.6))
    curves, distances = figure.subplots(1, 2)
    for number, (label, outside) in enumerate(foreign.items()):
        area = roc_area(inside, outside)
        curves.plot(*roc_curve(inside, outside), color=f"C{number % 10}", label=f"{label}, area {area:.3f}")
    curves.plot([0, 1], [0, 1], color="black", lw=0.8, zorder=0)
    curves.set_xlabel(f"share of {name} above the limit", fontsize=_LABEL)
    curves.set_ylabel("share of the other data set above the limit", fontsize=_LABEL)
    curves.legend(fontsize=8, frameon=False, loc="lower right")
    for number, values in enumerate([inside, *foreign.values()]):
        colour = "black" if number == 0 else f"C{(number - 1) % 10}"
        spread = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.zeros(1)
        distances.plot(values, number + spread, "o", ms=3, alpha=0.6, color=colour)
    distances.axvline(threshold, color="black", lw=0.8)
    distances.set_yticks(range(1 + len(foreign)), [name, *foreign])
    distances.invert_yaxis()
    distances.set_xscale("log")
    distances.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    distances.xaxis.set_major_formatter("{x:g}")
    distances.xaxis.set_minor_formatter("")
    distances.set_xlabel("distance to the training media; line: where a prediction warns", fontsize=_LABEL)
    for axes in (curves, distances):
        axes.tick_params(labelsize=8)
        axes.grid(True, lw=0.4, alpha=0.6)
        axes.set_axisbelow(True)
    return figure
