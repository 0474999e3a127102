"""Evaluation of a model over a split of a data set, and of the flows that the model must improve on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from resinflow.data import FlowSource, Sample, completed_recipe, data_fingerprint
from resinflow.evaluate.choices import EvaluationOptions, FrontEndName, Surfaces
from resinflow.evaluate.ensemble import score_ensemble
from resinflow.evaluate.methods import DIFFUSION, Method, methods_of, start_of
from resinflow.evaluate.metrics import compare
from resinflow.evaluate.resources import memory_peak, reset_memory_peak
from resinflow.evaluate.scores import Evaluation, Score, Traits, describe_sample
from resinflow.evaluate.spread_scores import score_flow_spread
from resinflow.evaluate.surfaces import read_surfaces, sample_from_surfaces, seen_in
from resinflow.flow import FlowField, InvalidInputError, check_type, check_whole
from resinflow.media import FrontEnd
from resinflow.models import Predictor, calibrated
from resinflow.presets.surface.reading import front_end_named

__all__ = [
    "evaluate_model",
    "flows_of_sample",
    "front_end_of",
    "read_sample",
    "recipe_numbers",
    "refuse_leak",
    "samples_of",
    "summarised",
]

_PARAMETERS = ("misalignment", "volume_fraction", "diameter")
_SURFACE_NOTES: dict[tuple[Surfaces, FrontEndName], tuple[str, ...]] = {
    ("grey", "learned"): ("the fibre surfaces are read from drawn micrographs by the network",),
    ("grey", "classical"): ("the fibre surfaces are read from drawn micrographs by the classical segmentation",),
    ("mask", "learned"): ("the fibre surfaces are read from the masks by the network",),
    ("mask", "classical"): ("the fibre surfaces are estimated from the masks",),
}


def evaluate_model(
    predictor: Predictor,
    source: FlowSource,
    options: EvaluationOptions | None = None,
    *,
    watch: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Return the scores of every method on every sample of a split.

    Methods: zero velocity; the planar flow; the response flow; the solver on the stored grid, where the truth comes from a
    finer one; the VAE's cross-reconstruction D3D(E2D) (the 2-D branch without diffusion); the latent diffusion model, once for
    every choice of its sampler; the VAE's reconstruction D3D(E3D) of the truth, the ceiling; and, where asked for, other models
    and the solver.

    Args:
        predictor: a model with a dual-branch VAE.
        source: the data set; its flows are the truth.
        options: the split, the rows and how they are sampled; by default the test split and the model's own sampler.
        watch: called with the numbers of finished and of all samples.

    Raises:
        InvalidInputError: unknown split, an empty one, a model without dual-branch VAE or denoiser, options that it does not
            know, or a data set whose media the model was trained on under another split.

    Example:
        >>> import resinflow as rf
        >>> model, source = rf.load_model("runs/small/model"), rf.open_flows("data/small.zarr")
        >>> evaluation = rf.evaluate_model(model, source)
        >>> len(evaluation.scores["latent diffusion"]) == len(source.indices("test"))
        True
    """
    check_type("the model", predictor, Predictor, "a model, e.g. rf.load_model()")
    check_type("the data set", source, FlowSource, "one that is open, e.g. rf.open_flows(path)")
    options = EvaluationOptions() if options is None else options
    check_type("options", options, EvaluationOptions, "EvaluationOptions of resinflow.evaluate.choices")
    refuse_leak(predictor.log, source)
    indices = samples_of(source, options.split, options.limit)
    front_end = front_end_of(options)
    methods = methods_of(predictor, options, with_grid=source.sample(indices[0]).grid is not None)
    scores: dict[str, list[Score]] = {method.name: [] for method in methods}
    traits: list[Traits] = []
    warnings: Counter[str] = Counter()
    for count, index in enumerate(indices, start=1):
        sample, imaging = read_sample(source, index, options.surfaces, front_end)
        traits.append(describe_sample(sample.truth, index, {**recipe_numbers(source, index), **imaging}))
        for method in methods:
            score, flow = _score(method, sample, predictor if method.name.startswith(DIFFUSION) else None)
            scores[method.name].append(score)
            warnings.update({} if flow.report is None else dict.fromkeys(flow.report.warnings, 1))
        if watch:
            watch(count, len(indices))
    notes = (
        *(_SURFACE_NOTES[options.surfaces, options.front_end] if options.surfaces != "exact" else ()),
        *summarised(warnings),
    )
    main = _main_method(methods).name
    return Evaluation(predictor.name, Path(source.path).name, options.split, traits, scores, main, notes)


def flows_of_sample(
    predictor: Predictor, source: FlowSource, index: int, options: EvaluationOptions
) -> tuple[FlowField, FlowField, FlowField]:
    """Return prediction, truth and planar flow of a sample, as the main row of an evaluation has them.

    Args:
        predictor: the model.
        source: the data set.
        index: number of the sample in the data set.
        options: those of the evaluation.
    """
    sample, _ = read_sample(source, index, options.surfaces, front_end_of(options))
    method = _main_method(methods_of(predictor, replace(options, baseline=(), solver=False)))
    flow, planar = (seen_in(flow, sample.truth) for flow in (method.run(sample).flow, sample.planar))
    return flow, sample.truth, planar


def front_end_of(options: EvaluationOptions) -> FrontEnd | None:
    """Return what reads the surfaces of an evaluation; None: nothing is read, or the classical segmentation does it."""
    return None if options.surfaces == "exact" else front_end_named(options.front_end, options.device)


def _main_method(methods: Iterable[Method]) -> Method:
    """Return the row that an evaluation is about: the first one of the diffusion model."""
    return next(method for method in methods if method.name.startswith(DIFFUSION))


def samples_of(source: FlowSource, split: str, limit: int | None) -> list[int]:
    """Return the first ``limit`` samples of a split.

    Raises:
        InvalidInputError: unknown split, a limit below 1, or a split without samples.
    """
    if limit is not None:
        check_whole("--limit", limit, 1)
    indices = [int(index) for index in source.indices(split)[:limit]]
    if not indices:
        raise InvalidInputError(f"the {split} split of {source.path} is empty; needed: at least one sample.")
    return indices


def read_sample(
    source: FlowSource, index: int, surfaces: Surfaces, front_end: FrontEnd | None
) -> tuple[Sample, dict[str, float]]:
    """Return a sample as it starts from surfaces that were read, and how its micrograph was taken.

    Raises:
        InvalidInputError: surfaces in which no fibres are found, or through which nothing flows.
    """
    sample = source.sample(index)
    micro, traits = read_surfaces(sample.truth.microstructure, surfaces, index, front_end)
    return sample_from_surfaces(sample, micro), traits


def summarised(warnings: Counter[str]) -> Iterable[str]:
    """Yield every warning once with its count; warnings that differ in their numbers alone count as one."""
    kinds: dict[str, list[str]] = {}
    for warning in warnings:
        kinds.setdefault(re.sub(r"\d[\d.e+-]*", "#", warning), []).append(warning)
    for alike in kinds.values():
        times = sum(warnings[warning] for warning in alike)
        yield alike[0] if times == 1 else f"{alike[0]} ({times} flows{', with other numbers' if len(alike) > 1 else ''})"


def _score(method: Method, sample: Sample, predictor: Predictor | None) -> tuple[Score, FlowField]:
    measured = method.works and reset_memory_peak()
    outcome = method.run(sample)
    peak = memory_peak() if measured else None
    ensemble = None
    if outcome.members is not None:
        ensemble = score_ensemble(outcome.members, sample.truth)
        drawn = seen_in(outcome.flow, sample.truth)
        ensemble = replace(ensemble, sample_spread=score_flow_spread(drawn, sample.truth))
        calibration = None if predictor is None else predictor.calibration_of(outcome.flow.microstructure)
        if predictor is not None and calibration is not None:
            flow = calibrated(outcome.flow, calibration, start_of(sample, predictor).base)
            ensemble = replace(ensemble, calibrated_spread=score_flow_spread(seen_in(flow, sample.truth), sample.truth))
    return Score(compare(seen_in(outcome.flow, sample.truth), sample.truth), ensemble, peak), outcome.flow


def recipe_numbers(source: FlowSource, index: int) -> dict[str, float]:
    """Return the parameters that the recipe drew for a sample; none where the data set does not store them."""
    numbers = {}
    for name in _PARAMETERS:
        try:
            numbers[name] = float(source.read(name, index))
        except InvalidInputError:
            continue
    return numbers


def refuse_leak(log: dict, source: FlowSource) -> None:
    """Refuse a data set of the model's own recipe with another split than the one that the model was trained with.

    Raises:
        InvalidInputError: its test split may hold training samples.
    """
    trained = log.get("data", {})
    recipes = [recipe and completed_recipe(recipe) for recipe in (trained.get("recipe"), source.info.recipe)]
    same_recipe = bool(recipes[0]) and recipes[0] == recipes[1]
    if same_recipe and trained.get("fingerprint") != data_fingerprint(source):
        raise InvalidInputError(
            f"{source.path} follows the recipe of the model's training data but differs from it, so its test split may hold "
            "training samples; generate it again with the recipe and this version."
        )
