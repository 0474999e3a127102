"""Metrics, scores and tables of flows against flows."""

from resinflow.evaluate.collapse import Diagnosis, SliceDiagnosis, diagnose, mean_spectrum
from resinflow.evaluate.conservation import PhysicsCheck, check_physics
from resinflow.evaluate.ensemble import (
    EnsembleScores,
    coverage,
    crps,
    interval_coverage,
    mean_ranks,
    nominal_coverage,
    rank_shares,
    score_ensemble,
    spread_skill,
)
from resinflow.evaluate.metrics import ByComponent, Comparison, check_comparable, compare
from resinflow.evaluate.records import SUFFIXES, evaluation_rows, evaluation_summary, save_scores, write_csv, write_json
from resinflow.evaluate.resources import memory_peak, reset_memory_peak
from resinflow.evaluate.roc import roc_area, roc_curve
from resinflow.evaluate.scores import PLANAR, Evaluation, Score, Traits, describe_sample
from resinflow.evaluate.spread import fit_spread, gaussian_crps, score_spread
from resinflow.evaluate.spread_scores import LEVELS, FlowSpread, score_flow_spread
from resinflow.evaluate.tables import (
    ResultRow,
    TextTable,
    component_rows,
    component_table,
    cost_rows,
    ensemble_rows,
    evaluation_table,
    flow_spreads,
    result_table,
    score_rows,
    spread_rows,
    summary,
    terminal_table,
)

__all__ = [
    "LEVELS",
    "PLANAR",
    "SUFFIXES",
    "ByComponent",
    "Comparison",
    "Diagnosis",
    "EnsembleScores",
    "Evaluation",
    "FlowSpread",
    "PhysicsCheck",
    "ResultRow",
    "Score",
    "SliceDiagnosis",
    "TextTable",
    "Traits",
    "check_comparable",
    "check_physics",
    "compare",
    "component_rows",
    "component_table",
    "cost_rows",
    "coverage",
    "crps",
    "describe_sample",
    "diagnose",
    "ensemble_rows",
    "evaluation_rows",
    "evaluation_summary",
    "evaluation_table",
    "fit_spread",
    "flow_spreads",
    "gaussian_crps",
    "interval_coverage",
    "mean_ranks",
    "mean_spectrum",
    "memory_peak",
    "nominal_coverage",
    "rank_shares",
    "reset_memory_peak",
    "result_table",
    "roc_area",
    "roc_curve",
    "save_scores",
    "score_ensemble",
    "score_flow_spread",
    "score_rows",
    "score_spread",
    "spread_rows",
    "spread_skill",
    "summary",
    "terminal_table",
    "write_csv",
    "write_json",
]
