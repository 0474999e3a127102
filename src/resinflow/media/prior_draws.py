"""Monte Carlo of the media round known slices: their fibres go on with tilts drawn by the law of the bundles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import Microstructure
from resinflow.media.bundles import BundleSettings, random_wave
from resinflow.media.fibres import STRAIGHT
from resinflow.media.neighbourhood import Discs, surroundings
from resinflow.media.section_fields import Section, sections_of
from resinflow.media.slope_laws import PackedSlopes, SlopeLaw, Stand
from resinflow.media.sweep import Course, swept_distance
from resinflow.media.tilts import SCATTER, part_slopes, steepest_slope
from resinflow.media.tracks import Others, Tracks, course_of, follow, followed_share
from resinflow.media.unseen import BROAD_MISALIGNMENT, SliceView, provenance_of_draw

Floats = NDArray[np.float64]

_FILLED = 0.97
"""Of the largest fraction that can be packed, at most."""
_LARGEST_GAP = 0.1
"""Of a usual radius: fibres need not keep more."""
_FRAME_RADII = 2.2
"""Largest radii by which the frame of drawn fibres is wider than they sway."""
_PACKING_SLOPE = 0.08
"""By how much fibres that were pushed apart lean more than the bundle."""


@dataclass(frozen=True)
class PriorEngine:
    """Draws by the prior: sections as they are, axes by the law of tilts, fibres apart, and more of them beyond the borders.

    Attributes:
        minimum_gap: m, that fibres keep where the slice does not show less; None: a tenth of the usual radius.
        law: what the slopes of fibres are drawn by.
        name: what it is called in tables and reports.
        model: name of the trained model that the law is; None: it is none.
    """

    minimum_gap: float | None = None
    law: SlopeLaw = field(default_factory=PackedSlopes)
    name: str = "prior"
    model: str | None = None

    def draw(self, view: SliceView, samples: int, seed: int) -> tuple[Microstructure, ...]:
        """Return media whose known slices are those of the view, voxel by voxel; each fibre keeps its own outline.

        Draw k depends on (seed, k) alone. Through several slices the axes run through the sections that belong together, and
        wander between them by the scatter of single fibres; overlaps that this may give are not pushed apart.
        """
        evidence = _Evidence(view, tuple(sections_of(page) for page in view.slices), self.minimum_gap, self.law)
        tracks = None
        if len(view.slices) > 1:
            steepest = steepest_slope(BROAD_MISALIGNMENT[1] if view.misalignment is None else view.misalignment)
            tracks = follow(evidence.slices, view.heights[list(view.places)], steepest + _PACKING_SLOPE)
        return tuple(self._one(evidence, tracks, seed, index) for index in range(samples))

    def _one(self, evidence: _Evidence, tracks: Tracks | None, seed: int, index: int) -> Microstructure:
        rng = np.random.default_rng((seed, index))
        view = evidence.view
        misalignment = view.drawn_misalignment(rng)
        drawn = _through_one(evidence, misalignment, rng) if tracks is None else _through(evidence, tracks, misalignment, rng)
        course, fibres, ways = drawn
        fields, corners = [fibre.field for fibre in fibres], [fibre.corner for fibre in fibres]
        margin = min(fibre.margin for fibre in fibres)
        distance = swept_distance(course, fields, corners, view.shape, view.spacing[1:], margin)
        details: dict[str, Any] = {
            "drawn_misalignment": misalignment,
            "slope": _steepness(ways, view),
            "fibres": course.places.shape[1],
        }
        if self.model is not None:
            details["model"] = self.model
        if tracks is not None:
            details["followed"] = followed_share(tracks, evidence.slices, evidence.size)
        provenance = provenance_of_draw(view, self.name, seed, index, **details)
        displacements = carried_displacements(view.slices[0], ways)
        medium = Microstructure(distance > 0, view.spacing, distance.astype(np.float32), provenance, displacements)
        return view.with_slices(medium)


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What known slices show: their sections; and what is asked of fibres: a gap (None: a tenth of a usual radius), a law."""

    view: SliceView
    slices: tuple[tuple[Section, ...], ...]
    minimum_gap: float | None
    law: SlopeLaw

    @cached_property
    def donors(self) -> list[Section]:
        """The sections that others are like: the whole ones."""
        sections = [section for page in self.slices for section in page]
        return [section for section in sections if section.whole] or sections

    @cached_property
    def radii(self) -> Floats:
        """Radii of the donors, m."""
        return np.array([section.radius for section in self.donors])

    @property
    def gap(self) -> float:
        """Gap that fibres are asked to keep, m."""
        return _LARGEST_GAP * float(np.median(self.radii)) if self.minimum_gap is None else self.minimum_gap

    @property
    def size(self) -> tuple[float, float]:
        """Size of the slices along x and y, m."""
        _, y, x = self.view.extent
        return x, y

    def settings(self, misalignment: float) -> BundleSettings:
        """The settings of bundles like the one that the slices show."""
        mean = float(self.radii.mean())
        scatter = min(float(self.radii.std()) / mean, 0.3)
        settings = BundleSettings(0.5, 2 * mean, scatter, misalignment, min(self.gap, 2 * mean))
        fraction = float(np.mean([page.fibre_fraction for page in self.view.slices]))
        return replace(settings, volume_fraction=float(np.clip(fraction, 0.02, min(0.7, _FILLED * settings.largest_fraction))))

    def slopes(self, discs: Discs, settings: BundleSettings, height: float, rng: np.random.Generator) -> Floats:
        """Slopes of fibres with these sections at a height over the bottom (m), (n, 2)."""
        return self.law.slopes(Stand(discs, settings, height, self.view.extent[0] - height), rng)

    def surroundings(
        self, seen: Discs, hidden: float, sway: float, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Fibres beyond the borders of the lowest slice, whose fibres may sway by so much (m)."""
        reach = sway + _FRAME_RADII * float(self.radii.max())
        return surroundings(seen, hidden, self.radii, self.size, reach, self.view.slices[0].fibre_fraction, self.gap, rng)


Drawn = tuple[Course, list[Section], Floats]
"""The course of all fibres, whose fields they carry, and by how much the bundle is carried at every height, (nz, 2), m."""


def _through_one(evidence: _Evidence, misalignment: float, rng: np.random.Generator) -> Drawn:
    """Straight fibres through the sections of one slice."""
    view, sections = evidence.view, evidence.slices[0]
    height = view.heights - view.heights[view.places[0]]
    seen = Discs(np.array([section.centre for section in sections]), np.array([section.radius for section in sections]))
    settings = evidence.settings(misalignment)
    wave = STRAIGHT if view.waviness == 0 else random_wave(replace(settings, waviness=view.waviness), rng)
    waves = wave.shift(height) - wave.shift(np.zeros(1))
    sway = float(np.abs(height).max()) * steepest_slope(misalignment) + float(np.hypot(*waves.T).max())
    places, kinds = evidence.surroundings(seen, sum(section.hidden for section in sections), sway, rng)
    fibres = [*sections, *(evidence.donors[kind] for kind in kinds)]
    centres = np.concatenate([seen.centres, places])
    support = np.array([fibre.support for fibre in fibres])
    discs = Discs(centres, np.array([fibre.radius for fibre in fibres]))
    slopes = evidence.slopes(discs, settings, view.heights[view.places[0]], rng)
    slopes = part_slopes(centres, support, slopes, height, evidence.gap)
    ways = height[:, None] * slopes.mean(axis=0) + waves
    return _straight(centres, slopes, height, waves), fibres, ways


def _through(evidence: _Evidence, tracks: Tracks, misalignment: float, rng: np.random.Generator) -> Drawn:
    """Fibres through the sections of several slices, and others that none of them shows."""
    view = evidence.view
    known = view.heights[list(view.places)]
    deviation = SCATTER * np.tan(np.radians(misalignment))
    wander = rng.standard_normal((len(tracks.members), len(known) - 1, 2)) * (deviation * np.diff(known) / np.pi)[:, None]
    fibres = [section for page in evidence.slices for section in page]
    nobody = Others(np.empty((0, 2)), np.empty(0, dtype=np.int64), np.empty(0))
    drift = tracks.drifts.sum(axis=0) / (known[-1] - known[0])

    radii = np.array([max(_radii(evidence, members)) for members in tracks.members])
    slopes = evidence.slopes(Discs(_centres(evidence, tracks), radii), evidence.settings(misalignment), known[0], rng)
    scatter = slopes - slopes.mean(axis=0)

    def course(others: Others) -> Course:
        more = scatter[rng.integers(0, len(scatter), len(others.numbers))]
        each = np.concatenate([scatter, more])
        return course_of(tracks, evidence.slices, known, view.heights, evidence.size, each, wander, others)

    alone = course(nobody)
    at_lowest = alone.fading[view.places[0]] < np.inf
    seen = Discs(alone.places[view.places[0]][at_lowest], radii[at_lowest])
    hidden = sum(section.hidden for section in evidence.slices[0])
    hidden += float((np.pi * radii[at_lowest & (tracks.members[:, 0] < 0)] ** 2).sum())
    sway = view.extent[0] * float(np.linalg.norm(drift) + 3 * deviation)
    places, kinds = evidence.surroundings(seen, hidden, sway, rng)
    others = Others(places, len(fibres) + kinds, evidence.radii[kinds])
    return course(others), [*fibres, *evidence.donors], (view.heights - known[0])[:, None] * drift


def _centres(evidence: _Evidence, tracks: Tracks) -> Floats:
    """Where the lowest slice that shows a fibre has it, (fibres, 2), m."""
    lowest = (tracks.members >= 0).argmax(axis=1)
    return np.array([evidence.slices[k][members[k]].centre for k, members in zip(lowest, tracks.members, strict=True)])


def _radii(evidence: _Evidence, members: NDArray[np.int64]) -> list[float]:
    """Radii of a fibre's sections, m."""
    return [page[number].radius for page, number in zip(evidence.slices, members, strict=True) if number >= 0]


def _steepness(ways: Floats, view: SliceView) -> list[float]:
    """Mean slope (along x, along y) of the bundle from the bottom to the top."""
    return ((ways[-1] - ways[0]) / max(float(np.ptp(view.heights)), 1e-30)).tolist()


def carried_displacements(page: Microstructure, ways: Floats) -> NDArray[np.floating] | None:
    """Return the samples of where else the surfaces of a slice may be (samples, nz, ny, nx), m, moved along with its bundle.

    By ``ways`` (nz, 2) along x and y, m. None where the slice has none.
    """
    if page.displacements is None:
        return None
    _, dy, dx = page.spacing
    samples = page.displacements[:, 0]
    moved = [_moved(_moved(samples, 1, y / dy), 2, x / dx) for x, y in ways]
    return np.stack(moved, axis=1).astype(np.float32)


def _moved(values: NDArray[np.floating], axis: int, way: float) -> NDArray[np.floating]:
    """Values carried so many places along an axis, linearly between them and constant beyond the ends."""
    count = values.shape[axis]
    place = np.clip(np.arange(count) - way, 0, count - 1)
    below = np.minimum(place.astype(np.int64), max(count - 2, 0))
    part = (place - below).astype(values.dtype)
    part = part[:, None] if axis == values.ndim - 2 else part
    low = np.take(values, below, axis=axis)
    return low + part * (np.take(values, np.minimum(below + 1, count - 1), axis=axis) - low)


def _straight(centres: Floats, slopes: Floats, height: Floats, waves: Floats) -> Course:
    """The course of fibres that are straight but for the wave (nz, 2) of all, each with its own field."""
    places = centres[None] + height[:, None, None] * slopes[None] + waves[:, None]
    number = np.broadcast_to(np.arange(len(centres), dtype=np.int64), places.shape[:2])
    nothing = np.zeros(places.shape[:2])
    return Course(places, np.ascontiguousarray(number), np.ascontiguousarray(number), nothing, nothing)
