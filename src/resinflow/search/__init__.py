"""Search over the options of training recipes."""

from resinflow.search.search import run_search
from resinflow.search.search_jobs import run_search_jobs
from resinflow.search.search_objective import StageObjective, check_start
from resinflow.search.search_plan import SearchPlan, load_search
from resinflow.search.search_results import TrialRow, best_first, describe_parameters, describe_value

__all__ = [
    "SearchPlan",
    "StageObjective",
    "TrialRow",
    "best_first",
    "check_start",
    "describe_parameters",
    "describe_value",
    "load_search",
    "run_search",
    "run_search_jobs",
]
