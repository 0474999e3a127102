"""How a microscope or a scanner sees fibres: blur, fringes, uneven light, texture, noise, compression; each drawn at random."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
STEP_OVERSHOOT = 0.2420
"""Peak of sigma^2 |d2/dx2| of a unit step blurred by sigma: 1 / sqrt(2 pi e)."""


@dataclass(frozen=True)
class Imaging:
    """One way of taking an image; lengths in pixels, greys in units of the contrast between fibres and matrix.

    Attributes:
        diameter: of the fibres.
        blur: standard deviation of the point spread in the plane.
        blur_across: the same across the slices, in slices.
        rim: overshoot beside an edge; negative: a dark rim.
        rim_width: standard deviation of the rim's profile.
        noise: standard deviation of the white noise.
        grain: standard deviation over which the noise is alike; 0: white.
        light: change of the grey over the image, linear and quadratic.
        contrast: change of the contrast over the image.
        texture: standard deviation of the grey from fibre to fibre, and of that of the matrix.
        rings: amplitude of the rings of a scanner.
        hollow: radius of the hole in a fibre over its own; 0: solid.
        voids: share of the image under voids of the matrix.
        gamma: exponent of the greys.
        saturation: share of the pixels at each end that are at the limit.
        quality: of a JPEG; 0: not compressed.
        levels: number of greys; 0: all.
    """

    diameter: float
    blur: float
    blur_across: float = 0.0
    rim: float = 0.0
    rim_width: float = 1.0
    noise: float = 0.1
    grain: float = 0.0
    light: float = 0.0
    contrast: float = 0.0
    texture: float = 0.0
    rings: float = 0.0
    hollow: float = 0.0
    voids: float = 0.0
    gamma: float = 1.0
    saturation: float = 0.0
    quality: int = 0
    levels: int = 256


def draw_imaging(rng: np.random.Generator, diameter: float) -> Imaging:
    """Return a random way of imaging fibres of ``diameter`` pixels: most of its faults are absent most of the time."""

    def sometimes(chance: float, low: float, high: float) -> float:
        value = float(rng.uniform(low, high))
        return value if rng.random() < chance else 0.0

    blur = max(float(rng.uniform(0.03, 0.18)) * diameter, 0.3)
    return Imaging(
        diameter=diameter,
        blur=min(blur, 4.0),
        blur_across=sometimes(0.15, 0.3, 0.8),
        rim=sometimes(0.6, 0.05, 0.6) - sometimes(0.05, 0.1, 0.4),
        rim_width=max(min(blur, 4.0), 1.0) * float(rng.choice([1.0, 1.0, rng.uniform(0.7, 2.0)])),
        noise=float(np.exp(rng.uniform(np.log(0.01), np.log(0.35)))),
        grain=sometimes(0.25, 0.4, 1.2),
        light=sometimes(0.4, 0.05, 1.0),
        contrast=sometimes(0.2, 0.05, 0.4),
        texture=sometimes(0.4, 0.02, 0.2),
        rings=sometimes(0.08, 0.05, 0.2),
        hollow=sometimes(0.04, 0.2, 0.6),
        voids=sometimes(0.1, 0.005, 0.05),
        gamma=float(np.exp(rng.uniform(-0.5, 0.5))) if rng.random() < 0.25 else 1.0,
        saturation=sometimes(0.15, 0.002, 0.05),
        quality=int(rng.integers(30, 96)) if rng.random() < 0.12 else 0,
        levels=256 if rng.random() < 0.8 else 0,
    )


def image_of(distance: Floats, fine: int, imaging: Imaging, rng: np.random.Generator) -> Floats:
    """Return the greys (nz, ny, nx) of fibres, darker than the matrix, 0 to 255 where there are 256 levels.

    Args:
        distance: (nz, fine * ny, fine * nx), to the fibre surfaces in pixels of the image, positive outside.
        fine: pixels of the distance along the edge of one of the image.
        imaging: how the image is taken.
        rng: of noise and texture.
    """
    cover = np.clip(0.5 - fine * distance, 0.0, 1.0)
    lumen = _binned(np.clip(0.5 + fine * (-distance - imaging.diameter * (1 - imaging.hollow) / 2), 0.0, 1.0), fine)
    cover = _binned(cover, fine)
    if imaging.hollow > 0:
        cover = cover - lumen
    sigma = (imaging.blur_across, imaging.blur, imaging.blur)
    soft = ndimage.gaussian_filter(cover, sigma, mode="nearest")
    grey = 0.5 - soft
    if imaging.rim != 0:
        laplacian = blurred_laplacian(cover, (imaging.blur_across, imaging.rim_width, imaging.rim_width))
        grey = grey + imaging.rim * imaging.rim_width**2 / STEP_OVERSHOOT * laplacian
    grey = _textured(grey, soft, imaging, rng)
    grey = _lit(grey, imaging, rng)
    return _recorded(grey + _noise(grey.shape, imaging, rng), imaging)


def blurred_laplacian(cover: Floats, sigma: tuple[float, float, float]) -> Floats:
    """Return the Laplacian in the slice plane of a field (nz, ny, nx) that is blurred by ``sigma`` voxels along (z, y, x).

    Phase contrast follows that of the fibres' cover (transport-of-intensity equation): the rim beside an edge.
    """
    soft = ndimage.gaussian_filter(cover, sigma, mode="nearest")
    along_y, along_x = (ndimage.correlate1d(soft, [1.0, -2.0, 1.0], axis=axis, mode="nearest") for axis in (1, 2))
    return along_y + along_x


def _binned(values: Floats, fine: int) -> Floats:
    if fine == 1:
        return values
    nz, ny, nx = values.shape
    return values.reshape(nz, ny // fine, fine, nx // fine, fine).mean(axis=(2, 4))


def smooth_noise(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> Floats:
    """Return noise of unit standard deviation that is alike over ``length`` pixels in the plane and over all slices."""
    _, ny, nx = shape
    coarse = rng.standard_normal((int(ny / length) + 3, int(nx / length) + 3))
    y, x = np.arange(ny) / length + rng.random(), np.arange(nx) / length + rng.random()
    page = ndimage.map_coordinates(coarse, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
    return np.broadcast_to(page / max(float(coarse.std()), 1e-9), shape)


def _textured(grey: Floats, soft: Floats, imaging: Imaging, rng: np.random.Generator) -> Floats:
    if imaging.texture > 0:
        fibres = smooth_noise(grey.shape, max(0.7 * imaging.diameter, 2.0), rng)
        matrix = smooth_noise(grey.shape, max(float(rng.uniform(0.3, 2.0)) * imaging.diameter, 2.0), rng)
        grey = grey + imaging.texture * (soft * fibres + 0.5 * (1 - soft) * matrix)
    if imaging.voids > 0:
        _, ny, nx = grey.shape
        field = ndimage.gaussian_filter(rng.standard_normal((ny, nx)), float(rng.uniform(0.15, 0.5)) * imaging.diameter)
        spots = field > np.quantile(field, 1 - imaging.voids)
        change = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.5))
        grey = grey + change * ndimage.gaussian_filter(spots.astype(float), imaging.blur)[None] * (1 - soft)
    return grey


def _lit(grey: Floats, imaging: Imaging, rng: np.random.Generator) -> Floats:
    """The greys under uneven light and with the rings of a scanner."""
    _, ny, nx = grey.shape
    y, x = np.linspace(-1, 1, ny)[:, None], np.linspace(-1, 1, nx)[None, :]
    ramps = [np.cos(a) * x + np.sin(a) * y for a in rng.uniform(0, 2 * np.pi, 2)]
    bowl = rng.uniform(-0.5, 0.5)
    grey = grey * (1 + imaging.contrast * ramps[0]) + 0.5 * imaging.light * (ramps[1] + bowl * (x**2 + y**2 - 0.6))
    if imaging.rings > 0:
        radius = np.hypot(np.arange(ny)[:, None] - rng.uniform(-1, 2) * ny, np.arange(nx)[None, :] - rng.uniform(-1, 2) * nx)
        profile = smooth_noise((1, 1, 4 * (ny + nx)), float(rng.uniform(1.5, 6.0)), rng)[0, 0]
        grey = grey + imaging.rings * profile[np.minimum(radius.astype(int), len(profile) - 1)]
    return grey


def _noise(shape: tuple[int, ...], imaging: Imaging, rng: np.random.Generator) -> Floats:
    noise = rng.standard_normal(shape)
    if imaging.grain > 0:
        noise = ndimage.gaussian_filter(noise, (0, imaging.grain, imaging.grain))
        noise /= noise.std()
    return imaging.noise * noise


def _recorded(grey: Floats, imaging: Imaging) -> Floats:
    """The greys as a file holds them."""
    tail = 100 * imaging.saturation
    low, high = np.percentile(grey, (tail, 100 - tail))
    part = np.clip((grey - low) / max(float(high - low), 1e-9), 0.0, 1.0) ** imaging.gamma
    if imaging.quality:
        return np.stack([_compressed(page, imaging.quality) for page in part])
    return np.rint(255 * part) if imaging.levels else 255 * part


def _compressed(page: Floats, quality: int) -> Floats:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.rint(255 * page).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image, dtype=np.float64)


def normalised_greys(stack: NDArray) -> Floats:
    """Return greys (nz, ny, nx) with most of them between -1 and 1 (3rd and 97th percentile); at most 2 away from 0."""
    values = np.asarray(stack, dtype=np.float64)
    low, high = np.percentile(values, (3, 97))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return np.clip(2 * (values - low) / max(float(high - low), 1e-12) - 1, -2.0, 2.0)
