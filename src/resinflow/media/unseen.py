"""Media drawn through slices that are known: what lies above and below one micrograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import SURFACES, InvalidInputError, Microstructure, check_medium, check_positive, check_whole
from resinflow.media.images import EXTRUDED_SLICES

LARGEST_MISALIGNMENT, LARGEST_WAVINESS = 30.0, 20.0
"""Degrees."""
BROAD_MISALIGNMENT = (0.0, 15.0)
"""Degrees: what the misalignment is drawn from, evenly, where nobody says it; that of the data the models learn from."""


@dataclass(frozen=True, eq=False)
class SliceView:
    """What is known of a medium: slices across its fibres, and how far these may lean.

    Attributes:
        slices: media of one slice each, on one grid, from the lowest up.
        places: of each among the slices of the whole, counted from 0 at the bottom, rising.
        shape: voxels (nz, ny, nx) of the whole.
        spacing: (dz, dy, dx), m.
        misalignment: largest tilt of the bundle from z, degrees, as :class:`resinflow.media.BundleSettings` has it; None: not
            known.
        waviness: largest angle of the waves that all fibres follow together, degrees, as there.
    """

    slices: tuple[Microstructure, ...]
    places: tuple[int, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    misalignment: float | None = None
    waviness: float = 0.0

    @property
    def extent(self) -> tuple[float, float, float]:
        """Size of the box (z, y, x), m."""
        z, y, x = (count * edge for count, edge in zip(self.shape, self.spacing, strict=True))
        return z, y, x

    @property
    def heights(self) -> NDArray[np.float64]:
        """Heights (nz,) of the slices of the whole over the bottom, m."""
        return np.asarray((np.arange(self.shape[0]) + 0.5) * self.spacing[0], dtype=np.float64)

    def drawn_misalignment(self, rng: np.random.Generator) -> float:
        """Return the misalignment, degrees; drawn evenly from :data:`BROAD_MISALIGNMENT` where it is not known."""
        return drawn_misalignment(self.misalignment, rng)

    def with_slices(self, medium: Microstructure) -> Microstructure:
        """Return a medium of the whole box with the known slices in their places, distances included."""
        fluid = np.array(medium.fluid)
        distance = None if medium.signed_distance is None else np.array(medium.signed_distance)
        for place, page in zip(self.places, self.slices, strict=True):
            fluid[place] = page.fluid[0]
            if distance is not None and page.signed_distance is not None:
                distance[place] = page.signed_distance[0]
        return replace(medium, fluid=fluid, signed_distance=distance)


def drawn_misalignment(misalignment: float | None, rng: np.random.Generator) -> float:
    """Return a misalignment, degrees; drawn evenly from :data:`BROAD_MISALIGNMENT` where it is not known."""
    return float(rng.uniform(*BROAD_MISALIGNMENT)) if misalignment is None else misalignment


class SliceEngine(Protocol):
    """What draws media through known slices."""

    @property
    def name(self) -> str:
        """What it is called in tables and reports."""
        ...

    def draw(self, view: SliceView, samples: int, seed: int) -> tuple[Microstructure, ...]:
        """Return media on the grid of the whole, with signed distances, whose known slices are those of the view.

        Draw k depends on (seed, k) alone, not on their number.
        """
        ...


def view_slices(
    media: Microstructure | Sequence[Microstructure],
    depth: float,
    *,
    heights: Sequence[float] | None = None,
    slices: int | None = None,
    misalignment: float | None = None,
    waviness: float = 0.0,
) -> SliceView:
    """Return what one slice, or several, tell of a medium.

    Args:
        media: one slice or several: media of one slice each, or one medium whose slices they are; one that is extruded (all
            slices alike) counts as one slice, unless there is a height for each.
        depth: thickness of the whole, m.
        heights: of the slices over the bottom of the whole, m, each taken to the nearest of the ``slices``; by default the
            middle for one, evenly spread from the lowest to the highest for several.
        slices: of the whole, 11 by default.
        misalignment: largest tilt of the bundle from z, degrees; None: not known.
        waviness: largest angle of the waves that the fibres of a bundle follow together, degrees; of one slice.

    Raises:
        InvalidInputError: slices on different grids, of one phase alone, at one height or outside the depth, or a number out of
            range.
    """
    pages = _pages(media, 1 if heights is None else len(heights))
    depth = check_positive("depth", depth, "m")
    count = EXTRUDED_SLICES if slices is None else check_whole("slices", slices, 1)
    if count < len(pages):
        raise InvalidInputError(f"slices is {count}; needed: at least the {len(pages)} that are known.")
    if misalignment is not None and not 0 <= misalignment <= LARGEST_MISALIGNMENT:
        raise InvalidInputError(
            f"the misalignment is {misalignment:g} degrees; needed: 0 to {LARGEST_MISALIGNMENT:g}. Leave it out if unknown."
        )
    if not 0 <= waviness <= LARGEST_WAVINESS:
        raise InvalidInputError(f"the waviness is {waviness:g} degrees; needed: 0 to {LARGEST_WAVINESS:g}.")
    if waviness > 0 and len(pages) > 1:
        raise InvalidInputError(f"{len(pages)} slices show how their fibres wave; leave out the waviness, which is for one.")
    places = _places(len(pages), depth, count, heights)
    if len(set(places)) < len(places):
        raise InvalidInputError(
            f"two of the {len(pages)} slices lie in the same of {count} slices of the whole; needed: one place each. "
            "Ask for more slices."
        )
    order = np.argsort(places)
    _, dy, dx = pages[0].spacing
    return SliceView(
        tuple(pages[k] for k in order),
        tuple(int(places[k]) for k in order),
        (count, *pages[0].shape[1:]),
        (depth / count, dy, dx),
        None if misalignment is None else float(misalignment),
        float(waviness),
    )


def _pages(media: Microstructure | Sequence[Microstructure], known: int) -> list[Microstructure]:
    """The slices as media of one slice each; a stack of as many alike slices as are known counts as several."""
    stacks = [media] if isinstance(media, Microstructure) else [check_medium(each) for each in media]
    if not stacks:
        raise InvalidInputError("no slice was given; needed: at least one.")
    pages: list[Microstructure] = []
    for stack in stacks:
        alike = bool((stack.fluid == stack.fluid[:1]).all())
        one = alike and not known == stack.shape[0] > 1
        pages += [_page_of(stack, index) for index in range(1 if one else stack.shape[0])]
    for page in pages:
        if page.shape != pages[0].shape or not np.allclose(page.spacing[1:], pages[0].spacing[1:], rtol=1e-6):
            raise InvalidInputError(
                f"the slices lie on different grids ({pages[0].describe()}; and {page.describe()}); needed: the same pixels."
            )
        if page.fluid.all() or not page.fluid.any():
            raise InvalidInputError(
                f"a slice is {'all fluid' if page.fluid.all() else 'all solid'}; needed: fibres and resin in every slice."
            )
    return pages


def _page_of(stack: Microstructure, index: int) -> Microstructure:
    """One slice with the samples of its surfaces."""
    page = stack.slice_at(index)
    return page if stack.displacements is None else replace(page, displacements=stack.displacements[:, index : index + 1])


def _places(known: int, depth: float, count: int, heights: Sequence[float] | None) -> list[int]:
    """The slices of the whole that are nearest to the known heights."""
    if heights is None:
        return [count // 2] if known == 1 else np.linspace(0, count - 1, known).round().astype(int).tolist()
    if len(heights) != known:
        raise InvalidInputError(f"{len(heights)} heights were given for {known} slices; needed: one for each.")
    for height in heights:
        if not 0 <= height <= depth:
            raise InvalidInputError(f"a slice lies at {height:g} m; needed: within the depth, 0 to {depth:g} m.")
    return [min(int(height / depth * count), count - 1) for height in heights]


def provenance_of_draw(view: SliceView, engine: str, seed: int, index: int, **details: Any) -> dict[str, Any]:
    """Return where a drawn medium comes from: engine, seed, places of the known slices, and what the engine adds.

    Surfaces are as sure as those of the slice it goes through.
    """
    first = view.slices[0]
    inherited = {
        name: first.provenance[name] for name in ("file", "pixel_size", "surface", SURFACES) if name in first.provenance
    }
    if first.signed_distance is None:
        inherited |= {SURFACES: "estimated", "surface": "estimated from the mask"}
    return {
        **inherited,
        "source": "drawn through slices",
        "engine": engine,
        "seed": seed,
        "draw": index,
        "known_slices": list(view.places),
        "depth": view.extent[0],
        "misalignment": view.misalignment,
        "waviness": view.waviness,
        **details,
    }
