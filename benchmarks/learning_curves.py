"""Error against the number of training samples, the size of the networks, and the time of training.

    export OMP_NUM_THREADS=1
    python benchmarks/learning_curves.py --data data/small.zarr --out runs/ablation [--only NAME ...] [--jobs 1]

Variants of the reference of recipes/ablation.yaml, whose run in ``--out`` they share with benchmarks/ablation.py. Fewer samples
are passed over more often: every variant has the reference's number of steps. What is finished is left alone. Writes
learning-curves.csv, learning-curves.md and the figure, and prints the table; ``--table`` reads only what is there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ablation import Row, Study, finish_study, study_of, study_parser
from stopwatch import ROOT

from resinflow.data import open_flows
from resinflow.evaluate.methods import GRID
from resinflow.flow import InvalidInputError, checked_target
from resinflow.presets import STAGES, LatentRecipe
from resinflow.search import REFERENCE, read_seconds
from resinflow.train.history import read_history
from resinflow.view import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES, WIDTHS = (70, 175, 350, 700), (16, 24, 32, 48)
_NUMBERS = {
    "velocity": ("velocity", "#1f6fb4", "o-"),
    "vz": ("vz", "#d1562b", "s-"),
    "pressure": ("pressure", "#8a5fb0", "v-"),
    "K_mean": ("K, mean", "#3a9a5b", "^-"),
}
_COLOURS = ("#c79a1e", "#3a9a5b", "#1f6fb4", "#d1562b", "#8a5fb0", "#7a5548")
_WITHOUT_TRUTH = {"vae3d": "validation_velocity_error_without_latent", "vae2d": "validation_velocity_error"}
"""Errors of what is decoded without a look at the true flow; the estimates that stage 3 validates start from a blend of it."""
_LABEL = 9  # points


def curves_study(base: Study, available: int, samples: Sequence[int], widths: Sequence[int]) -> Study:
    """Return the variants of both curves; the reference stands for its own width and for its ``available`` samples."""
    reference = base.reference
    variants: dict[str, dict[str, Any]] = {REFERENCE: {}}
    variants |= {f"samples-{n}": _repeated(reference, available, n) for n in samples if n != available}
    variants |= {f"width-{width}": {"model.width": width} for width in widths if width != reference.model.width}
    titles = {name: name.replace("-", " ") for name in variants if name.startswith("width")}
    titles |= {f"samples-{n}": f"{n} training samples" for n in samples}
    return replace(base, variants=variants, titles=titles)


def _repeated(reference: LatentRecipe, available: int, count: int) -> dict[str, Any]:
    """Options of a training on ``count`` samples with as many steps as the reference's on ``available``."""
    more = available / count
    epochs = {f"{stage}.epochs": max(1, round(getattr(reference, stage).epochs * more)) for stage in STAGES}
    return {"samples": count, "vae3d.kl_epochs": round(reference.vae3d.kl_epochs * more), **epochs}


def compose_curves(study: Study, rows: Sequence[Row], available: int) -> Figure:
    """Return the three panels; models that are not finished are left out.

    Args:
        study: the variants of both curves.
        rows: of the finished ones.
        available: samples that the reference is trained on.

    Raises:
        InvalidInputError: the reference is not finished.
    """
    by_name = {row["variant"]: row for row in rows}
    if REFERENCE not in by_name:
        raise InvalidInputError(f"{study.out} has no finished reference; needed: one; run without --table.")
    recipes = {name: study.recipe(name) for name in study.variants if name in by_name}
    of_data = {recipe.samples or available: name for name, recipe in recipes.items() if recipe.model == study.reference.model}
    of_size = {recipe.model.width: name for name, recipe in recipes.items() if recipe.samples == study.reference.samples}
    figure = new_figure((12.5, 4.2))
    data, size, time = figure.subplots(1, 3)
    _draw_errors(data, [(count, by_name[name]) for count, name in sorted(of_data.items())], by_name.get(GRID))
    data.set_xlabel("training samples", fontsize=_LABEL)
    data.legend(fontsize=7, frameon=False)
    sized = [(width, by_name[name]) for width, name in sorted(of_size.items())]
    _draw_errors(size, [(row["parameters"] / 1e6, row) for _, row in sized], by_name.get(GRID))
    size.set_xlabel("parameters, million", fontsize=_LABEL)
    for width, row in sized:
        place = (row["parameters"] / 1e6, 100 * row["velocity"])
        size.annotate(f"width {width}", place, (0, 6), textcoords="offset points", fontsize=7, ha="center")
    for colour, (width, name) in zip(_COLOURS, sorted(of_size.items()), strict=False):
        _draw_training(time, study.out / name, f"width {width}", by_name[name], colour)
    _finish_time(time, by_name.get(GRID))
    return figure


def _draw_errors(axes: Axes, points: Sequence[tuple[float, Row]], start: Row | None) -> None:
    """Errors against a number, both in the logarithm, above those of the flow that the model corrects."""
    places = [place for place, _ in points]
    for number, (label, colour, style) in _NUMBERS.items():
        axes.plot(places, [100 * row[number] for _, row in points], style, ms=4, lw=1.4, color=colour, label=label)
        if start is not None:
            axes.axhline(100 * start[number], color=colour, lw=0.9, ls=(0, (1, 2)))
    axes.set_xscale("log")
    axes.margins(x=0.1)
    _finish(axes, places)
    axes.set_ylabel("relative error, %", fontsize=_LABEL)
    if start is not None:
        axes.plot([], [], color="#555555", lw=0.9, ls=(0, (1, 2)), label="solver on the stored grid")


def _draw_training(axes: Axes, run: Path, label: str, row: Row, colour: str) -> None:
    """Validation error of both stages of the VAE over the time since the start, and the finished model's score at its end."""
    seconds, start = read_seconds(run), 0.0
    for stage, column in _WITHOUT_TRUTH.items():
        values = [np.nan if value is None else 100 * value for value in read_history(run / stage)[column]]
        times = (start + seconds[stage] * np.arange(1, len(values) + 1) / len(values)) / 60
        style = "o--" if stage == STAGES[0] else "o-"
        axes.plot(times, values, style, ms=3, lw=1.3, color=colour, label=label if stage == STAGES[1] else None)
        start += seconds[stage]
    axes.plot([row["cpu_minutes"]], [100 * row["velocity"]], "*", ms=10, color=colour, mec="white", mew=0.6)


def _finish_time(axes: Axes, start: Row | None) -> None:
    for style, label in (("o--", "stage 1, conditions alone"), ("o-", "stage 2, D3D(E2D)")):
        axes.plot([], [], style, ms=3, lw=1.3, color="#555555", label=label)
    axes.plot([], [], "*", ms=9, color="#555555", ls="", label="finished model, scored split")
    if start is not None:
        axes.axhline(100 * start["velocity"], color="#555555", lw=0.9, ls=(0, (1, 2)), label="solver on the stored grid")
    _finish(axes, ())
    axes.set_xlabel("CPU minutes of training", fontsize=_LABEL)
    axes.set_ylabel("relative error of the velocity, %", fontsize=_LABEL)
    axes.legend(fontsize=7, frameon=False)


def _finish(axes: Axes, places: Sequence[float]) -> None:
    """Logarithmic errors; the abscissa is labelled where its points are."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    if places:
        axes.set_xticks(places, [f"{place:.3g}" if place < 100 else f"{place:g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=8)
    axes.grid(True, lw=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, write table and figure; return how many variants failed."""
    parser = study_parser(__doc__)
    parser.add_argument("--samples", nargs="*", type=int, default=SAMPLES, help="numbers of training samples")
    parser.add_argument("--widths", nargs="*", type=int, default=WIDTHS, help="channels inside the networks")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "images" / "learning-curves.png")
    options = parser.parse_args(arguments)
    try:
        base, figure = study_of(options), checked_target(options.figure)
        available = base.reference.samples or len(open_flows(options.data).indices("train"))
        study = curves_study(base, available, options.samples, options.widths)
        failures, rows = finish_study(study, options, "learning-curves")
        save_figure(compose_curves(study, rows, available), figure)
        return len(failures)
    except InvalidInputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(min(main(), 1))
