"""Curves of a training: every loss and metric over the epochs, one panel a term, several runs in one figure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resinflow.flow import FIGURE_SUFFIXES, InvalidInputError, checked_target
from resinflow.view.output import save_figure
from resinflow.view.panels import new_figure
from resinflow.view.training_log import LEARNING_RATE, Series, TrainingLog, best_epoch, read_training_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


_COLUMNS = 4
_ONE_ROW = 5  # terms that still stand beside each other
_PANEL = (2.9, 2.1)  # inches
_COLOURS = ("#1f6fb4", "#d1562b", "#3a9a5b", "#8a5fb0", "#c79a1e", "#3fa9b5", "#7a5548", "#d46a9f")
_STYLES = {"training": (0, (3, 1.5)), "validation": "-", "": "-", "test": ":"}
_SPAN = 8.0  # a quantity that changes by this factor is drawn on a logarithmic scale
_FEW_DECADES = 2.5  # within them 2 and 5 are labelled too
_MARKED = 40  # epochs: with fewer every value has a dot
_LAST = (LEARNING_RATE, "seconds")


def training_figures(paths: Sequence[Path], output: Path) -> list[Path]:
    """Draw losses and metrics of one or more runs, and return what was written.

    Args:
        paths: run or model directories, or log files.
        output: one figure of all stages (.png, .pdf, .svg), or a folder for one PNG a stage.

    Raises:
        InvalidInputError: no log, one that cannot be read, or a place that cannot be written.
    """
    if not paths:
        raise InvalidInputError("no run was given; needed: one or more run directories or log files.")
    logs = with_distinct_names([read_training_log(path) for path in paths], paths)
    return [save_figure(compose_training(logs, stage), target) for target, stage in _targets(output, logs)]


def with_distinct_names(logs: Sequence[TrainingLog], paths: Sequence[Path]) -> list[TrainingLog]:
    """Return the logs with names that tell them apart: the folder's, the path where folders are called alike, a number then."""
    names = [log.name for log in logs]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    counted = [name if names.count(name) == 1 else f"{name} ({number + 1})" for number, name in enumerate(names)]
    return [replace(log, name=name) for log, name in zip(logs, counted, strict=True)]


def _targets(output: Path, logs: Sequence[TrainingLog]) -> list[tuple[Path, str | None]]:
    """Every file that is written, and the stage that it shows (None: all of them)."""
    if output.is_dir() or not output.suffix:
        stages = dict.fromkeys(stage for log in logs for stage in log.stages)
        return [(output / f"training_{_slug(stage)}.png", stage) for stage in stages]
    return [(checked_target(output, FIGURE_SUFFIXES), None)]


def _slug(stage: str) -> str:
    """Return a stage's name, which comes from a file, as a file name."""
    return re.sub(r"[^a-z0-9]+", "_", stage.lower()).strip("_") or "stage"


def compose_training(logs: Sequence[TrainingLog], stage: str | None = None) -> Figure:
    """Return the curves of one or more runs: a block of panels for each stage, a panel for each term, a colour for each run.

    Training is dashed, validation solid, a test value dotted. A star and a vertical line mark the epoch of the lowest
    validation loss. What spans a factor of eight and is positive is drawn on a logarithmic scale.

    Args:
        logs: at most eight runs.
        stage: only this one; all by default.

    Raises:
        InvalidInputError: no run, more than eight, or a stage that none of them has.
    """
    if not 1 <= len(logs) <= len(_COLOURS):
        raise InvalidInputError(f"{len(logs)} runs are to be drawn; needed: 1 to {len(_COLOURS)} in one figure.")
    every = list(dict.fromkeys(name for log in logs for name in log.stages))
    if stage is not None and stage not in every:
        raise InvalidInputError(f"there is no stage {stage!r}; needed: one of {', '.join(every)}.")
    names = every if stage is None else [stage]
    terms = {name: _terms([log.stages.get(name, ()) for log in logs]) for name in names}
    most = max(map(len, terms.values()))
    columns = most if most <= _ONE_ROW else _COLUMNS
    rows = {name: math.ceil(len(entries) / columns) for name, entries in terms.items()}
    height = sum(rows.values()) * _PANEL[1] + 0.4 * len(names) + 0.5
    figure = new_figure((max(columns, 2) * _PANEL[0], height))
    figure.set_layout_engine("constrained")
    blocks = figure.subfigures(len(names), 1, squeeze=False, height_ratios=[rows[name] + 0.15 for name in names])[:, 0]
    for block, name in zip(blocks, names, strict=True):
        _draw_stage(block, name, logs, terms[name], columns)
    _add_legend(figure, logs, names)
    return figure


def _terms(stages: Sequence[tuple[Series, ...]]) -> list[str]:
    """Return all terms of a stage: the loss, then what has a training and validation part, the rest, rates and times."""
    series = [entry for stage in stages for entry in stage]
    parted = {entry.term for entry in series if entry.part}
    names = dict.fromkeys(entry.term for entry in series)
    return sorted(names, key=lambda term: (term in _LAST, term != "loss", term not in parted))


def _draw_stage(block: SubFigure, name: str, logs: Sequence[TrainingLog], terms: Sequence[str], columns: int) -> None:
    rows = math.ceil(len(terms) / columns)
    panels = block.subplots(rows, columns, squeeze=False).ravel()
    best = [best_epoch(log.stages.get(name, ())) for log in logs]
    for axes, term in zip(panels, terms, strict=False):
        curves = [[series for series in log.stages.get(name, ()) if series.term == term] for log in logs]
        _style(axes, term, [series for run in curves for series in run])
        for run, colour, lowest in zip(curves, _COLOURS, best, strict=False):
            for series in run:
                _draw_series(axes, series, colour)
            if lowest is not None and any(series.epochs for series in run):
                _mark_best(axes, term, lowest, colour)
    for axes in panels[len(terms) :]:
        axes.set_axis_off()
    notes = [_best_note(log.name if len(logs) > 1 else "", lowest) for log, lowest in zip(logs, best, strict=True) if lowest]
    block.suptitle("\n".join([name, *notes]), fontsize=9, x=0.01, ha="left")


def _draw_series(axes: Axes, series: Series, colour: str) -> None:
    if series.part == "test" and len(series.values) == 1:
        axes.axhline(series.values[0], color=colour, linestyle=_STYLES["test"], linewidth=1.2)
        return
    places = series.epochs or tuple(range(1, len(series.values) + 1))
    axes.plot(
        places,
        series.values,
        color=colour,
        linestyle=_STYLES[series.part],
        linewidth=1.0 if series.part == "training" else 1.5,
        alpha=0.75 if series.part == "training" else 1.0,
        marker="." if len(places) <= _MARKED else "",
        markersize=4,
    )


def _mark_best(axes: Axes, term: str, lowest: tuple[float, Series], colour: str) -> None:
    epoch, series = lowest
    axes.axvline(epoch, color=colour, linewidth=0.7, alpha=0.5)
    if series.term == term:
        value = min(value for value in series.values if math.isfinite(value))
        axes.plot([epoch], [value], marker="*", markersize=9, color=colour, markeredgecolor="white", markeredgewidth=0.6)


def _best_note(run: str, lowest: tuple[float, Series]) -> str:
    epoch, series = lowest
    value = min(value for value in series.values if math.isfinite(value))
    return f"{run + ': ' if run else ''}lowest validation {series.term} {value:.4g} at epoch {epoch:g}"


def _style(axes: Axes, term: str, curves: Sequence[Series]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    values = np.array([value for series in curves for value in series.values if math.isfinite(value)])
    if values.size and values.min() > 0 and values.max() >= _SPAN * values.min():
        axes.set_yscale("log")
        decades = math.log10(values.max() / values.min())
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < _FEW_DECADES else (1.0,)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_title(term, fontsize=8, pad=3)
    axes.set_xlabel(
        "epoch" if all(series.epochs or len(series.values) == 1 for series in curves) else "entry", fontsize=7, labelpad=1
    )
    axes.tick_params(labelsize=7, length=2.5, width=0.6, which="both")
    axes.yaxis.get_offset_text().set_fontsize(7)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _add_legend(figure: Figure, logs: Sequence[TrainingLog], names: Sequence[str]) -> None:
    """Explain colours (of several runs) and line styles that occur, once for the whole figure."""
    from matplotlib.lines import Line2D

    entries = [(log, colour) for log, colour in zip(logs, _COLOURS, strict=False) if any(name in log.stages for name in names)]
    parts = {series.part for log in logs for name in names for series in log.stages.get(name, ())}
    runs = entries if len(logs) > 1 else []
    handles: list[Any] = [Line2D([], [], color=colour, linewidth=3, label=log.name) for log, colour in runs]
    grey = _COLOURS[0] if len(logs) == 1 else "#555555"
    handles += [Line2D([], [], color=grey, linestyle=_STYLES[part], label=part) for part in _STYLES if part and part in parts]
    if any(best_epoch(log.stages.get(name, ())) for log in logs for name in names):
        handles.append(Line2D([], [], color=grey, linestyle="", marker="*", markersize=8, label="lowest validation loss"))
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6), fontsize=8, frameon=False)
