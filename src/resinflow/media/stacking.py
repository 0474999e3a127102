"""Are the images of a folder slices of one stack: neighbours must be more alike in place than anywhere else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from resinflow.flow import InvalidInputError

_LARGEST = 256
"""Pixels a side to which images are thinned before they are compared."""
_COARSE = 0.1
"""Of the side: greys that change over longer lengths are light, not structure."""
_NEAR = 0.06
"""Of the side, that the structure may move from a slice to the next."""
_STRENGTH = 6.0
"""Standard deviations of the correlation over all shifts by which that of slices in place stands out."""
_LEAST, _ENOUGH = 0.1, 0.6
"""Correlation in place, at least, and what is enough in any case: small images correlate a little at every shift."""


def check_slices(stack: NDArray, names: tuple[str, ...]) -> None:
    """Raise InvalidInputError unless every image (nz, ny, nx) is like the next one in place.

    Two slices of one specimen correlate where they lie upon one another, and not if one is shifted; images of different
    scenes do so nowhere.

    Args:
        stack: greys.
        names: of the files, for the message.
    """
    pages = [_structure(page) for page in stack]
    for index, (page, following) in enumerate(pairwise(pages)):
        if not _match(page, following):
            raise InvalidInputError(
                f"{names[index]} and {names[index + 1]} show different scenes (no structure of the one is in place in the "
                "other), so the folder is no stack; needed: slices of one specimen. Give one image at a time, or write a stack "
                "of far slices as one multi-page TIFF."
            )


def _structure(page: NDArray) -> NDArray[np.float64]:
    """The greys of a page, thinned, without their light, of mean 0 and norm 1 (0 where there is no structure)."""
    step = max(1, -(-max(page.shape) // _LARGEST))
    ny, nx = (count // step * step for count in page.shape)
    grey = page[:ny, :nx].astype(np.float64).reshape(ny // step, step, nx // step, step).mean(axis=(1, 3))
    grey = ndimage.gaussian_filter(grey, 0.7)
    grey -= ndimage.gaussian_filter(grey, _COARSE * min(grey.shape))
    grey -= grey.mean()
    norm = float(np.sqrt((grey**2).sum()))
    return grey / norm if norm > 0 else grey


def _match(page: NDArray[np.float64], following: NDArray[np.float64]) -> bool:
    """Whether two pages correlate near a shift of 0 more than over all shifts."""
    if not page.any() or not following.any():
        return not page.any() and not following.any()
    spectrum = np.asarray(fft.rfft2(page)) * np.conj(np.asarray(fft.rfft2(following)))
    correlation = np.asarray(fft.irfft2(spectrum, s=page.shape), dtype=np.float64)
    down, across = (np.minimum(np.arange(count), count - np.arange(count)) for count in page.shape)
    near = np.hypot(down[:, None], across[None, :]) <= max(2.0, _NEAR * min(page.shape))
    best, usual = float(correlation[near].max()), float(correlation[~near].std())
    return best >= max(_LEAST, min(_STRENGTH * usual, _ENOUGH))
