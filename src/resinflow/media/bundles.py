"""Random bundles of straight, tilted fibres with their exact signed distance."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.core import InvalidInputError, Microstructure

_RELAXATION_STEPS = 4000
_LARGEST_PACKING = 0.78  # of the cores with half their gaps; random discs of mixed sizes jam near 0.84
_LARGEST_GROWTH = 0.01  # of the diameter: the gaps keep their minimum, since the relaxation leaves room for it
_ATTEMPTS = 30


@dataclass(frozen=True)
class BundleSettings:
    """What a random fibre bundle is asked to be; lengths in m, angles in degrees.

    Attributes:
        volume_fraction: fibre volume over box volume.
        diameter: mean fibre diameter.
        diameter_scatter: standard deviation of the diameter over its mean.
        misalignment: largest tilt of the bundle from z; single fibres scatter by a third of it about the bundle's direction.
        minimum_gap: smallest clear distance between two fibre surfaces, measured in the slice planes.
    """

    volume_fraction: float = 0.5
    diameter: float = 11e-6
    diameter_scatter: float = 0.08
    misalignment: float = 10.0
    minimum_gap: float = 0.5e-6

    def __post_init__(self) -> None:
        if not 0.02 <= self.volume_fraction <= 0.7:
            raise InvalidInputError(f"volume_fraction is {self.volume_fraction}; needed: 0.02 to 0.7.")
        if not 0 < self.diameter < 1e-3:
            raise InvalidInputError(f"diameter is {self.diameter} m; needed: metres above 0 and below 1e-3 (11 um is 11e-6).")
        if not 0 <= self.diameter_scatter <= 0.3:
            raise InvalidInputError(f"diameter_scatter is {self.diameter_scatter}; needed: 0 to 0.3.")
        if not 0 <= self.misalignment <= 30:
            raise InvalidInputError(f"misalignment is {self.misalignment} degrees; needed: 0 to 30.")
        if not 0 <= self.minimum_gap <= self.diameter:
            raise InvalidInputError(f"minimum_gap is {self.minimum_gap} m; needed: 0 to the diameter {self.diameter} m.")


@dataclass(frozen=True)
class Fibres:
    """Straight fibres through a slab: where their axes pierce its bottom and top, and their radii (m).

    Attributes:
        bottom: (n, 2), x and y of the axis at z = 0.
        top: (n, 2), x and y of the axis at z = depth.
        radius: (n,).
        depth: thickness of the slab.
    """

    bottom: NDArray[np.float64]
    top: NDArray[np.float64]
    radius: NDArray[np.float64]
    depth: float

    def signed_distance(self, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> NDArray[np.float64]:
        """Return the distance (m) of every voxel centre to the nearest fibre surface, positive in the fluid, (nz, ny, nx)."""
        z, y, x = (
            ((np.arange(count) + 0.5) * step).reshape([-1 if k == axis else 1 for k in range(3)])
            for axis, (count, step) in enumerate(zip(shape, spacing, strict=True))
        )
        distance = np.full(shape, np.inf)
        slope = (self.top - self.bottom) / self.depth
        for (x0, y0), (sx, sy), radius in zip(self.bottom, slope, self.radius, strict=True):
            across_x = x - x0 - sx * z
            across_y = y - y0 - sy * z
            along = across_x * sx + across_y * sy
            squared = across_x**2 + across_y**2 - along**2 / (1 + sx**2 + sy**2)
            np.minimum(distance, np.sqrt(np.maximum(squared, 0.0)) - radius, out=distance)
        return distance


def fibre_bundle(
    shape: tuple[int, int, int],
    extent: tuple[float, float, float],
    *,
    seed: int,
    settings: BundleSettings | None = None,
    volume_fraction: float | None = None,
) -> Microstructure:
    """Return a random bundle of tilted fibres that run along z and are cut by the faces of the box.

    The result depends on the arguments alone. Its mask has the asked fibre fraction to within 0.005 (or one voxel), its
    ``signed_distance`` is exact, and no two fibres come closer than the minimum gap (in a slice plane).

    Args:
        shape: voxels (nz, ny, nx).
        extent: size of the box (z, y, x) in m.
        seed: one seed, one bundle.
        settings: fraction, diameters, tilt and gap.
        volume_fraction: overrides the settings' fibre fraction.

    Raises:
        InvalidInputError: settings out of range, or a box too small for one fibre.
    """
    chosen = settings or BundleSettings()
    if volume_fraction is not None:
        chosen = BundleSettings(**{**asdict(chosen), "volume_fraction": volume_fraction})
    if len(shape) != 3 or min(shape) < 1:
        raise InvalidInputError(f"the shape is {tuple(shape)}; needed: three numbers of voxels (nz, ny, nx), each at least 1.")
    if min(extent[1:]) < chosen.diameter:
        raise InvalidInputError(
            f"the box is {extent[2]:g} x {extent[1]:g} m wide; needed: at least one diameter ({chosen.diameter:g} m)."
        )
    spacing = (extent[0] / shape[0], extent[1] / shape[1], extent[2] / shape[2])
    rng = np.random.default_rng(seed)
    for extra in range(_ATTEMPTS):  # the cut-out box may hold less than its share of fibres: then draw a denser cell
        fibres = _relaxed_fibres(extent, chosen, extra, rng)
        if fibres is None:
            continue
        distance = fibres.signed_distance(shape, spacing)
        radius_change = _radius_change(distance, chosen)
        if radius_change is not None:
            break
    else:
        raise InvalidInputError(
            f"no bundle of fibre fraction {chosen.volume_fraction} was found in {_ATTEMPTS} draws; "
            "lower volume_fraction, or take a wider box for its fibres."
        )
    distance = distance - radius_change
    provenance = {
        "generator": "fibre_bundle",
        "seed": seed,
        **asdict(chosen),
        "fibres": len(fibres.radius),
        "radius_change": radius_change,
    }
    return Microstructure(distance > 0, spacing, distance.astype(np.float32), provenance)


def _relaxed_fibres(
    extent: tuple[float, float, float], settings: BundleSettings, extra: int, rng: np.random.Generator
) -> Fibres | None:
    """Fibres placed at random in a wider periodic cell and pushed apart until no two overlap; None where some still do.

    Random insertion alone jams at a fraction of 0.55; relaxation of the two end points of every axis goes beyond.
    """
    depth, height, width = extent
    margin = 1.5 * settings.diameter + depth * np.tan(np.radians(settings.misalignment))
    cell = np.array([width + 2 * margin, height + 2 * margin])
    mean_area = np.pi / 4 * settings.diameter**2 * (1 + settings.diameter_scatter**2)
    count = max(1, round(settings.volume_fraction * cell[0] * cell[1] / mean_area)) + extra
    scatter = np.clip(rng.standard_normal(count), -2.5, 2.5) * settings.diameter_scatter
    radius = settings.diameter / 2 * (1 + scatter)
    reach = radius + settings.minimum_gap / 2 + _LARGEST_GROWTH * settings.diameter
    packing = np.pi * (reach**2).sum() / (cell[0] * cell[1])
    if packing > _LARGEST_PACKING and extra == 0:
        raise InvalidInputError(
            f"fibres of fraction {settings.volume_fraction:.2f} with gaps of {settings.minimum_gap:g} m pack the plane to "
            f"{packing:.2f}; needed: at most {_LARGEST_PACKING}. Lower volume_fraction or minimum_gap."
        )
    centre = rng.uniform(0, 1, (count, 2)) * cell
    shift = depth * _random_tilt(settings, count, rng)
    ends = np.stack([centre - shift / 2, centre + shift / 2])
    ends = _relax(ends, reach, cell, depth)
    if ends is None:
        return None
    return Fibres(ends[0] - margin, ends[1] - margin, radius, depth)


def _random_tilt(settings: BundleSettings, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Slopes dx/dz and dy/dz, (count, 2): one direction of the bundle, and a third of its limit as scatter."""
    limit = np.tan(np.radians(settings.misalignment))
    azimuth = rng.uniform(0, 2 * np.pi)
    bundle = limit * np.sqrt(rng.uniform()) * np.array([np.cos(azimuth), np.sin(azimuth)])
    single = np.clip(rng.standard_normal((count, 2)), -2, 2) * limit / 6
    return bundle + single


def _relax(
    ends: NDArray[np.float64], reach: NDArray[np.float64], cell: NDArray[np.float64], depth: float
) -> NDArray[np.float64] | None:
    """Push overlapping pairs apart where they are closest until none overlaps by more than a thousandth of a radius.

    ``ends`` (2, n, 2) are the axes' points at the bottom and the top; a push at height t moves the bottom by 1 - t and
    the top by t, so that tilts adapt where the packing leaves no room for them. Distances are taken across the fibres: a
    tilted fibre's section is an ellipse, longer than its diameter. None where overlaps remain after all steps.
    """
    count = len(reach)
    first, second = np.triu_indices(count, 1)
    needed = (reach[first] + reach[second]) * 1.002
    tolerance = 1e-3 * reach.min()
    lever = min(1.0, 0.25 * depth / reach.min())  # in a thin slab fibres shift rather than turn
    for _ in range(_RELAXATION_STEPS):
        middle = ends.mean(axis=0)
        image = cell * np.round((middle[second] - middle[first]) / cell)
        low = ends[0][second] - ends[0][first] - image
        high = ends[1][second] - ends[1][first] - image
        change = high - low
        turn = (change**2).sum(1)
        parallel = turn < tolerance**2  # equally close everywhere: push both ends alike
        height = np.where(parallel, 0.5, np.clip(-(low * change).sum(1) / np.where(parallel, 1.0, turn), 0, 1))
        apart = low + height[:, None] * change
        slope = (ends[1] - ends[0]) / depth
        direction = 0.5 * (slope[first] + slope[second])
        along = (apart * direction).sum(1)
        distance = np.sqrt((apart**2).sum(1) - along**2 / (1 + (direction**2).sum(1)))
        overlap = needed - distance
        if overlap.max(initial=-1.0) <= tolerance:
            return ends
        touching = overlap > 0
        push = (0.5 * overlap / np.maximum(distance, 1e-12))[touching, None] * apart[touching]
        pair_height = height[touching, None]
        lean = lever * (pair_height - 0.5)
        for end, share in ((0, 0.5 - lean), (1, 0.5 + lean)):
            np.add.at(ends[end], second[touching], push * share)
            np.add.at(ends[end], first[touching], -push * share)
    return None


def _radius_change(distance: NDArray[np.float64], settings: BundleSettings) -> float | None:
    """Return by how much (m) all radii must grow to give the asked fraction, or None where gaps or radii forbid it.

    The cut-out box never holds exactly its share of the wider cell.
    """
    order = np.sort(distance, axis=None)
    wanted = float(order[int(np.clip(round(settings.volume_fraction * order.size), 1, order.size - 1))])
    if -0.15 * settings.diameter <= wanted <= _LARGEST_GROWTH * settings.diameter:
        return wanted
    return None
