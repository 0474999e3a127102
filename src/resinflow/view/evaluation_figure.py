"""Figures of an evaluation: the distribution of errors, their dependence on the medium, and K against the true K."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from resinflow.evaluate import Evaluation
from resinflow.view.panels import add_grid, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_AT_REST = "zero"
_ERRORS = {
    "relative_l2": "velocity",
    "relative_l2_x": "vx",
    "relative_l2_y": "vy",
    "relative_l2_z": "vz",
    "permeability_error": "K",
    "pressure_error": "pressure",
}
_TRAITS = {
    "porosity": "porosity",
    "misalignment": "limit of the misalignment, degrees",
    "cross_flow": "RMS vz / RMS vx of the true flow",
}
_LABEL = 9  # points
_FLOOR = 1e-6  # relative error below which a point is drawn at the floor of the logarithmic axis


def compose_distributions(evaluation: Evaluation) -> Figure:
    """Return box plots of the relative errors of velocity, components, K and pressure over the samples, by method."""
    methods = shown_methods(evaluation)
    figure = new_figure((11.5, 1.2 + 0.5 * 2 * len(methods)))
    grid = figure.subplots(2, 3, squeeze=False)
    for number, (axes, (name, title)) in enumerate(zip(grid.ravel(), _ERRORS.items(), strict=True)):
        values = [np.maximum(_finite(evaluation.column(method, name)), _FLOOR) for method in methods]
        artists = axes.boxplot(values, orientation="horizontal", patch_artist=True, widths=0.6, sym=".", whis=(5, 95))
        for box, method in zip(artists["boxes"], methods, strict=True):
            box.set_facecolor(colour_of(methods, method))
            box.set_alpha(0.6)
        for line in artists["medians"]:
            line.set_color("black")
        axes.set_yticks(range(1, len(methods) + 1), methods if number % 3 == 0 else [""] * len(methods))
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter("")  # within less than a decade the labels between the powers would cover each other
        axes.invert_yaxis()
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("relative error", fontsize=_LABEL)
        add_grid(axes)
    return figure


def compose_dependence(evaluation: Evaluation) -> Figure:
    """Return the velocity error of every sample against porosity, misalignment (where stored) and |vz| / |vx|, by method."""
    methods = shown_methods(evaluation)
    numbers = evaluation.traits[0].to_dict() if evaluation.traits else {}
    names = [name for name in _TRAITS if name in numbers]
    figure = new_figure((4.3 * len(names), 4.4))
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        trait = np.array([traits.to_dict()[name] for traits in evaluation.traits])
        for method in methods:
            error = np.maximum(evaluation.column(method, "relative_l2"), _FLOOR)
            axes.plot(trait, error, _marker(methods, method), ms=4, alpha=0.75, color=colour_of(methods, method), label=method)
        axes.set_yscale("log")
        axes.set_xlabel(_TRAITS[name], fontsize=_LABEL)
        axes.set_ylabel("relative L2 error of the velocity", fontsize=_LABEL)
        add_grid(axes)
    _legend_below(figure)
    return figure


def compose_permeability(evaluation: Evaluation) -> Figure:
    """Return the parity plot of K, and its relative error against the true K, by method."""
    methods = shown_methods(evaluation)
    figure = new_figure((9.0, 4.7))
    parity, bias = figure.subplots(1, 2)
    true = evaluation.column(methods[0], "true_permeability")
    for method in methods:
        style = {"ms": 4, "alpha": 0.75, "color": colour_of(methods, method), "label": method}
        permeability = evaluation.column(method, "permeability")
        mask = (permeability > 0) & (true > 0)  # a logarithmic axis holds no other
        parity.plot(true[mask], permeability[mask], _marker(methods, method), **style)
        bias.plot(true[mask], 100 * (permeability - true)[mask] / true[mask], _marker(methods, method), **style)
    positive = true[true > 0]
    if positive.size:
        ends = np.array([positive.min() / 1.3, positive.max() * 1.3])
        parity.plot(ends, ends, color="black", lw=0.8, zorder=0)
    parity.set_xscale("log")
    parity.set_yscale("log")
    bias.set_xscale("log")
    bias.axhline(0.0, color="black", lw=0.8, zorder=0)
    parity.set_ylabel("K of the method, m²", fontsize=_LABEL)
    bias.set_ylabel("error of K, %", fontsize=_LABEL)
    for axes in (parity, bias):
        axes.set_xlabel("true K, m²", fontsize=_LABEL)
        add_grid(axes)
    _legend_below(figure)
    return figure


def shown_methods(evaluation: Evaluation) -> list[str]:
    """Return the methods that a figure shows: all but the flow at rest, whose errors are one."""
    return [method for method in evaluation.scores if method != _AT_REST]


def colour_of(methods: Sequence[str], method: str) -> str:
    """Return the colour of a method, the same in every figure of an evaluation."""
    return f"C{list(methods).index(method) % 10}"


def _marker(methods: Sequence[str], method: str) -> str:
    return "os^Dv<>Phd"[list(methods).index(method) % 10]


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _legend_below(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    entries = {label: handle for handle, label in zip(handles, labels, strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
