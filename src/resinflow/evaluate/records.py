"""Scores of every sample on disk, as JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.core import InvalidInputError
from resinflow.core.files import replacing
from resinflow.evaluate.metrics import Comparison
from resinflow.evaluate.table import summary


def save_scores(scores: Mapping[str, Sequence[Comparison]], path: str | Path) -> Path:
    """Write the scores of every method and sample in one step and return the path.

    ``.json``: ``{method: {"summary": ..., "samples": [...]}}``; ``.csv``: one line per method and sample. A number that
    does not exist is ``null`` in JSON and an empty field in CSV.

    Raises:
        InvalidInputError: another suffix, or a folder that cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".json", ".csv"):
        raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: .json or .csv.")
    write = _write_json if target.suffix == ".json" else _write_csv
    with replacing(target) as temporary:
        write(scores, temporary)
    return target


def _write_json(scores: Mapping[str, Sequence[Comparison]], path: Path) -> None:
    values = {
        method: {
            "summary": {name: _plain(numbers) for name, numbers in summary(comparisons).items()},
            "samples": [_plain(comparison.to_dict()) for comparison in comparisons],
        }
        for method, comparisons in scores.items()
    }
    path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")


def _write_csv(scores: Mapping[str, Sequence[Comparison]], path: Path) -> None:
    rows = [
        {"method": method, "sample": index, **_plain(comparison.to_dict())}
        for method, comparisons in scores.items()
        for index, comparison in enumerate(comparisons)
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["method", "sample"])
        writer.writeheader()
        writer.writerows(rows)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with None for NaN and infinity, which JSON does not know."""
    return {name: value if value is not None and np.isfinite(value) else None for name, value in values.items()}
