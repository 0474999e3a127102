"""Metrics, scores and tables of flows against flows; names are loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resinflow.evaluate.by_condition import condition_rows
    from resinflow.evaluate.collapse import Diagnosis, diagnose, mean_spectrum
    from resinflow.evaluate.conservation import check_physics
    from resinflow.evaluate.drawn_flows import BETWEEN_SLICES, THIRD_DIMENSION, draws_in_words, mix_flows, permeability_range
    from resinflow.evaluate.ensemble import coverage, crps, interval_coverage, mean_ranks, score_ensemble
    from resinflow.evaluate.metrics import Comparison, check_comparable, compare
    from resinflow.evaluate.records import (
        SUFFIXES,
        evaluation_rows,
        evaluation_summary,
        json_text,
        save_scores,
        write_csv,
        write_json,
    )
    from resinflow.evaluate.roc import roc_area, roc_curve
    from resinflow.evaluate.scores import PLANAR, Evaluation, Score
    from resinflow.evaluate.spread import fit_spread, gaussian_crps, score_spread
    from resinflow.evaluate.spread_scores import LEVELS, FlowSpread
    from resinflow.evaluate.tables import (
        ResultRow,
        TextTable,
        component_rows,
        cost_rows,
        ensemble_rows,
        flow_spreads,
        result_rows,
        score_rows,
        spread_rows,
    )

_HOMES = {  # name -> module
    "BETWEEN_SLICES": "drawn_flows",
    "Comparison": "metrics",
    "Diagnosis": "collapse",
    "Evaluation": "scores",
    "FlowSpread": "spread_scores",
    "LEVELS": "spread_scores",
    "PLANAR": "scores",
    "ResultRow": "tables",
    "SUFFIXES": "records",
    "Score": "scores",
    "THIRD_DIMENSION": "drawn_flows",
    "TextTable": "tables",
    "check_comparable": "metrics",
    "check_physics": "conservation",
    "compare": "metrics",
    "component_rows": "tables",
    "condition_rows": "by_condition",
    "cost_rows": "tables",
    "coverage": "ensemble",
    "crps": "ensemble",
    "diagnose": "collapse",
    "draws_in_words": "drawn_flows",
    "ensemble_rows": "tables",
    "evaluation_rows": "records",
    "evaluation_summary": "records",
    "fit_spread": "spread",
    "flow_spreads": "tables",
    "gaussian_crps": "spread",
    "interval_coverage": "ensemble",
    "json_text": "records",
    "mean_ranks": "ensemble",
    "mean_spectrum": "collapse",
    "mix_flows": "drawn_flows",
    "permeability_range": "drawn_flows",
    "result_rows": "tables",
    "roc_area": "roc",
    "roc_curve": "roc",
    "save_scores": "records",
    "score_ensemble": "ensemble",
    "score_rows": "tables",
    "score_spread": "spread",
    "spread_rows": "tables",
    "write_csv": "records",
    "write_json": "records",
}

__all__ = [
    "BETWEEN_SLICES",
    "LEVELS",
    "PLANAR",
    "SUFFIXES",
    "THIRD_DIMENSION",
    "Comparison",
    "Diagnosis",
    "Evaluation",
    "FlowSpread",
    "ResultRow",
    "Score",
    "TextTable",
    "check_comparable",
    "check_physics",
    "compare",
    "component_rows",
    "condition_rows",
    "cost_rows",
    "coverage",
    "crps",
    "diagnose",
    "draws_in_words",
    "ensemble_rows",
    "evaluation_rows",
    "evaluation_summary",
    "fit_spread",
    "flow_spreads",
    "gaussian_crps",
    "interval_coverage",
    "json_text",
    "mean_ranks",
    "mean_spectrum",
    "mix_flows",
    "permeability_range",
    "result_rows",
    "roc_area",
    "roc_curve",
    "save_scores",
    "score_ensemble",
    "score_rows",
    "score_spread",
    "spread_rows",
    "write_csv",
    "write_json",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resinflow.evaluate' has no attribute {name!r}")
    return getattr(import_module(f"resinflow.evaluate.{_HOMES[name]}"), name)
