"""Calibration of a model on the validation split: it measures the size of the errors and describes the training media."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from resinflow.data import FlowSource, data_fingerprint
from resinflow.evaluate.choices import CalibrationOptions, ReadSurfaces, Surfaces
from resinflow.evaluate.evaluation import read_sample, refuse_leak, samples_of
from resinflow.evaluate.familiarity import descriptors_of, phase
from resinflow.evaluate.methods import Outcome, draw, start_of
from resinflow.evaluate.spread import FEWEST_CASES, SpreadScores, fit_relative_spread, fit_spread, score_spread
from resinflow.evaluate.tables import TextTable
from resinflow.flow import FlowField, InvalidInputError
from resinflow.media import FrontEnd
from resinflow.models import (
    FEATURES,
    FEWEST_MEDIA,
    SURFACE,
    SURFACE_FEATURES,
    Calibration,
    CalibrationDocument,
    Predictor,
    Sampling,
    fit_novelty,
    permeability_features,
    save_calibration,
    weights_fingerprint,
)
from resinflow.presets import load_model, model_directory
from resinflow.presets.surface.model import load_surface_model

__all__ = [
    "SPLIT",
    "CalibrationFit",
    "CalibrationScore",
    "Case",
    "calibrate_model",
    "calibration_rows",
    "calibration_scores",
    "collect_cases",
    "features_of",
    "fit_calibration",
    "reading_of",
]

SPLIT = "validation"
"""Never the training split, whose errors are smaller, nor the test split, on which the calibration is judged."""
_VOXELS = 2000
"""Voxels of each medium that the fit uses, at random. Neighbours have similar errors, so that more voxels add nothing."""
_TITLES: dict[ReadSurfaces, str] = {
    "grey": "surfaces from greys",
    "mask": "surfaces from masks",
    "estimated": "surfaces from greys by thresholds",
}
_AS_DRAWN, _CALIBRATED = "as drawn", "calibrated"
_FIELDS = ("along the flow", "across", "vz", "pressure")


@dataclass(frozen=True)
class Case:
    """One prediction beside its truth, in the units of the calibration.

    Attributes:
        deviations: (4, voxels), of the samples from their mean: along the flow, across, vz, pressure; zero for a single sample.
        errors: (4, voxels), truth minus mean.
        features: of K (:func:`resinflow.models.calibration.permeability_features`).
        permeability_error: true K over predicted K, minus 1.
    """

    deviations: NDArray[np.float64]
    errors: NDArray[np.float64]
    features: NDArray[np.float64]
    permeability_error: float


@dataclass(frozen=True)
class CalibrationFit:
    """The result of a calibration, and its file.

    Attributes:
        path: the calibration file of the model directory.
        document: content of the file.
        cases: the predictions on which the laws were fitted.
        descriptors: (media, descriptors) of the same media.
        read: the predictions from surfaces that were read, by their source.
    """

    path: Path
    document: CalibrationDocument
    cases: Sequence[Case]
    descriptors: NDArray[np.float64]
    read: Mapping[ReadSurfaces, Sequence[Case]]

    @property
    def above(self) -> int:
        """Number of media of the fit that are called unlike the training media."""
        novelty = self.document.novelty
        return 0 if novelty is None else int((novelty.distances(self.descriptors) > novelty.threshold).sum())


def calibrate_model(
    directory: Path,
    source: FlowSource,
    options: CalibrationOptions | None = None,
    *,
    watch: Callable[[str, int, int], None] | None = None,
) -> CalibrationFit:
    """Fit calibration and novelty of the model in ``directory`` on the validation split, and write its ``calibration.json``.

    Args:
        directory: the model directory, or a run with a finished model.
        source: the data set that the model was trained with.
        options: number of samples and media.
        watch: called with the name of the step and the numbers of finished and of all samples.

    Raises:
        InvalidInputError: no model directory, a data set of another split than the training's, or too few samples; nothing is
            written then.
    """
    options = options or CalibrationOptions()
    if not directory.is_dir():
        raise InvalidInputError(f"{directory} is no folder; needed: a model directory, where calibration.json is written.")
    directory = model_directory(directory)
    predictor = load_model(directory, options.device)
    refuse_leak(predictor.log, source)
    indices = samples_of(source, SPLIT, options.limit)
    training = samples_of(source, "train", options.limit)
    for split, media, needed in ((SPLIT, indices, FEWEST_CASES), ("train", training, FEWEST_MEDIA)):
        if len(media) < needed:
            raise InvalidInputError(
                f"the {split} split of {source.path} has {len(media)} media{_limited(options.limit)}; needed: at least "
                f"{needed} to calibrate a model. Use a larger data set."
            )
    cases, samples = collect_cases(predictor, source, indices, options, phase(watch, f"{SPLIT} split"))
    calibration = fit_calibration(cases, samples)
    read: dict[ReadSurfaces, Sequence[Case]] = {}
    front_end = load_surface_model(device=options.device) if options.surfaces else None
    for kind in options.surfaces:
        step = phase(watch, f"{SPLIT} split, {_TITLES[kind]}")
        read[kind], _ = collect_cases(predictor, source, indices, options, step, **reading_of(kind, front_end))
    document = CalibrationDocument(
        weights=weights_fingerprint(directory),
        data=data_fingerprint(source),
        split=SPLIT,
        cases=len(cases),
        calibration=calibration,
        surfaces={kind: fit_calibration(some, samples, features_of(kind)) for kind, some in read.items()},
        front_end=None if front_end is None else front_end.name,
        novelty=fit_novelty(descriptors_of(predictor, source, training, phase(watch, "training media"))),
    )
    path = save_calibration(directory, document)
    return CalibrationFit(path, document, cases, descriptors_of(predictor, source, indices), read)


class Reading(TypedDict):
    """How the surfaces of a medium are read: from what, and by which front end; None: by the classical segmentation."""

    surfaces: Surfaces
    front_end: FrontEnd | None


def reading_of(kind: ReadSurfaces, front_end: FrontEnd | None) -> Reading:
    """Return how surfaces of a kind are read; those by estimates come from greys, which have larger errors than masks."""
    return {"surfaces": "grey", "front_end": None} if kind == "estimated" else {"surfaces": kind, "front_end": front_end}


def features_of(kind: ReadSurfaces | Literal["exact"]) -> tuple[str, ...]:
    """Return the names of what the spread of K may depend on; only a front end gives samples of the surfaces."""
    return SURFACE_FEATURES if kind in ("grey", "mask") else FEATURES


def _limited(limit: int | None) -> str:
    return "" if limit is None else f" within --limit {limit}"


def collect_cases(
    predictor: Predictor,
    source: FlowSource,
    indices: Sequence[int],
    options: CalibrationOptions,
    watch: Callable[[int, int], None] | None = None,
    *,
    surfaces: Surfaces = "exact",
    front_end: FrontEnd | None = None,
) -> tuple[list[Case], int]:
    """Return a case for every sample of a data set, and the number of samples that each prediction had.

    A sample whose micrograph shows no fibres, or nothing that resin flows through, is left out.

    Args:
        predictor: the model.
        source: the data set.
        indices: its samples.
        options: how predictions are made.
        watch: called with the numbers of finished and of all samples.
        surfaces: where the fibre surfaces come from.
        front_end: what reads them.
    """
    cases, counts = [], set()
    names = features_of(surfaces if front_end is not None else "exact")
    for count, index in enumerate(indices, start=1):
        try:
            sample, _ = read_sample(source, index, surfaces, front_end)
        except InvalidInputError:
            if surfaces == "exact":
                raise
            continue
        outcome = draw(predictor, sample, Sampling(samples=options.samples, seed=options.seed))
        counts.add(1 if outcome.members is None else len(outcome.members))
        base = start_of(sample, predictor).base
        cases.append(_case(outcome, sample.truth, base, np.random.default_rng(index), names))
        if watch:
            watch(count, len(indices))
    return cases, counts.pop()


def fit_calibration(cases: Sequence[Case], samples: int, names: tuple[str, ...] = FEATURES) -> Calibration:
    """Return the laws of minimum CRPS over all cases, with 90 % of them in their central 90 % intervals.

    Args:
        cases: the predictions.
        samples: of each prediction.
        names: of the features that the cases have.

    Raises:
        InvalidInputError: too few cases.
    """
    deviations = np.stack([case.deviations for case in cases], axis=1)  # (4, cases, voxels)
    errors = np.stack([case.errors for case in cases], axis=1)
    along, across, normal, pressure = (fit_spread(*pair) for pair in zip(deviations, errors, strict=True))
    features = np.stack([case.features for case in cases])
    relative = np.array([case.permeability_error for case in cases])
    law = fit_relative_spread(features, relative)
    if SURFACE in names:  # media of which an image tells less than of any here get wider intervals, too
        highest = tuple(max(edge, 0.0) if name == SURFACE else edge for name, edge in zip(names, law.high, strict=True))
        law = replace(law, high=highest)
    return Calibration(samples, along, across, normal, pressure, law, names)


def _case(
    outcome: Outcome, truth: FlowField, base: FlowField, rng: np.random.Generator, names: tuple[str, ...] = FEATURES
) -> Case:
    flow = outcome.flow
    fluid = np.flatnonzero(truth.microstructure.fluid)
    picked = rng.choice(fluid, _VOXELS, replace=fluid.size < _VOXELS)
    units = np.array([flow.rms_speed] * 3 + [flow.pressure_drop])[:, None]
    if units[0] == 0.0 or flow.permeability == 0.0:
        raise InvalidInputError("the model predicts no flow at all; needed: a trained model.")

    def at(velocity: NDArray[np.floating] | None, pressure: NDArray[np.floating] | None) -> NDArray[np.float64]:
        """Return the values of the four fields at the picked voxels; zeros for a field that is None."""
        parts = [np.zeros((3, _VOXELS)) if velocity is None else velocity.reshape(3, -1)[:, picked]]
        parts += [np.zeros((1, _VOXELS)) if pressure is None else pressure.reshape(1, -1)[:, picked]]
        return np.concatenate(parts).astype(np.float64)

    return Case(
        deviations=at(flow.velocity_std, flow.pressure_std) / units,
        errors=(at(truth.velocity, truth.pressure) - at(flow.velocity, flow.pressure)) / units,
        features=permeability_features(flow, base, names),
        permeability_error=truth.permeability / flow.permeability - 1.0,
    )


@dataclass(frozen=True)
class CalibrationScore:
    """How well the spread of the samples tells the error of a quantity, over the media of a fit.

    Attributes:
        quantity: a field, or K of media whose surfaces were read.
        spread: ``as drawn``, or ``calibrated``.
        crps: in units of the predicted RMS speed, of the pressure drop or of K.
        coverage: share of errors within the 90 % interval.
        spread_skill: spread over error; NaN without error.
        law: from the deviation s of the samples to the calibrated one, empty for the spread as drawn.
    """

    quantity: str
    spread: str
    crps: float
    coverage: float
    spread_skill: float
    law: str = ""


def calibration_scores(fit: CalibrationFit) -> list[CalibrationScore]:
    """Return the spread of every field and of K against its error, as drawn and calibrated."""
    calibration, cases = fit.document.calibration, fit.cases
    scores: list[CalibrationScore] = []
    laws = (calibration.along, calibration.across, calibration.normal, calibration.pressure)
    for place, (name, law) in enumerate(zip(_FIELDS, laws, strict=True)):
        deviations = np.stack([case.deviations[place] for case in cases])
        errors = np.stack([case.errors[place] for case in cases])
        before, after = score_spread(deviations, errors), score_spread(law.deviation(deviations), errors)
        scores += _before_and_after(name, before, after, f"sqrt(({law.factor:.3g} s)^2 + {law.floor:.3g}^2)")
    scores += _permeability_scores("K", calibration, cases)
    for kind, some in fit.read.items():
        scores += _permeability_scores(f"K, {_TITLES[kind]}", fit.document.surfaces[kind], some)
    return scores


def calibration_rows(fit: CalibrationFit) -> TextTable:
    """Return the table of a calibration: the spread of every field and of K against its error, as drawn and calibrated."""
    rows = [
        (
            score.quantity if score.spread == _AS_DRAWN else "",
            score.spread,
            f"{100 * score.crps:.3g}",
            f"{100 * score.coverage:.1f}",
            f"{score.spread_skill:.3f}",
            score.law,
        )
        for score in calibration_scores(fit)
    ]
    header = ("of", "spread", "CRPS, %", "in 90 %, %", "spread/skill", "deviation s of the samples becomes")
    caption = (
        f"{len(fit.cases)} media of the {SPLIT} split, on which the laws were fitted, {fit.document.calibration.samples} "
        "samples each; CRPS in per cent of the predicted RMS speed, of the pressure drop and of K"
    )
    return TextTable(header, tuple(rows), caption, block=2, names=2)


def _permeability_scores(name: str, calibration: Calibration, cases: Sequence[Case]) -> list[CalibrationScore]:
    features = np.stack([case.features for case in cases])
    relative = np.array([case.permeability_error for case in cases])
    several = calibration.samples > 1
    spread = np.exp(features[:, FEATURES.index("log_spread")]) if several else np.zeros(len(cases))
    after = calibration.permeability.deviation(features)
    terms = zip(calibration.features, calibration.permeability.coefficients[1:], strict=True)
    law = " ".join([f"{calibration.permeability.coefficients[0]:.3g}", *(f"{c:+.3g} {name}" for name, c in terms if c)])
    return _before_and_after(name, score_spread(spread, relative), score_spread(after, relative), f"exp({law})")


def _before_and_after(name: str, before: SpreadScores, after: SpreadScores, law: str) -> list[CalibrationScore]:
    return [
        CalibrationScore(name, kind, scores.crps, scores.coverage, scores.spread_skill, text)
        for kind, scores, text in ((_AS_DRAWN, before, ""), (_CALIBRATED, after, law))
    ]
