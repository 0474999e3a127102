"""Are the fibres the dark or the bright phase: the one whose sections are like discs, or no decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import InvalidInputError
from resinflow.media.sections import on_border, split_objects

Polarity = Literal["dark", "bright"]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_WEIGHTS = {"centres": 6.2, "filling": 2.4, "evenness": 1.8}
_CERTAIN = 1.0
_LARGEST_TILE, _MOST_PAGES = 512, 6
"""Pixels a side of the parts of large images that are looked at, and their number."""
_RADII = (0.5, 0.65, 0.8, 1.0, 1.2, 1.45)
_STEEP, _FLAT = 0.15, 0.01
_SPECK = 0.35


@dataclass(frozen=True)
class Decision:
    """Which phase the fibres are.

    Attributes:
        evidence: for dark fibres, against bright ones; logarithm of the odds.
        cues: what each cue adds to it.
    """

    evidence: float
    cues: dict[str, float]

    @property
    def polarity(self) -> Polarity | None:
        """The phase of the fibres; None where the image does not tell."""
        if abs(self.evidence) < _CERTAIN:
            return None
        return "dark" if self.evidence > 0 else "bright"

    @property
    def reason(self) -> str:
        """The cues in words."""
        return ", ".join(f"{name} {value:+.1f}" for name, value in self.cues.items())


def decide_polarity(signal: Floats, dark: Mask, radius: float, further: Mapping[str, float] | None = None) -> Decision:
    """Return which phase of an image the fibres are.

    Three cues, each of which changes its sign if the greys are inverted: how sharply the gradients point to centres about a
    radius away (the radial symmetry of Loy & Zelinsky, IEEE PAMI 25, 2003); how much of its objects the largest discs in them
    fill; how even these discs are. Their weights are those of a logistic regression over 1475 drawn micrographs (diameters of 5
    to 60 pixels, fractions of 0.05 to 0.7, blur of 0.03 to 0.18 diameters, elliptic, hollow, with voids, rims, noise, JPEG),
    with more for the first and less for the others, which fail together where the radius is that of the noise. Of 500 more
    none was decided wrongly, and 8 not at all. Whether outlines bulge outwards, and how sharply they point to centres, added
    nothing.

    Args:
        signal: greys (nz, ny, nx).
        dark: the dark phase.
        radius: of a typical fibre, in pixels, roughly.
        further: cues from elsewhere by their names, as logarithms of the odds for dark fibres.
    """
    pages = [(signal[index][rows, columns], dark[index][rows, columns]) for index, rows, columns in sample_parts(signal.shape)]
    cues = {name: _WEIGHTS[name] * value for name, value in raw_cues(pages, radius).items()}
    cues |= dict(further or {})
    return Decision(sum(cues.values()), cues)


def undecided_error(name: str, decision: Decision) -> InvalidInputError:
    """Return the error that asks which phase of an image the fibres are."""
    return InvalidInputError(
        f"{name} does not tell whether its fibres are dark or bright (sections: {decision.reason or 'none seen'}); needed: "
        "--fibres dark or --fibres bright (fibres= in Python)."
    )


def raw_cues(pages: list[tuple[Floats, Mask]], radius: float) -> dict[str, float]:
    """Return the cues without weights, from pages of greys and dark phase; positive for dark fibres."""
    dark = [mask for _, mask in pages]
    dark_discs, bright_discs = _Discs.of(dark, radius), _Discs.of([~mask for mask in dark], radius)
    return {
        "centres": float(np.mean([_centres(grey, radius) for grey, _ in pages])),
        "filling": float(np.log(dark_discs.filling / bright_discs.filling)),
        "evenness": float(np.log(bright_discs.unevenness / dark_discs.unevenness)),
    }


def sample_parts(shape: tuple[int, ...]) -> list[tuple[int, slice, slice]]:
    """Return slices, rows and columns that stand for a stack (nz, ny, nx): parts of large images, a few slices of stacks."""
    nz, ny, nx = shape

    def spans(count: int) -> list[slice]:
        if count <= 1.5 * _LARGEST_TILE:
            return [slice(0, count)]
        starts = (count // 4 - _LARGEST_TILE // 2, count - count // 4 - _LARGEST_TILE // 2)
        return [slice(max(start, 0), max(start, 0) + _LARGEST_TILE) for start in starts]

    tiles = [(rows, columns) for rows in spans(ny) for columns in spans(nx)]
    count = min(nz, max(1, _MOST_PAGES // len(tiles)))
    slices = np.unique(np.linspace(0, nz - 1, count + 2).round().astype(int)[1:-1]) if nz > 1 else [0]
    return [(int(index), rows, columns) for index in slices for rows, columns in tiles]


def _centres(page: Floats, radius: float) -> float:
    """Logarithm of how sharply gradients point to dark centres, over how sharply they point to bright ones."""
    sigma = max(0.2 * radius, 0.8)
    gy, gx = (ndimage.gaussian_filter(page, sigma, order=order) for order in ((1, 0), (0, 1)))  # pyright: ignore[reportArgumentType]
    steep = np.hypot(gy, gx)
    edges = steep[steep > _FLAT * steep.max()]  # a mask has none but for its outlines
    most = float(np.percentile(edges, 80)) if edges.size else 0.0
    where = np.nonzero(steep > _STEEP * most)
    if most <= 0 or not len(where[0]):
        return 0.0
    size = steep[where]
    weight, uy, ux = np.minimum(size, most), gy[where] / size, gx[where] / size
    sharpness = {1: 0.0, -1: 0.0}
    count = max(1, page.size // 100)  # the best of a hundred
    for reach in radius * np.array(_RADII):
        for sign in sharpness:
            y, x = (np.rint(place + sign * reach * part).astype(int) for place, part in zip(where, (uy, ux), strict=True))
            inside = (y >= 0) & (y < page.shape[0]) & (x >= 0) & (x < page.shape[1])
            votes = np.bincount(y[inside] * page.shape[1] + x[inside], weight[inside], page.size).reshape(page.shape)
            votes = ndimage.gaussian_filter(votes, max(0.2 * reach, 0.7))
            best = np.partition(votes, -count, axis=None)[-count:]
            sharpness[sign] = max(sharpness[sign], float(best.mean() / max(votes.mean(), 1e-300)))
    return float(np.log(max(sharpness[-1], 1e-9) / max(sharpness[1], 1e-9)))


@dataclass(frozen=True)
class _Discs:
    """The largest discs inside the objects of one phase: their area over that of the objects, and their relative spread."""

    filling: float
    unevenness: float

    @classmethod
    def of(cls, pages: list[Mask], radius: float) -> _Discs:
        discs, areas = inner_discs(pages, radius)
        if len(discs) < 3:
            return cls(0.6, 0.5)  # neither like discs nor unlike them
        big = discs > _SPECK * radius
        filling = float((np.pi * discs[big] ** 2).sum() / areas[big].sum()) if big.any() else 0.6
        share = areas / areas.sum()
        mean = float((share * discs).sum())
        return cls(filling, float(np.sqrt((share * (discs - mean) ** 2).sum())) / mean + 0.05)


def inner_discs(pages: list[Mask] | Mask, radius: float) -> tuple[Floats, Floats]:
    """Return radius of the largest disc inside, and area, of all objects that no border cuts, in pixels."""
    largest, areas = [np.zeros(0)], [np.zeros(0)]
    for page in pages:
        labels, depth = split_objects(page, radius)
        inside = np.setdiff1d(np.arange(1, labels.max() + 1), on_border(labels))
        if inside.size:
            largest.append(np.atleast_1d(ndimage.maximum(depth, labels, inside)))
            areas.append(np.bincount(labels.ravel())[inside].astype(float))
    return np.concatenate(largest), np.concatenate(areas)
