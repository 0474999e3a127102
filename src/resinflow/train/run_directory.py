"""Where a run directory says what it belongs to, and where its finished model is. Nothing here loads Lightning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resinflow.flow import InvalidInputError

__all__ = ["MODEL", "RECORD", "read_record"]

RECORD = "run.json"
MODEL = "model"


def read_record(path: Path) -> Mapping[str, Any]:
    """Return what a run directory began with: recipe, data, fold and start.

    Raises:
        InvalidInputError: a damaged file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InvalidInputError(f"{path} is damaged; needed: the file as written. Copy it again, or use another run directory.")
    return record
