"""How sure K of a tow is from one image: its windows tell how much K varies from place to place.

Over an area S much wider than what correlates in it the variance of ln K is ``s^2 A / S`` with the integral range A (Matheron):
so that of the whole image is that of its windows over their number, and the interval for K of the infinite tow is that of
Student about ln K of the whole. Windows of a half and of a third of the image's edge tell it: smaller ones miss what correlates
over more than their edge (clusters, pockets of resin). So do these two, by less: the larger of both counts, with the degrees of
freedom of the few largest windows alone, and a factor for what all windows of an image share, measured on drawn tows
(docs/tow.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Triple = tuple[float, float, float]

_LEAST_WINDOWS = 4
_SIZES = 2
"""Sizes of windows, from the largest on, that the deviation is told from."""
_SHARED = 1.1
"""What images scatter by over what their windows tell: windows of one image deviate together from the tow (docs/tow.md)."""
_MOST_BLOCKED = 0.1
"""Share of windows without flow from which on the scatter of ln K tells nothing."""


@dataclass(frozen=True)
class SizeStatistics:
    """K of the windows of one size.

    Attributes:
        size: edge of a window, m.
        windows: their number.
        blocked: windows without flow along x, y, z.
        mean: of ln K (m^2) along x, y, z, over those with flow.
        deviation: standard deviation of the same.
    """

    size: float
    windows: int
    blocked: tuple[int, int, int]
    mean: Triple
    deviation: Triple


def size_statistics(diagonals: Array, size: float) -> SizeStatistics:
    """Return the statistics of windows of a size.

    Args:
        diagonals: (..., 3), Kxx, Kyy and Kzz of every window, m^2; NaN where there is no K.
        size: edge of a window, m.
    """
    values = diagonals.reshape(-1, 3)
    values = values[np.isfinite(values).all(axis=1)]
    means, deviations = [], []
    for column in values.T:
        logs = np.log(column[column > 0])
        means.append(float(logs.mean()) if logs.size else float("nan"))
        deviations.append(float(logs.std(ddof=1)) if logs.size > 1 else float("nan"))
    x, y, z = (int(count) for count in (values == 0).sum(axis=0))
    return SizeStatistics(size, len(values), (x, y, z), (means[0], means[1], means[2]), (*deviations,))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Representativity:
    """What an image tells of the K of the tow that it was taken from.

    Attributes:
        whole: Kxx, Kyy, Kzz of the whole image, m^2.
        sizes: statistics of its windows.
        area: of the image, m^2.
    """

    whole: Triple
    sizes: tuple[SizeStatistics, ...]
    area: float

    @cached_property
    def deviation(self) -> Triple:
        """Standard deviation of ln K of images of this size, along x, y and z; NaN where too few windows tell."""
        x, y, z = (self._deviation(axis)[0] for axis in range(3))
        return x, y, z

    def _deviation(self, axis: int) -> tuple[float, int]:
        """The deviation along an axis, and the degrees of freedom that it rests on."""
        usable = [
            size
            for size in sorted(self.sizes, key=lambda size: -size.size)
            if size.windows >= _LEAST_WINDOWS and size.blocked[axis] <= _MOST_BLOCKED * size.windows
        ][:_SIZES]
        if not usable:
            return float("nan"), 0
        told = [size.deviation[axis] * size.size / np.sqrt(self.area) for size in usable]
        return _SHARED * float(max(told)), usable[0].windows - 1

    def reaches(self, level: float = 0.9) -> Triple:
        """Return how far the ends of the intervals of a probability lie from ln K of the whole, along x, y and z."""
        from scipy.stats import t

        reaches = []
        for axis in range(3):
            deviation, degrees = self._deviation(axis)
            reaches.append(float(t.ppf(0.5 + level / 2, degrees)) * deviation if degrees > 0 else float("nan"))
        return reaches[0], reaches[1], reaches[2]

    def interval(self, level: float = 0.9) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """Return the ends (m^2) of the intervals that hold K of the infinite tow with a probability, along x, y and z."""
        x, y, z = (
            (value * float(np.exp(-reach)), value * float(np.exp(reach)))
            for value, reach in zip(self.whole, self.reaches(level), strict=True)
        )
        return x, y, z

    @property
    def integral_range(self) -> Triple:
        """Area (m^2) that counts as one independent window, by the smallest windows that tell: ``A = S var(S) / s^2``."""
        reference = min(self.sizes, key=lambda size: size.size)
        ranges = [
            self.area * (spread / scatter) ** 2 if scatter > 0 else float("nan")
            for spread, scatter in zip(self.deviation, reference.deviation, strict=True)
        ]
        return ranges[0], ranges[1], ranges[2]
