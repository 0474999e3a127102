"""Novelty of data sets: descriptors of their media, and how well the distance to the training media separates them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.data import FlowSource, open_flows
from resinflow.evaluate.evaluation import samples_of
from resinflow.evaluate.methods import start_of
from resinflow.evaluate.roc import roc_area
from resinflow.evaluate.tables import TextTable
from resinflow.flow import InvalidInputError
from resinflow.models import CALIBRATION, Device, Novelty, Predictor, build_conditions, describe_conditions, load_calibration
from resinflow.presets import load_model, model_directory

__all__ = ["Familiarity", "FamiliarityRow", "descriptors_of", "familiarity_rows", "measure_novelty", "phase"]

_CAPTION = (
    "area under the ROC: the probability that a medium of the data set is farther from the training media than one of the "
    "first row; 0.5 for a distance that tells nothing"
)


def descriptors_of(
    predictor: Predictor, source: FlowSource, indices: Sequence[int], watch: Callable[[int, int], None] | None = None
) -> NDArray[np.float64]:
    """Return the descriptors (media, descriptors) of samples of a data set as the model's start flows show them."""
    rows = []
    for count, index in enumerate(indices, start=1):
        start = start_of(source.sample(index), predictor)
        rows.append(describe_conditions(build_conditions(start.planar, start.base)))
        if watch:
            watch(count, len(indices))
    return np.stack(rows)


@dataclass(frozen=True)
class FamiliarityRow:
    """How far the media of one data set are from the training media.

    Attributes:
        name: of the data set.
        media: their number.
        median_distance: of them.
        above: share of media above the limit.
        area: under the ROC against the test split; None for the test split itself.
        farthest: the descriptor that is farthest out.
    """

    name: str
    media: int
    median_distance: float
    above: float
    area: float | None
    farthest: str


@dataclass(frozen=True)
class Familiarity:
    """How far media are from those that a model was trained on.

    Attributes:
        novelty: measures the distance; above its limit a medium counts as unlike the training media.
        name: name of the data set whose test split is familiar.
        tested: (media, descriptors) of its test split.
        foreign: (media, descriptors) of every other data set, by its name.
    """

    novelty: Novelty
    name: str
    tested: NDArray[np.float64]
    foreign: Mapping[str, NDArray[np.float64]]

    @property
    def inside(self) -> NDArray[np.float64]:
        """Distances (media,) of the test split."""
        return self.novelty.distances(self.tested)

    @property
    def outside(self) -> dict[str, NDArray[np.float64]]:
        """Distances (media,) of every foreign data set, by its name."""
        return {name: self.novelty.distances(rows) for name, rows in self.foreign.items()}

    @property
    def areas(self) -> dict[str, float]:
        """Area under the ROC of every foreign data set, by its name."""
        return {name: roc_area(self.inside, distances) for name, distances in self.outside.items()}

    @property
    def rows(self) -> list[FamiliarityRow]:
        """The test split, and every foreign data set."""
        areas = self.areas
        first = self._row(f"{self.name}, test split", self.tested, None)
        return [first, *(self._row(name, descriptors, areas[name]) for name, descriptors in self.foreign.items())]

    def _row(self, name: str, descriptors: NDArray[np.float64], area: float | None) -> FamiliarityRow:
        distances, novelty = self.novelty.distances(descriptors), self.novelty
        scores = np.median(np.abs(novelty.normal_scores(descriptors)), axis=0)
        above, farthest = float((distances > novelty.threshold).mean()), novelty.names[int(np.argmax(scores))]
        return FamiliarityRow(name, len(descriptors), float(np.median(distances)), above, area, farthest)


def measure_novelty(
    directory: Path,
    source: FlowSource,
    against: Sequence[Path],
    *,
    limit: int | None = None,
    device: Device = "auto",
    watch: Callable[[str, int, int], None] | None = None,
) -> Familiarity:
    """Return how far the media of foreign data sets are from the training media, beside the test split's.

    Args:
        directory: a calibrated model: its directory, or its run.
        source: the data set whose test split is familiar.
        against: data sets that are foreign, all of their samples (up to the limit).
        limit: only the first samples of every data set.
        device: where the model would compute; its distances need no network.
        watch: called with the name of the step and the numbers of finished and of all samples.

    Raises:
        InvalidInputError: a model without novelty, nothing to compare with, or two data sets of one name.
    """
    paths = {path.stem: path for path in against}
    if not against or len(paths) < len(against):
        raise InvalidInputError(
            f"--against names {len(against)} data sets of {len(paths)} names; needed: at least one, all different."
        )
    directory = model_directory(directory)
    novelty = _novelty_of(directory)
    predictor = load_model(directory, device)
    tested = descriptors_of(predictor, source, samples_of(source, "test", limit), phase(watch, "test split"))
    foreign = {}
    for name, path in paths.items():
        other = open_flows(path)
        foreign[name] = descriptors_of(predictor, other, samples_of(other, "all", limit), phase(watch, name))
    return Familiarity(novelty, Path(source.path).stem, tested, foreign)


def phase(watch: Callable[[str, int, int], None] | None, what: str) -> Callable[[int, int], None] | None:
    """Return ``watch`` for one part of a longer job; None without one."""
    return None if watch is None else partial(watch, what)


def familiarity_rows(familiarity: Familiarity) -> TextTable:
    """Return the table of distances: one row for the test split, one for every foreign data set."""
    rows = [
        (
            row.name,
            str(row.media),
            f"{row.median_distance:.2f}",
            f"{100 * row.above:.1f}",
            "-" if row.area is None else f"{row.area:.3f}",
            row.farthest,
        )
        for row in familiarity.rows
    ]
    header = ("data set", "media", "median distance", "above the limit, %", "area", "farthest out")
    return TextTable(header, tuple(rows), f"limit {familiarity.novelty.threshold:.2f}; {_CAPTION}")


def _novelty_of(directory: Path) -> Novelty:
    document = load_calibration(directory)
    if document is None or document.novelty is None:
        raise InvalidInputError(f"{directory} holds no {CALIBRATION} with a novelty; run resinflow model calibrate first.")
    return document.novelty
