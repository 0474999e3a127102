"""What finds fibre surfaces in images: the learned front end, as the rest of the house sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_SHELL = 0.5
"""Pixels: thickness of the shells around the fibres over which greys are averaged."""
_WIDE_RIM = (0.38, 0.08)
"""Height and breadth of a rim beyond which it is wide."""
_FEWEST = 30
"""Pixels of a shell whose mean counts."""


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


@dataclass(frozen=True)
class Rim:
    """The bright rim around dark fibres, or the dark one around bright fibres, as phase contrast draws it.

    Attributes:
        height: grey of the rim beyond that of the matrix, over the contrast between fibres and matrix.
        breadth: the same integrated away from the surface, over the fibre diameter.
    """

    height: float
    breadth: float

    @property
    def wide(self) -> bool:
        """Whether it is a matter of convention where in the rim the outline runs.

        None of 68 drawn images has such a rim (:func:`resinflow.media.draw_specimen` and
        :func:`resinflow.evaluate.surfaces.photograph`), a synchrotron slice of light fibres has one at any resolution.
        """
        return self.height > _WIDE_RIM[0] and self.breadth > _WIDE_RIM[1]


def rim_of(image: NDArray, distance: NDArray[np.floating], *, dark: bool) -> Rim:
    """Return the rim around the fibres of an image.

    Args:
        image: greys (nz, ny, nx).
        distance: to the fibre surfaces in pixels, same shape, positive outside.
        dark: whether the fibres are darker than the matrix.
    """
    grey = np.asarray(image, dtype=np.float64) * (1.0 if dark else -1.0)
    inside = distance < 0
    if inside.all() or not inside.any():
        return Rim(0.0, 0.0)
    diameter = 2 * float(np.percentile(-distance[inside], 95))
    core, far = inside & (distance < -0.25 * diameter), distance > 0.35 * diameter
    matrix = float(np.median(grey[far if far.sum() >= _FEWEST else distance > np.quantile(distance[~inside], 0.8)]))
    contrast = matrix - float(np.median(grey[core if core.any() else inside]))
    if contrast <= 0:
        return Rim(0.0, 0.0)
    shells = np.floor(distance / _SHELL).astype(int)
    outside = ~inside & (distance < 0.6 * diameter)
    counts = np.bincount(shells[outside])
    means = np.bincount(shells[outside], grey[outside]) / np.maximum(counts, 1)
    excess = np.where(counts >= _FEWEST, np.maximum(means - matrix, 0.0), 0.0) / contrast
    return Rim(float(excess.max(initial=0.0)), float(excess.sum()) * _SHELL / diameter)
