"""Scores of the spread of a prediction against its error, in velocity and in K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.metrics import check_comparable
from resinflow.evaluate.spread import SpreadScores, score_spread
from resinflow.flow import LEVEL, REACH, FlowField, InvalidInputError

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, LEVEL, 0.95)
"""Probabilities of the central intervals of a reliability diagram."""


@dataclass(frozen=True)
class FlowSpread:
    """The spread of one prediction against its error.

    Attributes:
        velocity: over fluid voxels and components, in units of the true RMS speed.
        permeability: of K, relative to the true K.
        velocity_reliability: share of the velocities within the central intervals of :data:`LEVELS`.
        permeability_reliability: 1 for each of these that holds the true K, else 0.
    """

    velocity: SpreadScores
    permeability: SpreadScores
    velocity_reliability: tuple[float, ...]
    permeability_reliability: tuple[float, ...]

    def to_dict(self, prefix: str) -> dict[str, float]:
        """Return the numbers flat by name."""
        return {
            f"{prefix}_{quantity}{name}": value
            for quantity, scores in (("", self.velocity), ("permeability_", self.permeability))
            for name, value in (
                ("crps", scores.crps),
                ("coverage", scores.coverage),
                ("spread", scores.spread),
                ("error", scores.error),
            )
        }


def score_flow_spread(flow: FlowField, truth: FlowField) -> FlowSpread:
    """Return the scores of ``velocity_std`` and of the spread of K of a prediction against its errors.

    The spread of K is that of its 90 % interval, or of its samples where it has none.

    Raises:
        InvalidInputError: another problem than the truth's, a truth at rest, or a prediction without spread.
    """
    check_comparable(flow, truth)
    spread = _permeability_deviation(flow)
    if flow.velocity_std is None or spread is None:
        raise InvalidInputError("the prediction has no spread; needed: at least 2 samples, or a calibrated model.")
    fluid = flow.microstructure.fluid
    mean, true, deviation = (
        np.asarray(field, dtype=np.float64)[:, fluid] for field in (flow.velocity, truth.velocity, flow.velocity_std)
    )
    speed, permeability = float(np.sqrt((true**2).sum(axis=0).mean())), abs(truth.permeability)
    if speed == 0.0 or permeability == 0.0:
        raise InvalidInputError("the true flow is at rest; needed: one that flows, as the unit of the errors.")
    deviations, errors = deviation / speed, (true - mean) / speed
    width = np.array([spread / permeability])
    miss = np.array([(truth.permeability - flow.permeability) / permeability])
    return FlowSpread(
        velocity=score_spread(deviations, errors),
        permeability=score_spread(width, miss),
        velocity_reliability=_reliability(deviations, errors),
        permeability_reliability=_reliability(width, miss),
    )


def pooled(scores: Sequence[SpreadScores]) -> SpreadScores:
    """Return the scores over several samples, every sample with the same weight."""
    return SpreadScores(
        crps=float(np.mean([score.crps for score in scores])),
        coverage=float(np.mean([score.coverage for score in scores])),
        spread=float(np.sqrt(np.mean([score.spread**2 for score in scores]))),
        error=float(np.sqrt(np.mean([score.error**2 for score in scores]))),
    )


def _permeability_deviation(flow: FlowField) -> float | None:
    """Standard deviation of K, m^2."""
    interval, samples = flow.permeability_interval, flow.permeability_samples
    if interval is not None:
        return abs(interval[1] - flow.permeability) / REACH
    return None if samples is None or len(samples) < 2 else float(np.std(samples, ddof=1))


def _reliability(deviations: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, ...]:
    sizes = np.abs(errors)
    from scipy.special import ndtri

    return tuple(float((sizes <= ndtri(0.5 + level / 2.0) * deviations).mean()) for level in LEVELS)
