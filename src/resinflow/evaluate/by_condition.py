"""The error of K against what a medium and its micrograph are like: under which conditions a model may be trusted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.scores import Evaluation
from resinflow.evaluate.tables import NOTHING, TextTable

__all__ = ["condition_rows"]

Numbers = NDArray[np.float64]
_PARTS = 3
_FEWEST = 2
"""Media of each part, at least."""
_CONDITIONS = {
    "fibre fraction": ("volume_fraction", ".2f"),
    "misalignment, degrees": ("misalignment", ".1f"),
    "fibre diameter, pixels": ("diameter_pixels", ".1f"),
    "blur, pixels": ("blur", ".2f"),
    "blur, diameters": ("blur_diameters", ".3f"),
    "noise, greys": ("noise", ".1f"),
    "rim, contrasts": ("rim", ".2f"),
}
CONDITION_CAPTION = (
    "the media in three parts of equal number by each condition; K: |relative error| in per cent, bias: median of the signed "
    "one; share of the media whose true K the calibrated 90 % interval holds"
)


def condition_rows(evaluation: Evaluation) -> TextTable:
    """Return the error of K of the main method by fibre fraction, misalignment, diameter, blur, noise and rim, three rows each.

    Conditions that the data set does not store, or that are the same for all media, are left out.
    """
    errors = evaluation.column(evaluation.main, "permeability_bias")
    inside = _inside(evaluation)
    rows = []
    for title, (name, form) in _CONDITIONS.items():
        for low, high, part in _parts(_values(evaluation, name)):
            sizes = np.abs(errors[part])
            numbers = (np.median(sizes), sizes.mean(), np.quantile(sizes, 0.9))
            held = inside[part][~np.isnan(inside[part])]
            rows.append(
                (
                    title,
                    f"{low:{form}} - {high:{form}}",
                    str(int(part.sum())),
                    *(f"{100 * number:.3g}" for number in numbers),
                    f"{100 * np.median(errors[part]):+.2g}",
                    f"{100 * held.mean():.0f} %" if held.size else NOTHING,
                )
            )
            title = ""
    header = ("condition", "from - to", "media", "K: median", "mean", "p90", "bias", "in 90 %")
    return TextTable(header, tuple(rows), CONDITION_CAPTION, block=_PARTS, names=2)


def _values(evaluation: Evaluation, name: str) -> Numbers:
    """A condition of every medium, NaN where it is not known."""
    nan = float("nan")
    traits = [each.parameters for each in evaluation.traits]
    if name == "blur_diameters":
        return np.array([each.get("blur", nan) / each.get("diameter_pixels", nan) for each in traits])
    return np.array([each.get(name, nan) for each in traits])


def _parts(values: Numbers) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Bounds and media of each part; none where the condition does not tell so many media apart."""
    known = np.flatnonzero(~np.isnan(values))
    ranked = known[np.argsort(values[known], kind="stable")]
    if len(ranked) < _FEWEST * _PARTS or values[ranked[0]] == values[ranked[-1]]:
        return
    for places in np.array_split(ranked, _PARTS):
        part = np.zeros(len(values), dtype=bool)
        part[places] = True
        yield float(values[places].min()), float(values[places].max()), part


def _inside(evaluation: Evaluation) -> Numbers:
    """1 for each medium whose K the calibrated interval holds, 0 for others, NaN where there is none."""
    ensembles = [score.ensemble for score in evaluation.scores[evaluation.main]]
    spreads = [None if each is None else each.calibrated_spread for each in ensembles]
    return np.array([float("nan") if each is None else each.permeability.coverage for each in spreads])
