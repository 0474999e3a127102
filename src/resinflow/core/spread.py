"""How the spread between a model's samples becomes the size of its error: the laws that a calibration fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resinflow.core.errors import InvalidInputError

LEVEL = 0.9
"""Probability of the central interval that a calibrated deviation gives."""
REACH = 1.6448536269514722
"""Half width of that interval in standard deviations: the 95th percentile of the normal distribution."""


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a field's error from the standard deviation between the samples.

    Attributes:
        factor: multiplies the deviation between the samples.
        floor: what is there without any, in the unit of the field (its RMS speed, its pressure drop).

    Raises:
        InvalidInputError: a number that is negative or not finite, or no spread at all.
    """

    factor: float
    floor: float

    def __post_init__(self) -> None:
        numbers = (self.factor, self.floor)
        if not all(np.isfinite(number) and number >= 0.0 for number in numbers) or not any(numbers):
            raise InvalidInputError(
                f"the spread has factor {self.factor} and floor {self.floor}; needed: finite numbers from 0 up, not both 0."
            )

    def deviation(self, drawn: ArrayLike, unit: float = 1.0) -> NDArray[np.float64]:
        """Return ``sqrt((factor drawn)^2 + (floor unit)^2)``, in the unit of ``drawn``."""
        return np.hypot(self.factor * np.asarray(drawn, dtype=np.float64), self.floor * unit)


@dataclass(frozen=True)
class RelativeSpread:
    """Relative standard deviation of a positive number from what is known of it, log-linear: ``exp(c_0 + c_1 x_1 + ...)``.

    Attributes:
        coefficients: c_0, and one for every feature.
        low: smallest value of each feature in the data of the fit.
        high: largest; a feature beyond counts as the nearest of the two, so that nothing is extrapolated.

    Raises:
        InvalidInputError: numbers that are not finite, or ranges that do not fit the coefficients.
    """

    coefficients: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.coefficients) - 1
        if count < 0 or len(self.low) != count or len(self.high) != count:
            raise InvalidInputError(
                f"the spread has {count + 1} coefficients and ranges of {len(self.low)} and {len(self.high)} features; needed: "
                "one coefficient more than features."
            )
        if not np.isfinite([*self.coefficients, *self.low, *self.high]).all():
            raise InvalidInputError("the spread holds NaN or infinite coefficients; needed: finite numbers.")

    def deviation(self, features: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the relative standard deviation at ``features`` (..., features)."""
        known = np.clip(np.asarray(features, dtype=np.float64), self.low, self.high)
        return np.exp(self.coefficients[0] + known @ np.asarray(self.coefficients[1:], dtype=np.float64))
