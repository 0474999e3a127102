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
        displacements: (samples, nz, ny, nx), pixels: by how much the surfaces nearby may lie farther out of their fibres, in
            samples of what the image leaves open; None where none were drawn.
    """

    distance: NDArray[np.float32]
    error: NDArray[np.float32]
    displacements: NDArray[np.float16] | None = None

    @property
    def wall_error(self) -> float:
        """Mean expected error (pixels) of the distance within a pixel of the surfaces."""
        near = np.abs(self.distance) < 1.0
        return float(self.error[near].mean()) if near.any() else 0.0


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
