"""Searches over the options of a training recipe: grids, suggestions of an estimator, cross-validation, variants."""

from resinflow.search.objective import StageObjective, TrialSetup, check_start
from resinflow.search.plan import SearchPlan, SearchRecipe, load_search, plan_search
from resinflow.search.results import TrialRow, best_first
from resinflow.search.study import Heartbeat
from resinflow.search.trials import Search, search_training
from resinflow.search.variants import (
    REFERENCE,
    VariantObjective,
    VariantPlan,
    first_changed_stage,
    plan_variants,
    read_seconds,
    run_variants,
    variant_place,
    write_table,
)

__all__ = [
    "REFERENCE",
    "Heartbeat",
    "Search",
    "SearchPlan",
    "SearchRecipe",
    "StageObjective",
    "TrialRow",
    "TrialSetup",
    "VariantObjective",
    "VariantPlan",
    "best_first",
    "check_start",
    "first_changed_stage",
    "load_search",
    "plan_search",
    "plan_variants",
    "read_seconds",
    "run_variants",
    "search_training",
    "variant_place",
    "write_table",
]
