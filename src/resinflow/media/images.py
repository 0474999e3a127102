"""Images and stacks of real microstructures: from a file, a pixel size and a depth to a Microstructure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure, ResinflowError, check_image_sizes, check_npy, check_size
from resinflow.media.distance import outline_distance
from resinflow.media.segment import SegmentationSettings, segment

_TIFF = (".tif", ".tiff")
_IMAGES = (*_TIFF, ".png")
_SUFFIXES = (*_IMAGES, ".npy")
_PNG_END = b"IEND\xaeB`\x82"
EXTRUDED_SLICES = 11
"""Slices of a single image that is extruded along z, where its user does not say otherwise."""


def from_image(
    image: str | Path | NDArray,
    *,
    pixel_size: float | None,
    depth: float | None = None,
    slices: int | None = None,
    fibres: Literal["auto", "dark", "bright"] | None = None,
    segmentation: SegmentationSettings | None = None,
) -> Microstructure:
    """Return the medium that an image or a stack of images across the fibres shows.

    A single image is extruded along z. A stack keeps its slices. Masks are taken as they are: arrays of bool or of 0 and 1
    have 1 in the fluid; images of any other two greys have fibres of the grey that ``fibres`` names. All else is segmented.

    Args:
        image: file (see :func:`read_stack`), or array (ny, nx) or (nz, ny, nx).
        pixel_size: edge of a square pixel in m. There is no default: the permeability goes with its square.
        depth: thickness in m of the whole stack, or to which a single image is extruded.
        slices: number of slices of an extruded image, 11 by default; a stack has its own.
        fibres: whether fibres are the darker or the brighter phase; overrides the settings' choice (``auto``).
        segmentation: how greyscale images are segmented.

    Returns:
        The medium with spacing (depth / nz, pixel_size, pixel_size). One that was segmented has the signed distance to the
        fibre surfaces, which the greys tell to a tenth of a pixel or so (:func:`resinflow.media.distance.outline_distance`); a
        mask tells no more than its pixels. The medium's provenance holds the file's name, the sizes, whether
        it was extruded, and the segmentation's settings and findings.

    Raises:
        InvalidInputError: a file or array that cannot be used, a missing or impossible size, or a result without fibres or
            without fluid.

    Example:
        >>> import numpy as np
        >>> import resinflow as rf
        >>> mask = np.ones((3, 16, 16), dtype=bool)
        >>> mask[:, 6:10, 6:10] = False  # a fibre along z
        >>> rf.from_image(mask, pixel_size=1e-6, depth=12e-6).extent  # (z, y, x), m
        (1.2e-05, 1.6e-05, 1.6e-05)
    """
    pixel_size, depth = check_image_sizes(pixel_size, depth)
    if slices is not None and (isinstance(slices, bool) or not isinstance(slices, int | np.integer) or not 1 <= slices <= 4096):
        raise InvalidInputError(f"slices is {slices!r}; needed: a whole number from 1 to 4096.")
    settings = segmentation or SegmentationSettings()
    if fibres is not None:
        settings = replace(settings, fibres=fibres)
    from_file = isinstance(image, str | Path)
    name = Path(image).name if from_file else "array"
    stack = read_stack(image) if from_file else _checked_stack(np.asarray(image), "the array")
    if slices is not None and len(stack) not in (1, slices):
        raise InvalidInputError(
            f"slices is {slices}, but {name} is a stack of {len(stack)} images, and a stack keeps its slices; leave it out."
        )
    fluid, distance, how = _phases(stack, settings)
    if fluid.all() or not fluid.any():
        raise InvalidInputError(
            f"{name} is {'all fluid' if fluid.all() else 'all solid'}; needed: fibres and fluid. "
            "Check the image, or say whether fibres are dark or bright."
        )
    extruded = len(fluid) == 1
    if extruded:
        fluid = np.repeat(fluid, slices or EXTRUDED_SLICES, axis=0)
        distance = None if distance is None else np.repeat(distance, slices or EXTRUDED_SLICES, axis=0)
    provenance = {
        "source": "image",
        "file": name,
        "pixel_size": pixel_size,
        "depth": depth,
        "slices": len(fluid),
        "extruded": extruded,
        "segmentation": how,
    }
    if distance is not None:
        provenance["surface"] = "read from the greys"
        distance = (pixel_size * distance).astype(np.float32)
    return Microstructure(fluid, (depth / len(fluid), pixel_size, pixel_size), distance, provenance)


def read_stack(path: str | Path) -> NDArray:
    """Return a greyscale image or stack as an array (nz, ny, nx) of the file's own type; a single image has nz = 1.

    Reads PNG, TIFF (one or many pages), .npy, and a folder of PNG or TIFF images in the order of the numbers in their names.
    Colour images are accepted only when their channels are equal. One-bit images become 0 and 255.

    Raises:
        InvalidInputError: no such file, an unknown suffix, a damaged file, a colour image, slices of different sizes, a wrong
            number of dimensions, nothing inside, or NaN.
    """
    path = Path(path)
    if not path.exists():
        raise InvalidInputError(
            f"{path} does not exist; needed: an image or stack ({', '.join(_SUFFIXES)}) or a folder of images."
        )
    if path.is_dir():
        return _read_folder(path)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InvalidInputError(f"the suffix of {path.name} is {path.suffix!r}; needed: one of {', '.join(_SUFFIXES)}.")
    if not path.is_file():  # reading a pipe or a device may never end
        raise InvalidInputError(f"{path.name} is neither file nor folder; needed: an image or stack.")
    try:
        read = _read_npy if suffix == ".npy" else _read_tiff if suffix in _TIFF else _read_pillow
        array = read(path)
    except ResinflowError:
        raise
    except Exception as error:  # every reader has its own errors for a truncated or foreign file
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InvalidInputError(
            f"{path.name} cannot be read ({reason}); the file is damaged or of another type: export it again."
        ) from None
    return _checked_stack(array, path.name)


def _phases(
    stack: NDArray, settings: SegmentationSettings
) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None, Mapping[str, Any]]:
    """Fluid mask of a stack, distance to the fibre surfaces in pixels if the greys tell it, and how both were obtained."""
    greys = _two_greys(stack)
    if greys is None:
        segmentation = segment(stack, settings)
        measured = {key: getattr(segmentation, key) for key in ("polarity", "threshold", "fibre_diameter", "rim", "noise")}
        distance = outline_distance(segmentation.fibre, segmentation.excess)
        return ~segmentation.fibre, distance, {"method": "grey", "settings": asdict(settings), **measured}
    if np.isin(greys, (0, 1)).all():
        bright_fibres = settings.fibres == "bright"
        return (stack == 0 if bright_fibres else stack != 0), None, {"method": "mask", "fluid_value": 0 if bright_fibres else 1}
    if len(greys) == 1:
        raise InvalidInputError(f"every pixel has grey {greys[0]}; needed: fibres and fluid of different grey.")
    polarity = segment(stack, settings).polarity if settings.fibres == "auto" else settings.fibres
    fluid = stack == (greys[1] if polarity == "dark" else greys[0])
    value = float(greys[1] if polarity == "dark" else greys[0])
    return fluid, None, {"method": "mask", "polarity": polarity, "fluid_value": value}


def _two_greys(stack: NDArray) -> NDArray | None:
    """The one or two different greys of a mask, lower first, or None for a greyscale stack."""
    low, high = stack.min(), stack.max()
    return np.unique([low, high]) if ((stack == low) | (stack == high)).all() else None


def _read_npy(path: Path) -> NDArray:
    try:
        check_npy(path)
    except InvalidInputError as error:
        raise ValueError(str(error)) from None  # the caller says what to do
    return np.load(path, allow_pickle=False)


def _read_tiff(path: Path) -> NDArray:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            raise InvalidInputError(
                f"{path.name} holds {len(file.series)} images of different sizes or types; needed: slices of one size."
            )
        series = file.series[0]
        check_size(path.name, series.nbytes, path.stat().st_size)
        axes = series.axes
        try:
            array = series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return _read_pillow(path)  # Pillow knows LZW and JPEG compression
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    if "C" in axes and array.shape[axes.index("C")] > 1:
        raise InvalidInputError(
            f"{path.name} holds {array.shape[axes.index('C')]} channels; needed: one. Save a single channel."
        )
    return np.moveaxis(array, axes.index("S"), -1) if "S" in axes else array


def _read_pillow(path: Path) -> NDArray:
    """All frames of an image that Pillow reads; palettes are resolved to colours, and one-bit images to 0 and 255."""
    from PIL import Image, ImageSequence

    if path.suffix.lower() == ".png" and _PNG_END not in path.read_bytes():
        raise EOFError("the end of a PNG file is missing")
    with Image.open(path) as image:
        frames = []
        for frame in ImageSequence.Iterator(image):
            if frame.mode == "1":
                frames.append(np.asarray(frame.convert("L")))
            elif frame.mode in ("P", "CMYK", "YCbCr"):
                frames.append(np.asarray(frame.convert("RGB")))
            else:
                frames.append(np.asarray(frame))
    if len({frame.shape for frame in frames}) != 1:
        raise InvalidInputError(f"{path.name} holds images of different sizes; needed: slices of one size.")
    return frames[0] if len(frames) == 1 else np.stack(frames)


def _read_folder(folder: Path) -> NDArray:
    try:
        files = [file for file in folder.iterdir() if file.suffix.lower() in _IMAGES and not file.name.startswith(".")]
    except OSError as error:
        raise InvalidInputError(f"the folder {folder} cannot be read: {error.strerror}; choose another one.") from None
    if not files:
        raise InvalidInputError(f"the folder {folder} holds no {', '.join(_IMAGES)} files; needed: one image a slice.")
    files.sort(
        key=lambda file: [int(part) if part.isascii() and part.isdigit() else part for part in re.split(r"([0-9]+)", file.name)]
    )
    pages = [read_stack(file) for file in files]
    for file, page in zip(files, pages, strict=True):
        if page.shape != (1, *pages[0].shape[1:]):
            raise InvalidInputError(
                f"{file.name} has shape {page.shape}; needed: single images of the first one's size {pages[0].shape[1:]}."
            )
    return np.concatenate(pages)


def _checked_stack(array: NDArray, name: str) -> NDArray:
    """A finite greyscale stack (nz, ny, nx)."""
    if array.dtype.kind not in "buif":
        raise InvalidInputError(f"{name} holds values of type {array.dtype}; needed: greys, or a mask of 0 and 1.")
    if array.size == 0:
        raise InvalidInputError(f"{name} is empty (shape {array.shape}); needed: at least one pixel.")
    if array.ndim in (3, 4) and array.shape[-1] in (2, 3, 4) and min(array.shape[-3:-1]) > 4:
        array = _grey_of_channels(array, name)
    if array.ndim not in (2, 3):
        raise InvalidInputError(f"{name} has shape {array.shape}; needed: an image (ny, nx) or a stack (nz, ny, nx).")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidInputError(f"{name} holds NaN or infinite values; needed: finite greys everywhere.")
    return array.reshape(-1, *array.shape[-2:])


def _grey_of_channels(array: NDArray, name: str) -> NDArray:
    """The first of equal colour channels (…, 2 to 4: grey or RGB, with or without opacity)."""
    colours = array[..., :3] if array.shape[-1] >= 3 else array[..., :1]
    if (colours != colours[..., :1]).any():
        raise InvalidInputError(
            f"{name} is a colour image (shape {array.shape}); needed: grey. Convert it to 8-bit greyscale first."
        )
    return array[..., 0]
