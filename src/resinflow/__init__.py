"""Steady 3-D resin flow through fibrous composite microstructures: velocity, pressure and permeability.

Public names are loaded on first use, so that importing resinflow stays quick and loads no deep-learning library. The functions
that train and evaluate are called ``train_model`` and ``evaluate_model`` here, since :mod:`resinflow.train` and
:mod:`resinflow.evaluate` are the packages.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resinflow.data import open_flows
    from resinflow.evaluate import compare
    from resinflow.evaluate.evaluation import evaluate_model
    from resinflow.flow import Drive, FlowField, Microstructure, PermeabilityTensor, ResinflowError
    from resinflow.media import benchmark_tow, fibre_bundle, plain_weave
    from resinflow.models import Sampling
    from resinflow.presets import load_model, load_recipe
    from resinflow.presets.drawing import draw_flows, draw_media
    from resinflow.presets.prediction import predict_many
    from resinflow.presets.surface.reading import from_image, read_medium
    from resinflow.presets.training import train as train_model
    from resinflow.stokes import certify, grid_flow, permeability_tensor, planar_flow, refine_flow, response_flow, solve
    from resinflow.tow import assess_tow

__version__ = "0.1.0"

_HOMES = {  # name -> module, or module:name where it has another one there
    "Drive": "resinflow.flow",
    "FlowField": "resinflow.flow",
    "Microstructure": "resinflow.flow",
    "PermeabilityTensor": "resinflow.flow",
    "ResinflowError": "resinflow.flow",
    "Sampling": "resinflow.models",
    "assess_tow": "resinflow.tow",
    "benchmark_tow": "resinflow.media",
    "certify": "resinflow.stokes",
    "compare": "resinflow.evaluate",
    "draw_flows": "resinflow.presets.drawing",
    "draw_media": "resinflow.presets.drawing",
    "evaluate_model": "resinflow.evaluate.evaluation",
    "fibre_bundle": "resinflow.media",
    "from_image": "resinflow.presets.surface.reading",
    "grid_flow": "resinflow.stokes",
    "load_model": "resinflow.presets",
    "load_recipe": "resinflow.presets",
    "open_flows": "resinflow.data",
    "permeability_tensor": "resinflow.stokes",
    "plain_weave": "resinflow.media",
    "planar_flow": "resinflow.stokes",
    "predict_many": "resinflow.presets.prediction",
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
    "assess_tow",
    "benchmark_tow",
    "certify",
    "compare",
    "draw_flows",
    "draw_media",
    "evaluate_model",
    "fibre_bundle",
    "from_image",
    "grid_flow",
    "load_model",
    "load_recipe",
    "open_flows",
    "permeability_tensor",
    "plain_weave",
    "planar_flow",
    "predict_many",
    "read_medium",
    "refine_flow",
    "response_flow",
    "solve",
    "train_model",
]


def _place_for_kernels(package: Path) -> Path | None:
    """Return the temporary folder for compiled kernels, made if need be; None where numba has a place of its own to write.

    Its own places are the folder of the sources and the user's cache; without either, numba refuses to compile for a cache.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if "NUMBA_CACHE_DIR" in os.environ or any(_can_write(place) for place in (package / "stokes" / "__pycache__", Path(cache))):
        return None
    import tempfile

    # kernels are loaded as they lie: only a folder that nobody else can write to will do
    folder = Path(tempfile.gettempdir()) / f"resinflow-kernels-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if folder.is_symlink() or state.st_mode & 0o022 or (hasattr(os, "getuid") and state.st_uid != os.getuid()):
            return Path(tempfile.mkdtemp(prefix="resinflow-kernels-"))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="resinflow-kernels-"))
    return folder


def _can_write(folder: Path) -> bool:
    """Whether a folder can be written to, or be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _find_kernels() -> None:
    folder = _place_for_kernels(Path(__file__).parent)
    if folder is not None:
        import logging

        os.environ["NUMBA_CACHE_DIR"] = str(folder)  # worker processes take it over, and say nothing
        logging.getLogger(__name__).warning(
            "Compiled kernels are kept in %s: neither the package nor HOME can be written.", folder
        )


_find_kernels()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resinflow' has no attribute {name!r}")
    module, _, own_name = _HOMES[name].partition(":")
    return getattr(import_module(module), own_name or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
