"""The sources of a budget, each measured: on the windows, on some parts of the image, or from what the user says.

Parts are windows of a few fibres across, spread over the image: what surfaces, voxels and conditions do to K is measured there,
at a small part of the price of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import (
    COMPONENTS,
    Axis,
    Drive,
    FlowField,
    Microstructure,
    PermeabilityTensor,
    ResinflowError,
    surface_source,
    with_surface,
)
from resinflow.media import estimate_fibre_diameter
from resinflow.stokes import WallChoice, solve_discrete, wall_rule_of, wall_sensitivity
from resinflow.tow.budget import NORMAL_REACH, Source
from resinflow.tow.conditions import Condition, permeability_under, sides_of
from resinflow.tow.representativity import Representativity

PARTS = 4
PART_DIAMETERS, PART_VOXELS = 8.0, 220
"""Edge of a part: so many fibre diameters, at most so many voxels."""
_SURFACE_ERRORS = {"exact": 0.0, "grey": 0.1, "mask": 0.15, "estimated": 0.15}
"""Pixels by which all surfaces together may be off where no samples of them tell; docs/surfaces.md."""
_ORDERS = {"surface": 2, "plain": 1, "gap": 1}
"""Observed orders of the wall rules (docs/solver.md); of the surfaces' rule the usual one across the fibres."""

_WITH_FLOWS: tuple[Condition, ...] = ("periodic", "symmetric sides")
"""Conditions under which the flow is one through the part itself."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of a medium, K of each, and what share of its area they are.

    Attributes:
        media: the parts.
        permeability: (parts, 3), m^2, under the condition of the answer.
        size: mean edge, m.
        area: of the whole over that of a part.
        flows: through each part along x, y and z, where K is that of walls at the surfaces in a period or between symmetry
            planes; None where there is no flow.
    """

    media: tuple[Microstructure, ...]
    permeability: Array
    size: float
    area: float
    flows: tuple[tuple[FlowField | None, ...], ...] = ()


def parts_of(micro: Microstructure, condition: Condition, wall_rule: WallChoice, tolerance: float) -> Parts:
    """Return up to four parts of the slice plane, all slices, with K of each; NaN where a part has none."""
    _, dy, dx = micro.spacing
    diameter = estimate_fibre_diameter(micro.slice_at(micro.shape[0] // 2)) or min(micro.extent[1:]) / PART_DIAMETERS
    _, ny, nx = micro.shape
    wide = max(int(PART_DIAMETERS * diameter / min(dy, dx)), 16)
    rows, columns = (min(count, wide, PART_VOXELS) for count in (ny, nx))
    corners = [(y, x) for y in sorted({0, ny - rows}) for x in sorted({0, nx - columns})][:PARTS]
    media = tuple(_part(micro, slice(y, y + rows), slice(x, x + columns)) for y, x in corners)
    size, area = float(np.sqrt(rows * dy * columns * dx)), ny * nx / (rows * columns)
    if condition in _WITH_FLOWS and wall_rule_of(micro, wall_rule) == "surface":
        flows = tuple(tuple(_surface_flow(part, condition, axis, tolerance) for axis in COMPONENTS) for part in media)
        reached = [[float("nan") if flow is None else flow.permeability for flow in of_part] for of_part in flows]
        return Parts(media, np.array(reached), size, area, flows)
    values = [[_permeability(part, condition, axis, wall_rule, tolerance) for axis in COMPONENTS] for part in media]
    return Parts(media, np.array(values), size, area)


def window_source(answer: Representativity) -> Source:
    """Return what the size and the place of the image leave open."""
    deviations = answer.reaches()
    x, y, z = (reach / NORMAL_REACH if np.isfinite(reach) else 0.0 for reach in deviations)
    edge = np.sqrt(answer.area) * 1e6
    counts = ", ".join(str(size.windows) for size in answer.sizes)
    silent = [axis for axis, reach in zip(COMPONENTS, deviations, strict=True) if not np.isfinite(reach)]
    missing = (
        f"too few windows have a way through along {' and '.join(silent)} to tell its scatter; take a larger image"
        if silent
        else ""
    )
    return Source(
        "size and place of the image",
        (x, y, z),
        f"scatter of its windows ({counts} of them); the image is {edge:.0f} um"
        + (f"; along {' and '.join(silent)} too few have a way through" if silent else ""),
        "An image twice as wide and high, or four of the same size, halves it.",
        missing,
    )


def surfaces_source(micro: Microstructure, parts: Parts, condition: Condition) -> Source:
    """Return what the places of the fibre surfaces leave open: by samples of them where an image gave some."""
    source = surface_source(micro)
    samples = 0 if micro.displacements is None else len(micro.displacements)
    advice = f"{surface_remedy(micro)} resinflow segment shows the surfaces."
    if source == "exact":
        return Source("fibre surfaces", (0.0, 0.0, 0.0), "exact surfaces", advice)
    solved: Condition = condition if condition in _WITH_FLOWS else "symmetric sides"
    flows = parts.flows or [[_surface_flow(part, solved, axis, 1e-3) for axis in COMPONENTS] for part in parts.media]
    moved = [
        [_surface_moves(part, flow, source, samples) for flow in of_part]
        for part, of_part in zip(parts.media, flows, strict=True)
    ]
    values = np.array(moved)  # (parts, 3, samples)
    common = values.mean(axis=0).var(axis=1, ddof=1) if samples > 1 else (values.mean(axis=0) ** 2).mean(axis=1)
    local = values.var(axis=2, ddof=1).mean(axis=0) if samples > 1 else np.zeros(3)
    shared = np.maximum(common - local / len(parts.media), 0.0) + local / parts.area
    x, y, z = (float(value) for value in np.sqrt(shared))
    basis = f"{samples} samples of the surfaces" if samples > 1 else f"surfaces off by {_SURFACE_ERRORS[source]} pixels"
    return Source("fibre surfaces", (x, y, z), f"{basis}, on {len(parts.media)} parts", advice)


def surface_remedy(micro: Microstructure) -> str:
    """Return what makes the surfaces of a medium surer, by where they come from."""
    source = surface_source(micro)
    if source == "mask" or (source == "estimated" and micro.signed_distance is None):
        return "Take a grey image in the place of a mask, or smaller pixels;"
    if source == "estimated":
        return "Let the learned front end read the image (--front-end learned), or take smaller pixels;"
    return "Take an image with smaller pixels, less noise or a sharper focus;"


def grid_source(parts: Parts, condition: Condition, wall_rule: WallChoice, tolerance: float) -> Source:
    """Return what the voxels leave open: K of the parts on a grid twice as coarse, by the order of the walls' rule."""
    rule = wall_rule_of(parts.media[0], wall_rule)
    shifts = []
    for part, fine in zip(parts.media, parts.permeability, strict=True):
        coarse = [_permeability(coarser(part), condition, axis, wall_rule, tolerance) for axis in COMPONENTS]
        shifts.append(_log_ratio(np.array(coarse), fine) / (2 ** _ORDERS[rule] - 1))
    x, y, z = (float(abs(value)) for value in _mean(shifts))
    return Source(
        "voxel size",
        (x, y, z),
        f"a grid twice as coarse on {len(parts.media)} parts, order {_ORDERS[rule]}",
        "Solve on a grid twice as fine (resinflow solve --refine 1e-4): a quarter of it is left."
        if rule == "surface"
        else "Take a grey image, which tells the surfaces between the voxels, or smaller pixels: half the pixel halves it.",
    )


def condition_source(
    parts: Parts, micro: Microstructure, condition: Condition, wall_rule: WallChoice, tolerance: float
) -> Source:
    """Return how far the conditions on the sides differ: on the parts, falling with the edge of the image."""
    others: tuple[Condition, ...] = tuple(
        each for each in ("periodic", "symmetric sides", "periodic sides") if each != condition
    )
    means = [np.zeros(3)]
    for other in others:
        values = [[_permeability(part, other, axis, wall_rule, tolerance) for axis in COMPONENTS] for part in parts.media]
        means.append(_mean([_log_ratio(np.array(one), own) for one, own in zip(values, parts.permeability, strict=True)]))
    scale = parts.size / float(np.sqrt(micro.extent[1] * micro.extent[2]))
    x, y, z = (float(value) for value in np.std(means, axis=0, ddof=1) * min(scale, 1.0))
    return Source(
        "condition on the sides",
        (x, y, z),
        f"{condition}, {' and '.join(others)} on {len(parts.media)} parts",
        "It falls with the edge of the image: twice the edge halves it.",
    )


def pixel_source(relative: float) -> Source:
    """Return what the uncertain size of a pixel leaves open: K goes with its square."""
    deviation = 2 * relative
    advice = "Calibrate the pixel size with a scale; half its error halves it."
    basis = f"pixel size +-{relative:.2%}" if relative > 0 else "pixel size taken as exact; give --pixel-size 0.47um+-1%"
    return Source("pixel size", (deviation, deviation, deviation), basis, advice)


def solver_source(tensor: PermeabilityTensor) -> Source:
    """Return what the iteration leaves open."""
    return Source("solver", tensor.errors, "estimated from above by the iteration", "A tighter --tolerance.")


def _part(micro: Microstructure, rows: slice, columns: slice) -> Microstructure:
    cut = (slice(None), rows, columns)
    distance = None if micro.signed_distance is None else micro.signed_distance[cut]
    samples = None if micro.displacements is None else micro.displacements[(slice(None), *cut)]
    return Microstructure(micro.fluid[cut], micro.spacing, distance, micro.provenance, samples)


def _permeability(micro: Microstructure, condition: Condition, axis: Axis, wall_rule: WallChoice, tolerance: float) -> float:
    try:
        return permeability_under(micro, condition, axis, wall_rule=wall_rule, tolerance=tolerance)
    except ResinflowError:  # a part without fibres, or one that the coarser grid closes
        return float("nan")


def _log_ratio(values: Array, others: Array) -> Array:
    """``ln(values / others)``; NaN where either is no positive number."""
    positive = (values > 0) & (others > 0)
    return np.log(np.where(positive, values, 1.0) / np.where(positive, others, 1.0)) + np.where(positive, 0.0, np.nan)


def _mean(rows: Sequence[Array]) -> Array:
    """Mean over the parts that tell, 0 where none does."""
    values = np.array(rows)
    count = np.isfinite(values).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), 0.0)


def _surface_flow(part: Microstructure, condition: Condition, axis: Axis, tolerance: float) -> FlowField | None:
    """The flow with walls at the surfaces; None for a part without fibres."""
    boundary, lateral = sides_of(condition)
    try:
        drive = Drive(axis, boundary=boundary, lateral=lateral)
        return solve_discrete(with_surface(part), drive, tolerance, wall_rule="surface")
    except ResinflowError:
        return None


def _surface_moves(part: Microstructure, flow: FlowField | None, source: str, samples: int) -> Array:
    """Changes of ln K by the samples of the surfaces (samples,), or by all surfaces off by their usual error (1,)."""
    if flow is None or flow.permeability == 0:
        return np.zeros(max(samples, 1))
    weights = wall_sensitivity(flow)
    if part.displacements is not None and samples > 1:
        return np.einsum("szyx,zyx->s", part.displacements, weights, dtype=np.float64)
    return np.array([weights.sum() * _SURFACE_ERRORS[source] * min(part.spacing[1:])])


def coarser(micro: Microstructure) -> Microstructure:
    """Return the medium on voxels twice as wide along x and y, from the mean of the distance; a last odd row is left out."""
    medium = with_surface(micro)
    nz, ny, nx = medium.shape
    distance = np.asarray(medium.signed_distance, dtype=np.float64)[:, : ny // 2 * 2, : nx // 2 * 2]
    coarse = distance.reshape(nz, ny // 2, 2, nx // 2, 2).mean(axis=(2, 4))
    dz, dy, dx = medium.spacing
    keeps = micro.signed_distance is not None
    return Microstructure(coarse > 0, (dz, 2 * dy, 2 * dx), coarse if keeps else None, micro.provenance)
