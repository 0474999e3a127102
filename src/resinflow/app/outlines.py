"""The outlines of the fibres as paths that a browser draws upon the image, in pixels of the whole image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Microstructure

__all__ = ["outline_paths", "write_outlines"]

_FEWEST = 3
"""Points of a path that is drawn."""


def write_outlines(micro: Microstructure, folder: Path) -> None:
    """Write ``outline-0000.json`` and so on, one a slice of the image: the paths of its fibres."""
    pages = micro.shape[0] if not micro.provenance.get("extruded") else 1
    x0, _, y0, _ = micro.provenance.get("region", (0, 0, 0, 0))
    for number in range(pages):
        paths = outline_paths(_levels(micro, number), (float(x0), float(y0)))
        (folder / f"outline-{number:04d}.json").write_text(json.dumps({"paths": paths}))


def outline_paths(levels: NDArray[np.floating], origin: tuple[float, float] = (0.0, 0.0)) -> list[str]:
    """Return the contours of zero of a slice as SVG paths.

    Args:
        levels: (ny, nx), positive outside of the fibres.
        origin: x and y of the slice's upper left corner in the image, pixels.
    """
    from skimage.measure import find_contours

    shift = np.array(origin[::-1]) + 0.5  # the middle of the first pixel
    paths = []
    for contour in find_contours(levels, 0.0):
        if len(contour) < _FEWEST:
            continue
        points = np.round(contour + shift, 2)
        closed = bool((contour[0] == contour[-1]).all())
        steps = "L".join(f"{x:g} {y:g}" for y, x in (points[:-1] if closed else points))
        paths.append(f"M{steps}{'Z' if closed else ''}")
    return paths


def _levels(micro: Microstructure, number: int) -> NDArray[np.floating]:
    """The distance to the surfaces of a slice in pixels, or half a pixel to both sides of a mask's edges."""
    if micro.signed_distance is None:
        return np.where(micro.fluid[number], 0.5, -0.5)
    return np.asarray(micro.signed_distance[number], dtype=np.float64) / min(micro.spacing[1:])
