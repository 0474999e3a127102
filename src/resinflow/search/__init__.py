"""Searches over the options of a training recipe: grids, suggestions of an estimator, cross-validation, variants."""

from resinflow.search.plan import SearchPlan, SearchRecipe, load_search, plan_search
from resinflow.search.results import TrialRow, best_first
from resinflow.search.trials import search_training
from resinflow.search.variants import (
    VariantObjective,
    plan_variants,
    run_variants,
)

__all__ = [
    "SearchPlan",
    "SearchRecipe",
    "TrialRow",
    "VariantObjective",
    "best_first",
    "load_search",
    "plan_search",
    "plan_variants",
    "run_variants",
    "search_training",
]
