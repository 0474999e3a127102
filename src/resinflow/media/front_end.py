"""What finds fibre surfaces in images: the learned front end, as the rest of the house sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FibreSurfaces:
    """Where the fibre surfaces of an image are.

    Attributes:
        distance: (nz, ny, nx), to the surfaces in pixels, positive in the resin.
        error: (nz, ny, nx), mean error of the distance in pixels that is expected there.
    """

    distance: NDArray[np.float32]
    error: NDArray[np.float32]


class FrontEnd(Protocol):
    """Finds fibre surfaces in an image or a stack (nz, ny, nx)."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    def dark_fibres(self, image: NDArray, *, mask: bool, step: float | None) -> float:
        """Return the evidence that the fibres are the darker phase: log odds.

        Args:
            image: greys, or a mask of two values.
            mask: whether it is a mask.
            step: distance between slices in pixels; None for a single image.
        """
        ...

    def surfaces(self, image: NDArray, *, dark: bool, mask: bool, step: float | None) -> FibreSurfaces:
        """Return the surfaces of fibres that are the darker phase (``dark``) or the brighter one."""
        ...
