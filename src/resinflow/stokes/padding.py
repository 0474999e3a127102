"""Widths for numpy.pad along one axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pad_widths(axis: int, before: int = 1, after: int = 1, *, dimensions: int = 3) -> NDArray[np.int64]:
    """Return the widths (dimensions, 2) that add ``before`` and ``after`` layers along ``axis`` and none elsewhere."""
    widths = np.zeros((dimensions, 2), dtype=np.int64)
    widths[axis] = before, after
    return widths
