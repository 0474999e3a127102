"""What the third dimension, which a single section does not show, leaves open of K: media drawn round parts of the section."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import COMPONENTS, Axis, Microstructure, PermeabilityTensor, ResinflowError, with_surface
from resinflow.media import PriorEngine, estimate_fibre_diameter, view_slices
from resinflow.stokes import WallChoice
from resinflow.tow.budget import Source
from resinflow.tow.conditions import permeability_under
from resinflow.tow.sources import Parts, coarser

_PARTS, _DRAWS = 2, 4
"""Parts of the section round which media are drawn, and draws of each."""
_DIAMETERS, _SLICES = 4.5, 9
"""Depth of a drawn medium in fibre diameters, and its slices."""
_MOST_VOXELS = 80
"""Edge of a part, in voxels, above which it is taken on a coarser grid: tilts move K by the same part there."""

_ADVICE = "A stack of sections (or a CT) shows the tilts; so does a section along the fibres."


def tilt_source(
    tensor: PermeabilityTensor,
    parts: Parts,
    misalignment: float | None,
    wall_rule: WallChoice,
    tolerance: float,
    *,
    seed: int = 0,
) -> Source:
    """Return what the third dimension leaves open: K of media drawn round parts of the section against the straight ones'.

    Args:
        tensor: of the section.
        parts: of it.
        misalignment: largest tilt of the bundle from z, degrees, as :func:`resinflow.draw_media`; None: not given.
        wall_rule: as :func:`resinflow.solve`.
        tolerance: of K.
        seed: of the draws.
    """
    if tensor.method == "volume":
        return Source("third dimension", (0.0, 0.0, 0.0), "seen: a stack", _ADVICE)
    if not misalignment:
        basis = "fibres taken as straight; give --misalignment DEGREES" if misalignment is None else "straight fibres"
        return Source("third dimension", (0.0, 0.0, 0.0), basis, _ADVICE)
    rows: list[NDArray[np.float64]] = []
    for part in parts.media[:_PARTS]:
        try:
            rows += _moves(part, misalignment, wall_rule, tolerance, seed)
        except ResinflowError:  # a part without fibres
            continue
    logs = np.array(rows).reshape(-1, 3)
    count = np.isfinite(logs).sum(axis=0)
    squares = np.nansum(logs**2, axis=0) / np.maximum(count, 1)
    x, y, z = (float(value) for value in np.sqrt(squares))
    return Source("third dimension", (x, y, z), f"{len(logs)} drawn media, misalignment {misalignment:g} degrees", _ADVICE)


def _moves(
    part: Microstructure, misalignment: float, wall_rule: WallChoice, tolerance: float, seed: int
) -> list[NDArray[np.float64]]:
    """Differences (3,) of ln K of media drawn round a part against the part itself, NaN where either has none."""
    page = with_surface(part.slice_at(0))
    while max(page.shape) > _MOST_VOXELS:
        page = with_surface(coarser(page))
    diameter = estimate_fibre_diameter(page) or min(page.extent[1:]) / 8
    view = view_slices(page, _DIAMETERS * diameter, slices=_SLICES, misalignment=misalignment)
    straight = _logs(page, wall_rule, tolerance)
    return [_logs(medium, wall_rule, tolerance) - straight for medium in PriorEngine().draw(view, _DRAWS, seed)]


def _logs(micro: Microstructure, wall_rule: WallChoice, tolerance: float) -> NDArray[np.float64]:
    return np.array([_log_permeability(micro, axis, wall_rule, tolerance) for axis in COMPONENTS])


def _log_permeability(micro: Microstructure, axis: Axis, wall_rule: WallChoice, tolerance: float) -> float:
    try:
        value = permeability_under(micro, "symmetric sides", axis, wall_rule=wall_rule, tolerance=tolerance)
    except ResinflowError:  # a draw that is blocked
        return float("nan")
    return float(np.log(value)) if value > 0 else float("nan")
