"""Scores of every sample on disk, as JSON or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.evaluate.ensemble import mean_ranks
from resinflow.evaluate.scores import Evaluation
from resinflow.evaluate.tables import Scored, summary
from resinflow.flow import InvalidInputError, replacing

SUFFIXES = (".json", ".csv")


def save_scores(scores: Mapping[str, Sequence[Scored]], path: str | Path) -> Path:
    """Write the scores of every method and sample in one step and return the path.

    ``.json``: ``{method: {"summary": ..., "samples": [...]}}``; ``.csv``: one line per method and sample. A number that
    does not exist is ``null`` in JSON and an empty field in CSV.

    Raises:
        InvalidInputError: another suffix, or a folder that cannot be written.
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: .json or .csv.")
    with replacing(target) as temporary:
        if target.suffix == ".json":
            write_json(
                {
                    method: {"summary": summary(entries), "samples": [score.to_dict() for score in entries]}
                    for method, entries in scores.items()
                },
                temporary,
            )
        else:
            rows = [
                {"method": method, "sample": place, **score.to_dict()}
                for method, entries in scores.items()
                for place, score in enumerate(entries)
            ]
            write_csv(rows, temporary, ("method", "sample"))
    return target


def evaluation_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return one row per method and sample: number of the sample in the data set, its traits, and every score."""
    return [
        {"method": method, "sample": traits.index, **traits.to_dict(), **score.to_dict()}
        for method, entries in evaluation.scores.items()
        for traits, score in zip(evaluation.traits, entries, strict=True)
    ]


def evaluation_summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return model, data and split of an evaluation with the statistics of every number by method, as plain types."""
    worse = evaluation.worse_than_planar()
    ensembles = evaluation.ensembles()
    return {
        "model": evaluation.model,
        "data": evaluation.data,
        "split": evaluation.split,
        "main": evaluation.main,
        "samples": [traits.index for traits in evaluation.traits],
        "notes": list(evaluation.notes),
        "methods": {
            method: {
                "worse_than_planar": worse.get(method),
                "summary": summary(entries),
                **({"rank_shares": mean_ranks(ensembles[method])} if method in ensembles else {}),
            }
            for method, entries in evaluation.scores.items()
        },
    }


def json_text(document: Any) -> str:
    """Return plain types as JSON, with null for NaN and infinity, which JSON does not know, and a line break at the end."""
    return json.dumps(_plain(document), indent=1, allow_nan=False, default=str) + "\n"


def write_json(document: Any, path: Path) -> None:
    """Write plain types as :func:`json_text`."""
    path.write_text(json_text(document), encoding="utf-8")


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path, names: Sequence[str] = ()) -> None:
    """Write rows as CSV, with an empty field for NaN, None and what a row does not have; without rows the header ``names``."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns or list(names))
        writer.writeheader()
        writer.writerows(_plain(list(rows)))


def _plain(value: Any) -> Any:
    """Return ``value`` with None for NaN and infinity, at any depth."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
