"""Data sets of microstructures with their flows: store, generation, split, statistics, validator, published layout."""

from resinflow.data.check import Fault, check_store
from resinflow.data.config import GenerationConfig, load_generation_config
from resinflow.data.exporting import export_published
from resinflow.data.generate import generate
from resinflow.data.importing import import_published
from resinflow.data.published import PublishedFlows
from resinflow.data.sample import Sample
from resinflow.data.source import FlowSource, open_flows
from resinflow.data.split import SPLITS, canonical_fingerprint, draw_splits
from resinflow.data.statistics import compute_statistics, measure_statistics
from resinflow.data.store import FlowStore

__all__ = [
    "SPLITS",
    "Fault",
    "FlowSource",
    "FlowStore",
    "GenerationConfig",
    "PublishedFlows",
    "Sample",
    "canonical_fingerprint",
    "check_store",
    "compute_statistics",
    "draw_splits",
    "export_published",
    "generate",
    "import_published",
    "load_generation_config",
    "measure_statistics",
    "open_flows",
]
