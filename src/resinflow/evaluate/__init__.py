"""How good a flow is: errors against the true flow, physical consistency, calibration and plausibility."""

from resinflow.evaluate.collapse import Diagnosis, SliceDiagnosis, diagnose
from resinflow.evaluate.ensemble import (
    EnsembleScores,
    coverage,
    crps,
    interval_coverage,
    nominal_coverage,
    rank_shares,
    score_ensemble,
    spread_skill,
)
from resinflow.evaluate.evaluation import Evaluation, Score, Traits, describe_sample
from resinflow.evaluate.gebart import (
    estimate_fibre_diameter,
    fibre_diameter_warning,
    gebart_permeability,
    gebart_warning,
)
from resinflow.evaluate.metrics import ByComponent, Comparison, compare
from resinflow.evaluate.physics import PhysicsCheck, check_physics
from resinflow.evaluate.records import save_scores
from resinflow.evaluate.table import ResultRow, component_table, evaluation_table, result_table, summary

__all__ = [
    "ByComponent",
    "Comparison",
    "Diagnosis",
    "EnsembleScores",
    "Evaluation",
    "PhysicsCheck",
    "ResultRow",
    "Score",
    "SliceDiagnosis",
    "Traits",
    "check_physics",
    "compare",
    "component_table",
    "coverage",
    "crps",
    "describe_sample",
    "diagnose",
    "estimate_fibre_diameter",
    "evaluation_table",
    "fibre_diameter_warning",
    "gebart_permeability",
    "gebart_warning",
    "interval_coverage",
    "nominal_coverage",
    "rank_shares",
    "result_table",
    "save_scores",
    "score_ensemble",
    "spread_skill",
    "summary",
]
