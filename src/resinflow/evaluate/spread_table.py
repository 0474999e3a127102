"""Table of an evaluation: the spread of every method's predictions against their errors, as drawn and calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from resinflow.evaluate.evaluation import Evaluation, Score
from resinflow.evaluate.spread_scores import FlowSpread, pooled
from resinflow.evaluate.table import NOTHING, TextTable

CAPTION = (
    "normal distributions with the mean and the deviation of the samples, as drawn and calibrated; CRPS of the velocity in per "
    "cent of the RMS speed, that of K of K; coverage of the central 90 % interval over all voxels and over the "
    "media; RMS deviation over RMS error, 1 if calibrated"
)
_NUMBERS = ("CRPS, %", "in 90 %, %", "spread/skill")


def spread_rows(evaluation: Evaluation) -> TextTable:
    """Return the methods whose spread was scored, one row as drawn and one calibrated, over the whole test set."""
    rows = []
    for method, scores in evaluation.scores.items():
        for kind, found in flow_spreads(scores).items():
            cells: list[str] = []
            for quantity in ("velocity", "permeability"):
                total = pooled([getattr(spread, quantity) for spread in found])
                cells += [f"{100 * total.crps:.3g}", f"{100 * total.coverage:.1f}", _number(total.spread_skill)]
            rows.append((method, kind, str(len(found)), *cells))
    header = ("method", "spread", "media", *(f"{name}: {number}" for name in ("v", "K") for number in _NUMBERS))
    return TextTable(header, tuple(rows), CAPTION, left=2)


def flow_spreads(scores: Sequence[Score]) -> Mapping[str, list[FlowSpread]]:
    """Return the spreads of a method's predictions as drawn and, where its model is calibrated, calibrated."""
    ensembles = [score.ensemble for score in scores if score.ensemble is not None]
    found = {
        "as drawn": [ensemble.drawn for ensemble in ensembles if ensemble.drawn is not None],
        "calibrated": [ensemble.calibrated for ensemble in ensembles if ensemble.calibrated is not None],
    }
    return {kind: spreads for kind, spreads in found.items() if spreads}


def _number(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.3f}"
