"""What a study found, as far as it has come: rows, a CSV file, and a Markdown table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from study import REFERENCE, Setting, Study, Variant
from study_run import read_seconds

from resinflow.evaluate.methods import CEILING, CROSS, DIFFUSION, GRID
from resinflow.evaluate.records import write_csv
from resinflow.evaluate.scores import PLANAR
from resinflow.flow.atomic import replacing
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.recipe import TrainingConfig
from resinflow.train.stage import STAGES

Row = dict[str, Any]
"""Numbers of one model by name; None where there is none."""

STARTS = (PLANAR, "response flow", GRID)
"""Flows that need no model; the rows before the reference."""
_ERRORS = {
    "velocity": ("relative_l2", "mean"),
    "vz": ("relative_l2_z", "mean"),
    "pressure": ("pressure_error", "mean"),
    "K_mean": ("permeability_error", "mean"),
    "K_p90": ("permeability_error", "p90"),
    "seconds": ("seconds", "mean"),
}
_COLUMNS = {
    "variant": "title",
    "velocity, %": "velocity",
    "vz, %": "vz",
    "pressure, %": "pressure",
    "K mean, %": "K_mean",
    "K p90, %": "K_p90",
    "velocity / reference": "to_reference",
    "without diffusion, %": "cross_velocity",
    "ceiling, %": "ceiling_velocity",
    "CPU minutes": "cpu_minutes",
    "parameters": "parameters",
    "s / prediction": "seconds",
}
_LEFT = ("title",)


def read_rows(study: Study, setting: Setting) -> list[Row]:
    """Return one row for every flow that needs no model and every finished variant, in the order of the study."""
    done = [variant for variant in study.all if setting.result(variant).is_file()]
    found = {variant.name: _read(setting.result(variant)) for variant in done}
    reference = found.get(REFERENCE.name)
    starts = [_start_row(name, reference[name]) for name in STARTS if reference and name in reference]
    return starts + [_variant_row(study, setting, variant, found[variant.name], reference) for variant in done]


def save_rows(rows: Sequence[Row], path: Path) -> Path:
    """Write the rows as CSV in one step and return the path."""
    with replacing(path) as temporary:
        write_csv(rows, temporary, list(_COLUMNS.values()))
    return path


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table; errors are relative, in per cent."""
    lines = [list(_COLUMNS), ["---" if key in _LEFT else "---:" for key in _COLUMNS.values()]]
    lines += [[_cell(key, row) for key in _COLUMNS.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def count_parameters(recipe: TrainingConfig) -> int:
    """Return the number of weights of a recipe's networks."""
    with torch.device("meta"):
        networks = LatentDiffusion(recipe.model)
    return sum(weights.numel() for weights in networks.parameters())


def ratio_of_means(errors: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the ratio of the mean errors on the same samples, and its standard error by linearisation."""
    a, b = np.asarray(errors), np.asarray(reference)
    ratio = a.mean() / b.mean()
    spread = (a - ratio * b).std(ddof=1) / (b.mean() * math.sqrt(len(a))) if len(a) > 1 else math.nan
    return float(ratio), float(spread)


def _start_row(name: str, scores: Mapping[str, Any]) -> Row:
    """A stored flow: no weights, no training, and a time that was not measured."""
    return {"variant": name, "title": name, "samples": len(scores["samples"]), **_errors(scores["summary"]), "seconds": None}


def _variant_row(
    study: Study, setting: Setting, variant: Variant, found: Mapping[str, Any], reference: Mapping[str, Any] | None
) -> Row:
    recipe, first = study.recipe(variant), study.first_stage(variant)
    scores = _main(found)
    seconds = read_seconds(setting.out / variant.name)
    own = [] if first is None else STAGES[STAGES.index(first) :]
    row: Row = {
        "variant": variant.name,
        "title": variant.title,
        "trained_from": first,
        "samples": len(scores["samples"]),
        **_errors(scores["summary"]),
        "cross_velocity": _velocity(found, CROSS),
        "ceiling_velocity": _velocity(found, CEILING),
        "parameters": count_parameters(recipe),
        "cpu_minutes": sum(seconds.get(stage, math.nan) for stage in STAGES) / 60,
        "own_cpu_minutes": sum(seconds.get(stage, math.nan) for stage in own) / 60,
    }
    if reference is not None and variant != REFERENCE:
        pair = [[sample["relative_l2"] for sample in each["samples"]] for each in (scores, _main(reference))]
        row["to_reference"], row["to_reference_error"] = ratio_of_means(*pair)
    return row


def _main(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Scores of the model itself."""
    return next(scores for method, scores in found.items() if method.startswith(DIFFUSION))


def _errors(summary: Mapping[str, Mapping[str, float | None]]) -> Row:
    return {name: summary.get(number, {}).get(statistic) for name, (number, statistic) in _ERRORS.items()}


def _velocity(found: Mapping[str, Any], method: str) -> float | None:
    return found[method]["summary"]["relative_l2"]["mean"] if method in found else None


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _cell(key: str, row: Row) -> str:
    value = row.get(key)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if key in _LEFT:
        return str(value)
    if key == "to_reference":
        error = row["to_reference_error"]
        return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"
    if key == "parameters":
        return f"{value / 1e6:.2f} M"
    return f"{value:.3g}" if key in ("seconds", "cpu_minutes") else f"{100 * value:.3g}"
