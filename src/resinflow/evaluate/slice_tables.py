"""The table of rivals that say what flows round known slices, over many media: one sample of a data set after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from resinflow.data import FlowSource
from resinflow.evaluate.evaluation import recipe_numbers, samples_of
from resinflow.evaluate.one_slice import MeanScores, Rival, SliceScores, mean_scores, score_rivals
from resinflow.evaluate.tables import TextTable
from resinflow.flow import FlowField
from resinflow.media import BundleShape, measure_bundle

__all__ = ["SliceEvaluation", "SliceTruth", "evaluate_slices", "known_places", "shape_rows", "slice_rows", "truths_of"]

_TRUTH = "truth"
_CAPTION = (
    "CRPS of K over K with its standard error, of velocity over the mean of its size; energy score of vz over the RMS of vx "
    "(vz); how often the 50 and 90 % intervals hold K; deviation of ln K between the draws, and RMS error of its mean; RMS vz "
    "of the mean of the draws over that of a draw; time of a draw with its flow"
)
_SHAPES = ("tilt", "scatter", "nearest", "fraction_scatter", "chord", "roundness")


@dataclass(frozen=True)
class SliceTruth:
    """The true flow through a medium, and what is told of its fibres.

    Attributes:
        flow: through the whole medium.
        misalignment: largest tilt of the bundle, degrees; None: not told.
        waviness: largest angle of its waves, degrees; 0 where it is not told.
    """

    flow: FlowField
    misalignment: float | None
    waviness: float = 0.0


@dataclass(frozen=True)
class SliceEvaluation:
    """Scores of every rival on every medium, and the shapes of the true and of some drawn media.

    Attributes:
        scores: by the name of the rival, a row a medium.
        shapes: of drawn media by the name of the rival, of the true ones under ``truth``.
    """

    scores: dict[str, list[SliceScores]]
    shapes: dict[str, list[BundleShape]]

    def means(self) -> dict[str, MeanScores]:
        """Return the mean scores of every rival."""
        return {name: mean_scores(rows) for name, rows in self.scores.items()}

    def mean_shapes(self) -> dict[str, dict[str, float]]:
        """Return the mean of every number of the shapes, by the name of the rival."""
        return {
            name: {key: _mean([asdict(shape)[key] for shape in each]) for key in _SHAPES}
            for name, each in self.shapes.items()
            if each
        }

    def to_dict(self) -> dict[str, Any]:
        """Return means, shapes and all scores as plain types."""
        return {
            "scores": {name: mean.to_dict() for name, mean in self.means().items()},
            "geometry": self.mean_shapes(),
            "media": {name: [asdict(row) for row in rows] for name, rows in self.scores.items()},
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per rival and medium."""
        return [
            {"rival": name, "medium": place, **asdict(row)}
            for name, each in self.scores.items()
            for place, row in enumerate(each)
        ]


def _mean(values: Sequence[float]) -> float:
    """The mean of the numbers that exist; NaN without any."""
    there = [value for value in values if np.isfinite(value)]
    return float(np.mean(there)) if there else float("nan")


def truths_of(source: FlowSource, split: str, limit: int | None) -> tuple[int, Iterator[SliceTruth]]:
    """Return how many samples of a split there are, and their true flows with the misalignment that they were drawn with.

    Samples without flow are left out.

    Raises:
        InvalidInputError: unknown split, or an empty one.
    """
    indices = samples_of(source, split, limit)

    def truths() -> Iterator[SliceTruth]:
        for index in indices:
            flow = source.sample(index).truth
            if flow.permeability > 0:
                yield SliceTruth(flow, recipe_numbers(source, index).get("misalignment"))

    return len(indices), truths()


def known_places(slices: int, known: int) -> tuple[int, ...]:
    """Return so many evenly spread slices of a medium, each in the middle of its share.

    Example:
        >>> from resinflow.evaluate.slice_tables import known_places
        >>> known_places(11, 3)
        (1, 5, 9)
    """
    return tuple(int((place + 0.5) * slices / known) for place in range(known))


def evaluate_slices(
    truths: Iterable[SliceTruth],
    rivals: Sequence[Rival],
    *,
    samples: int,
    seed: int = 0,
    known: int = 1,
    watch: Callable[[int], None] | None = None,
) -> SliceEvaluation:
    """Return the scores of rivals that see some slices of every medium.

    Args:
        truths: of the media.
        rivals: rows of the table.
        samples: draws of each.
        seed: medium k is drawn round with ``seed + k``.
        known: slices that they see, evenly spread.
        watch: called with the number of finished media.

    Raises:
        InvalidInputError: fewer than two samples, or a true flow at rest.
    """
    evaluation = SliceEvaluation({}, {_TRUTH: []})
    for number, truth in enumerate(truths):
        micro = truth.flow.microstructure
        evaluation.shapes[_TRUTH].append(measure_bundle(micro))
        places = known_places(micro.shape[0], known)
        for name, score, shapes in score_rivals(
            truth.flow,
            rivals,
            misalignment=truth.misalignment,
            waviness=truth.waviness if known == 1 else 0.0,
            samples=samples,
            seed=seed + number,
            places=places,
        ):
            evaluation.scores.setdefault(name, []).append(score)
            evaluation.shapes.setdefault(name, []).extend(shapes)
        if watch:
            watch(number + 1)
    return evaluation


def slice_rows(evaluation: SliceEvaluation) -> TextTable:
    """Return the table of the mean scores, a row a rival."""
    header = ("", "CRPS of K", "in 50 %", "in 90 %", "deviation", "error", "field CRPS", "vz", "mean vz", "a draw", "media")
    rows = []
    for name, mean in evaluation.means().items():
        score = mean.scores
        certain = np.isnan(score.within_ninety)
        rows.append(
            (
                name,
                f"{100 * score.crps:.1f} ± {100 * mean.crps_error:.1f} %",
                "-" if certain else f"{100 * score.within_half:.0f} %",
                "-" if certain else f"{100 * score.within_ninety:.0f} %",
                f"{100 * score.spread:.1f} %",
                f"{100 * mean.skill:.1f} %",
                f"{score.field_crps:.3f}",
                f"{score.energy:.3f}",
                f"{score.vz_share:.2f}",
                f"{score.seconds:.2f} s",
                str(mean.media),
            )
        )
    return TextTable(header, tuple(rows), _CAPTION)


def shape_rows(evaluation: SliceEvaluation) -> TextTable:
    """Return the table of the mean shapes of media: the true ones, then those of every rival."""
    header = ("media of", "tilt", "scatter", "nearest", "fraction between slices", "chord", "roundness")
    rows = [
        (name, f"{each['tilt']:.2f}°", f"{each['scatter']:.2f}°", *(f"{each[key]:.4f}" for key in _SHAPES[2:]))
        for name, each in evaluation.mean_shapes().items()
    ]
    return TextTable(
        header,
        tuple(rows),
        "tilt of the bundle and deviation of single fibres; nearest neighbours and chords in diameters",
    )
