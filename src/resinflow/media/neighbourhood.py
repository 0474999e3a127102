"""Fibres beyond the borders of a slice: as many as in it, at random places, none upon another nor in what the slice shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_STEPS = 400
_LISTED_STEPS = 8
"""Steps for which a list of the pairs that may touch is kept."""
_SKIN = 0.3
"""Mean radii by which the list looks further than contact."""
_TOLERANCE = 0.01
_LARGEST_OVERLAP = 0.15
"""Overlap that ends the relaxation, and above which a fibre is taken out after it; in mean radii."""
_PACKING = 0.8
"""Share of a plane that discs with half their gaps can fill by relaxation."""


@dataclass(frozen=True, eq=False)
class Discs:
    """Fibres as discs in a plane.

    Attributes:
        centres: (n, 2), x and y, m.
        radii: (n,), m.
    """

    centres: Floats
    radii: Floats


def surroundings(
    seen: Discs,
    hidden: float,
    donors: Floats,
    size: tuple[float, float],
    reach: float,
    fraction: float,
    gap: float,
    rng: np.random.Generator,
) -> tuple[Floats, Whole]:
    """Return the centres (k, 2) of fibres round a slice, m, and which donor each is like (k,).

    They are drawn at random places in a frame round the slice and pushed apart, until none overlaps another, a fibre of the
    slice, or the slice itself. The outer edges of the frame are joined to the opposite ones, so that none escapes.

    Args:
        seen: fibres of the slice, which stay where they are.
        hidden: their area beyond the slice, m^2.
        donors: (d,), radii to draw from, m.
        size: x and y of the slice, m.
        reach: width of the frame, m.
        fraction: share of the frame that fibres fill.
        gap: m, that fibres keep.
        rng: of the draws.
    """
    edges = np.array(size)
    cell = edges + 2 * reach
    frame = float(np.prod(cell) - np.prod(edges))
    mean = float((np.pi * donors**2).mean())
    with_gap = float((np.pi * (donors + gap / 2) ** 2).mean())
    count = max((fraction * frame - hidden) / mean, 0.0)
    count = min(count, (_PACKING * frame - hidden) / with_gap)
    count = max(int(count + rng.uniform()), 0)
    kinds = rng.integers(0, len(donors), count)
    places = _random_places(count, edges, reach, rng)
    centres = np.concatenate([seen.centres, places]) + reach
    radii = np.concatenate([seen.radii, donors[kinds]])
    moves = np.arange(len(radii)) >= len(seen.radii)
    centres = _pushed_apart(centres, radii, moves, cell, reach, gap)
    stays = _without_overlaps(centres, radii, moves, cell, reach)
    return centres[moves & stays] - reach, kinds[stays[moves]]


def _random_places(count: int, edges: Floats, reach: float, rng: np.random.Generator) -> Floats:
    """Points drawn evenly from the frame."""
    places = np.empty((0, 2))
    while len(places) < count:
        more = rng.uniform(-reach, edges + reach, (2 * count + 8, 2))
        outside = ((more < 0) | (more > edges)).any(axis=1)
        places = np.concatenate([places, more[outside]])
    return places[:count]


def _pushed_apart(centres: Floats, radii: Floats, moves: NDArray[np.bool_], cell: Floats, reach: float, gap: float) -> Floats:
    """The centres after the relaxation; those that do not move are as they were."""
    moved = np.where(moves[:, None], np.mod(centres, cell), centres)
    usual = float(radii.mean())
    pairs = np.empty((0, 2), dtype=np.int64)
    count = len(radii)
    for step in range(_STEPS):
        if step % _LISTED_STEPS == 0:
            pairs = _near_pairs(moved, radii, cell, gap + _SKIN * usual)
            pairs = pairs[moves[pairs].any(axis=1)]
        first, second = pairs[:, 0], pairs[:, 1]
        offset = _nearest_image(moved[second] - moved[first], cell)
        distance = np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-12)
        overlap = radii[first] + radii[second] + gap - distance
        into = _depth_in_slice(moved, radii, cell, reach) * moves[:, None]
        if max(float(overlap.max(initial=0.0)), float(np.abs(into).max(initial=0.0))) < _TOLERANCE * usual:
            break
        touching = overlap > 0
        first, second = first[touching], second[touching]
        push = (overlap[touching] / distance[touching])[:, None] * offset[touching] * 1.01
        shares = moves[first] / (moves[first].astype(float) + moves[second])
        for axis in range(2):
            moved[:, axis] -= np.bincount(first, push[:, axis] * shares, count)
            moved[:, axis] += np.bincount(second, push[:, axis] * (1 - shares), count)
        moved += into
        moved[moves] = np.mod(moved[moves], cell)
    return moved


def _near_pairs(centres: Floats, radii: Floats, cell: Floats, skin: float) -> NDArray[np.int64]:
    from scipy.spatial import KDTree

    tree = KDTree(np.mod(centres, cell), boxsize=cell)
    return tree.query_pairs(min(2 * float(radii.max()) + skin, 0.49 * float(cell.min())), output_type="ndarray")


def _nearest_image(offset: Floats, cell: Floats) -> Floats:
    return offset - cell * np.rint(offset / cell)


def _depth_in_slice(centres: Floats, radii: Floats, cell: Floats, reach: float) -> Floats:
    """By which way (n, 2) discs leave the slice, whose lower corner lies at ``reach``, the shortest; 0 for those outside."""
    low, high = reach, cell - reach
    nearest = np.clip(centres, low, high)
    away = centres - nearest
    distance = np.hypot(away[:, 0], away[:, 1])
    outside = distance > 0
    way = np.where(
        (outside & (distance < radii))[:, None], away * ((radii - distance) / np.maximum(distance, 1e-30))[:, None], 0.0
    )
    # centres in the slice leave by the nearest side
    to_sides = np.concatenate([centres - low, high - centres], axis=1)
    side = to_sides.argmin(axis=1)
    inside = np.flatnonzero(~outside)
    length = to_sides[inside, side[inside]] + radii[inside]
    way[inside, side[inside] % 2] = np.where(side[inside] < 2, -length, length)
    return way


def _without_overlaps(
    centres: Floats, radii: Floats, moves: NDArray[np.bool_], cell: Floats, reach: float
) -> NDArray[np.bool_]:
    """Which fibres stay: those that still overlap others go, the worst first."""
    usual = float(radii.mean())
    limit = _LARGEST_OVERLAP * usual
    stays = ~(moves & (np.abs(_depth_in_slice(centres, radii, cell, reach)).max(axis=1) > limit))
    pairs = _near_pairs(centres, radii, cell, 0.0)
    pairs = pairs[moves[pairs].any(axis=1)]
    offset = _nearest_image(centres[pairs[:, 1]] - centres[pairs[:, 0]], cell)
    overlap = radii[pairs].sum(axis=1) - np.hypot(offset[:, 0], offset[:, 1])
    for place in np.argsort(-overlap):
        if overlap[place] <= limit:
            break
        first, second = (int(each) for each in pairs[place])
        if stays[first] and stays[second]:
            stays[second if moves[second] else first] = False
    return stays
