"""The figure of a search: the history of the best value, and the value against every option."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resinflow.flow import replacing
from resinflow.search.search_plan import Axis, SearchPlan
from resinflow.search.search_results import TrialRow, best_first

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_RESOLUTION = 130  # dots per inch
_PANEL = (4.0, 3.0)  # inches
_COLUMNS = 3
_MARGIN = 0.08
_COMPLETE, _PRUNED, _BEST, _FAILED = "#1f4e79", "#8a8a8a", "#c0392b", "#c0392b"
_WIDE = 10.0
"""Values that span more than this factor are drawn on a logarithmic axis."""


def write_figure(plan: SearchPlan, rows: Sequence[TrialRow], path: Path) -> None:
    """Write the figure of a search in one step: the history first, then one panel an option."""
    from matplotlib.figure import Figure

    panels = 1 + len(plan.axes)
    columns = min(panels, _COLUMNS)
    height = math.ceil(panels / columns)
    figure = Figure(figsize=(columns * _PANEL[0], height * _PANEL[1] + 0.4), layout="constrained")
    axes = list(figure.subplots(height, columns, squeeze=False).ravel())
    _draw_history(axes[0], rows, plan.size)
    for panel, axis in zip(axes[1:], plan.axes, strict=False):
        _draw_option(panel, axis, rows)
    for panel in axes[panels:]:
        panel.set_axis_off()
    values = [row.value for row in rows if row.value is not None]
    if values and min(values) > 0 and max(values) > _WIDE * min(values):
        for panel in axes[:panels]:
            panel.set_yscale("log")
    for panel in axes[:panels]:
        panel.set_ylabel("validation loss")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="0.92")
        panel.set_axisbelow(True)
    figure.suptitle(_title(plan, rows), fontsize=11)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_RESOLUTION)


def _title(plan: SearchPlan, rows: Sequence[TrialRow]) -> str:
    done = sum(row.finished for row in rows)
    folds = f", {plan.config.folds} folds" if plan.config.folds > 1 else ""
    return (
        f"{plan.config.name}: {plan.config.mode} over stage {plan.config.stage}{folds}; {done} of {plan.size} trials finished"
    )


def _draw_history(panel: Axes, rows: Sequence[TrialRow], size: int) -> None:
    """Every trial by its number, the best so far as a step line, failed trials as crosses at the foot."""
    from matplotlib.ticker import MaxNLocator

    _scatter(panel, rows, [float(row.number) for row in rows])
    complete = [row for row in rows if row.state == "complete"]
    numbers = [row.number for row in complete]
    best = [min(row.value for row in complete[: place + 1] if row.value is not None) for place in range(len(complete))]
    if best:
        panel.step([*numbers, rows[-1].number], [*best, best[-1]], where="post", color=_BEST, lw=1.2, label="best so far")
    failed = [row.number for row in rows if row.state == "failed"]
    if failed:
        foot = panel.get_xaxis_transform()
        panel.plot(failed, [0.03] * len(failed), "x", color=_FAILED, ms=6, transform=foot, label="failed", clip_on=False)
    panel.set_xlim(-0.5, max([size - 1, *(row.number for row in rows)]) + 0.5)
    panel.set_xlabel("trial")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.get_legend_handles_labels()[0]:
        panel.legend(fontsize=7, frameon=False)


def _draw_option(panel: Axes, axis: Axis, rows: Sequence[TrialRow]) -> None:
    """The value against one option: numbers on a scale, anything else side by side."""
    known = [row for row in rows if axis.key in row.parameters]
    numeric = not axis.values or all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values)
    if numeric:
        places = [float(row.parameters[axis.key]) for row in known]
        _scale_option(panel, axis)
    else:
        texts = [json.dumps(value) for value in axis.values]
        places = [float(texts.index(json.dumps(row.parameters[axis.key]))) for row in known]
        shown = [text.strip('"[]').replace(", ", "-") for text in texts]
        panel.set_xticks(range(len(shown)), shown, rotation=20 if max(map(len, shown)) > 8 else 0, fontsize=7)
        panel.set_xlim(-0.5, len(shown) - 0.5)
    _scatter(panel, known, places)
    panel.set_xlabel(axis.key)


def _scale_option(panel: Axes, axis: Axis) -> None:
    """Show the whole range of a number from the first trial on, with a margin."""
    ends = axis.values or (axis.low, axis.high)
    low, high = float(min(ends)), float(max(ends))
    if axis.log or (low > 0 and high >= _WIDE * low):
        margin = (high / low) ** _MARGIN
        panel.set_xscale("log")
        panel.set_xlim(low / margin, high * margin)
    else:
        margin = _MARGIN * (high - low or abs(low) or 1.0)
        panel.set_xlim(low - margin, high + margin)


def _scatter(panel: Axes, rows: Sequence[TrialRow], places: Sequence[float]) -> None:
    """Complete trials full with their spread over the folds, pruned ones hollow, the best one ringed."""
    best = [row.number for row in best_first(rows)[:1]]
    points = [(place, row.value, row) for place, row in zip(places, rows, strict=True) if row.value is not None]
    for state, face, edge in (("complete", _COMPLETE, _COMPLETE), ("pruned", "none", _PRUNED)):
        chosen = [(place, value, row.spread or 0.0) for place, value, row in points if row.state == state]
        if chosen:
            x, y, spread = zip(*chosen, strict=True)
            panel.errorbar(x, y, spread, fmt="none", ecolor=edge, elinewidth=0.8)
            panel.plot(x, y, "o", ms=4.5, mfc=face, mec=edge, label=state)
    for place, value, row in points:
        if row.number in best:
            panel.plot([place], [value], "o", ms=9, mfc="none", mec=_BEST, mew=1.4)
