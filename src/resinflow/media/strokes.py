"""Strokes of a brush that add fibres to a medium or erase parts of them, where a front end was wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from resinflow.flow import InvalidInputError, Microstructure

_MOST_POINTS = 10_000
_LARGEST = 1e5
"""Pixels: no image is as wide."""


@dataclass(frozen=True)
class Stroke:
    """A line drawn with a round brush.

    Attributes:
        points: (x, y) along the line in pixels of the whole image, from its upper left corner; one point is a disc.
        radius: of the brush, pixels.
        adds: whether it adds a fibre, or erases what is there.
        first: first slice that it is drawn on; counted from 0.
        last: last one; None: the last of all.

    Raises:
        InvalidInputError: no points or too many of them, a radius that is not positive, or slices that cannot be.
    """

    points: tuple[tuple[float, float], ...]
    radius: float
    adds: bool
    first: int = 0
    last: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.points) <= _MOST_POINTS:
            raise InvalidInputError(f"a stroke has {len(self.points)} points; needed: 1 to {_MOST_POINTS}.")
        if not np.isfinite(self.points).all() or np.abs(self.points).max() > _LARGEST:
            raise InvalidInputError("a stroke leaves the image; needed: points in pixels of the image.")
        if not 0 < self.radius < _LARGEST:
            raise InvalidInputError(f"the radius of a stroke is {self.radius!r}; needed: a positive number of pixels.")
        if self.first < 0 or (self.last is not None and self.last < self.first):
            raise InvalidInputError(f"a stroke goes from slice {self.first} to {self.last}; needed: rising, from 0.")


def painted(micro: Microstructure, strokes: Sequence[Stroke]) -> Microstructure:
    """Return a medium with strokes drawn on it, in their order; fibre surfaces are exact where a stroke sets them.

    Args:
        micro: the medium; where it is a part of an image, its provenance says which.
        strokes: in pixels of the whole image.

    Returns:
        The medium itself where there are no strokes. Samples of where the surfaces may be do not move what was drawn.

    Raises:
        InvalidInputError: nothing but fibres or nothing but fluid would be left.

    Example:
        >>> import resinflow as rf
        >>> from resinflow.media import Stroke, painted
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> painted(micro, [Stroke(((8.0, 8.0),), 3.0, adds=False)]).fibre_fraction < micro.fibre_fraction
        True
    """
    if not strokes:
        return micro
    fluid = micro.fluid.copy()
    distance = None if micro.signed_distance is None else np.array(micro.signed_distance)
    displacements = None if micro.displacements is None else np.array(micro.displacements)
    edge = min(micro.spacing[1:])
    x0, _, y0, _ = micro.provenance.get("region", (0, 0, 0, 0))
    for stroke in strokes:
        away = _distance_to(stroke, micro.shape[1:], (float(x0), float(y0)))
        pages = slice(stroke.first, None if stroke.last is None else stroke.last + 1)
        inside = away <= 0
        fluid[pages] = fluid[pages] & ~inside if stroke.adds else fluid[pages] | inside
        if distance is None:
            continue
        level = (away * edge).astype(distance.dtype)
        before = distance[pages].copy()
        distance[pages] = np.minimum(before, level) if stroke.adds else np.maximum(before, -level)
        if displacements is not None:
            displacements[:, pages][:, distance[pages] != before] = 0
    if fluid.all() or not fluid.any():
        raise InvalidInputError(
            f"the strokes leave {'no fibre' if fluid.all() else 'no resin'}; needed: both. Take the last of them back."
        )
    adding = sum(stroke.adds for stroke in strokes)
    note = f"by hand: {adding} strokes of a brush add fibres, {len(strokes) - adding} erase them"
    provenance = {**micro.provenance, "notes": [*micro.provenance.get("notes", ()), note], "strokes": len(strokes)}
    return replace(micro, fluid=fluid, signed_distance=distance, displacements=displacements, provenance=provenance)


def save_strokes(strokes: Sequence[Stroke], path: str | Path) -> Path:
    """Write strokes to a file (.json) and return its path."""
    target = Path(path)
    target.write_text(json.dumps([asdict(stroke) for stroke in strokes], indent=1) + "\n", encoding="utf-8")
    return target


def load_strokes(path: str | Path) -> tuple[Stroke, ...]:
    """Return the strokes that :func:`save_strokes` wrote.

    Raises:
        InvalidInputError: no such file, or one of something else.
    """
    place = Path(path)
    if not place.is_file():
        raise InvalidInputError(f"{place} does not exist; needed: a file of strokes (.json), as the app saves it.")
    try:
        return TypeAdapter(tuple[Stroke, ...]).validate_json(place.read_bytes())
    except ValidationError as error:
        raise InvalidInputError(
            f"{place.name} holds no strokes ({error.errors()[0]['msg']}); needed: a file that the app saved."
        ) from None


def _distance_to(stroke: Stroke, shape: tuple[int, ...], origin: tuple[float, float]) -> NDArray[np.float64]:
    """Distance (pixels) of the pixel centres (ny, nx) to the edge of a stroke, negative inside."""
    ny, nx = shape
    y, x = np.mgrid[0:ny, 0:nx] + 0.5
    points = np.array(stroke.points) - origin
    best = np.full((ny, nx), np.inf)
    for start, end in pairwise(points if len(points) > 1 else np.repeat(points, 2, axis=0)):
        way = end - start
        square = float(way @ way)
        part = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / square, 0, 1) if square > 0 else 0.0
        np.minimum(best, (x - start[0] - part * way[0]) ** 2 + (y - start[1] - part * way[1]) ** 2, out=best)
    return np.sqrt(best) - stroke.radius
