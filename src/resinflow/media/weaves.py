"""Plain weaves: yarns that pass over and under one another, as a medium whose yarns let nothing through."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media.fibres import medium_of

Array = NDArray[np.float64]

_SAMPLES = 2001
_STEPS = 12
_REACH = 3.0
"""Voxel edges around the surfaces within which distances are found by iteration."""


@dataclass(frozen=True)
class WeaveSettings:
    """What a plain weave is asked to be.

    Attributes:
        yarns: in each of the two directions, an even number: the weave then repeats along x and y.
        width: of a yarn, over the distance between the centres of two.
        gap: smallest clear height between two crossing yarns, over the height of a yarn.
        thickness: of the fabric, over the height of the box.
    """

    yarns: int = 2
    width: float = 0.8
    gap: float = 0.05
    thickness: float = 0.95

    def __post_init__(self) -> None:
        if not (isinstance(self.yarns, int) and 2 <= self.yarns <= 64 and self.yarns % 2 == 0):
            raise InvalidInputError(f"yarns is {self.yarns!r}; needed: an even number from 2 to 64.")
        if not 0.1 <= self.width <= 0.95:
            raise InvalidInputError(f"width is {self.width}; needed: 0.1 to 0.95 of the distance between yarns.")
        if not 0 <= self.gap <= 1:
            raise InvalidInputError(f"gap is {self.gap}; needed: 0 to 1 of the height of a yarn.")
        if not 0.1 <= self.thickness <= 1:
            raise InvalidInputError(f"thickness is {self.thickness}; needed: 0.1 to 1 of the height of the box.")

    @property
    def swing(self) -> float:
        """Amplitude of the axes over half the height of a yarn: the least that leaves the gap everywhere.

        At u pitches from a crossing, along either yarn, the clear height is the sum over both yarns of
        ``amplitude cos(pi u) - (height / 2) sqrt(1 - (2 u / width)^2)``.
        """
        u = np.linspace(0.0, self.width / 2, _SAMPLES)
        return float(((self.gap + np.sqrt(1 - (2 * u / self.width) ** 2)) / np.cos(np.pi * u)).max())


@dataclass(frozen=True)
class _Family:
    """Yarns of one direction: ``(across / half_width)^2 + ((z - axis) / half_height)^2 = 1``, ``axis = A sin(k along)``."""

    pitch: float
    half_width: float
    half_height: float
    amplitude: float
    wavenumber: float

    def level(self, along: Array, across: Array, z: Array, sign: Array) -> tuple[Array, Array]:
        """The left side of the surface's equation, and the height of the axis."""
        axis = sign * self.amplitude * np.sin(self.wavenumber * along)
        return (across / self.half_width) ** 2 + ((z - axis) / self.half_height) ** 2, axis


def plain_weave(
    shape: tuple[int, int, int],
    extent: tuple[float, float, float],
    settings: WeaveSettings | None = None,
) -> Microstructure:
    """Return a plain weave of solid yarns along x and y, halfway up the box.

    Axes are sines, and vertical sections across them ellipses. Near the surfaces the ``signed_distance`` is that to the nearest
    yarn, to a few hundredths of the shortest edge of a voxel, at worst to a sixth beside the edges of the yarns; it is
    never smaller.

    Args:
        shape: voxels (nz, ny, nx).
        extent: size of the box (z, y, x) in m.
        settings: number, width, gaps and height of the yarns.

    Raises:
        InvalidInputError: settings out of range, or a box that is none.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.plain_weave((12, 24, 24), (0.4e-3, 2e-3, 2e-3))
        >>> micro.percolates("x"), micro.percolates("z")
        (True, True)
        >>> round(micro.fibre_fraction, 2)
        0.55
    """
    settings = settings or WeaveSettings()
    if len(shape) != 3 or min(shape) < 1:
        raise InvalidInputError(f"the shape is {tuple(shape)}; needed: three numbers of voxels (nz, ny, nx), each at least 1.")
    if len(extent) != 3 or not min(extent) > 0 or not np.isfinite(extent).all():
        raise InvalidInputError(f"the extent is {tuple(extent)}; needed: three lengths (z, y, x) in m, each above 0.")
    height = settings.thickness * extent[0] / (1 + settings.swing)
    steps = [edge / count for edge, count in zip(extent, shape, strict=True)]
    z, y, x = (np.asarray((np.arange(count) + 0.5) * step, dtype=np.float64) for count, step in zip(shape, steps, strict=True))
    z = z - extent[0] / 2
    reach = _REACH * max(steps)
    distance = np.empty(shape)
    pitches = [extent[1] / settings.yarns, extent[2] / settings.yarns]
    for layer, level in enumerate(z):
        weft = _nearest(x, y, level, _family(settings, height, pitches[0], pitches[1], 1.0), reach)
        warp = _nearest(y, x, level, _family(settings, height, pitches[1], pitches[0], -1.0), reach)
        distance[layer] = np.minimum(weft, warp.T)
    return medium_of(distance, extent, {"generator": "plain_weave", **asdict(settings)})


def _family(settings: WeaveSettings, height: float, pitch: float, other_pitch: float, sense: float) -> _Family:
    """The yarns at distances of ``pitch`` that cross others at distances of ``other_pitch``."""
    amplitude = sense * settings.swing * height / 2
    return _Family(pitch, settings.width * pitch / 2, height / 2, amplitude, np.pi / other_pitch)


def _nearest(along: Array, across: Array, z: float, family: _Family, reach: float) -> Array:
    """Distance to the nearest yarn of a family in a plane of height z, (across, along)."""
    yarn = np.floor(across / family.pitch)
    nearest = np.full((across.size, along.size), np.inf)
    for step in (-1, 0, 1):
        number = yarn + step
        aside = np.broadcast_to((across - (number + 0.5) * family.pitch)[:, None], nearest.shape)
        sign = np.broadcast_to(np.where(number % 2 == 0, 1.0, -1.0)[:, None], nearest.shape)
        np.minimum(nearest, _distance(np.broadcast_to(along, nearest.shape), aside, z, sign, family, reach), out=nearest)
    return nearest


def _distance(along: Array, across: Array, z: float, sign: Array, family: _Family, reach: float) -> Array:
    """Signed distance of points (along, across, z) to a yarn whose axis lies at ``across = 0``.

    First that in the plane across the yarn along the ray from its axis, which is never too small; within reach a foot point on
    the surface is moved along the tangent plane, and back to the surface along such a ray, until it is the nearest.
    """
    squared, axis = family.level(along, across, np.full_like(across, z), sign)
    radius = np.sqrt(squared)
    ray = np.hypot(across, z - axis)
    part = np.divide(1.0, radius, out=np.zeros_like(radius), where=radius > 0)
    distance = np.where(radius > 0, ray * (1 - part), -min(family.half_width, family.half_height))
    near = (np.abs(distance) < reach * max(family.half_width / family.half_height, 1.0)) & (radius > 0.2)
    if not near.any():
        return distance
    point = np.stack([along[near], across[near], np.full(int(near.sum()), z)])
    side, sign, part = np.where(radius[near] < 1, -1.0, 1.0), sign[near], part[near]
    foot = point.copy()
    foot[1] *= part
    foot[2] = axis[near] + (z - axis[near]) * part
    least = np.abs(distance[near])
    bend = max(family.half_width, family.half_height) / min(family.half_width, family.half_height) ** 2
    for _ in range(_STEPS):
        normal = _normal(foot, sign, family)
        step = point - foot
        step -= (step * normal).sum(axis=0) * normal
        foot += step / (1 + bend * least * (side > 0))
        squared, axis = family.level(foot[0], foot[1], foot[2], sign)
        shrink = 1 / np.sqrt(squared)
        foot[1] *= shrink
        foot[2] = axis + (foot[2] - axis) * shrink
        np.minimum(least, np.linalg.norm(point - foot, axis=0), out=least)
    distance[near] = side * least
    return distance


def _normal(foot: Array, sign: Array, family: _Family) -> Array:
    """Unit normals (3, points) of the surface."""
    axis = sign * family.amplitude * np.sin(family.wavenumber * foot[0])
    slope = sign * family.amplitude * family.wavenumber * np.cos(family.wavenumber * foot[0])
    rise = (foot[2] - axis) / family.half_height**2
    normal = np.stack([-rise * slope, foot[1] / family.half_width**2, rise])
    return normal / np.linalg.norm(normal, axis=0)
