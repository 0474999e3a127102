"""Figures that show whether the spread between a model's samples is the size of its error, and which media a model knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate import LEVELS, Evaluation, flow_spreads, interval_coverage, mean_ranks, roc_area, roc_curve
from resinflow.flow import InvalidInputError
from resinflow.view.evaluation_figure import colour_of, shown_methods
from resinflow.view.panels import add_grid, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_LABEL = 9  # points
_FILLED = {"as drawn": False, "calibrated": True}


def compose_calibration(evaluation: Evaluation) -> Figure:
    """Return how the spread of every method's samples fits its errors.

    Upper row, from the samples themselves: spread against error of every sample, coverage of central intervals, rank
    histogram. Lower row, where scored, from mean and deviation, as drawn and calibrated: coverage of the central intervals of
    a normal distribution, and spread against error of velocity and K of every sample.

    Raises:
        InvalidInputError: no method gave several samples.
    """
    ensembles = evaluation.ensembles()
    if not ensembles:
        raise InvalidInputError("no method gave several samples; needed: at least 2 a prediction (--samples).")
    scored = any(flow_spreads(scores) for scores in evaluation.scores.values())
    figure = new_figure((12.5, 8.6 if scored else 4.3))
    panels = figure.subplots(1 + scored, 3, squeeze=False)
    _draw_samples(evaluation, *panels[0])
    if scored:
        _draw_spreads(evaluation, *panels[1])
    for axes in panels.ravel():
        add_grid(axes)
    for axes in (panels[0, 1], *panels[1:, :2].ravel()):
        axes.legend(fontsize=8, frameon=False)
    return figure


def _draw_samples(evaluation: Evaluation, spread: Axes, coverage: Axes, ranks: Axes) -> None:
    """Draw spread against error, coverage between two samples, and ranks of the truth."""
    ensembles = evaluation.ensembles()
    for number, (method, scores) in enumerate(ensembles.items()):
        colour = colour_of(shown_methods(evaluation), method)
        error = evaluation.column(method, "relative_l2")
        spread.plot(error, error * evaluation.column(method, "spread_skill"), "o", ms=4, alpha=0.75, color=colour, label=method)
        shares = mean_ranks(scores)
        nominal, inside = np.array([(0.0, 0.0), *reversed(interval_coverage(shares)), (1.0, 1.0)]).T
        coverage.plot(nominal, inside, "o-", ms=5, color=colour, label=method)
        width = 0.8 / len(ensembles)
        places = np.arange(len(shares)) + (number - (len(ensembles) - 1) / 2) * width
        ranks.bar(places, np.array(shares) * len(shares), width, color=colour, label=method)
    _finish_spread(spread)
    coverage.plot([0, 1], [0, 1], color="black", lw=0.8, zorder=0)
    coverage.set_xlabel("nominal coverage of the interval between two samples", fontsize=_LABEL)
    coverage.set_ylabel("share of true values inside", fontsize=_LABEL)
    ranks.axhline(1.0, color="black", lw=0.8)
    ranks.set_xlabel("samples below the true value", fontsize=_LABEL)
    ranks.set_ylabel("share, relative to a calibrated ensemble", fontsize=_LABEL)


def _draw_spreads(evaluation: Evaluation, reliability: Axes, velocity: Axes, permeability: Axes) -> None:
    """Draw reliability and error of the deviations, as drawn (hollow) and calibrated (filled)."""
    for method, scores in evaluation.scores.items():
        colour = colour_of(shown_methods(evaluation), method) if method in shown_methods(evaluation) else "black"
        for kind, spreads in flow_spreads(scores).items():
            fill = colour if _FILLED[kind] else "none"
            marks = {"ms": 4, "color": colour, "markerfacecolor": fill, "alpha": 0.8, "label": f"{method}, {kind}"}
            for name, line, shares in (
                ("v", "-", [spread.velocity_reliability for spread in spreads]),
                ("K", "--", [spread.permeability_reliability for spread in spreads]),
            ):
                label = f"{name}, {kind}"
                reliability.plot(LEVELS, np.mean(shares, axis=0), f"o{line}", **{**marks, "label": label})
            for axes, totals in (
                (velocity, [spread.velocity for spread in spreads]),
                (permeability, [spread.permeability for spread in spreads]),
            ):
                axes.plot([total.spread for total in totals], [total.error for total in totals], "o", **marks)
    reliability.plot([0, 1], [0, 1], color="black", lw=0.8, zorder=0)
    reliability.set_xlabel("probability of the central interval (mean and deviation)", fontsize=_LABEL)
    reliability.set_ylabel("share of true values inside", fontsize=_LABEL)
    velocity.set_ylabel("RMS error of the velocity, relative to the RMS speed", fontsize=_LABEL)
    permeability.set_ylabel("|error| of K, relative", fontsize=_LABEL)
    for axes in (velocity, permeability):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_minor_formatter("")  # within less than a decade the labels between the powers would cover each other
        axes.yaxis.set_minor_formatter("")
        axes.set_xlabel("deviation that the prediction gives, same unit", fontsize=_LABEL)
        low, high = (pick(axes.get_xlim()[k], axes.get_ylim()[k]) for k, pick in ((0, min), (1, max)))
        axes.plot([low, high], [low, high], color="black", lw=0.8, zorder=0)


def _finish_spread(axes: Axes) -> None:
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    ends = np.array([0.0, high])
    axes.set(xlim=ends, ylim=ends)
    axes.plot(ends, ends, color="black", lw=0.8, zorder=0)
    axes.set_xlabel("relative L2 error of the mean", fontsize=_LABEL)
    axes.set_ylabel("spread between the samples, same unit", fontsize=_LABEL)


def compose_novelty(
    familiar: tuple[str, NDArray[np.floating]], foreign: Mapping[str, NDArray[np.floating]], threshold: float
) -> Figure:
    """Return the ROC of every foreign data set against the familiar one, and the distances of all media.

    Args:
        familiar: name of the familiar data set and the distances (media,) of its media to the training media.
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
        add_grid(axes)
    return figure
