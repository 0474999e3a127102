"""Random specimens for training: fibre surfaces that are known exactly, and the image that a microscope would take of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import InvalidInputError
from resinflow.media.bundles import BundleSettings, draw_fibres
from resinflow.media.imaging import draw_imaging, image_of

Floats = NDArray[np.float64]
Range = tuple[float, float]
Kind = Literal["grey", "mask"]

_PIXEL = 1e-6
"""m. Specimens are drawn in pixels; the generator of bundles wants metres."""
_ATTEMPTS = 20
_WARP_SHARE = 0.2
_WARP_AMPLITUDE = (0.02, 0.07)  # of the diameter
_STEEPEST = 0.5
"""Least length of the gradient by which a warped distance is divided."""


@dataclass(frozen=True)
class SpecimenRanges:
    """What specimens are drawn from; lengths in pixels, angles in degrees.

    Attributes:
        diameter: mean fibre diameter, drawn evenly in its logarithm.
        volume_fraction: fibre volume over box volume.
        usual_fraction: the same of composites; half of the bundles are drawn from here.
        scatter: standard deviation of the diameters over their mean.
        misalignment: largest tilt of a bundle.
        gap: smallest clear distance between two fibres over the diameter.
        step: distance between slices over the diameter, drawn evenly in its logarithm.
        largest_step: distance between slices, at most so many pixels.
        masks: share of masks among the images.
    """

    diameter: Range = (5.0, 40.0)
    volume_fraction: Range = (0.05, 0.7)
    usual_fraction: Range = (0.3, 0.65)
    scatter: Range = (0.0, 0.15)
    misalignment: Range = (0.0, 20.0)
    gap: Range = (0.0, 0.1)
    step: Range = (0.06, 1.0)
    largest_step: float = 16.0
    masks: float = 0.35


@dataclass(frozen=True)
class Specimen:
    """An image of fibres and the surfaces that it shows.

    Attributes:
        image: (nz, ny, nx): greys as the microscope gives them, or a mask, 1 in the resin and -1 in the fibres. Fibres are the
            darker phase.
        distance: (nz, ny, nx), to the fibre surfaces in pixels, positive in the resin.
        step: distance between slices in pixels; for single images, which are no stack, 0.
        kind: whether the image is grey or a mask.
    """

    image: Floats
    distance: Floats
    step: float
    kind: Kind

    @cached_property
    def stacked(self) -> bool:
        """Whether the slices are those of one stack."""
        return self.step > 0.0


def draw_specimen(
    shape: tuple[int, int, int], rng: np.random.Generator, ranges: SpecimenRanges | None = None, *, stacked: bool = True
) -> Specimen:
    """Return a random bundle of fibres and its image.

    Args:
        shape: (slices, height, width) in pixels.
        rng: the result depends on its state alone.
        ranges: what is drawn.
        stacked: slices of one stack, whose image was taken in one way; or single images, which are unlike each other.
    """
    ranges = ranges or SpecimenRanges()
    kind: Kind = "mask" if rng.random() < ranges.masks else "grey"
    diameter = _even_logarithm(rng, ranges.diameter)
    step = min(_even_logarithm(rng, ranges.step) * diameter, ranges.largest_step) if stacked else 1.5 * diameter
    stretch = float(rng.uniform(1.0, 1.4)) if rng.random() < _WARP_SHARE else 1.0
    fine = 2 if kind == "grey" and rng.random() < 0.5 else 1
    surfaces, finer = _drawn_surfaces(shape, rng, ranges, diameter, step, stretch, fine)
    if rng.random() < _WARP_SHARE:
        surfaces, finer = _warped(surfaces, finer, diameter, rng)
    if not stacked:  # slices of one bundle, some diameters apart, each turned another way
        turns = rng.integers(0, 2, (len(surfaces), 2))
        surfaces, finer = (
            np.stack([_turned(page, *turn) for page, turn in zip(stack, turns, strict=True)]) for stack in (surfaces, finer)
        )
    if kind == "mask":
        image = np.where(surfaces > 0, 1.0, -1.0)
    elif stacked:
        image = image_of(finer, fine, draw_imaging(rng, diameter), rng)
    else:
        image = np.concatenate([image_of(page[None], fine, draw_imaging(rng, diameter), rng) for page in finer])
    return Specimen(image, surfaces, step if stacked else 0.0, kind)


def _even_logarithm(rng: np.random.Generator, span: Range) -> float:
    return float(np.exp(rng.uniform(*np.log(span))))


def _drawn_surfaces(
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    ranges: SpecimenRanges,
    diameter: float,
    step: float,
    stretch: float,
    fine: int,
) -> tuple[Floats, Floats]:
    """Distance (pixels) to the surfaces of a bundle, at the centres of the pixels and at those of ``fine`` times finer ones.

    With ``stretch`` sections are longer along x by that factor.
    """
    nz, ny, nx = shape
    extent = (nz * step, float(ny), max(nx / stretch, 1.0))
    for _ in range(_ATTEMPTS):
        settings = BundleSettings(
            volume_fraction=float(rng.uniform(*(ranges.usual_fraction if rng.random() < 0.5 else ranges.volume_fraction))),
            diameter=min(diameter, 0.95 * extent[2]) * _PIXEL,
            diameter_scatter=float(rng.uniform(*ranges.scatter)),
            misalignment=float(rng.uniform(*ranges.misalignment)),
            minimum_gap=float(rng.uniform(*ranges.gap)) * diameter * _PIXEL,
        )
        box = (extent[0] * _PIXEL, extent[1] * _PIXEL, extent[2] * _PIXEL)
        try:
            fibres = draw_fibres((nz, 32, 32), box, seed=int(rng.integers(2**31)), settings=settings)
        except InvalidInputError:  # too dense for its gaps, or no room: another one
            continue
        surfaces = fibres.signed_distance(shape) / _PIXEL
        finer = fibres.signed_distance((nz, fine * ny, fine * nx)) / _PIXEL if fine > 1 else surfaces
        if stretch == 1.0:
            return surfaces, finer
        return _renewed(surfaces, stretch, 1.0), _renewed(finer, stretch, 1.0 / fine)
    return _one_fibre(shape, fine)


def _one_fibre(shape: tuple[int, int, int], fine: int) -> tuple[Floats, Floats]:
    """Distances where no bundle could be drawn: to one straight fibre in the middle."""
    nz, ny, nx = shape

    def disc(factor: int) -> Floats:
        y, x = np.mgrid[: factor * ny, : factor * nx] / factor + 0.5 / factor
        page = np.hypot(y - ny / 2, x - nx / 2) - min(ny, nx) / 4
        return np.repeat(page[None], nz, axis=0)

    return disc(1), disc(fine)


def _renewed(values: Floats, stretch: float, pixel: float) -> Floats:
    """Distances again of a field that is one in coordinates whose x is ``stretch`` times shorter."""
    fy, fx = np.gradient(values, pixel, axis=(1, 2))
    before = np.sqrt(fy**2 + (stretch * fx) ** 2)
    return values * np.maximum(before, 1e-3) / np.maximum(np.hypot(fy, fx), _STEEPEST * np.maximum(before, 1e-3))


def _warped(surfaces: Floats, finer: Floats, diameter: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Both distances with sections that are no longer round: a smooth displacement of the surfaces, the same on both grids."""
    nz, ny, nx = surfaces.shape
    amplitude = rng.uniform(*_WARP_AMPLITUDE) * diameter
    length = rng.uniform(0.3, 0.6) * diameter
    coarse = rng.standard_normal((nz, int(ny / length) + 4, int(nx / length) + 4))
    coarse = ndimage.gaussian_filter(coarse, (1.5, 0, 0))
    coarse *= amplitude / max(float(coarse.std()), 1e-9)

    def moved(values: Floats) -> Floats:
        count_y, count_x = values.shape[1:]
        y = (np.arange(count_y) + 0.5) / count_y * ny / length + 1
        x = (np.arange(count_x) + 0.5) / count_x * nx / length + 1
        places = np.meshgrid(y, x, indexing="ij")
        shift = np.stack([ndimage.map_coordinates(page, places, order=3, mode="nearest") for page in coarse])
        pixel = ny / count_y
        before, after = _steepness(values, pixel), _steepness(values + shift, pixel)
        return (values + shift) * np.maximum(before, 1e-3) / np.maximum(after, _STEEPEST * np.maximum(before, 1e-3))

    return moved(surfaces), moved(finer)


def _steepness(values: Floats, pixel: float) -> Floats:
    fy, fx = np.gradient(values, pixel, axis=(1, 2))
    return np.hypot(fy, fx)


def _turned(page: Floats, upside_down: int, left_right: int) -> Floats:
    page = page[::-1] if upside_down else page
    return page[:, ::-1] if left_right else page
