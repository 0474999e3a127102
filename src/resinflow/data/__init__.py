"""Data sets of solved flows: generation, stores, division, checks."""

from resinflow.data.check import Fault, check_store
from resinflow.data.division import SPLITS, Division, Fold, canonical_fingerprint
from resinflow.data.generate import count_drawn_anew, draw_medium, generate
from resinflow.data.info import DataInfo
from resinflow.data.open import open_flows, open_folded
from resinflow.data.published.flows import PublishedFlows
from resinflow.data.published.read import import_published
from resinflow.data.published.write import export_published
from resinflow.data.recipe import DataRecipe, completed_recipe, load_data_recipe
from resinflow.data.sample import Sample
from resinflow.data.source import FlowSource, data_fingerprint, fold_division
from resinflow.data.store import FlowStore, compute_statistics, draw_splits
from resinflow.data.summary import QUANTITIES, DataSummary, summarise
from resinflow.data.workers import check_scheduler, run_on_workers

__all__ = [
    "QUANTITIES",
    "SPLITS",
    "DataInfo",
    "DataRecipe",
    "DataSummary",
    "Division",
    "Fault",
    "FlowSource",
    "FlowStore",
    "Fold",
    "PublishedFlows",
    "Sample",
    "canonical_fingerprint",
    "check_scheduler",
    "check_store",
    "completed_recipe",
    "compute_statistics",
    "count_drawn_anew",
    "data_fingerprint",
    "draw_medium",
    "draw_splits",
    "export_published",
    "fold_division",
    "generate",
    "import_published",
    "load_data_recipe",
    "open_flows",
    "open_folded",
    "run_on_workers",
    "summarise",
]
