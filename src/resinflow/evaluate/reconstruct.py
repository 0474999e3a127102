"""Reconstructions by the VAE of a model alone, D2D(E2D), D3D(E3D) or D3D(E2D): their scores, and whether they keep vz."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.data import FlowSource, Sample
from resinflow.evaluate.choices import Mode, ReconstructionOptions
from resinflow.evaluate.collapse import Diagnosis, diagnose, judge, pooled, verdict
from resinflow.evaluate.evaluation import samples_of
from resinflow.evaluate.methods import start_of
from resinflow.evaluate.metrics import Comparison, compare
from resinflow.evaluate.records import write_csv, write_json
from resinflow.evaluate.tables import summary
from resinflow.flow import Axis, FlowField, InvalidInputError
from resinflow.models import Latents, Predictor, branched

__all__ = [
    "COMPONENTS",
    "DOCUMENT",
    "FIGURES",
    "NAMES",
    "SLICES",
    "Reconstruction",
    "describe",
    "examples",
    "reconstruct_model",
    "reconstruct_samples",
    "reconstructed",
    "reconstruction_views",
    "save_reconstructions",
]

NAMES: dict[Mode, str] = {"2d": "D2D(E2D)", "3d": "D3D(E3D)", "cross": "D3D(E2D)"}
DOCUMENT, SLICES, FIGURES = "reconstruction.json", "slices.csv", "figures"
_ENCODERS: dict[Mode, tuple[str, ...]] = {"2d": ("E2D",), "3d": ("E3D",), "cross": ("E3D", "E2D")}
COMPONENTS: dict[Mode, tuple[Axis, ...]] = {"2d": ("x", "y"), "3d": ("x", "y", "z"), "cross": ("x", "y", "z")}


@dataclass(frozen=True)
class Reconstruction:
    """One sample through the VAE: its number, its scores, and the diagnosis of every component that it can have."""

    index: int
    comparison: Comparison
    diagnoses: tuple[Diagnosis, ...]

    def diagnosis(self, component: Axis) -> Diagnosis:
        """Return the diagnosis of a component."""
        return next(diagnosis for diagnosis in self.diagnoses if diagnosis.component == component)


def reconstruct_samples(
    source: FlowSource,
    predictor: Predictor,
    mode: Mode,
    indices: Sequence[int],
    watch: Callable[[int, int], None] | None = None,
) -> list[Reconstruction]:
    """Return every sample through the branches of ``mode``: 2d against the planar flow, 3d and cross against the true flow.

    Raises:
        InvalidInputError: networks that the model lacks.
    """
    reconstructions: list[Reconstruction] = []
    for count, index in enumerate(indices, start=1):
        sample = source.sample(index)
        flow, original = reconstructed(predictor, mode, sample)
        diagnoses = tuple(diagnose(flow, original, component) for component in COMPONENTS[mode])
        reconstructions.append(Reconstruction(index, compare(flow, original), diagnoses))
        if watch:
            watch(count, len(indices))
    return reconstructions


def reconstructed(predictor: Predictor, mode: Mode, sample: Sample) -> tuple[FlowField, FlowField]:
    """Return the reconstruction of a sample and its original."""
    model, start = branched(predictor), start_of(sample, predictor)
    if mode == "2d":
        return model.reconstruct_planar(start), sample.planar
    if mode == "3d":
        return model.reconstruct(sample.truth, start), sample.truth
    return model.mean_latent(start), sample.truth


def reconstruct_model(
    predictor: Predictor,
    source: FlowSource,
    options: ReconstructionOptions | None = None,
    *,
    watch: Callable[[int, int], None] | None = None,
) -> list[Reconstruction]:
    """Send flows of a data set through the VAE of a model alone, and return their scores and diagnoses.

    Args:
        predictor: the model.
        source: the data set.
        options: which branches, and one sample or a split; by default D3D(E3D) of the test split.
        watch: called with the numbers of finished and of all samples.

    Raises:
        InvalidInputError: no such sample, both a sample and a split, or networks that the model lacks.
    """
    options = options or ReconstructionOptions()
    return reconstruct_samples(source, predictor, options.mode, _indices(source, options), watch)


def reconstruction_views(
    predictor: Predictor, mode: Mode, sample: Sample, reconstruction: Reconstruction
) -> tuple[FlowField, FlowField, Diagnosis, Latents]:
    """Return what the figures of a reconstruction show: the flow, its original, a diagnosis, and the latents of the encoders.

    The diagnosis is that of vz; in the mode 2d, whose flows have none, that of vy.
    """
    flow, original = reconstructed(predictor, mode, sample)
    latents = branched(predictor).latents(sample.truth, start_of(sample, predictor))
    shown_latents = {name: latents[name] for name in _ENCODERS[mode] if name in latents}
    return flow, original, reconstruction.diagnosis("y" if mode == "2d" else "z"), shown_latents


def save_reconstructions(reconstructions: Sequence[Reconstruction], document: Mapping[str, Any], folder: Path) -> None:
    """Write ``reconstruction.json`` (:func:`describe`) and ``slices.csv``, a row a slice and component, into a folder."""
    write_json(document, folder / DOCUMENT)
    write_csv(_slice_rows(reconstructions), folder / SLICES)


def describe(reconstructions: Sequence[Reconstruction], model: str, mode: Mode, source: FlowSource) -> dict[str, Any]:
    """Return all numbers as plain types, with the answer whether vz collapses; per sample, and the median over the samples."""
    components: dict[Axis, dict[str, float]] = {
        component: pooled([reconstruction.diagnosis(component) for reconstruction in reconstructions])
        for component in COMPONENTS[mode]
    }
    return {
        "model": model,
        "mode": mode,
        "reconstruction": NAMES[mode],
        "data": Path(source.path).name,
        "collapses": _answer(components, mode),
        "components": components,
        "summary": summary([reconstruction.comparison for reconstruction in reconstructions]),
        "samples": [
            {
                "sample": reconstruction.index,
                "scores": reconstruction.comparison.to_dict(),
                "components": {part.component: part.to_dict() for part in reconstruction.diagnoses},
            }
            for reconstruction in reconstructions
        ],
    }


def examples(reconstructions: Sequence[Reconstruction]) -> list[Reconstruction]:
    """Return the samples that the figures show: the best, the median and the worst by the velocity error."""
    ranked = sorted(reconstructions, key=lambda reconstruction: reconstruction.comparison.velocity_error)
    places = dict.fromkeys((0, (len(ranked) - 1) // 2, len(ranked) - 1))
    return [ranked[place] for place in places]


def _answer(components: Mapping[Axis, Mapping[str, float]], mode: Mode) -> str:
    """Return in words whether vz collapses, by the medians over the samples."""
    if mode == "2d":
        return "the planar flow has no vz, so nothing can collapse; see vx and vy"
    amplitude, correlation = (components["z"][name] for name in ("amplitude_ratio", "correlation"))
    state = "absent" if np.isnan(amplitude) else judge(amplitude, correlation)
    return verdict("z", state, amplitude, correlation)


def _indices(source: FlowSource, options: ReconstructionOptions) -> list[int]:
    if options.sample is None:
        return samples_of(source, options.split or "test", options.limit)
    if options.split is not None:
        raise InvalidInputError("--sample and --split were both given; needed: one of them.")
    if not 0 <= options.sample < len(source):
        raise InvalidInputError(f"sample {options.sample} is not in {source.path}; needed: 0 to {len(source) - 1}.")
    return [options.sample]


def _slice_rows(reconstructions: Sequence[Reconstruction]) -> list[dict[str, Any]]:
    return [
        {"sample": reconstruction.index, "component": part.component, **row.to_dict()}
        for reconstruction in reconstructions
        for part in reconstruction.diagnoses
        for row in part.slices
    ]
