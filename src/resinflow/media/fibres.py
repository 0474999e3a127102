"""The fibres of a bundle: where their axes run, how thick they are, and the medium they make on any grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure

Array = NDArray[np.float64]
BoxBoundary = Literal["cut", "periodic"]
"""``cut``: the faces of the box cut fibres of a wider bundle; ``periodic``: the bundle repeats in the slice plane."""


@dataclass(frozen=True)
class Wave:
    """A sine that all axes of a bundle follow together: ``amplitude * sin(2 pi z / wavelength + phase)``.

    Attributes:
        amplitude: (x, y), m; the plane of the wave is that of this vector and z.
        wavelength: m.
        phase: radians.
    """

    amplitude: tuple[float, float] = (0.0, 0.0)
    wavelength: float = 1.0
    phase: float = 0.0

    @property
    def wavenumber(self) -> float:
        """2 pi over the wavelength, 1 / m."""
        return 2 * np.pi / self.wavelength

    @property
    def swing(self) -> tuple[float, float]:
        """Largest slope (along x, along y) of the wave."""
        return self.amplitude[0] * self.wavenumber, self.amplitude[1] * self.wavenumber

    def shift(self, z: Array) -> Array:
        """Return the displacement (..., 2) of the axes at heights ``z``, m."""
        return np.sin(self.wavenumber * z + self.phase)[..., None] * np.array(self.amplitude)

    def slope(self, z: Array) -> Array:
        """Return the slope (..., 2) of the wave at heights ``z``."""
        return self.wavenumber * np.cos(self.wavenumber * z + self.phase)[..., None] * np.array(self.amplitude)


STRAIGHT = Wave()


@dataclass(frozen=True)
class Fibres:
    """Fibres through a box, bottom to top; those of a ``cut`` bundle may lie outside of it.

    Attributes:
        bottom: (n, 2), x and y (m) of the axis at z = 0, without its wave.
        top: (n, 2), the same at the top of the box.
        radius: (n,), m, before ``growth``.
        extent: size of the box (z, y, x), m.
        growth: what all radii have grown by since, m: the box of a bundle is given its exact fibre fraction by it.
        boundary: ``cut`` or ``periodic``.
        wave: what all axes are displaced by.

    Raises:
        InvalidInputError: arrays that do not belong together, a fibre without thickness, an unknown boundary.
    """

    bottom: Array
    top: Array
    radius: Array
    extent: tuple[float, float, float]
    growth: float = 0.0
    boundary: BoxBoundary = "cut"
    wave: Wave = STRAIGHT

    def __post_init__(self) -> None:
        shapes = [np.shape(values) for values in (self.bottom, self.top, self.radius)]
        count = len(self.radius) if np.ndim(self.radius) == 1 else 0
        if count == 0 or shapes != [(count, 2), (count, 2), (count,)]:
            raise InvalidInputError(f"bottom, top and radius have shapes {shapes}; needed: (n, 2), (n, 2) and (n,), n >= 1.")
        if not (self.radii > 0).all():
            raise InvalidInputError(f"the thinnest fibre has a radius of {self.radii.min():g} m; needed: above 0.")
        if self.boundary not in get_args(BoxBoundary):
            raise InvalidInputError(f"boundary is {self.boundary!r}; needed: one of {', '.join(get_args(BoxBoundary))}.")

    def __len__(self) -> int:
        return len(self.radius)

    @property
    def radii(self) -> Array:
        """Radii (n,) as they are in the medium, m."""
        return np.asarray(self.radius) + self.growth

    @property
    def diameters(self) -> Array:
        """Diameters (n,) as they are in the medium, m."""
        return 2 * self.radii

    @cached_property
    def slopes(self) -> Array:
        """Slopes dx/dz and dy/dz (n, 2) of the axes without their wave."""
        return (self.top - self.bottom) / self.extent[0]

    @property
    def directions(self) -> Array:
        """Unit vectors (x, y, z) along the axes without their wave, (n, 3)."""
        along = np.concatenate([self.slopes, np.ones((len(self), 1))], axis=1)
        return along / np.linalg.norm(along, axis=1, keepdims=True)

    @property
    def centres(self) -> Array:
        """Middle of every axis between bottom and top (x, y, z), m, (n, 3)."""
        half = 0.5 * self.extent[0]
        return np.concatenate([self.points_at(np.array([half]))[0], np.full((len(self), 1), half)], axis=1)

    def points_at(self, z: Array) -> Array:
        """Return where the axes pierce the planes at heights ``z`` (k,), (k, n, 2) in m."""
        return self.bottom + z[:, None, None] * self.slopes + self.wave.shift(z)[:, None]

    def signed_distance(self, shape: tuple[int, int, int]) -> Array:
        """Return the distance (m) of every voxel centre to the nearest fibre surface, positive in the fluid, (nz, ny, nx).

        Exact to rounding: fibres run on beyond bottom and top, those of a periodic bundle are repeated along x and y.

        Args:
            shape: voxels (nz, ny, nx) of the box.
        """
        from resinflow.media.distance import distance_to_fibres

        z, y, x = (
            np.asarray((np.arange(count) + 0.5) * (edge / count), dtype=np.float64)
            for count, edge in zip(shape, self.extent, strict=True)
        )
        shifts = self.image_shifts() if self.boundary == "periodic" else np.zeros((1, 2))
        bottom = (self.bottom[None] + shifts[:, None]).reshape(-1, 2)
        slopes, radius = (np.concatenate([values] * len(shifts)) for values in (self.slopes, self.radius))
        wave = (*self.wave.amplitude, self.wave.wavenumber, self.wave.phase)
        return distance_to_fibres((bottom, slopes, radius), wave, (z, y, x)) - self.growth

    def image_shifts(self) -> Array:
        """Return the periods (m, 2) by which the fibres must be repeated for every point of the box to meet its nearest image.

        An axis whose middle lies in the box sways by less than its sweep; images lie a box apart.
        """
        cell = np.array([self.extent[2], self.extent[1]])
        sway = np.abs(self.top - self.bottom).max(axis=0) / 2 + 2 * np.abs(self.wave.amplitude)
        reach_x, reach_y = np.floor(1.5 + sway / cell).astype(int).tolist()
        return np.array([(kx, ky) for kx in range(-reach_x, reach_x + 1) for ky in range(-reach_y, reach_y + 1)]) * cell

    def microstructure(self, shape: tuple[int, int, int], provenance: Mapping[str, Any] | None = None) -> Microstructure:
        """Return the medium that the fibres make on a grid of ``shape`` voxels (nz, ny, nx), with its signed distance.

        The fibres are the same on every grid; the fibre fraction of the mask is met exactly on the grid they were drawn for.
        """
        return medium_of(self.signed_distance(shape), self.extent, provenance or {})


def medium_of(distance: Array, extent: tuple[float, float, float], provenance: Mapping[str, Any]) -> Microstructure:
    """Return the medium of a signed distance (nz, ny, nx), m, in a box of ``extent`` (z, y, x), m."""
    nz, ny, nx = distance.shape
    spacing = (extent[0] / nz, extent[1] / ny, extent[2] / nx)
    return Microstructure(distance > 0, spacing, distance.astype(np.float32), provenance)
