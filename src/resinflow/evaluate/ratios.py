"""Numbers that may not exist: NaN instead of a division by zero or a mean over nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ratio(numerator: float, denominator: float) -> float:
    """Return the quotient; NaN unless the denominator is above zero."""
    return numerator / denominator if denominator > 0.0 else float("nan")


def rms(values: NDArray[np.floating]) -> float:
    """Return the root mean square; NaN over nothing."""
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")
