"""From the picture of a specimen to its phases: fibres and resin, and where their surfaces are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import SURFACES, InvalidInputError, SurfaceSource
from resinflow.media.distance import outline_distance
from resinflow.media.front_end import FibreSurfaces, FrontEnd, rim_of
from resinflow.media.labels import FibreLabel, distinct_values, has_labels, label_error, labelled_fibres
from resinflow.media.picture import Mask, Picture
from resinflow.media.polarity import Decision, undecided_error
from resinflow.media.segment import (
    LEVELS,
    SMALLEST_IMAGE,
    Segmentation,
    SegmentationSettings,
    check_greys,
    decide_greys,
    decide_mask,
    segment,
)

_DARKER = {"dark": "darker", "bright": "brighter"}
_RIMMED = "their rim is wide, so that thresholds draw the outlines at its foot, not the network"
_FOOT = 0.6
"""Part of the settings' ``rim_weight`` by which the height of a wide rim, as the network's surfaces show it, lowers the level.
Outlines of a synchrotron slice are then those of its observers (Dice 0.896), at half the resolution, too (0.898)."""
_SURE = 4.0
"""Logarithm of the odds beyond which a front end decides on the polarity alone."""
_RECOGNISED = 1.0
"""The same above which the solid of a mask counts as fibres, so that a front end can tell where their surfaces are."""
_AGREED = 0.95
"""Share of the solid of a mask that a front end must find solid, too, for its surfaces to be those of the mask."""
_NEAREST = 1e-3
"""Pixels: the distance of a voxel whose side of the surface the mask knows better."""


@dataclass(frozen=True, eq=False)
class Phases:
    """Fluid of a stack, distance to the fibre surfaces in pixels if the greys tell it, and how both were obtained."""

    fluid: Mask
    distance: NDArray[np.floating] | None
    how: Mapping[str, Any]
    note: str
    surface: Mapping[str, Any] = field(default_factory=dict)
    displacements: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Reading:
    """How a picture becomes phases.

    Attributes:
        settings: of the segmentation.
        fibre_label: values of the fibres in labels; None: it holds none.
        from_file: whether it is no array, whose booleans and 0 and 1 have a documented meaning.
        front_end: what finds surfaces; None: the classical segmentation.
        step: distance between slices in pixels; None for a single image.
    """

    settings: SegmentationSettings
    fibre_label: FibreLabel | None
    from_file: bool
    front_end: FrontEnd | None
    step: float | None


def values_of_labels(picture: Picture) -> NDArray | None:
    """The values of a mask or of labels; None for greys."""
    values = distinct_values(picture.values)
    if values is None or len(values) <= 2 or picture.numbers or has_labels(picture.values, values):
        return values
    return None


def read_phases(picture: Picture, reading: Reading) -> Phases:
    """The phases of a picture in grey, from greys, a mask or labels."""
    stack, name = picture.values, picture.name
    values = values_of_labels(picture)
    if reading.fibre_label is not None:
        fibre = labelled_fibres(stack, values, reading.fibre_label, name)
        how = {"method": "labels", "fibre_label": reading.fibre_label}
        note = f"fibres: label {reading.fibre_label} of {name}, as asked"
        return _with_surfaces(Phases(~fibre, None, how, note), reading)
    if values is None:
        return _segmented(stack, reading) if reading.front_end is None else _found(picture, reading, reading.front_end)
    if len(values) == 1 and stack.dtype != np.bool_:
        raise InvalidInputError(f"every pixel has grey {values[0]}; needed: fibres and fluid of different grey.")
    if len(values) > 2:
        raise label_error(values, name)
    return _with_surfaces(_of_mask(picture, values, reading), reading)


def _segmented(stack: NDArray, reading: Reading) -> Phases:
    """The phases of greys by the classical segmentation."""
    segmentation = segment(stack, reading.settings)
    note = f"fibres: {_DARKER[segmentation.polarity]} than the matrix, {segmentation.reason}"
    return _of_segmentation(segmentation, reading, note, segmentation.reason)


def _of_segmentation(segmentation: Segmentation, reading: Reading, note: str, reason: str) -> Phases:
    measured = {key: getattr(segmentation, key) for key in ("polarity", "threshold", "fibre_diameter", "rim", "noise")}
    distance = outline_distance(segmentation.fibre, segmentation.excess)
    how = {"method": "grey", "settings": asdict(reading.settings), **measured, "reason": reason}
    surface = {"surface": "read from the greys by the classical segmentation", SURFACES: "classical"}
    return Phases(~segmentation.fibre, distance, how, note, surface)


def _found(picture: Picture, reading: Reading, front_end: FrontEnd) -> Phases:
    """The phases of greys as a front end finds them.

    Raises:
        InvalidInputError: neither the network nor the sections tell which phase the fibres are.
    """
    stack, settings = picture.values, reading.settings
    check_greys(stack)
    polarity, reason = settings.fibres, "as asked"
    if polarity == "auto":
        cue = {"network": front_end.dark_fibres(stack, mask=False, step=reading.step)}
        decision = Decision(cue["network"], cue)
        if abs(decision.evidence) < _SURE:
            with suppress(InvalidInputError):  # an image of no one scale: the network alone has to tell
                decision = decide_greys(stack, settings, cue)
        if decision.polarity is None:
            raise undecided_error(picture.name, decision)
        polarity, reason = decision.polarity, f"by its sections ({decision.reason})"
    dark = polarity == "dark"
    surfaces = front_end.surfaces(stack, dark=dark, mask=False, step=reading.step)
    rim = rim_of(stack, surfaces.distance, dark=dark)
    if rim.wide:
        level = max(settings.level - _FOOT * settings.rim_weight * rim.height, LEVELS[0])
        segmentation = segment(stack, replace(settings, fibres=polarity, level=level, rim_weight=0.0))
        note = f"fibres: {_DARKER[polarity]} than the matrix, {reason}; {_RIMMED}"
        return _of_segmentation(segmentation, reading, note, reason)
    how = {"method": "learned", "front_end": front_end.name, "polarity": polarity, "reason": reason}
    note = f"fibres: {_DARKER[polarity]} than the matrix, {reason}"
    return Phases(
        surfaces.distance > 0, surfaces.distance, how, note, _said(surfaces, front_end, "grey"), surfaces.displacements
    )


def _with_surfaces(phases: Phases, reading: Reading) -> Phases:
    """The phases of a mask with the surfaces that a front end finds in it, if it takes what is solid there for fibres."""
    fluid, front_end = phases.fluid, reading.front_end
    if front_end is None or fluid.all() or not fluid.any() or min(fluid.shape[1:]) < SMALLEST_IMAGE:
        return phases
    page = fluid.astype(np.uint8)
    if front_end.dark_fibres(page, mask=True, step=reading.step) < _RECOGNISED:
        return phases
    surfaces = front_end.surfaces(page, dark=True, mask=True, step=reading.step)
    agreed = (surfaces.distance > 0) == fluid
    if agreed[~fluid].mean() < _AGREED:
        return phases
    distance = np.where(agreed, surfaces.distance, np.where(fluid, _NEAREST, -_NEAREST))
    said = _said(surfaces, front_end, "mask")
    return replace(phases, distance=distance, surface=said, displacements=surfaces.displacements)


def _said(surfaces: FibreSurfaces, front_end: FrontEnd, source: SurfaceSource) -> dict[str, Any]:
    """What the provenance says of surfaces that a front end found."""
    words = {"grey": "the greys", "mask": "the mask"}[source]
    return {
        "surface": f"read from {words} by the network {front_end.name}",
        SURFACES: source,
        "surface_error": surfaces.wall_error,
    }


def _of_mask(picture: Picture, values: NDArray, reading: Reading) -> Phases:
    """The phases of a mask of two values: as asked, as documented for booleans, else by its sections.

    In an array of 0 and 1 whose sections do not tell, 1 is fluid.
    """
    stack, name, settings = picture.values, picture.name, reading.settings
    documented = not reading.from_file or name.endswith(".npy")
    if stack.dtype == np.bool_:
        fluid_value = settings.fibres != "bright"
        note = "fibres: False of a boolean mask" if fluid_value else "fibres: True of a boolean mask, as asked"
        return Phases(stack == fluid_value, None, {"method": "mask", "fluid_value": int(fluid_value)}, note)
    polarity, why = settings.fibres, "as asked"
    if polarity == "auto":
        dark, front_end = stack == values[0], reading.front_end
        cue = None
        if front_end is not None and min(dark.shape[1:]) >= SMALLEST_IMAGE:
            cue = {"network": front_end.dark_fibres(~dark, mask=True, step=reading.step)}
        decision = decide_mask(dark, cue)
        if decision.polarity is not None:
            polarity, why = decision.polarity, f"by its sections ({decision.reason})"
        elif documented and np.isin(values, (0, 1)).all():
            polarity, why = "dark", "as arrays of 0 and 1 have 1 in the fluid, and the sections do not tell"
        else:
            raise undecided_error(name, decision)
    fibre_value, fluid_value = values if polarity == "dark" else values[::-1]
    how = {"method": "mask", "polarity": polarity, "fluid_value": float(fluid_value), "reason": why}
    return Phases(stack == fluid_value, None, how, f"fibres: {fibre_value:g} of the mask's two values, {why}")
