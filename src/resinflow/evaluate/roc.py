"""Receiver operating characteristic: how well a score separates foreign media from familiar ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError


def roc_curve(familiar: NDArray[np.floating], foreign: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of familiar and of foreign cases whose score reaches a limit, from the highest limit to the lowest.

    Both start at 0 and end at 1; equal scores are passed in one step.

    Args:
        familiar: (n,), scores of familiar cases.
        foreign: (m,), scores of foreign cases.

    Raises:
        InvalidInputError: no scores of one kind, or NaN.
    """
    first, second = _checked(familiar, foreign)
    limits = np.unique(np.concatenate([first, second]))[::-1]
    shares = [1.0 - np.searchsorted(np.sort(scores), limits, side="left") / scores.size for scores in (first, second)]
    false, true = (np.concatenate([[0.0], share]) for share in shares)
    return false, true


def roc_area(familiar: NDArray[np.floating], foreign: NDArray[np.floating]) -> float:
    """Return the area under the curve: the probability that a foreign case scores above a familiar one, ties counted half.

    The Mann-Whitney statistic (Hanley & McNeil 1982, Radiology 143, 29-36): 0.5 for a score without information.

    Args:
        familiar: (n,), scores of familiar cases.
        foreign: (m,), scores of foreign cases.

    Raises:
        InvalidInputError: no scores of one kind, or NaN.
    """
    from scipy.stats import rankdata  # half a second, which the help of the commands does not wait for

    first, second = _checked(familiar, foreign)
    ranks = rankdata(np.concatenate([first, second]))[first.size :].sum()
    return float((ranks - second.size * (second.size + 1) / 2.0) / (first.size * second.size))


def _checked(familiar: NDArray[np.floating], foreign: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = (np.asarray(scores, dtype=np.float64).ravel() for scores in (familiar, foreign))
    if not first.size or not second.size or np.isnan(first).any() or np.isnan(second).any():
        raise InvalidInputError(
            f"there are {first.size} familiar and {second.size} foreign scores; needed: at least one each, none of them NaN."
        )
    return first, second
