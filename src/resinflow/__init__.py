"""Steady 3-D resin flow through fibrous composite microstructures: velocity, pressure and permeability.

Public names are loaded on first use, so that importing resinflow stays quick and loads no deep-learning library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resinflow.evaluate import compare
    from resinflow.flow import FlowField, Microstructure, ResinflowError
    from resinflow.media import fibre_bundle, from_image
    from resinflow.presets import load_model
    from resinflow.stokes import planar_flow, response_flow, solve

__version__ = "0.1.0"

_HOMES = {
    "FlowField": "resinflow.flow",
    "Microstructure": "resinflow.flow",
    "ResinflowError": "resinflow.flow",
    "compare": "resinflow.evaluate",
    "fibre_bundle": "resinflow.media",
    "from_image": "resinflow.media",
    "load_model": "resinflow.presets",
    "planar_flow": "resinflow.stokes",
    "response_flow": "resinflow.stokes",
    "solve": "resinflow.stokes",
}

__all__ = [
    "FlowField",
    "Microstructure",
    "ResinflowError",
    "compare",
    "fibre_bundle",
    "from_image",
    "load_model",
    "planar_flow",
    "response_flow",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resinflow' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
