"""Images and stacks of real microstructures: from a file, a pixel size and a depth to a Microstructure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import SURFACES, InvalidInputError, Microstructure, SurfaceSource, check_image_sizes
from resinflow.media.colour import grey_of
from resinflow.media.distance import outline_distance
from resinflow.media.front_end import FibreSurfaces, FrontEnd
from resinflow.media.image_files import read_picture
from resinflow.media.labels import FibreLabel, distinct_values, has_labels, label_error, labelled_fibres
from resinflow.media.picture import Mask, Picture, luminance, picture_of
from resinflow.media.polarity import Decision, undecided_error
from resinflow.media.region import Region, asked_region, inner_region
from resinflow.media.scale import checked_sizes, scale_warnings, tagged_pixel_size
from resinflow.media.segment import SMALLEST_IMAGE, SegmentationSettings, check_greys, decide_greys, decide_mask, segment
from resinflow.media.stacking import check_slices

FibresAre = Literal["auto", "dark", "bright"]
_DARKER = {"dark": "darker", "bright": "brighter"}
_SURE = 4.0
"""Logarithm of the odds beyond which a front end decides on the polarity alone."""
_RECOGNISED = 1.0
"""The same above which the solid of a mask counts as fibres, so that a front end can tell where their surfaces are."""
_NEAREST = 1e-3
"""Pixels: a voxel whose side of the surface the mask knows better."""
EXTRUDED_SLICES = 11
"""Slices of a single image that is extruded along z, where its user does not say otherwise."""


@dataclass(frozen=True, eq=False)
class _Phases:
    """Fluid of a stack, distance to the fibre surfaces in pixels if the greys tell it, and how both were obtained."""

    fluid: Mask
    distance: NDArray[np.floating] | None
    how: Mapping[str, Any]
    note: str
    surface: Mapping[str, Any] = field(default_factory=dict)
    displacements: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class _Reading:
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


class ImageOptions(TypedDict, total=False):
    """The options of :func:`from_image` by name, its front end apart."""

    pixel_size: float | str | None
    depth: float | str | None
    slices: int | None
    fibres: FibresAre | None
    segmentation: SegmentationSettings | None
    fibre_label: FibreLabel | None
    crop: str | None
    roi: str | Path | NDArray | None


def from_image(
    image: str | Path | NDArray,
    *,
    pixel_size: float | str | None,
    depth: float | str | None = None,
    slices: int | None = None,
    fibres: FibresAre | None = None,
    segmentation: SegmentationSettings | None = None,
    fibre_label: FibreLabel | None = None,
    crop: str | None = None,
    roi: str | Path | NDArray | None = None,
    front_end: FrontEnd | None = None,
) -> Microstructure:
    """Return the medium that an image or a stack of images across the fibres shows.

    A single image is extruded along z. A stack keeps its slices. Boolean arrays are fluid masks. Images of two values are
    masks: their fibres are the phase of disc-like sections, unless ``fibres`` says which; arrays of 0 and 1 whose sections do
    not tell have 1 in the fluid. Label images need ``fibre_label``. All else is segmented. Of what shows the specimen (without
    transparent parts, frames, plain corners, the outside of a round field of view) the largest rectangle is used.

    Args:
        image: file (see :func:`read_stack`), or array (ny, nx) or (nz, ny, nx), each also with channels.
        pixel_size: edge of a square pixel in m, or with its unit (``"0.47um"``). There is no default: the permeability goes
            with its square. ``"tag"`` takes the resolution tag of the file.
        depth: thickness in m, or with its unit, of the whole stack, or to which a single image is extruded.
        slices: number of slices of an extruded image, 11 by default; a stack has its own.
        fibres: whether fibres are the darker or the brighter phase; overrides the settings' choice (``auto``).
        segmentation: how greyscale images are segmented.
        fibre_label: value of the fibres in a label image or mask, several as ``"1,3"``, or ``"nonzero"``.
        crop: part of the image to use, ``"X0:X1,Y0:Y1"`` in pixels from the upper left corner.
        roi: the same, or a mask of the region of interest (file or array), in which the largest rectangle is used.
        front_end: a network that finds the fibre surfaces in greys and masks, and samples of what else they may be; None: the
            classical segmentation, which finds none in masks.

    Returns:
        The medium with spacing (depth / nz, pixel_size, pixel_size). One that was segmented has the signed distance to the
        fibre surfaces, which the greys tell to a tenth of a pixel or so (:func:`resinflow.media.distance.outline_distance`); a
        mask tells no more than its pixels. The medium's provenance holds the file's name, the sizes, the region, whether
        it was extruded, the segmentation's settings and findings, notes of all that was decided, and warnings.

    Raises:
        InvalidInputError: a file or array that cannot be used, a missing or impossible size, an image that does not tell which
            phase the fibres are, or a result without fibres or without fluid.

    Example:
        >>> import numpy as np
        >>> import resinflow as rf
        >>> mask = np.ones((3, 16, 16), dtype=bool)
        >>> mask[:, 6:10, 6:10] = False  # a fibre along z
        >>> rf.from_image(mask, pixel_size="1um", depth=12e-6).extent  # (z, y, x), m
        (1.2e-05, 1.6e-05, 1.6e-05)
    """
    from_file = isinstance(image, str | Path)
    pixel, thickness = checked_sizes(pixel_size, depth, image if from_file else None)
    if slices is not None and (isinstance(slices, bool) or not isinstance(slices, int | np.integer) or not 1 <= slices <= 4096):
        raise InvalidInputError(f"slices is {slices!r}; needed: a whole number from 1 to 4096.")
    settings = segmentation or SegmentationSettings()
    if fibres is not None:
        settings = replace(settings, fibres=fibres)
    picture = read_picture(image) if from_file else picture_of(np.asarray(image), "array")
    if pixel is None:
        pixel, _ = check_image_sizes(tagged_pixel_size(picture), depth)
    picture, region = _specimen(picture, crop, roi, from_file=from_file)
    if slices is not None and len(picture.values) not in (1, slices):
        raise InvalidInputError(
            f"slices is {slices}, but {picture.name} is a stack of {len(picture.values)} images, and a stack keeps its slices; "
            "leave it out."
        )
    count = len(picture.values)
    step = thickness / count / pixel if count > 1 else None
    phases = _phases(picture, _Reading(settings, fibre_label, from_file, front_end, step))
    fluid, distance, displacements = phases.fluid, phases.distance, phases.displacements
    if fluid.all() or not fluid.any():
        raise InvalidInputError(
            f"{picture.name} is {'all fluid' if fluid.all() else 'all solid'}; needed: fibres and fluid. "
            "Check the image, or say whether fibres are dark or bright."
        )
    extruded = len(fluid) == 1
    if extruded:
        copies = slices or EXTRUDED_SLICES
        fluid = np.repeat(fluid, copies, axis=0)
        distance = None if distance is None else np.repeat(distance, copies, axis=0)
        displacements = None if displacements is None else np.repeat(displacements, copies, axis=1)
    provenance: dict[str, Any] = {
        "source": "image",
        "file": picture.name,
        "pixel_size": pixel,
        "depth": thickness,
        "slices": len(fluid),
        "extruded": extruded,
        "segmentation": phases.how,
        "notes": [*picture.notes, phases.note],
    }
    if region is not None:
        provenance["region"] = list(region.bounds)
    provenance |= phases.surface
    distance, displacements = (
        None if each is None else each.astype(np.float32) * np.float32(pixel) for each in (distance, displacements)
    )
    medium = Microstructure(fluid, (thickness / len(fluid), pixel, pixel), distance, provenance, displacements)
    warnings = scale_warnings(medium, extruded=extruded)
    return replace(medium, provenance={**provenance, "warnings": warnings}) if warnings else medium


def read_stack(path: str | Path) -> NDArray:
    """Return a greyscale image or stack as an array (nz, ny, nx) of the file's own type; a single image has nz = 1.

    Reads TIFF (one or many pages), PNG, JPEG, BMP, .npy, and a folder of images in the order of the numbers in their names.
    Palettes are resolved, greys whose zero is white are turned, of colours the luminance is taken. One-bit images become 0
    and 255. Nothing is cropped.

    Raises:
        InvalidInputError: no such file, an unknown suffix, a damaged file, slices of different sizes, a wrong number of
            dimensions, nothing inside, or NaN.
    """
    picture = read_picture(path)
    return luminance(picture.values) if picture.is_colour else picture.values


def _specimen(
    picture: Picture, crop: str | None, roi: str | Path | NDArray | None, *, from_file: bool
) -> tuple[Picture, Region | None]:
    """The part of a picture that shows the specimen, in grey, and the region that it is; None for the whole image."""
    asked = asked_region(picture, crop, roi)
    if asked is not None:
        picture = picture.cropped(asked.rows, asked.columns).noted(*asked.notes)
    picture = grey_of(picture)
    if picture.slices:
        check_slices(picture.values, picture.slices)
    greys = _values_of_labels(picture) is None
    if not greys and not from_file and picture.opaque is None:
        return picture, asked
    inner = inner_region(picture, plain_parts=greys, only_opacity=asked is not None)
    if inner is None:
        return picture, asked
    picture = picture.cropped(inner.rows, inner.columns).noted(*inner.notes)
    return picture, inner if asked is None else inner.beyond(asked)


def _values_of_labels(picture: Picture) -> NDArray | None:
    """The values of a mask or of labels; None for greys."""
    values = distinct_values(picture.values)
    if values is None or len(values) <= 2 or picture.numbers or has_labels(picture.values, values):
        return values
    return None


def _phases(picture: Picture, reading: _Reading) -> _Phases:
    """The phases of a picture in grey, from greys, a mask or labels."""
    stack, name = picture.values, picture.name
    values = _values_of_labels(picture)
    if reading.fibre_label is not None:
        fibre = labelled_fibres(stack, values, reading.fibre_label, name)
        how = {"method": "labels", "fibre_label": reading.fibre_label}
        note = f"fibres: label {reading.fibre_label} of {name}, as asked"
        return _with_surfaces(_Phases(~fibre, None, how, note), reading)
    if values is None:
        return _segmented(stack, reading) if reading.front_end is None else _found(picture, reading, reading.front_end)
    if len(values) == 1 and stack.dtype != np.bool_:
        raise InvalidInputError(f"every pixel has grey {values[0]}; needed: fibres and fluid of different grey.")
    if len(values) > 2:
        raise label_error(values, name)
    return _with_surfaces(_of_mask(picture, values, reading), reading)


def _segmented(stack: NDArray, reading: _Reading) -> _Phases:
    """The phases of greys by the classical segmentation."""
    segmentation = segment(stack, reading.settings)
    measured = {key: getattr(segmentation, key) for key in ("polarity", "threshold", "fibre_diameter", "rim", "noise")}
    distance = outline_distance(segmentation.fibre, segmentation.excess)
    note = f"fibres: {_DARKER[segmentation.polarity]} than the matrix, {segmentation.reason}"
    how = {"method": "grey", "settings": asdict(reading.settings), **measured, "reason": segmentation.reason}
    surface = {"surface": "read from the greys by the classical segmentation", SURFACES: "classical"}
    return _Phases(~segmentation.fibre, distance, how, note, surface)


def _found(picture: Picture, reading: _Reading, front_end: FrontEnd) -> _Phases:
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
    surfaces = front_end.surfaces(stack, dark=polarity == "dark", mask=False, step=reading.step)
    how = {"method": "learned", "front_end": front_end.name, "polarity": polarity, "reason": reason}
    note = f"fibres: {_DARKER[polarity]} than the matrix, {reason}"
    return _Phases(
        surfaces.distance > 0, surfaces.distance, how, note, _said(surfaces, front_end, "grey"), surfaces.displacements
    )


def _with_surfaces(phases: _Phases, reading: _Reading) -> _Phases:
    """The phases of a mask with the surfaces that a front end finds in it, if it takes what is solid there for fibres."""
    fluid, front_end = phases.fluid, reading.front_end
    if front_end is None or fluid.all() or not fluid.any() or min(fluid.shape[1:]) < SMALLEST_IMAGE:
        return phases
    page = fluid.astype(np.uint8)
    if front_end.dark_fibres(page, mask=True, step=reading.step) < _RECOGNISED:
        return phases
    surfaces = front_end.surfaces(page, dark=True, mask=True, step=reading.step)
    nearest = np.where(fluid, _NEAREST, -_NEAREST)
    distance = np.where((surfaces.distance > 0) == fluid, surfaces.distance, nearest)
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


def _of_mask(picture: Picture, values: NDArray, reading: _Reading) -> _Phases:
    """The phases of a mask of two values: as asked, as documented for booleans, else by its sections.

    In an array of 0 and 1 whose sections do not tell, 1 is fluid.
    """
    stack, name, settings = picture.values, picture.name, reading.settings
    documented = not reading.from_file or name.endswith(".npy")
    if stack.dtype == np.bool_:
        fluid_value = settings.fibres != "bright"
        note = "fibres: False of a boolean mask" if fluid_value else "fibres: True of a boolean mask, as asked"
        return _Phases(stack == fluid_value, None, {"method": "mask", "fluid_value": int(fluid_value)}, note)
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
    return _Phases(stack == fluid_value, None, how, f"fibres: {fibre_value:g} of the mask's two values, {why}")
