"""Metrics, scores and tables of flows against flows."""

from resinflow.evaluate.collapse import Diagnosis, diagnose, mean_spectrum
from resinflow.evaluate.conservation import check_physics
from resinflow.evaluate.drawn_flows import THIRD_DIMENSION, mix_flows, permeability_range
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

__all__ = [
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
    "cost_rows",
    "coverage",
    "crps",
    "diagnose",
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
