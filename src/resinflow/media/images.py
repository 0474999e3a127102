"""Images and stacks of real microstructures: from a file, a pixel size and a depth to a Microstructure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure, check_image_sizes, is_hdf5
from resinflow.media.colour import grey_of
from resinflow.media.front_end import FrontEnd
from resinflow.media.hdf5_stacks import hdf5_shape, read_hdf5
from resinflow.media.image_files import read_picture
from resinflow.media.labels import FibreLabel
from resinflow.media.phases import Reading, read_phases, values_of_labels
from resinflow.media.picture import Picture, luminance, picture_of
from resinflow.media.region import Region, asked_region, crop_region, inner_region
from resinflow.media.scale import checked_sizes, scale_warnings, tagged_pixel_size
from resinflow.media.segment import SegmentationSettings
from resinflow.media.stacking import check_slices

FibresAre = Literal["auto", "dark", "bright"]
_MOST_CHANNELS = 4
"""Length of a last axis that may be channels: whether it is, the whole array tells."""
EXTRUDED_SLICES = 11
"""Slices of a single image that is extruded along z, where its user does not say otherwise."""


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
    picture, read = _read(image, crop if roi is None else None)
    if pixel is None:
        pixel, _ = check_image_sizes(tagged_pixel_size(picture), depth)
    picture, region = _specimen(picture, read, crop, roi, from_file=from_file)
    if slices is not None and len(picture.values) not in (1, slices):
        raise InvalidInputError(
            f"slices is {slices}, but {picture.name} is a stack of {len(picture.values)} images, and a stack keeps its slices; "
            "leave it out."
        )
    count = len(picture.values)
    step = thickness / count / pixel if count > 1 else None
    phases = read_phases(picture, Reading(settings, fibre_label, from_file, front_end, step))
    fluid, distance, displacements = phases.fluid, phases.distance, phases.displacements
    if fluid.all() or not fluid.any():
        raise InvalidInputError(
            f"{picture.name} is {'all fluid' if fluid.all() else 'all solid'}; needed: fibres and fluid. "
            "Check the image, or say whether fibres are dark or bright."
        )
    distance, displacements = (
        None if each is None else each.astype(np.float32) * np.float32(pixel) for each in (distance, displacements)
    )
    extruded = len(fluid) == 1
    if extruded:
        copies = slices or EXTRUDED_SLICES
        fluid = np.repeat(fluid, copies, axis=0)
        distance = None if distance is None else np.repeat(distance, copies, axis=0)
        if displacements is not None:  # many large fields, which are looked at alone: slices that are alike share one
            displacements = np.broadcast_to(displacements, (len(displacements), *fluid.shape))
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


def read_part(path: str | Path, bounds: Sequence[int] | None = None, place: int | None = None) -> NDArray:
    """Return greys (nz, ny, nx) of a part of a stack; of a stack in an HDF5 file no more than that is read.

    Args:
        path: as :func:`read_stack`.
        bounds: x0, x1, y0, y1 in pixels; None: whole slices.
        place: number of the only slice that is returned, of a stack; None: all.

    Raises:
        InvalidInputError: as :func:`read_stack`.
    """
    x0, x1, y0, y1 = (None,) * 4 if bounds is None else bounds
    rows, columns = slice(y0, y1), slice(x0, x1)
    if is_hdf5(path) and not Path(path).is_dir() and hdf5_shape(path)[1][2] > _MOST_CHANNELS:
        return read_hdf5(path, rows, columns, place).values
    stack = read_stack(path)[:, rows, columns]
    return stack if place is None or len(stack) == 1 else stack[place : place + 1]


def _read(image: str | Path | NDArray, crop: str | None) -> tuple[Picture, Region | None]:
    """The picture of a file or array, and the region of it that alone was read; None where the whole was.

    Of a stack in an HDF5 file no more is read than what is used: it may be larger than the memory.
    """
    if not isinstance(image, str | Path):
        return picture_of(np.asarray(image), "array"), None
    if crop is not None and is_hdf5(image) and not Path(image).is_dir():
        name, shape = hdf5_shape(image)
        part = crop_region(crop, name, shape) if shape[2] > _MOST_CHANNELS else None
        if part is not None and part.columns.stop - part.columns.start > _MOST_CHANNELS:
            return read_hdf5(image, part.rows, part.columns), part
    return read_picture(image), None


def _specimen(
    picture: Picture, read: Region | None, crop: str | None, roi: str | Path | NDArray | None, *, from_file: bool
) -> tuple[Picture, Region | None]:
    """The part of a picture that shows the specimen, in grey, and the region that it is; None for the whole image."""
    asked = asked_region(picture, crop, roi) if read is None else read
    if asked is not None:
        picture = (picture.cropped(asked.rows, asked.columns) if read is None else picture).noted(*asked.notes)
    picture = grey_of(picture)
    if picture.slices:
        check_slices(picture.values, picture.slices)
    greys = values_of_labels(picture) is None
    if not greys and not from_file and picture.opaque is None:
        return picture, asked
    inner = inner_region(picture, plain_parts=greys, only_opacity=asked is not None)
    if inner is None:
        return picture, asked
    picture = picture.cropped(inner.rows, inner.columns).noted(*inner.notes)
    return picture, inner if asked is None else inner.beyond(asked)
