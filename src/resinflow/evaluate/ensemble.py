"""Scores of an ensemble: they compare the spread between its members with its error (CRPS, coverage, spread/skill)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.spread_scores import FlowSpread
from resinflow.flow import FlowField, InvalidInputError


@dataclass(frozen=True)
class EnsembleScores:
    """Scores of an ensemble of velocity fields against the truth, over fluid voxels and components.

    Attributes:
        crps: mean fair CRPS, m/s; for one certain field it would be the mean absolute error.
        normalised_crps: the same over the mean |truth|: beside the nMAE of a deterministic model.
        coverage: share of true values inside the central interval of the samples.
        nominal_coverage: what ``coverage`` is for a calibrated ensemble of this size.
        spread_skill: spread over RMSE of the mean, 1 if calibrated, below 1 if overconfident.
        samples: number of fields.
        ranks: (samples + 1,), share of the true values with 0, 1, ... samples below them (:func:`rank_shares`).
        sample_spread: how well the deviation between the samples tells the error, in velocity and in K.
        calibrated_spread: the same of the calibrated deviation, where the model has a calibration.
    """

    crps: float
    normalised_crps: float
    coverage: float
    nominal_coverage: float
    spread_skill: float
    samples: int
    ranks: tuple[float, ...]
    sample_spread: FlowSpread | None = None
    calibrated_spread: FlowSpread | None = None

    def to_dict(self) -> dict[str, float]:
        """Return the numbers flat by name, without the ranks."""
        numbers = {
            "crps": self.crps,
            "normalised_crps": self.normalised_crps,
            "coverage": self.coverage,
            "nominal_coverage": self.nominal_coverage,
            "spread_skill": self.spread_skill,
            "samples": self.samples,
        }
        for prefix, spread in (("drawn", self.sample_spread), ("calibrated", self.calibrated_spread)):
            numbers |= spread.to_dict(prefix) if spread is not None else {}
        return numbers


def score_ensemble(samples: NDArray[np.floating], truth: FlowField, level: float = 0.9) -> EnsembleScores:
    """Return the scores of the velocity fields ``samples`` (n, 3, nz, ny, nx), m/s, against ``truth``.

    Raises:
        InvalidInputError: fewer than two samples, another grid than the truth's, or a level outside (0, 1).
    """
    fluid = truth.microstructure.fluid
    if samples.ndim != 5 or samples.shape[1:] != (3, *fluid.shape):
        raise InvalidInputError(
            f"the samples have shape {samples.shape}; needed: (samples, 3, {', '.join(map(str, fluid.shape))})."
        )
    members = np.asarray(samples, dtype=np.float64)[:, :, fluid]
    observed = np.asarray(truth.velocity, dtype=np.float64)[:, fluid]
    mean_crps = float(crps(members, observed).mean())
    size = float(np.abs(observed).mean())
    return EnsembleScores(
        crps=mean_crps,
        normalised_crps=mean_crps / size if size > 0.0 else float("nan"),
        coverage=coverage(members, observed, level),
        nominal_coverage=nominal_coverage(len(members), level),
        spread_skill=spread_skill(members, observed),
        samples=len(members),
        ranks=tuple(rank_shares(members, observed).tolist()),
    )


def crps(samples: NDArray[np.floating], observed: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fair continuous ranked probability score of every entry; 0 is perfect, in the unit of the data.

    ``mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 n (n - 1))``: the expectation does not depend on the number n of samples
    (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917-1923; Zamo & Naveau 2018, Math. Geosci. 50, 209-234, eq. 4 and 6), so
    that small ensembles are not punished for being small. A single entry may score below 0.

    Args:
        samples: (n, ...), n at least 2.
        observed: (...).

    Raises:
        InvalidInputError: fewer than two samples or shapes that do not fit.
    """
    members = _checked(samples, observed)
    count = len(members)
    ordered = np.sort(members, axis=0)
    # sum_ij |x_i - x_j| = 2 sum_k (2 k - n - 1) x_(k) over the ordered samples, k = 1..n: n log n instead of n^2
    weights = 2.0 * np.arange(1, count + 1) - count - 1.0
    half_spread = np.tensordot(weights, ordered, axes=1) / (count * (count - 1))
    return np.abs(members - observed).mean(axis=0) - half_spread


def coverage(samples: NDArray[np.floating], observed: NDArray[np.floating], level: float = 0.9) -> float:
    """Share of ``observed`` inside the central interval of the samples, both ends included.

    The ends are the sample quantiles at the plotting positions k / (n + 1) (Weibull; type 6 of Hyndman & Fan 1996, Am. Stat.
    50, 361-365), which an exchangeable observation falls below with just that probability. Compare with
    :func:`nominal_coverage`.

    Raises:
        InvalidInputError: fewer than two samples, shapes that do not fit, or a level outside (0, 1).
    """
    members = _checked(samples, observed)
    tail = (1.0 - nominal_coverage(len(members), level)) / 2.0
    low, high = np.quantile(members, [tail, 1.0 - tail], axis=0, method="weibull")
    return float(((low <= observed) & (observed <= high)).mean())


def nominal_coverage(count: int, level: float = 0.9) -> float:
    """Return the coverage that ``count`` calibrated samples can show: ``level``, but at most (n - 1) / (n + 1).

    Between the smallest and the largest of n samples lies an exchangeable observation with probability (n - 1) / (n + 1):
    0.78 for 8 samples. 90 % need 19.

    Raises:
        InvalidInputError: a level outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise InvalidInputError(f"the level is {level}; needed: above 0 and below 1, e.g. 0.9.")
    return min(level, (count - 1) / (count + 1))


def spread_skill(samples: NDArray[np.floating], observed: NDArray[np.floating]) -> float:
    """Spread of the samples over the RMSE of their mean: 1 if calibrated, below 1 if overconfident; NaN if the mean is exact.

    ``sqrt((n + 1) / n) sqrt(mean variance) / RMSE`` with the unbiased variance (Fortin et al. 2014, J. Hydrometeorol. 15,
    1708-1713, eq. 15).

    Raises:
        InvalidInputError: fewer than two samples or shapes that do not fit.
    """
    members = _checked(samples, observed)
    count = len(members)
    spread = float(np.sqrt(members.var(axis=0, ddof=1).mean() * (count + 1) / count))
    skill = float(np.sqrt(((members.mean(axis=0) - observed) ** 2).mean()))
    return spread / skill if skill > 0.0 else float("nan")


def rank_shares(samples: NDArray[np.floating], observed: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (n + 1,): the share of ``observed`` with 0, 1, ..., n of the n samples below it; all 1 / (n + 1) if calibrated.

    The rank histogram (Hamill 2001, Mon. Weather Rev. 129, 550-560): high at both ends if the samples spread too little, at
    one end if they are biased. An entry that equals some samples counts in equal parts in the ranks that it may have.

    Raises:
        InvalidInputError: fewer than two samples or shapes that do not fit.
    """
    members = _checked(samples, observed)
    below, tied = (members < observed).sum(axis=0), (members == observed).sum(axis=0)
    weight = 1.0 / (tied + 1)
    return np.array([(((below <= k) & (k <= below + tied)) * weight).mean() for k in range(len(members) + 1)])


def mean_ranks(scores: Sequence[EnsembleScores]) -> list[float]:
    """Return the rank shares averaged over the samples of a test set that have ensembles of the size of the first."""
    size = len(scores[0].ranks)
    ranks = np.array([score.ranks for score in scores if len(score.ranks) == size], dtype=float)
    return ranks.mean(axis=0).tolist()


def interval_coverage(ranks: Sequence[float] | NDArray[np.floating]) -> list[tuple[float, float]]:
    """Return nominal and actual coverage of the central intervals between two samples, the widest interval first.

    Between the k-th smallest and the k-th largest of n samples lies an exchangeable observation with probability
    (n + 1 - 2 k) / (n + 1).

    Args:
        ranks: of :func:`rank_shares`.
    """
    count = len(ranks) - 1
    return [
        ((count + 1 - 2 * k) / (count + 1), float(np.sum(ranks[k : count + 1 - k]))) for k in range(1, (count + 1) // 2 + 1)
    ]


def _checked(samples: NDArray[np.floating], observed: NDArray[np.floating]) -> NDArray[np.float64]:
    members = np.asarray(samples, dtype=np.float64)
    if members.ndim == 0 or len(members) < 2:
        count = len(members) if members.ndim else 1
        raise InvalidInputError(f"the ensemble has {count} sample(s); needed: at least 2. Predict with more samples.")
    if members.shape[1:] != np.shape(observed):
        raise InvalidInputError(f"the samples have shape {members.shape}; needed: (samples, *{np.shape(observed)}).")
    return members
