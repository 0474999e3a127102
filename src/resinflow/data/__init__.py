"""Data sets of microstructures with their flows: store, generation, split and statistics."""

from resinflow.data.config import GenerationConfig, load_generation_config
from resinflow.data.generate import generate
from resinflow.data.split import SPLITS, canonical_fingerprint, draw_splits
from resinflow.data.statistics import compute_statistics
from resinflow.data.store import FlowStore, Sample

__all__ = [
    "SPLITS",
    "FlowStore",
    "GenerationConfig",
    "Sample",
    "canonical_fingerprint",
    "compute_statistics",
    "draw_splits",
    "generate",
    "load_generation_config",
]
