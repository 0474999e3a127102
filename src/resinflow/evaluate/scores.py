"""The result of an evaluation: scores of every method on every sample of a split, and the traits of each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.ensemble import EnsembleScores
from resinflow.evaluate.metrics import Comparison
from resinflow.flow import FlowField

PLANAR = "planar flow"
"""The input of every model. A model must have smaller errors."""
_ENSEMBLE = ("crps", "normalised_crps", "coverage", "nominal_coverage", "spread_skill", "samples")


@dataclass(frozen=True)
class Traits:
    """Properties of a sample that the errors of a method may depend on.

    Attributes:
        index: its number in the data set.
        porosity: fluid volume over box volume.
        cross_flow: RMS vz over RMS vx of the true flow; 0 where planar flow is exact.
        parameters: values that the recipe drew for it (e.g. ``misalignment`` in degrees), where the data set holds it.
    """

    index: int
    porosity: float
    cross_flow: float
    parameters: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, float]:
        """Return all numbers flat by name."""
        return {"porosity": self.porosity, "cross_flow": self.cross_flow, **self.parameters}


@dataclass(frozen=True)
class Score:
    """One method on one sample.

    Attributes:
        comparison: errors of its flow.
        ensemble: calibration of its samples, None for a single flow.
        peak_memory: largest resident memory of the process during the work, bytes; None if the method computes nothing or the
            system cannot measure it.
    """

    comparison: Comparison
    ensemble: EnsembleScores | None = None
    peak_memory: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers flat by name; None for those that do not exist."""
        ensemble: dict[str, Any] = dict.fromkeys(_ENSEMBLE)
        if self.ensemble is not None:
            ensemble |= self.ensemble.to_dict()
        return {**self.comparison.to_dict(), **ensemble, "peak_memory": self.peak_memory}


@dataclass(frozen=True)
class Evaluation:
    """Scores by method, one a sample, in the order of ``traits``.

    Attributes:
        model: name of the model.
        data: name of the data set.
        split: its part.
        traits: of every sample.
        scores: method to scores.
        main: the method that the evaluation is about.
        notes: remarks on the evaluation, such as warnings of the flows.
    """

    model: str
    data: str
    split: str
    traits: Sequence[Traits]
    scores: Mapping[str, Sequence[Score]]
    main: str
    notes: tuple[str, ...] = ()

    def column(self, method: str, name: str) -> NDArray[np.float64]:
        """Return number ``name`` of :meth:`Score.to_dict` of every sample, NaN where it does not exist."""
        values = [score.to_dict()[name] for score in self.scores[method]]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def worse_than_planar(self) -> dict[str, int]:
        """Return, by method, on how many samples its velocity error is above that of the planar flow."""
        bar = self.column(PLANAR, "relative_l2")
        return {name: int((self.column(name, "relative_l2") > bar).sum()) for name in self.scores if name != PLANAR}

    def ranked(self) -> NDArray[np.int64]:
        """Return the places of the samples from the best to the worst by the velocity error of the main method."""
        return np.argsort(self.column(self.main, "relative_l2"), kind="stable")

    def ensembles(self) -> dict[str, list[EnsembleScores]]:
        """Return the scores of the ensembles, by method; methods without an ensemble are absent."""
        ensembles = {name: [score.ensemble for score in scores if score.ensemble] for name, scores in self.scores.items()}
        return {name: scores for name, scores in ensembles.items() if scores}


def describe_sample(truth: FlowField, index: int, parameters: Mapping[str, float] | None = None) -> Traits:
    """Return the traits of a sample with its true flow along x."""
    micro = truth.microstructure
    along, across = (float(np.sqrt((truth.velocity[k][micro.fluid] ** 2).mean(dtype=np.float64))) for k in (0, 2))
    return Traits(index, micro.porosity, across / along if along > 0.0 else float("nan"), parameters or {})
