"""The door to media drawn through slices: by the prior, or by a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from resinflow.flow import Drive, DriveOptions, FlowField, InvalidInputError, Microstructure, check_whole
from resinflow.media import PriorEngine, SliceEngine, view_slices

__all__ = ["draw_flows", "draw_media", "slice_engine_named"]


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
    if name == "tilts":
        from resinflow.presets.tilts.model import load_tilt_model, tilt_engine

        return tilt_engine(load_tilt_model())
    raise InvalidInputError(f"the engine is {name!r}; needed: prior, tilts, oneslice or regression.")


def draw_media(
    slice: Microstructure | Sequence[Microstructure],
    *,
    depth: float,
    misalignment: float | None = None,
    samples: int = 8,
    seed: int = 0,
    heights: Sequence[float] | None = None,
    slices: int | None = None,
    waviness: float = 0.0,
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
        waviness: largest angle of the waves that the fibres of the bundle follow together, degrees, as in
            :class:`resinflow.media.BundleSettings`; of one slice and by the engines ``prior`` and ``tilts``.
        engine: ``prior``: Monte Carlo by the law of :func:`resinflow.fibre_bundle`; ``tilts``: the same outlines along slopes
            that a diffusion over the fibres draws; ``oneslice``: the trained model of one slice; ``regression``: the medium
            that it expects, over and over; or any :class:`resinflow.media.SliceEngine`.

    Raises:
        InvalidInputError: slices that do not fit together, a number out of range, or an unknown engine.

    Example:
        >>> import resinflow as rf
        >>> page = rf.fibre_bundle((1, 32, 32), (1e-6, 32e-6, 32e-6), seed=1, volume_fraction=0.4)
        >>> media = rf.draw_media(page, depth=11e-6, misalignment=10, samples=2)
        >>> media[0].shape, bool((media[0].fluid[5] == page.fluid[0]).all())
        ((11, 32, 32), True)
    """
    view = view_slices(slice, depth, heights=heights, slices=slices, misalignment=misalignment, waviness=waviness)
    count = check_whole("samples", samples, 1)
    source = slice_engine_named(engine) if isinstance(engine, str) else engine
    return source.draw(view, count, seed)


def draw_flows(
    slice: Microstructure,
    drive: Drive | None = None,
    *,
    depth: float,
    misalignment: float | None = None,
    samples: int = 8,
    seed: int = 0,
    heights: Sequence[float] | None = None,
    slices: int | None = None,
    model: str | Path = "oneslice",
    **conditions: Unpack[DriveOptions],
) -> tuple[FlowField, ...]:
    """Return media that may lie round one slice with the flow through each, both drawn by a trained model.

    No flow is solved but that of the slice, so that a draw takes a tenth of a second at 64 x 64 x 11 voxels; it is as accurate
    as docs/one-slice.md says. The media are those of :func:`draw_media` with the engine ``oneslice`` and the same arguments.

    Args:
        slice: a medium of one slice, or an extruded one.
        drive: what drives the flow, along x or y.
        depth: as :func:`draw_media`.
        misalignment: as there.
        samples: as there.
        seed: as there.
        heights: as there.
        slices: as there.
        model: the shipped one by its name, or a model directory.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: several slices, an axis out of the slice plane, a number out of range, or no such model.

    Example:
        >>> import resinflow as rf
        >>> page = rf.fibre_bundle((1, 32, 32), (1e-6, 32e-6, 32e-6), seed=1, volume_fraction=0.4)
        >>> flows = rf.draw_flows(page, depth=11e-6, misalignment=10, samples=2)
        >>> all(flow.permeability > 0 for flow in flows)
        True
    """
    from resinflow.presets.oneslice.engine import OneSliceEngine
    from resinflow.presets.oneslice.model import load_slice_model

    view = view_slices(slice, depth, heights=heights, slices=slices, misalignment=misalignment)
    count = check_whole("samples", samples, 1)
    volumes = OneSliceEngine(load_slice_model(model)).volumes(view, count, seed, Drive.of(drive, **conditions))
    return tuple(volume.flow for volume in volumes)
