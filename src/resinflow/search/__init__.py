"""Searches over the options of a training recipe: grids, suggestions of an estimator, cross-validation, variants."""

from resinflow.search.plan import SearchPlan, SearchRecipe, load_search, plan_search
from resinflow.search.results import TrialRow, best_first
from resinflow.search.trials import search_training
from resinflow.search.variants import (
    REFERENCE,
    VariantObjective,
    first_changed_stage,
    plan_variants,
    read_seconds,
    run_variants,
    write_table,
)

__all__ = [
    "REFERENCE",
    "SearchPlan",
    "SearchRecipe",
    "TrialRow",
    "VariantObjective",
    "best_first",
    "first_changed_stage",
    "load_search",
    "plan_search",
    "plan_variants",
    "read_seconds",
    "run_variants",
    "search_training",
    "write_table",
]
