"""The door to media drawn through slices: by the prior, or by a trained model."""

from __future__ import annotations

from collections.abc import Sequence

from resinflow.flow import InvalidInputError, Microstructure, check_whole
from resinflow.media import PriorEngine, SliceEngine, view_slices

__all__ = ["draw_media", "slice_engine_named"]


def slice_engine_named(name: str) -> SliceEngine:
    """Return what draws media through slices, by its name.

    Raises:
        InvalidInputError: another name.
    """
    if name == "prior":
        return PriorEngine()
    if name in ("oneslice", "regression"):
        from resinflow.presets.oneslice.engine import OneSliceEngine
        from resinflow.presets.oneslice.model import load_slice_model

        return OneSliceEngine(load_slice_model(), expected=name == "regression")
    raise InvalidInputError(f"the engine is {name!r}; needed: prior, oneslice or regression.")


def draw_media(
    slice: Microstructure | Sequence[Microstructure],
    *,
    depth: float,
    misalignment: float | None = None,
    samples: int = 8,
    seed: int = 0,
    heights: Sequence[float] | None = None,
    slices: int | None = None,
    engine: str | SliceEngine = "prior",
) -> tuple[Microstructure, ...]:
    """Return media that may lie round one slice across the fibres, or several: what a single micrograph leaves open.

    Each has the slice itself at its height, voxel by voxel. Above and below it the fibres of the slice go on, others enter and
    leave at the sides, and none overlaps another. Draw k depends on (seed, k) alone.

    Args:
        slice: a medium of one slice, or an extruded one, whose slices are all alike; several as a sequence, or as one medium.
        depth: thickness of the media, m.
        misalignment: largest tilt of the bundle from z, degrees; None: not known, drawn from 0 to 15 degrees.
        samples: how many media.
        seed: of the draws.
        heights: of the slices over the bottom, m; by default the middle for one, evenly spread for several.
        slices: of each medium, 11 by default.
        engine: ``prior``: Monte Carlo by the law of :func:`resinflow.fibre_bundle`; ``oneslice``: the trained model of one
            slice; ``regression``: the medium that it expects, over and over; or any :class:`resinflow.media.SliceEngine`.

    Raises:
        InvalidInputError: slices that do not fit together, a number out of range, or an unknown engine.

    Example:
        >>> import resinflow as rf
        >>> page = rf.fibre_bundle((1, 32, 32), (1e-6, 32e-6, 32e-6), seed=1, volume_fraction=0.4)
        >>> media = rf.draw_media(page, depth=11e-6, misalignment=10, samples=2)
        >>> media[0].shape, bool((media[0].fluid[5] == page.fluid[0]).all())
        ((11, 32, 32), True)
    """
    view = view_slices(slice, depth, heights=heights, slices=slices, misalignment=misalignment)
    count = check_whole("samples", samples, 1)
    source = slice_engine_named(engine) if isinstance(engine, str) else engine
    return source.draw(view, count, seed)
