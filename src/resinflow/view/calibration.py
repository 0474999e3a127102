"""Figure that shows whether the spread between a model's samples is the size of its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from resinflow.core import InvalidInputError
from resinflow.evaluate.ensemble import interval_coverage, mean_ranks
from resinflow.evaluate.evaluation import Evaluation
from resinflow.view.evaluation import colour_of, shown_methods
from resinflow.view.panels import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABEL = 9  # points


def compose_calibration(evaluation: Evaluation) -> Figure:
    """Return spread against error of every sample, coverage of central intervals, and the rank histogram, by method.

    Raises:
        InvalidInputError: no method gave several samples.
    """
    ensembles = evaluation.ensembles()
    if not ensembles:
        raise InvalidInputError("no method gave several samples; needed: at least 2 a prediction (--samples).")
    methods = list(ensembles)
    figure = new_figure((12.5, 4.3))
    spread, coverage, ranks = figure.subplots(1, 3)
    for number, (method, scores) in enumerate(ensembles.items()):
        colour = colour_of(shown_methods(evaluation), method)
        error = evaluation.column(method, "relative_l2")
        spread.plot(error, error * evaluation.column(method, "spread_skill"), "o", ms=4, alpha=0.75, color=colour, label=method)
        shares = mean_ranks(scores)
        nominal, found = np.array([(0.0, 0.0), *reversed(interval_coverage(shares)), (1.0, 1.0)]).T
        coverage.plot(nominal, found, "o-", ms=5, color=colour, label=method)
        width = 0.8 / len(methods)
        places = np.arange(len(shares)) + (number - (len(methods) - 1) / 2) * width
        ranks.bar(places, np.array(shares) * len(shares), width, color=colour, label=method)
    _finish_spread(spread)
    coverage.plot([0, 1], [0, 1], color="black", lw=0.8, zorder=0)
    coverage.set_xlabel("nominal coverage of the interval between two samples", fontsize=_LABEL)
    coverage.set_ylabel("share of true values inside", fontsize=_LABEL)
    ranks.axhline(1.0, color="black", lw=0.8)
    ranks.set_xlabel("samples below the true value", fontsize=_LABEL)
    ranks.set_ylabel("share, relative to a calibrated ensemble", fontsize=_LABEL)
    for axes in (spread, coverage, ranks):
        axes.tick_params(labelsize=8)
        axes.grid(True, lw=0.4, alpha=0.6)
        axes.set_axisbelow(True)
    coverage.legend(fontsize=8, frameon=False)
    return figure


def _finish_spread(axes: Axes) -> None:
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    ends = np.array([0.0, high])
    axes.set(xlim=ends, ylim=ends)
    axes.plot(ends, ends, color="black", lw=0.8, zorder=0)
    axes.set_xlabel("relative L2 error of the mean", fontsize=_LABEL)
    axes.set_ylabel("spread between the samples, same unit", fontsize=_LABEL)
