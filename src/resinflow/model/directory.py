"""A model directory: configuration, weights and log, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from resinflow.core.files import replacing
from resinflow.model.networks import save_weights

WEIGHTS, CONFIG, LOG = "model.safetensors", "config.json", "log.json"
CALIBRATION = "calibration.json"
"""Measured after training, of the weights beside it."""


def write_model(directory: str | Path, module: nn.Module, document: dict[str, Any], log: dict[str, Any]) -> Path:
    """Write the weights of ``module``, its configuration and its log to ``directory``, and return it.

    A calibration that stands there belongs to other weights and goes.
    """
    directory = Path(directory)
    with replacing(directory) as temporary:
        temporary.mkdir()
        save_weights(module, temporary / WEIGHTS)
        (temporary / CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        (temporary / LOG).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
        (directory / CALIBRATION).unlink(missing_ok=True)
    return directory


def read_log(directory: Path) -> dict[str, Any]:
    """Return the log of a model directory, empty where it has none."""
    path = directory / LOG
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
