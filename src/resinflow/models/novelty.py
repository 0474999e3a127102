"""Novelty: how far a medium is from the training media, in a few descriptors of its geometry and its start flows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from resinflow.flow import FlowField, InvalidInputError, ModelReport, rms
from resinflow.models.features import CHANNELS, Condition, Conditions

_ASPECT = "anisotropy"
"""The descriptor that is a logarithm: of dz / dx."""
DESCRIPTORS: dict[str, str] = {
    "porosity": "the porosity",
    _ASPECT: "the thickness of a slice over the edge of a pixel",
    "pore_size": "the mean distance of the resin to a fibre, in pixels,",
    "wide_pores": "the 95th percentile of the distance of the resin to a fibre, in pixels,",
    "fibre_size": "the mean depth inside the fibres, in pixels,",
    "slope": "the slope of the fibre outlines against z",
    "planar_vy": "RMS vy over RMS vx of the planar flow",
    "base_vz": "RMS vz over RMS speed of the base flow",
    "pressure_step": "the RMS step of the planar pressure from slice to slice, in units of the mean gradient,",
    "pressure_deviation": "the RMS deviation of the base pressure from a linear drop, in tenths of the drop,",
}
"""Numbers that describe a medium, and what they are called in a sentence. None depends on the units, the resin, the drive or
the number of voxels; sizes are in pixels since that is what the networks see."""
FEWEST_MEDIA = 2 * len(DESCRIPTORS)
"""Media that a distance can be fitted to."""

QUANTILE = 0.99
"""Share of media like the training media below the threshold."""
_PROBABILITIES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Of the quantiles that, with the smallest and the largest value, stand for the distribution of a descriptor."""
_OUTERMOST = 10
"""Media beyond the outermost quantiles: fewer would leave the slope with which the scores go on to chance."""
_FOLDS = 10


def describe_conditions(conditions: Conditions) -> NDArray[np.float64]:
    """Return the :data:`DESCRIPTORS` of a medium with flow along x, from conditions none of which is hidden."""

    def field(name: Condition) -> NDArray[np.float64]:
        return conditions.fields[CHANNELS.index(name)].astype(np.float64)

    fluid = field("fluid") > 0.5
    pores, depths = _distances(fluid), _distances(~fluid)
    anisotropy = float(field("anisotropy")[fluid][0])
    vx, vy = (rms(field(name)[fluid]) for name in ("planar_vx", "planar_vy"))
    base = [rms(field(name)[fluid]) for name in ("base_vx", "base_vy", "base_vz")]
    values = {
        "porosity": fluid.mean(),
        "anisotropy": anisotropy,
        "pore_size": pores.mean() if pores.size else max(fluid.shape),
        "wide_pores": np.percentile(pores, 95) if pores.size else max(fluid.shape),
        "fibre_size": depths.mean() if depths.size else 0.0,
        "slope": _shift(fluid) / np.exp(anisotropy),
        "planar_vy": vy / vx if vx > 0.0 else 0.0,  # at rest where no slice by itself lets resin through
        "base_vz": base[2] / np.linalg.norm(base),
        "pressure_step": rms(field("step_up")[fluid]),
        "pressure_deviation": rms(field("base_pressure")[fluid]),
    }
    return np.array([values[name] for name in DESCRIPTORS], dtype=np.float64)


@dataclass(frozen=True)
class Novelty:
    """Distance of a medium to the training media: Mahalanobis distance of its descriptors' normal scores.

    The normal score of a value is the quantile of the standard normal distribution at the probability that the value has among
    the training media; beyond their range it goes on with the slope of its last part. So a descriptor that the training
    media spread evenly over a range is far out as soon as it leaves that range, one with long tails is not.

    Attributes:
        names: of the descriptors.
        knots: of each, its quantiles over the training media, increasing; the first is the smallest value, the last the
            largest.
        scores: normal scores of the knots.
        correlation: covariance of the normal scores, shrunk towards independence.
        threshold: distance above which a medium is called unlike the training media.

    Raises:
        InvalidInputError: numbers that do not fit together, or other descriptors than this version's.
    """

    names: tuple[str, ...]
    knots: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    threshold: float

    def __post_init__(self) -> None:
        if self.names != tuple(DESCRIPTORS):
            raise InvalidInputError(
                f"the novelty was fitted to the descriptors {', '.join(self.names)}; needed: {', '.join(DESCRIPTORS)}. "
                "Run resinflow model calibrate again."
            )
        count, places = len(self.names), len(self.scores)
        lengths = [len(row) for row in (*self.knots, *self.correlation)] == [places] * count + [count] * count
        rising = lengths and places > 1 and all((np.diff(row) > 0.0).all() for row in (*self.knots, self.scores))
        if not rising or not np.isfinite(np.array(self.correlation)).all() or not 0.0 < self.threshold < np.inf:
            raise InvalidInputError(
                f"the novelty's numbers do not fit its {count} descriptors; needed: rising quantiles of each, their covariance "
                "and a positive threshold. Run resinflow model calibrate again."
            )

    def distances(self, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distances of media (n, descriptors) to the training media."""
        return _mahalanobis(self.normal_scores(descriptors), np.array(self.correlation))

    def normal_scores(self, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the normal scores of descriptors (n, descriptors)."""
        return _normal_scores(np.asarray(descriptors, dtype=np.float64), np.array(self.knots), np.array(self.scores))

    def assess(self, conditions: Conditions) -> tuple[float, str | None]:
        """Return the distance of a medium to the training media, in standard deviations, and a warning.

        The warning is None for a medium like the training media. It is one line: how far out the medium is, and by which
        descriptor.
        """
        descriptors = describe_conditions(conditions)[None]
        distance = float(self.distances(descriptors)[0])
        return distance, None if distance <= self.threshold else self._warning(descriptors, distance)

    def _warning(self, descriptors: NDArray[np.float64], distance: float) -> str:
        place = int(np.argmax(np.abs(self.normal_scores(descriptors)[0])))
        ends = np.array([descriptors[0, place], self.knots[place][0], self.knots[place][-1]])
        value, low, high = np.exp(ends) if self.names[place] == _ASPECT else ends
        what = DESCRIPTORS[self.names[place]].removesuffix(",")
        kind = "each number may occur but not all together; the most unusual" if low <= value <= high else "farthest out"
        return (
            f"this medium is unlike the training media (distance {distance:.1f}, limit {self.threshold:.1f}); {kind}: {what} "
            f"is {value:.3g}, in training {low:.3g} to {high:.3g}; the error may be larger than the spread says, check with "
            "the solver"
        )


def with_novelty(flow: FlowField, novelty: Novelty, conditions: Conditions) -> FlowField:
    """Return a prediction whose report says how far its medium is from the training media, with a warning if too far.

    Args:
        flow: of a model.
        novelty: of the same model.
        conditions: of the medium, with flow along x and none of them hidden.

    Raises:
        InvalidInputError: no prediction of a model.
    """
    if not isinstance(flow.report, ModelReport):
        raise InvalidInputError("the flow is no prediction of a model; needed: one with a model's report.")
    score, warning = novelty.assess(conditions)
    warnings = flow.report.warnings if warning is None else (*flow.report.warnings, warning)
    return replace(flow, report=replace(flow.report, novelty=score, warnings=warnings))


def fit_novelty(descriptors: NDArray[np.floating], quantile: float = QUANTILE) -> Novelty:
    """Return the distance to the media with these descriptors (n, descriptors).

    The covariance is shrunk by the oracle approximating shrinkage (Chen, Wiesel, Eldar & Hero 2010, IEEE Trans. Signal
    Process. 58, 5016-5029, eq. 23), so that few media still give a distance. The threshold has ``quantile`` of the training
    media below it, each measured by a fit to the other nine tenths of them.

    Raises:
        InvalidInputError: another number of descriptors, too few media, or NaN.
    """
    table = np.asarray(descriptors, dtype=np.float64)
    count = len(DESCRIPTORS)
    if table.ndim != 2 or table.shape[1] != count or len(table) < FEWEST_MEDIA:
        raise InvalidInputError(
            f"the descriptors have shape {table.shape}; needed: (media, {count}) with at least {FEWEST_MEDIA} media."
        )
    if not np.isfinite(table).all():
        raise InvalidInputError("the descriptors hold NaN or infinite values; needed: finite numbers.")
    folds = np.arange(len(table)) % _FOLDS
    left_out = np.empty(len(table))
    for fold in range(_FOLDS):
        knots, scores, covariance = _fitted(table[folds != fold])
        left_out[folds == fold] = _mahalanobis(_normal_scores(table[folds == fold], knots, scores), covariance)
    place = min(int(np.ceil((len(table) + 1) * quantile)), len(table)) - 1
    knots, scores, covariance = _fitted(table)
    return Novelty(
        names=tuple(DESCRIPTORS),
        knots=tuple(tuple(map(float, row)) for row in knots),
        scores=tuple(map(float, scores)),
        correlation=tuple(tuple(map(float, row)) for row in covariance),
        threshold=float(np.sort(left_out)[place]),
    )


def _fitted(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Knots (descriptors, places), their normal scores, and the shrunk covariance of the normal scores of ``table``."""
    end, outermost = 1.0 / (len(table) + 1.0), min(_OUTERMOST / len(table), 0.25)
    inner = [probability for probability in _PROBABILITIES if outermost <= probability <= 1.0 - outermost]
    probabilities = np.array([end, *inner, 1.0 - end])
    scores = np.asarray(ndtri(probabilities))
    knots = np.quantile(table, probabilities, axis=0, method="weibull").T
    # values that many media share would make a step: per normal score a value changes by a thousandth of its size at least
    least = np.maximum(1e-3 * np.abs(table).mean(axis=0), 1e-6)[:, None] * scores
    middle, rest = len(scores) // 2, knots - least
    rest[:, middle:] = np.maximum.accumulate(rest[:, middle:], axis=1)
    rest[:, middle::-1] = np.minimum.accumulate(rest[:, middle::-1], axis=1)
    knots = rest + least
    normal = _normal_scores(table, knots, scores)
    return knots, scores, _shrunk(normal)


def _normal_scores(table: NDArray[np.float64], knots: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = np.empty_like(table)
    for column, places in enumerate(knots):
        values = table[:, column]
        slopes = np.diff(scores)[[0, -1]] / np.diff(places)[[0, -1]]
        below, above = np.minimum(values - places[0], 0.0) * slopes[0], np.maximum(values - places[-1], 0.0) * slopes[1]
        normal[:, column] = np.interp(values, places, scores) + below + above
    return normal


def _shrunk(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance about zero of rows of normal scores, shrunk towards a multiple of the identity."""
    media, count = scores.shape
    covariance = scores.T @ scores / media
    size, square = float(np.trace(covariance)), float((covariance**2).sum())
    gap = (media + 1.0 - 2.0 / count) * (square - size**2 / count)
    weight = 1.0 if gap <= 0.0 else min(1.0, ((1.0 - 2.0 / count) * square + size**2) / gap)
    return (1.0 - weight) * covariance + weight * size / count * np.eye(count)


def _mahalanobis(scores: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum((scores * np.linalg.solve(covariance, scores.T).T).sum(axis=1), 0.0))


def _distances(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """In-plane distances, in pixels, of the pixels of a phase to the other one, slice by slice; the box's sides are no border.

    A slice without the other phase has no distances.
    """
    distances = [np.asarray(ndimage.distance_transform_edt(layer))[layer] for layer in inside if not layer.all()]
    return np.concatenate(distances) if distances else np.zeros(0)


def _shift(fluid: NDArray[np.bool_]) -> float:
    """Pixels that change from one slice to the next, over the pixels of the outline: how far outlines move."""
    changed = float((fluid[1:] != fluid[:-1]).mean()) if len(fluid) > 1 else 0.0
    outline = float((fluid[:, 1:] != fluid[:, :-1]).mean() + (fluid[:, :, 1:] != fluid[:, :, :-1]).mean())
    return changed / outline if outline > 0.0 else 0.0
