"""Data sets of solved flows: generation, stores, division, checks."""

from resinflow.data.check import Fault, check_store
from resinflow.data.division import SPLITS, canonical_fingerprint, draw_splits
from resinflow.data.fold import Fold, FoldedFlows, open_folded
from resinflow.data.generate import generate
from resinflow.data.open import open_flows
from resinflow.data.published.flows import PublishedFlows
from resinflow.data.published.read import import_published
from resinflow.data.published.write import export_published
from resinflow.data.recipe import GenerationConfig, completed_recipe, load_generation_config
from resinflow.data.source import FlowSource, Sample, data_fingerprint
from resinflow.data.statistics import compute_statistics, measure_statistics
from resinflow.data.store import FlowStore
from resinflow.data.summary import QUANTITIES, DataSummary, summarise

__all__ = [
    "QUANTITIES",
    "SPLITS",
    "DataSummary",
    "Fault",
    "FlowSource",
    "FlowStore",
    "Fold",
    "FoldedFlows",
    "GenerationConfig",
    "PublishedFlows",
    "Sample",
    "canonical_fingerprint",
    "check_store",
    "completed_recipe",
    "compute_statistics",
    "data_fingerprint",
    "draw_splits",
    "export_published",
    "generate",
    "import_published",
    "load_generation_config",
    "measure_statistics",
    "open_flows",
    "open_folded",
    "summarise",
]
