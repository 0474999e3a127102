"""Evaluation of a model over a split of a data set, beside what it must beat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from resinflow.core import FlowField, InvalidInputError
from resinflow.data import FlowStore, Sample
from resinflow.evaluate import Comparison, compare, evaluation_table, save_scores
from resinflow.model import StartFlows
from resinflow.registry import load_model
from resinflow.train.run import data_fingerprint
from resinflow.workflows.report import counting, make_console


def evaluate_model(
    model: str,
    data: Path,
    *,
    split: str = "test",
    samples: int | None = None,
    steps: int | None = None,
    limit: int | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> dict[str, list[Comparison]]:
    """Return the comparison with the solved flow of every sample of a split, by method.

    Methods: zero velocity; the planar flow; the response flow; the VAE's cross-reconstruction D3D(E2D) (the 2-D branch
    without diffusion); the latent diffusion model; and the VAE's reconstruction D3D(E3D) of the truth, the ceiling.

    Raises:
        InvalidInputError: unknown split, or a data set whose media the model was trained on under another split.
    """
    predictor = load_model(model)
    store = FlowStore.open(data)
    _refuse_leak(predictor.log, store)
    indices = store.indices(split)[:limit]
    scores: dict[str, list[Comparison]] = {}
    for done, index in enumerate(indices, start=1):
        sample = store.sample(int(index))
        start = StartFlows(sample.planar, sample.response)
        flows = {
            "zero": _at_rest(sample),
            "planar flow": sample.planar,
            "response flow": sample.response,
            "D3D(E2D), no diffusion": predictor.predict_mean_latent(start),
            "latent diffusion": predictor.predict(
                sample.truth.microstructure,
                pressure_drop=sample.truth.pressure_drop,
                viscosity=sample.truth.viscosity,
                start=start,
                samples=samples,
                steps=steps,
            ),
            "D3D(E3D), ceiling": predictor.reconstruct(sample.truth, start),
        }
        for name, flow in flows.items():
            scores.setdefault(name, []).append(compare(flow, sample.truth))
        if watch:
            watch(done, len(indices))
    return scores


def evaluate_and_print(
    model: str,
    data: Path,
    *,
    split: str,
    samples: int | None,
    steps: int | None,
    limit: int | None,
    output: Path | None,
) -> None:
    """Evaluate, print the table and save the numbers of every sample where asked."""
    console = make_console()
    with counting(console, f"{split} split") as watch:
        scores = evaluate_model(model, data, split=split, samples=samples, steps=steps, limit=limit, watch=watch)
    console.print(evaluation_table(scores))
    if output is not None:
        console.print(f"wrote {save_scores(scores, output)}")


def _at_rest(sample: Sample) -> FlowField:
    planar = sample.planar
    return FlowField(
        planar.microstructure,
        np.zeros_like(planar.velocity),
        np.zeros_like(planar.pressure),
        axis="x",
        pressure_drop=planar.pressure_drop,
        viscosity=planar.viscosity,
    )


def _refuse_leak(log: dict, store: FlowStore) -> None:
    """A data set of the model's own recipe must have the very split that the model was trained with."""
    trained = log.get("data", {})
    if trained.get("recipe") == store.attributes.get("recipe") and trained.get("fingerprint") != data_fingerprint(store):
        raise InvalidInputError(
            f"{store.path} follows the recipe of the model's training data but differs from it, so its test split may hold "
            "training samples; generate it again with the recipe and this version."
        )
