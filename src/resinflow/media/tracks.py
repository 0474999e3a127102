"""Fibres followed through several known slices: which sections are the same fibre's, and where its axis runs between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resinflow.media.section_fields import Section
from resinflow.media.sweep import Course

Floats = NDArray[np.float64]

_DEAREST = 2.0
"""Cost of a match, in usual radii, above which two sections are not the same fibre's."""
_SIZE_WEIGHT = 3.0
"""What a difference of the radii costs against one of the places."""
_VOTERS = 60
_NEAR = 0.4
"""Usual radii within which a section confirms a common drift."""
_VANISHED = 1.3
"""Usual radii by which a fibre that a slice does not show has become thinner there: nothing is left of it."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """Fibres by the sections that they have in the known slices.

    Attributes:
        members: (fibres, slices), number of a fibre's section in each slice, -1 where the slice does not show it.
        drifts: (slices - 1, 2), m, by which most sections move from a slice to the next.
    """

    members: NDArray[np.int64]
    drifts: Floats


@dataclass(frozen=True, eq=False)
class Others:
    """Fibres beyond the borders of the lowest known slice.

    Attributes:
        centres: (n, 2), there, m.
        numbers: (n,), of their fields.
        radii: (n,), m.
    """

    centres: Floats
    numbers: NDArray[np.int64]
    radii: Floats


def follow(slices: tuple[tuple[Section, ...], ...], heights: Floats, steepest: float) -> Tracks:
    """Return which sections of successive slices belong to one fibre: the assignment of the least cost about a common drift.

    Args:
        slices: sections of every slice, from the lowest up.
        heights: of the slices, m.
        steepest: largest slope of the bundle.
    """
    from scipy.optimize import linear_sum_assignment

    usual = float(np.median([section.radius for sections in slices for section in sections]))
    members = np.full((len(slices[0]), len(slices)), -1)
    members[:, 0] = np.arange(len(slices[0]))
    drifts = []
    for index in range(len(slices) - 1):
        low, high = (_discs(slices[index + step]) for step in (0, 1))
        longest = steepest * float(heights[index + 1] - heights[index]) + usual
        drift = _common_drift(low, high, longest, _NEAR * usual)
        drifts.append(drift)
        away = np.linalg.norm(high[None, :, :2] - low[:, None, :2] - drift, axis=2)
        cost = (away + _SIZE_WEIGHT * np.abs(high[None, :, 2] - low[:, None, 2])) / usual
        rows, columns = linear_sum_assignment(np.minimum(cost, _DEAREST))
        fits = cost[rows, columns] < _DEAREST
        following = dict(zip(rows[fits].tolist(), columns[fits].tolist(), strict=True))
        for fibre in range(len(members)):
            members[fibre, index + 1] = following.get(int(members[fibre, index]), -1)
        fresh = np.setdiff1d(np.arange(len(high)), list(following.values()))
        more = np.full((len(fresh), len(slices)), -1)
        more[:, index + 1] = fresh
        members = np.concatenate([members, more])
    return Tracks(members, np.array(drifts).reshape(-1, 2))


def followed_share(tracks: Tracks, slices: tuple[tuple[Section, ...], ...], size: tuple[float, float]) -> float:
    """Return the share of the fibres seen whole that go on in the next slice within a radius of where the common drift leads.

    Of those that the drift leaves inside. Of two slices of different bundles about half do so by chance.

    Args:
        tracks: of the fibres.
        slices: sections of every slice.
        size: x and y of a slice, m.
    """
    stay = meet = 0
    for index, drift in enumerate(tracks.drifts):
        for members in tracks.members[tracks.members[:, index] >= 0]:
            section = slices[index][members[index]]
            arrival = section.centre + drift
            if not section.whole or np.minimum(arrival, size - arrival).min() <= section.radius:
                continue
            stay += 1
            following = members[index + 1]
            if following >= 0:
                away = slices[index + 1][following].centre - arrival
                meet += int(np.hypot(*away) < section.radius)
    return meet / stay if stay else 1.0


def _discs(sections: tuple[Section, ...]) -> Floats:
    """Centre x, y and radius of sections, (n, 3), m."""
    return np.array([(*section.centre, section.radius) for section in sections])


def _common_drift(low: Floats, high: Floats, longest: float, near: float) -> Floats:
    """The displacement, no longer than ``longest``, that the most sections of one slice confirm in the other."""
    from scipy.spatial import KDTree

    tree = KDTree(high[:, :2])
    voters = low[np.linspace(0, len(low) - 1, min(len(low), _VOTERS)).round().astype(int)]
    candidates = [np.zeros((1, 2))]
    for voter in voters:
        inside = tree.query_ball_point(voter[:2], longest)
        candidates.append(high[inside, :2] - voter[:2])
    best, most = np.zeros(2), -1.0
    for drift in np.concatenate(candidates):
        distance, _ = tree.query(low[:, :2] + drift)
        votes = float(np.maximum(1 - (np.asarray(distance) / near) ** 2, 0.0).sum())
        if votes > most:
            best, most = drift, votes
    distance, index = (np.asarray(each) for each in tree.query(low[:, :2] + best))
    agree = distance < 2 * near
    return np.median(high[index[agree], :2] - low[agree, :2], axis=0) if agree.any() else best


def course_of(
    tracks: Tracks,
    slices: tuple[tuple[Section, ...], ...],
    known: Floats,
    heights: Floats,
    size: tuple[float, float],
    scatter: Floats,
    wander: Floats,
    others: Others,
) -> Course:
    """Return the course of followed fibres and of others, whose fields are those of all sections, slice after slice.

    Between two slices that show it an axis runs straight but for a wander, a half wave; beyond the last of them it goes on as
    before, or with the common drift and a scatter of its own where one slice alone shows it. It ends before a slice that ought
    to show it and does not.

    Args:
        tracks: of the fibres.
        slices: sections of every known slice.
        known: heights (slices,) of the known slices, m.
        heights: (nz,) of the slices of the whole, m.
        size: x and y of the slice, m.
        scatter: (fibres + others, 2), slope of each fibre against the common drift, where no two slices show it.
        wander: (fibres, slices - 1, 2), m, amplitude of the half wave.
        others: fibres that the lowest slice does not show, since they lie beyond its borders.
    """
    offsets = np.cumsum([0, *(len(sections) for sections in slices)])
    count = len(tracks.members)
    shape = (len(heights), count + len(others.numbers))
    course = Course(
        np.zeros((*shape, 2)),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape),
        np.zeros(shape),
    )
    slopes = tracks.drifts / np.diff(known)[:, None]
    for fibre, members in enumerate(tracks.members):
        seen = np.flatnonzero(members >= 0)
        points = np.array([slices[index][members[index]].centre for index in seen])
        numbers = offsets[seen] + members[seen]
        radius = max(slices[index][members[index]].radius for index in seen)
        _lay(course, fibre, known[seen], points, numbers, heights, wander[fibre, seen[:-1]])
        own = scatter[fibre] if len(seen) == 1 else None
        for step in (-1, 1):
            last = int(seen[0 if step < 0 else -1])
            _go_on(course, fibre, last, step, known, heights, slopes, own, points, size, radius)
    for fibre, (centre, number, radius) in enumerate(
        zip(others.centres, others.numbers, others.radii, strict=True), start=count
    ):
        _lay(course, fibre, known[:1], centre[None], np.array([number]), heights, wander[:0, 0])
        for step in (-1, 1):
            _go_on(course, fibre, 0, step, known, heights, slopes, scatter[fibre], centre[None], size, float(radius))
    return course


def _lay(
    course: Course, fibre: int, known: Floats, points: Floats, numbers: NDArray[np.int64], heights: Floats, wander: Floats
) -> None:
    """Write a fibre between the slices that show it."""
    course.first[:, fibre] = numbers[0]
    course.second[:, fibre] = numbers[0]
    course.places[:, fibre] = points[0]
    course.first[heights > known[-1], fibre] = numbers[-1]
    course.second[heights > known[-1], fibre] = numbers[-1]
    for index in range(len(known) - 1):
        between = (heights >= known[index]) & (heights <= known[index + 1])
        part = (heights[between] - known[index]) / (known[index + 1] - known[index])
        line = points[index] + part[:, None] * (points[index + 1] - points[index])
        course.places[between, fibre] = line + np.sin(np.pi * part)[:, None] * wander[index]
        # a field at its own slice is exact without the other
        course.first[between, fibre] = np.where(part == 1.0, numbers[index + 1], numbers[index])
        course.second[between, fibre] = numbers[index + 1]
        course.part[between, fibre] = np.where(part == 1.0, 0.0, part)


def _go_on(
    course: Course,
    fibre: int,
    last: int,
    step: int,
    known: Floats,
    heights: Floats,
    slopes: Floats,
    scatter: Floats | None,
    points: Floats,
    size: tuple[float, float],
    radius: float,
) -> None:
    """Write a fibre beyond the last slice that shows it, down (``step`` -1) or up (1)."""
    point = points[0 if step < 0 else -1].copy()
    outermost = last == (0 if step < 0 else len(known) - 1)
    if scatter is None and len(points) > 1 and outermost:
        inner = slopes[last if step < 0 else last - 1]
        ends = (
            (points[1] - points[0], known[last + 1] - known[last])
            if step < 0
            else (points[-1] - points[-2], known[last] - known[last - 1])
        )
        own = ends[0] / ends[1] - inner
    else:
        own = np.zeros(2) if scatter is None else scatter
    height = float(known[last])
    index = last
    while True:
        following = index + step
        inside = 0 <= following < len(known)
        interval = min(index, following) if inside else (0 if step < 0 else len(known) - 2)
        slope = slopes[interval] + own
        end = float(known[following]) if inside else (-np.inf if step < 0 else np.inf)
        beyond = (heights < height) & (heights >= end) if step < 0 else (heights > height) & (heights <= end)
        course.places[beyond, fibre] = point + (heights[beyond] - height)[:, None] * slope
        if not inside:
            return
        arrival = point + (end - height) * slope
        if _shows(arrival, radius, size):  # the slice would show it: it ends before
            course.fading[beyond, fibre] = _VANISHED * radius * np.abs(heights[beyond] - height) / abs(end - height)
            course.fading[heights <= end if step < 0 else heights >= end, fibre] = np.inf
            return
        point, height, index = arrival, end, following


def _shows(centre: Floats, radius: float, size: tuple[float, float]) -> bool:
    """Whether a slice shows some of a disc."""
    nearest = np.clip(centre, 0.0, size)
    return float(np.hypot(*(centre - nearest))) < radius
