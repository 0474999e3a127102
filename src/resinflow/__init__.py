"""Steady 3-D resin flow through fibrous composite microstructures: velocity, pressure and permeability.

Public names are loaded on first use, so that importing resinflow stays quick and loads no deep-learning library. The functions
that train and evaluate are called ``train_model`` and ``evaluate_model`` here, since :mod:`resinflow.train` and
:mod:`resinflow.evaluate` are the packages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resinflow.data import open_flows
    from resinflow.evaluate import compare
    from resinflow.evaluate.evaluation import evaluate_model
    from resinflow.flow import Drive, FlowField, Microstructure, PermeabilityTensor, ResinflowError
    from resinflow.media import fibre_bundle
    from resinflow.models import Sampling
    from resinflow.presets import load_model, load_recipe
    from resinflow.presets.surface.reading import from_image, read_medium
    from resinflow.presets.training import train as train_model
    from resinflow.stokes import certify, grid_flow, permeability_tensor, planar_flow, refine_flow, response_flow, solve

__version__ = "0.1.0"

_HOMES = {  # name -> module, or module:name where it has another one there
    "Drive": "resinflow.flow",
    "FlowField": "resinflow.flow",
    "Microstructure": "resinflow.flow",
    "PermeabilityTensor": "resinflow.flow",
    "ResinflowError": "resinflow.flow",
    "Sampling": "resinflow.models",
    "certify": "resinflow.stokes",
    "compare": "resinflow.evaluate",
    "evaluate_model": "resinflow.evaluate.evaluation",
    "fibre_bundle": "resinflow.media",
    "from_image": "resinflow.presets.surface.reading",
    "grid_flow": "resinflow.stokes",
    "load_model": "resinflow.presets",
    "load_recipe": "resinflow.presets",
    "open_flows": "resinflow.data",
    "permeability_tensor": "resinflow.stokes",
    "planar_flow": "resinflow.stokes",
    "read_medium": "resinflow.presets.surface.reading",
    "refine_flow": "resinflow.stokes",
    "response_flow": "resinflow.stokes",
    "solve": "resinflow.stokes",
    "train_model": "resinflow.presets.training:train",
}

__all__ = [
    "Drive",
    "FlowField",
    "Microstructure",
    "PermeabilityTensor",
    "ResinflowError",
    "Sampling",
    "certify",
    "compare",
    "evaluate_model",
    "fibre_bundle",
    "from_image",
    "grid_flow",
    "load_model",
    "load_recipe",
    "open_flows",
    "permeability_tensor",
    "planar_flow",
    "read_medium",
    "refine_flow",
    "response_flow",
    "solve",
    "train_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resinflow' has no attribute {name!r}")
    module, _, own_name = _HOMES[name].partition(":")
    return getattr(import_module(module), own_name or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
