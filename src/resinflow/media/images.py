"""Images and stacks of real microstructures: from a file, a pixel size and a depth to a Microstructure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure, check_image_sizes
from resinflow.media.colour import grey_of
from resinflow.media.distance import outline_distance
from resinflow.media.image_files import read_picture
from resinflow.media.labels import FibreLabel, distinct_values, has_labels, label_error, labelled_fibres
from resinflow.media.picture import Mask, Picture, luminance, picture_of
from resinflow.media.polarity import undecided_error
from resinflow.media.region import Region, asked_region, inner_region
from resinflow.media.scale import checked_sizes, scale_warnings, tagged_pixel_size
from resinflow.media.segment import SegmentationSettings, decide_mask, segment
from resinflow.media.stacking import check_slices

FibresAre = Literal["auto", "dark", "bright"]
_DARKER = {"dark": "darker", "bright": "brighter"}
EXTRUDED_SLICES = 11
"""Slices of a single image that is extruded along z, where its user does not say otherwise."""


@dataclass(frozen=True, eq=False)
class _Phases:
    """Fluid of a stack, distance to the fibre surfaces in pixels if the greys tell it, and how both were obtained."""

    fluid: Mask
    distance: NDArray[np.float64] | None
    how: Mapping[str, Any]
    note: str


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
    phases = _phases(picture, settings, fibre_label, from_file=from_file)
    fluid, distance = phases.fluid, phases.distance
    if fluid.all() or not fluid.any():
        raise InvalidInputError(
            f"{picture.name} is {'all fluid' if fluid.all() else 'all solid'}; needed: fibres and fluid. "
            "Check the image, or say whether fibres are dark or bright."
        )
    extruded = len(fluid) == 1
    if extruded:
        fluid = np.repeat(fluid, slices or EXTRUDED_SLICES, axis=0)
        distance = None if distance is None else np.repeat(distance, slices or EXTRUDED_SLICES, axis=0)
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
    if distance is not None:
        provenance["surface"] = "read from the greys"
        distance = (pixel * distance).astype(np.float32)
    medium = Microstructure(fluid, (thickness / len(fluid), pixel, pixel), distance, provenance)
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


def _phases(picture: Picture, settings: SegmentationSettings, fibre_label: FibreLabel | None, *, from_file: bool) -> _Phases:
    """The phases of a picture in grey, from greys, a mask or labels."""
    stack, name = picture.values, picture.name
    values = _values_of_labels(picture)
    if fibre_label is not None:
        fibre = labelled_fibres(stack, values, fibre_label, name)
        how = {"method": "labels", "fibre_label": fibre_label}
        return _Phases(~fibre, None, how, f"fibres: label {fibre_label} of {name}, as asked")
    if values is None:
        segmentation = segment(stack, settings)
        measured = {key: getattr(segmentation, key) for key in ("polarity", "threshold", "fibre_diameter", "rim", "noise")}
        distance = outline_distance(segmentation.fibre, segmentation.excess)
        note = f"fibres: {_DARKER[segmentation.polarity]} than the matrix, {segmentation.reason}"
        how = {"method": "grey", "settings": asdict(settings), **measured, "reason": segmentation.reason}
        return _Phases(~segmentation.fibre, distance, how, note)
    if len(values) == 1 and stack.dtype != np.bool_:
        raise InvalidInputError(f"every pixel has grey {values[0]}; needed: fibres and fluid of different grey.")
    if len(values) > 2:
        raise label_error(values, name)
    documented = not from_file or name.endswith(".npy")
    return _of_mask(picture, values, settings, documented=documented)


def _of_mask(picture: Picture, values: NDArray, settings: SegmentationSettings, *, documented: bool) -> _Phases:
    """The phases of a mask of two values: as asked, as documented for booleans, else by its sections.

    ``documented``: whether it is an array, whose 1 is fluid where it holds 0 and 1 and the sections do not tell.
    """
    stack, name = picture.values, picture.name
    if stack.dtype == np.bool_:
        fluid_value = settings.fibres != "bright"
        note = "fibres: False of a boolean mask" if fluid_value else "fibres: True of a boolean mask, as asked"
        return _Phases(stack == fluid_value, None, {"method": "mask", "fluid_value": int(fluid_value)}, note)
    polarity, why = settings.fibres, "as asked"
    if polarity == "auto":
        decision = decide_mask(stack == values[0])
        if decision.polarity is not None:
            polarity, why = decision.polarity, f"by its sections ({decision.reason})"
        elif documented and np.isin(values, (0, 1)).all():
            polarity, why = "dark", "as arrays of 0 and 1 have 1 in the fluid, and the sections do not tell"
        else:
            raise undecided_error(name, decision)
    fibre_value, fluid_value = values if polarity == "dark" else values[::-1]
    how = {"method": "mask", "polarity": polarity, "fluid_value": float(fluid_value), "reason": why}
    return _Phases(stack == fluid_value, None, how, f"fibres: {fibre_value:g} of the mask's two values, {why}")
