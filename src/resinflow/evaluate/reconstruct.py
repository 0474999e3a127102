"""Inference of a model's VAE alone: D2D(E2D), D3D(E3D) or D3D(E2D), and whether it keeps vz."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from resinflow.cli.console import counting, make_console
from resinflow.data import FlowSource, Sample
from resinflow.evaluate.collapse import Diagnosis, diagnose, judge, pooled, verdict
from resinflow.evaluate.evaluation import chosen_samples, open_source
from resinflow.evaluate.methods import BranchedPredictor, start_of
from resinflow.evaluate.metrics import Comparison, compare
from resinflow.evaluate.options import Mode, ReconstructionOptions, SourceOptions
from resinflow.evaluate.records import write_csv, write_json
from resinflow.evaluate.tables import component_table, evaluation_table, summary
from resinflow.flow import Axis, FlowField, InvalidInputError, replacing
from resinflow.presets import load_branched_model
from resinflow.presets.branches import Branches, Latents, branches_of
from resinflow.view import (
    check_folder,
    compose_diagnosis,
    compose_latents,
    compose_reconstruction,
    compose_slices,
    write_figure,
)

NAMES: dict[Mode, str] = {"2d": "D2D(E2D)", "3d": "D3D(E3D)", "cross": "D3D(E2D)"}
DOCUMENT, SLICES, FIGURES = "reconstruction.json", "slices.csv", "figures"
_ENCODERS: dict[Mode, tuple[str, ...]] = {"2d": ("E2D",), "3d": ("E3D",), "cross": ("E3D", "E2D")}
_COMPONENTS: dict[Mode, tuple[Axis, ...]] = {"2d": ("x", "y"), "3d": ("x", "y", "z"), "cross": ("x", "y", "z")}


@dataclass(frozen=True)
class Reconstruction:
    """One sample through the VAE: its number, its scores, and the diagnosis of every component that it can have."""

    index: int
    comparison: Comparison
    diagnoses: tuple[Diagnosis, ...]

    def diagnosis(self, component: Axis) -> Diagnosis:
        """Return the diagnosis of a component."""
        return next(found for found in self.diagnoses if found.component == component)


def reconstruct_samples(
    source: FlowSource,
    predictor: BranchedPredictor,
    mode: Mode,
    indices: Sequence[int],
    watch: Callable[[int, int], None] | None = None,
) -> list[Reconstruction]:
    """Return every sample through the branches of ``mode``: 2d against the planar flow, 3d and cross against the true flow.

    Raises:
        InvalidInputError: networks that the model lacks.
    """
    branches, found = branches_of(predictor), []
    for done, index in enumerate(indices, start=1):
        sample = source.sample(index)
        flow, original = reconstructed(predictor, branches, mode, sample)
        diagnoses = tuple(diagnose(flow, original, component) for component in _COMPONENTS[mode])
        found.append(Reconstruction(index, compare(flow, original), diagnoses))
        if watch:
            watch(done, len(indices))
    return found


def reconstructed(predictor: BranchedPredictor, branches: Branches, mode: Mode, sample: Sample) -> tuple[FlowField, FlowField]:
    """Return the reconstruction of a sample and its original."""
    if mode == "2d":
        return branches.planar(start_of(sample, predictor)), sample.planar
    if mode == "3d":
        return predictor.reconstruct(sample.truth, start_of(sample, predictor)), sample.truth
    return predictor.predict_mean_latent(start_of(sample, predictor)), sample.truth


def reconstruct_and_print(source_options: SourceOptions, options: ReconstructionOptions, output: Path) -> None:
    """Reconstruct, print the scores and what becomes of vz, and write numbers and figures to the folder ``output``.

    Figures show the sample itself, or the best, the median and the worst of several.

    Raises:
        InvalidInputError: no such sample, both --sample and --split, an output that holds something else, networks that the
            model lacks.
    """
    console = make_console()
    check_folder(output, DOCUMENT)
    predictor = load_branched_model(options.model)
    source = open_source(source_options)
    indices = _indices(source, options, source_options.limit)
    with counting(console, NAMES[options.mode]) as watch:
        found = reconstruct_samples(source, predictor, options.mode, indices, watch)
    document = describe(found, predictor.name, options.mode, source)
    _print(found, document, options.mode, console)
    with replacing(output) as temporary:
        (temporary / FIGURES).mkdir(parents=True)
        for reconstruction in shown(found):
            _draw(predictor, options.mode, source.sample(reconstruction.index), reconstruction, temporary / FIGURES)
        write_json(document, temporary / DOCUMENT)
        write_csv(_slice_rows(found), temporary / SLICES)
    console.print(f"wrote {output}: {DOCUMENT}, {SLICES}, {FIGURES}")


def describe(found: Sequence[Reconstruction], model: str, mode: Mode, source: FlowSource) -> dict[str, Any]:
    """Return all numbers as plain types, with the answer whether vz collapses; per sample, and the median over the samples."""
    components: dict[Axis, dict[str, float]] = {
        component: pooled([reconstruction.diagnosis(component) for reconstruction in found]) for component in _COMPONENTS[mode]
    }
    return {
        "model": model,
        "mode": mode,
        "reconstruction": NAMES[mode],
        "data": Path(source.path).name,
        "collapses": _answer(components, mode),
        "components": components,
        "summary": summary([reconstruction.comparison for reconstruction in found]),
        "samples": [
            {
                "sample": reconstruction.index,
                "scores": reconstruction.comparison.to_dict(),
                "components": {part.component: part.to_dict() for part in reconstruction.diagnoses},
            }
            for reconstruction in found
        ],
    }


def shown(found: Sequence[Reconstruction]) -> list[Reconstruction]:
    """Return the samples that are drawn: the best, the median and the worst by the velocity error."""
    ranked = sorted(found, key=lambda reconstruction: reconstruction.comparison.velocity_error)
    places = dict.fromkeys((0, (len(ranked) - 1) // 2, len(ranked) - 1))
    return [ranked[place] for place in places]


def _answer(components: Mapping[Axis, Mapping[str, float]], mode: Mode) -> str:
    """Whether vz collapses, in words; by the medians over the samples."""
    if mode == "2d":
        return "the planar flow has no vz, so nothing can collapse; see vx and vy"
    amplitude, correlation = (components["z"][name] for name in ("amplitude_ratio", "correlation"))
    state = "absent" if np.isnan(amplitude) else judge(amplitude, correlation)
    return verdict("z", state, amplitude, correlation)


def _indices(source: FlowSource, options: ReconstructionOptions, limit: int | None) -> list[int]:
    if options.sample is None:
        return chosen_samples(source, options.split or "test", limit)
    if options.split is not None:
        raise InvalidInputError("--sample and --split were both given; needed: one of them.")
    if not 0 <= options.sample < len(source):
        raise InvalidInputError(f"sample {options.sample} is not in {source.path}; needed: 0 to {len(source) - 1}.")
    return [options.sample]


def _print(found: Sequence[Reconstruction], document: dict[str, Any], mode: Mode, console: Console) -> None:
    scores = {NAMES[mode]: [reconstruction.comparison for reconstruction in found]}
    console.print(evaluation_table(scores))
    console.print(component_table(scores))
    for component, numbers in document["components"].items():
        console.print(
            f"v{component}: amplitude ratio {numbers['amplitude_ratio']:.3f}, correlation {numbers['correlation']:.3f}, "
            f"part of the original {numbers['shrinkage']:.3f} (medians over the samples)"
        )
    console.print(f"Does the model collapse vz to zero? {document['collapses']}")


def _draw(predictor: BranchedPredictor, mode: Mode, sample: Sample, found: Reconstruction, folder: Path) -> None:
    branches = branches_of(predictor)
    flow, original = reconstructed(predictor, branches, mode, sample)
    latents: Latents = branches.latents(sample.truth, start_of(sample, predictor))
    component: Axis = "y" if mode == "2d" else "z"
    figures = {
        "fields": compose_reconstruction(flow, original),
        f"v{component}-slices": compose_slices(flow, original, component),
        f"v{component}-diagnosis": compose_diagnosis(flow, original, found.diagnosis(component)),
        "latents": compose_latents({name: latents[name] for name in _ENCODERS[mode] if name in latents}),
    }
    for name, figure in figures.items():
        write_figure(figure, folder / f"sample-{found.index:05d}-{name}.png")


def _slice_rows(found: Sequence[Reconstruction]) -> list[dict[str, Any]]:
    return [
        {"sample": reconstruction.index, "component": part.component, **row.to_dict()}
        for reconstruction in found
        for part in reconstruction.diagnoses
        for row in part.slices
    ]
