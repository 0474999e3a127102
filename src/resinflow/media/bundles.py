"""Random bundles of straight or wavy, tilted fibres with their exact signed distance."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media.fibres import STRAIGHT, BoxBoundary, Fibres, Wave, medium_of
from resinflow.media.tilts import draw_slopes

_LARGEST_GROWTH = 0.01  # of the diameter: the gaps keep their minimum, since the relaxation leaves room for it
_LARGEST_SHRINKAGE = 0.15  # of the diameter
_ATTEMPTS = 30

_PACKING = 0.78
_RELAXATION_STEPS = 4000
"""Packing (of the cores with half their gaps) up to which fibres leave room for growth, and the steps that this takes."""

_LARGEST_PACKING = 0.82
_DENSE_STEPS = 8000
_DENSE_EXTRA = 3
"""Denser bundles have no room to grow and need more steps; random discs of mixed sizes jam near 0.84. These, and periodic ones,
whose box holds its share of fibres, are drawn anew with 0, 1, 2, 0, ... fibres above their share, not ever more."""

_SHARPEST_BEND = 0.5  # fibre radius over the radius of curvature of its axis: the surface stays smooth, the distance unique


@dataclass(frozen=True)
class BundleSettings:
    """What a random fibre bundle is asked to be; lengths in m, angles in degrees.

    Attributes:
        volume_fraction: fibre volume over box volume.
        diameter: mean fibre diameter.
        diameter_scatter: standard deviation of the diameter over its mean.
        misalignment: largest tilt of the bundle from z; its slope is drawn evenly from the disc of that radius. Slopes of
            single fibres scatter about it along x and y with a sixth of the largest as standard deviation, a third at most.
        minimum_gap: smallest clear distance between two fibre surfaces, measured across the fibres.
        waviness: largest angle between the axes and their mean direction; the fibres of a bundle wave together, since packed
            as they are none has room to wave alone. Amplitude over wavelength is ``tan(waviness) / (2 pi)``.
        wavelength: of the waves, along z.
        boundary: ``cut``: the faces of the box cut fibres of a wider bundle; ``periodic``: it repeats in the slice plane.
        strict_gap: whether tilted fibres keep their gap without exception, as aligned, wavy and periodic ones always do. If
            not, it is measured across the mean direction of two fibres: of bundles tilted by up to 15 degrees one in 80 holds
            a pair that comes closer than asked (most of them by less than a tenth); with 30 degrees gaps may all but close.
    """

    volume_fraction: float = 0.5
    diameter: float = 11e-6
    diameter_scatter: float = 0.08
    misalignment: float = 10.0
    minimum_gap: float = 0.5e-6
    waviness: float = 0.0
    wavelength: float = 100e-6
    boundary: BoxBoundary = "cut"
    strict_gap: bool = False

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
        if not 0 <= self.waviness <= 20:
            raise InvalidInputError(f"waviness is {self.waviness} degrees; needed: 0 to 20.")
        if not 0 < self.wavelength < 1:
            raise InvalidInputError(f"wavelength is {self.wavelength} m; needed: metres above 0 and below 1 (100 um is 1e-4).")
        if self.boundary not in get_args(BoxBoundary):
            raise InvalidInputError(f"boundary is {self.boundary!r}; needed: one of {', '.join(get_args(BoxBoundary))}.")
        bend = self.amplitude * (2 * np.pi / self.wavelength) ** 2 * self.diameter / 2
        if bend > _SHARPEST_BEND:
            raise InvalidInputError(
                f"waves of {self.waviness:g} degrees and {self.wavelength:g} m bend fibres of {self.diameter:g} m too sharply; "
                f"needed: a wavelength of at least {self.wavelength * bend / _SHARPEST_BEND:.2g} m, or less waviness."
            )

    @property
    def amplitude(self) -> float:
        """Amplitude of the waves, m."""
        return float(np.tan(np.radians(self.waviness))) * self.wavelength / (2 * np.pi)

    @property
    def largest_fraction(self) -> float:
        """Fibre fraction at which fibres of these diameters, with their gaps, are packed as densely as they can be drawn."""
        radius = self.diameter / 2
        cores = radius**2 * (1 + self.diameter_scatter**2)
        return _LARGEST_PACKING * cores / (cores + radius * self.minimum_gap + self.minimum_gap**2 / 4)


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
    ``signed_distance`` is exact (that to wavy fibres to rounding within a radius of curvature of their axes), and no two fibres
    come closer than the minimum gap (across the fibres).

    Args:
        shape: voxels (nz, ny, nx).
        extent: size of the box (z, y, x) in m.
        seed: one seed, one bundle.
        settings: fraction, diameters, tilt, waves and gap.
        volume_fraction: overrides the settings' fibre fraction.

    Raises:
        InvalidInputError: settings out of range, or a box too small for one fibre.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> micro.fluid.shape
        (3, 16, 16)
        >>> abs(micro.fibre_fraction - 0.4) < 0.005
        True
    """
    settings = _with_fraction(settings, volume_fraction)
    fibres, distance = _random_fibres(shape, extent, seed, settings)
    return medium_of(distance, extent, provenance_of(fibres, seed, settings))


def draw_fibres(
    shape: tuple[int, int, int],
    extent: tuple[float, float, float],
    *,
    seed: int,
    settings: BundleSettings | None = None,
    volume_fraction: float | None = None,
) -> Fibres:
    """Return the fibres of the bundle that :func:`fibre_bundle` makes of the same arguments.

    ``fibres.microstructure(shape)`` is that bundle, bit for bit; on another grid it holds the same fibres.

    Raises:
        InvalidInputError: as :func:`fibre_bundle`.
    """
    return _random_fibres(shape, extent, seed, _with_fraction(settings, volume_fraction))[0]


def provenance_of(fibres: Fibres, seed: int, settings: BundleSettings) -> dict[str, Any]:
    """Return the provenance of a drawn bundle: generator, seed, settings, number of fibres and change of their radii (m)."""
    return {
        "generator": "fibre_bundle",
        "seed": seed,
        **asdict(settings),
        "fibres": len(fibres),
        "radius_change": fibres.growth,
    }


def _with_fraction(settings: BundleSettings | None, volume_fraction: float | None) -> BundleSettings:
    settings = settings or BundleSettings()
    return settings if volume_fraction is None else replace(settings, volume_fraction=volume_fraction)


def _random_fibres(
    shape: tuple[int, int, int], extent: tuple[float, float, float], seed: int, settings: BundleSettings
) -> tuple[Fibres, NDArray[np.float64]]:
    """The fibres and their signed distance on the grid on which they meet the asked fibre fraction."""
    if len(shape) != 3 or min(shape) < 1:
        raise InvalidInputError(f"the shape is {tuple(shape)}; needed: three numbers of voxels (nz, ny, nx), each at least 1.")
    if min(extent[1:]) < settings.diameter:
        raise InvalidInputError(
            f"the box is {extent[2]:g} x {extent[1]:g} m wide; needed: at least one diameter ({settings.diameter:g} m)."
        )
    rng = np.random.default_rng(seed)
    room = None
    for extra in range(_ATTEMPTS):  # the cut-out box may hold less than its share of fibres: then draw a denser cell
        fibres, room = relaxed_fibres(extent, settings, extra, room, rng)
        if fibres is None:
            continue
        distance = fibres.signed_distance(shape)
        growth = _growth(distance, settings, room)
        if growth is not None:
            return replace(fibres, growth=growth), distance - growth
    raise InvalidInputError(
        f"no bundle of fibre fraction {settings.volume_fraction} was found in {_ATTEMPTS} draws; "
        "lower volume_fraction, or take a wider box for its fibres."
    )


def relaxed_fibres(
    extent: tuple[float, float, float],
    settings: BundleSettings,
    extra: int,
    room: float | None,
    rng: np.random.Generator,
) -> tuple[Fibres | None, float]:
    """Return fibres placed at random in a periodic cell and pushed apart until no two overlap; None where some still do.

    The cell is the box, or a wider one whose edges do not show in the box. Also returns by how much (m) the radii may grow
    later; ``room`` is what the first attempt returned, ``extra`` the number of the attempt.
    """
    from resinflow.media.relaxation import relax

    depth, height, width = extent
    periodic = settings.boundary == "periodic"
    margin = _margin(settings, depth)
    cell = np.array([width + 2 * margin, height + 2 * margin])
    mean_area = np.pi / 4 * settings.diameter**2 * (1 + settings.diameter_scatter**2)
    count = max(1, round(settings.volume_fraction * cell[0] * cell[1] / mean_area))
    count += extra % _DENSE_EXTRA if periodic or room == 0 else extra
    scatter = np.clip(rng.standard_normal(count), -2.5, 2.5) * settings.diameter_scatter
    radius = settings.diameter / 2 * (1 + scatter)
    if room is None:
        room = _room(radius, cell, settings)
    reach = radius + settings.minimum_gap / 2 + room
    centre = rng.uniform(0, 1, (count, 2)) * cell
    shift = depth * draw_slopes(settings.misalignment, count, rng)
    wave = random_wave(settings, rng) if settings.waviness > 0 else STRAIGHT
    if periodic:
        _check_period(cell, reach, settings)
    ends = relax(
        np.stack([centre - shift / 2, centre + shift / 2]),
        reach,
        cell,
        depth,
        steps=_RELAXATION_STEPS if room > 0 else _DENSE_STEPS,
        images=int(periodic),
        swing=wave.swing,
        strict=settings.strict_gap or periodic or settings.waviness > 0,
    )
    if ends is None:
        return None, room
    if periodic:  # the middle of every axis lies in the box: its images are counted from there
        ends = ends - cell * np.floor(ends.mean(axis=0) / cell)
    return Fibres(ends[0] - margin, ends[1] - margin, radius, extent, 0.0, settings.boundary, wave), room


def packed_fibres(
    extent: tuple[float, float, float], settings: BundleSettings, rng: np.random.Generator
) -> tuple[Fibres, float] | None:
    """Return all fibres of a cell with a square box in it, and the period of the cell along x and y, m; None: it is jammed.

    Raises:
        InvalidInputError: the fibres with their gaps are too many for the plane.
    """
    fibres, _ = relaxed_fibres(extent, settings, 0, None, rng)
    return None if fibres is None else (fibres, extent[2] + 2 * _margin(settings, extent[0]))


def _margin(settings: BundleSettings, depth: float) -> float:
    """By how much (m) the cell of a bundle is wider than its box, on each side."""
    if settings.boundary == "periodic":
        return 0.0
    return 1.5 * settings.diameter + depth * np.tan(np.radians(settings.misalignment)) + settings.amplitude


def _room(radius: NDArray[np.float64], cell: NDArray[np.float64], settings: BundleSettings) -> float:
    """Return how far (m) the radii may grow after the relaxation: not at all where the fibres fill the plane without that.

    Raises:
        InvalidInputError: the fibres with their gaps are too many for the plane.
    """
    for room, largest in ((_LARGEST_GROWTH * settings.diameter, _PACKING), (0.0, _LARGEST_PACKING)):
        packing = np.pi * ((radius + settings.minimum_gap / 2 + room) ** 2).sum() / (cell[0] * cell[1])
        if packing <= largest:
            return room
    raise InvalidInputError(
        f"fibres of fraction {settings.volume_fraction:.2f} with gaps of {settings.minimum_gap:g} m pack the plane to "
        f"{packing:.2f}; needed: at most {_LARGEST_PACKING}. Lower volume_fraction or minimum_gap."
    )


def _check_period(cell: NDArray[np.float64], reach: NDArray[np.float64], settings: BundleSettings) -> None:
    """Refuse cells in which a fibre would touch its own image; its section is longer than its diameter where it is tilted."""
    steepest = np.tan(np.radians(settings.misalignment)) * 1.5 + np.tan(np.radians(settings.waviness))
    needed = 2.01 * reach.max() * np.sqrt(1 + steepest**2)
    if cell.min() < needed:
        raise InvalidInputError(
            f"the periodic box is {cell[0]:g} x {cell[1]:g} m wide; needed: at least {needed:.3g} m for fibres of "
            f"{settings.diameter:g} m and their gaps."
        )


def random_wave(settings: BundleSettings, rng: np.random.Generator) -> Wave:
    """Return the wave of a bundle, in a random plane through z and with a random phase."""
    azimuth, phase = rng.uniform(0, 2 * np.pi, 2).tolist()
    amplitude = settings.amplitude
    return Wave((amplitude * np.cos(azimuth), amplitude * np.sin(azimuth)), settings.wavelength, phase)


def _growth(distance: NDArray[np.float64], settings: BundleSettings, room: float) -> float | None:
    """Return by how much (m) all radii must grow to give the asked fraction, or None where gaps or radii forbid it.

    The cut-out box never holds exactly its share of the wider cell.
    """
    place = int(np.clip(round(settings.volume_fraction * distance.size), 1, distance.size - 1))
    growth = float(np.partition(distance, place, axis=None)[place])
    return growth if -_LARGEST_SHRINKAGE * settings.diameter <= growth <= room else None
