"""Greyscale micrographs drawn from a known microstructure, and image stacks on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import InvalidInputError, Microstructure, replacing
from resinflow.media.imaging import STEP_OVERSHOOT, blurred_laplacian

STACK_SUFFIXES = (".tif", ".tiff", ".npy")
_NARROWEST_RIM = 1.0  # pixels


def draw_micrograph(
    medium: Microstructure | NDArray[np.bool_],
    *,
    seed: int,
    fibre_grey: float = 95.0,
    matrix_grey: float = 150.0,
    blur: float = 0.8,
    noise: float = 6.0,
    rim: float = 0.3,
    gradient: float = 0.0,
) -> NDArray[np.uint8]:
    """Return the medium as an 8-bit camera would show it, slice by slice, (nz, ny, nx).

    The result depends on the arguments alone. Noise is Gaussian, white and independent between slices.

    Args:
        medium: a microstructure (its signed distance, if any, gives sub-pixel edges), or a fluid mask (ny, nx) or (nz, ny, nx).
        seed: of the noise and of the direction of the illumination gradient.
        fibre_grey: mean grey of the fibres, 0 to 255; below ``matrix_grey`` for dark fibres, above for bright ones.
        matrix_grey: mean grey of the matrix.
        blur: standard deviation of the Gaussian point spread function in pixels.
        noise: standard deviation of the noise in grey levels.
        rim: overshoot of the grey at an edge as a share of the contrast, the bright phase-contrast fringe of a dark fibre
            (propagation-based contrast follows the Laplacian of the projected density: transport-of-intensity equation).
        gradient: relative change of the illumination from one end of the image to the other.

    Raises:
        InvalidInputError: a mask that is not boolean or has a wrong number of dimensions, or a number out of range.
    """
    _check_numbers(fibre_grey, matrix_grey, blur, noise, rim, gradient)
    cover = _fibre_cover(medium)
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    in_plane = (0.0, blur, blur)
    grey = matrix_grey + (fibre_grey - matrix_grey) * ndimage.gaussian_filter(cover, in_plane, mode="nearest")
    if rim > 0:
        width = max(blur, _NARROWEST_RIM)
        laplacian = blurred_laplacian(cover, (0.0, width, width))
        grey = grey - rim * (fibre_grey - matrix_grey) * width**2 / STEP_OVERSHOOT * laplacian
    grey = grey * _illumination(cover.shape[1:], angle, gradient) + noise * rng.standard_normal(cover.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def save_stack(path: str | Path, stack: NDArray[np.uint8] | NDArray[np.bool_] | NDArray[np.float32]) -> Path:
    """Write a stack (nz, ny, nx), or one image (ny, nx), as a TIFF with one page a slice or as .npy, and return the path.

    An older file is replaced in one step. In a TIFF boolean stacks are 0 and 255.

    Raises:
        InvalidInputError: another suffix than .tif, .tiff or .npy, a wrong number of dimensions, or a folder that cannot be
            written.
    """
    path = Path(path)
    if path.suffix.lower() not in STACK_SUFFIXES:
        raise InvalidInputError(f"the suffix of {path.name} is {path.suffix!r}; needed: one of {', '.join(STACK_SUFFIXES)}.")
    pages = np.asarray(stack)
    if pages.ndim not in (2, 3) or pages.size == 0:
        raise InvalidInputError(f"the stack has shape {pages.shape}; needed: (nz, ny, nx), or (ny, nx) for one image.")
    with replacing(path) as temporary:
        if path.suffix.lower() == ".npy":
            with temporary.open("wb") as file:
                np.save(file, pages, allow_pickle=False)
        else:
            _write_tiff(temporary, pages * np.uint8(255) if pages.dtype == np.bool_ else pages)
    return path


def _write_tiff(path: Path, pages: NDArray[np.generic]) -> None:
    """Write the pages one by one: a stack of 3 or 4 slices is never taken for colour channels."""
    import tifffile

    with tifffile.TiffWriter(path) as writer:
        for page in pages.reshape(-1, *pages.shape[-2:]):
            writer.write(page, photometric="minisblack", metadata=None)


def _check_numbers(fibre: float, matrix: float, blur: float, noise: float, rim: float, gradient: float) -> None:
    ranges = {
        "fibre_grey": (fibre, 0, 255),
        "matrix_grey": (matrix, 0, 255),
        "blur": (blur, 0, 100),
        "noise": (noise, 0, 255),
        "rim": (rim, 0, 2),
        "gradient": (gradient, 0, 1),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise InvalidInputError(f"{name} is {value!r}; needed: {low} to {high}.")


def _fibre_cover(medium: Microstructure | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of every pixel that is fibre, (nz, ny, nx)."""
    if isinstance(medium, Microstructure):
        if medium.signed_distance is None:
            return (~medium.fluid).astype(np.float64)
        pixel = float(np.sqrt(medium.spacing[1] * medium.spacing[2]))
        return np.clip(0.5 - np.asarray(medium.signed_distance, dtype=np.float64) / pixel, 0.0, 1.0)
    fluid = np.asarray(medium)
    if fluid.dtype != np.bool_ or fluid.ndim not in (2, 3) or fluid.size == 0:
        raise InvalidInputError(
            f"the medium is an array of {fluid.dtype} with shape {fluid.shape}; "
            "needed: a Microstructure or a bool fluid mask (nz, ny, nx), True in the fluid."
        )
    return (~fluid.reshape(-1, *fluid.shape[-2:])).astype(np.float64)


def _illumination(shape: tuple[int, ...], angle: float, gradient: float) -> NDArray[np.float64]:
    """Linear ramp (ny, nx) of mean 1 that changes by ``gradient`` between the two ends of the image along ``angle``."""
    y, x = (np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1) for count in shape)
    ramp = np.sin(angle) * y[:, None] + np.cos(angle) * x[None, :]
    return 1.0 + gradient * ramp / max(float(np.ptp(ramp)), 1e-12)
