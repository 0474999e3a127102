"""Monte Carlo of the media round known slices: their fibres go on with tilts drawn by the law of the bundles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media.bundles import BundleSettings, relaxed_fibres
from resinflow.media.neighbourhood import Discs, surroundings
from resinflow.media.section_fields import Section, sections_of
from resinflow.media.sweep import Course, swept_distance
from resinflow.media.tilts import draw_slopes, part_slopes, steepest_slope
from resinflow.media.unseen import SliceView, provenance_of_draw

Floats = NDArray[np.float64]

_FILLED = 0.97
"""Of the largest fraction that can be packed, at most."""
_PACKED_DIAMETERS = 10.0
"""Edge, in diameters, of the bundle that is packed for the slopes of its fibres, at most."""
_LARGEST_GAP = 0.1
"""Of a usual diameter: fibres need not keep more."""


@dataclass(frozen=True)
class PriorEngine:
    """Draws by the prior: sections as they are, axes by the law of tilts, fibres apart, and more of them beyond the borders.

    Attributes:
        minimum_gap: m, that fibres keep; None: a tenth of the usual diameter or less, as the slices have it.
    """

    minimum_gap: float | None = None

    @property
    def name(self) -> str:
        """What it is called in tables and reports."""
        return "prior"

    def draw(self, view: SliceView, samples: int, seed: int) -> tuple[Microstructure, ...]:
        """Return media whose known slices are those of the view, voxel by voxel; each fibre keeps its own outline.

        Draw k depends on (seed, k) alone.
        """
        sections = sections_of(view.slices[0])
        return tuple(self._one(view, sections, seed, index) for index in range(samples))

    def _one(self, view: SliceView, sections: tuple[Section, ...], seed: int, index: int) -> Microstructure:
        rng = np.random.default_rng((seed, index))
        misalignment = view.drawn_misalignment(rng)
        height = view.heights - view.heights[view.places[0]]
        donors = [section for section in sections if section.whole] or list(sections)
        radii = np.array([section.radius for section in donors])
        gap = self.minimum_gap if self.minimum_gap is not None else _LARGEST_GAP * float(np.median(radii))
        seen = Discs(np.array([section.centre for section in sections]), np.array([section.radius for section in sections]))
        _, dy, dx = view.spacing
        reach = float(np.abs(height).max()) * steepest_slope(misalignment) + 2.2 * float(radii.max())
        places, kinds = surroundings(
            seen,
            sum(section.hidden for section in sections),
            radii,
            (view.shape[2] * dx, view.shape[1] * dy),
            reach,
            view.slices[0].fibre_fraction,
            gap,
            rng,
        )
        fibres = [*sections, *(donors[kind] for kind in kinds)]
        centres = np.concatenate([seen.centres, places])
        support = np.array([fibre.support for fibre in fibres])
        settings = self._settings(view, radii, misalignment, gap)
        slopes = bundle_slopes(settings, view.extent, len(fibres), rng)
        slopes = part_slopes(centres, support, slopes, height, gap)
        course = _straight(centres, slopes, height)
        fields, corners = [fibre.field for fibre in fibres], [fibre.corner for fibre in fibres]
        margin = min(section.margin for section in sections)
        distance = swept_distance(course, fields, corners, view.shape, (dy, dx), margin)
        bundle = slopes.mean(axis=0)
        details = {"drawn_misalignment": misalignment, "slope": bundle.tolist(), "fibres": len(fibres)}
        provenance = provenance_of_draw(view, self.name, seed, index, **details)
        displacements = carried_displacements(view.slices[0], bundle, height)
        drawn = Microstructure(distance > 0, view.spacing, distance.astype(np.float32), provenance, displacements)
        return view.with_slices(drawn)

    def _settings(self, view: SliceView, radii: Floats, misalignment: float, gap: float) -> BundleSettings:
        """The settings of bundles like the one that the slice shows."""
        mean = float(radii.mean())
        scatter = min(float(radii.std()) / mean, 0.3)
        settings = BundleSettings(0.5, 2 * mean, scatter, misalignment, min(gap, 2 * mean))
        fraction = float(np.clip(view.slices[0].fibre_fraction, 0.02, min(0.7, _FILLED * settings.largest_fraction)))
        return replace(settings, volume_fraction=fraction)


def bundle_slopes(settings: BundleSettings, extent: tuple[float, float, float], count: int, rng: np.random.Generator) -> Floats:
    """Return slopes dx/dz and dy/dz (count, 2) of fibres of a bundle that is packed as :func:`fibre_bundle` packs it.

    Fibres that are pushed apart turn: their slopes scatter more than they were drawn, by one or two degrees in boxes that are
    some diameters deep. Each slope is that of a fibre of one bundle, which is packed for it, or as drawn where that fails.
    """
    edge = _PACKED_DIAMETERS * settings.diameter
    box = (extent[0], min(max(extent[1], settings.diameter), edge), min(max(extent[2], settings.diameter), edge))
    try:
        fibres, _ = relaxed_fibres(box, settings, 0, None, rng)
    except InvalidInputError:  # too dense for its gaps
        fibres = None
    if fibres is None:
        return draw_slopes(settings.misalignment, count, rng)
    return fibres.slopes[rng.integers(0, len(fibres), count)]


def carried_displacements(page: Microstructure, slope: Floats, height: Floats) -> NDArray[np.floating] | None:
    """Return the samples of where else the surfaces of a slice may be (samples, nz, ny, nx), m, moved along with its bundle.

    None where the slice has none.
    """
    if page.displacements is None:
        return None
    _, dy, dx = page.spacing
    samples = np.asarray(page.displacements[:, 0], dtype=np.float64)
    moved = [ndimage.shift(samples, (0.0, slope[1] * z / dy, slope[0] * z / dx), order=1, mode="nearest") for z in height]
    return np.stack(moved, axis=1).astype(np.float32)


def _straight(centres: Floats, slopes: Floats, height: Floats) -> Course:
    """The course of straight fibres, each with its own field."""
    places = centres[None] + height[:, None, None] * slopes[None]
    number = np.broadcast_to(np.arange(len(centres), dtype=np.int64), places.shape[:2])
    nothing = np.zeros(places.shape[:2])
    return Course(places, np.ascontiguousarray(number), np.ascontiguousarray(number), nothing, nothing)
