"""Files of images as they are: TIFF, PNG, JPEG, BMP, .npy and folders, with palettes, opacity and scale tags."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import HDF5_SUFFIXES, InvalidInputError, ResinflowError, check_npy, check_size, is_hdf5
from resinflow.media.hdf5_stacks import hdf5_shape, read_hdf5
from resinflow.media.palette import of_palette
from resinflow.media.picture import Mask, Picture, picture_of

if TYPE_CHECKING:
    from PIL import Image
    from tifffile import TiffPage

_TIFF = (".tif", ".tiff")
_PILLOW = (".png", ".jpg", ".jpeg", ".bmp")
_IMAGES = (*_TIFF, *_PILLOW)
_SUFFIXES = (*_IMAGES, ".npy", *HDF5_SUFFIXES)
_PNG_END = b"IEND\xaeB`\x82"
_INVERTED, _PALETTE, _PLAIN = 0, 3, (0, 1, 2, 3)
"""Photometric interpretations of TIFF: white is zero, palette, and those that need no conversion of colours."""
_INCH, _CENTIMETRE = 2, 3
_METRES = {
    "nm": 1e-9,
    "um": 1e-6,
    "micron": 1e-6,
    "microns": 1e-6,
    "µm": 1e-6,
    "mm": 1e-3,
    "cm": 1e-2,
    "m": 1.0,
    "inch": 0.0254,
}
"""Units that ImageJ writes into the description of a TIFF."""


def read_picture(path: str | Path) -> Picture:
    """Return what an image file, a folder of images in the order of the numbers in their names, or an HDF5 file holds.

    Raises:
        InvalidInputError: no such file, an unknown suffix, a damaged file, slices of different sizes, a wrong number of
            dimensions, nothing inside, or NaN.
        MissingDependencyError: an HDF5 file where h5py is not installed.
    """
    if is_hdf5(path) and not Path(path).is_dir():
        return read_hdf5(path)
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
        return (_read_npy if suffix == ".npy" else _read_tiff if suffix in _TIFF else _read_pillow)(path)
    except ResinflowError:
        raise
    except Exception as error:  # every reader has its own errors for a truncated or foreign file
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InvalidInputError(
            f"{path.name} cannot be read ({reason}); the file is damaged or of another type: export it again."
        ) from None


def count_slices(path: str | Path) -> int:
    """Return how many images a file holds; of a TIFF, an array and an HDF5 file without reading them.

    Raises:
        InvalidInputError: as :func:`read_picture`.
        MissingDependencyError: likewise.
    """
    if is_hdf5(path):
        return hdf5_shape(path)[1][0]
    path = Path(path)
    try:
        if path.suffix.lower() == ".npy":
            return len(picture_of(np.load(path, mmap_mode="r", allow_pickle=False), path.name).values)
        if path.suffix.lower() in _TIFF:
            import tifffile

            with tifffile.TiffFile(path) as file:
                series = file.series[0]
                counts = [count for axis, count in zip(series.axes, series.shape, strict=True) if axis not in "YXSC"]
                return math.prod(counts)
    except Exception:  # the reader says what is wrong with the file
        return len(read_picture(path).values)
    return len(read_picture(path).values)


def _read_npy(path: Path) -> Picture:
    try:
        check_npy(path)
    except InvalidInputError as error:
        raise ValueError(str(error)) from None  # the caller says what to do
    return picture_of(np.load(path, allow_pickle=False), path.name)


def _read_tiff(path: Path) -> Picture:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1:
            raise InvalidInputError(
                f"{path.name} holds {len(file.series)} images of different sizes or types; needed: slices of one size."
            )
        series = file.series[0]
        check_size(path.name, series.nbytes, path.stat().st_size)
        axes, page = series.axes, file.pages.first
        if "C" in axes and series.shape[axes.index("C")] > 1:
            raise InvalidInputError(
                f"{path.name} holds {series.shape[axes.index('C')]} channels; needed: one. Save a single channel."
            )
        scale = _scale_of_tiff(page, (file.imagej_metadata or {}).get("unit") if file.is_imagej else None)
        if int(page.photometric) not in _PLAIN:
            return replace(_read_pillow(path), pixel_size=scale)  # Pillow turns their colours into RGB
        try:
            array = series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return replace(_read_pillow(path), pixel_size=scale)  # Pillow knows LZW and JPEG compression
        picture = _of_tiff(array, axes, page, path.name)
    return replace(picture, pixel_size=scale)


def _of_tiff(array: NDArray, axes: str, page: TiffPage, name: str) -> Picture:
    """The picture in the samples of a TIFF, by its photometric interpretation."""
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    samples = array.shape[axes.index("S")] if "S" in axes else 1
    if samples > 4:
        raise InvalidInputError(f"{name} holds {samples} channels; needed: one. Save a single channel.")
    if "S" in axes:
        array = np.moveaxis(array, axes.index("S"), -1)
    notes: tuple[str, ...] = ()
    if int(page.photometric) == _PALETTE and page.colormap is not None:
        colours = np.asarray(page.colormap).T  # 16 bits each, of which old writers fill the lower 8 alone
        return of_palette(array, np.asarray(colours >> 8 if colours.max() > 255 else colours, dtype=np.uint8), name)
    if int(page.photometric) == _INVERTED:
        greys = array[..., :1] if samples > 1 else array
        turned = _inverted(greys, page.bitspersample)
        array = np.concatenate([turned, array[..., 1:]], axis=-1) if samples > 1 else turned
        notes = (_turned(name),)
    return picture_of(array, name, notes=notes)


def _inverted(greys: NDArray, bits: int) -> NDArray:
    """Greys whose zero is white, with zero black: of unsigned integers within their bits, of others within their range."""
    if greys.dtype.kind == "u":
        return greys.dtype.type(255 if bits == 1 else (1 << bits) - 1) - greys
    return greys.max() + greys.min() - greys


def _turned(name: str) -> str:
    return f"{name} says that white is zero (MinIsWhite): its greys are turned, so that bright is bright"


def _scale_of_tiff(page: TiffPage, unit: str | None) -> float | None:
    """Edge of a pixel (m) by the resolution tags; None without them."""
    tag, unit_tag = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
    if tag is None or not isinstance(tag.value, tuple):
        return None
    count, per = tag.value
    if count <= 0 or per <= 0:
        return None
    code = int(unit_tag.value) if unit_tag is not None else _INCH
    unit = {_INCH: "inch", _CENTIMETRE: "cm"}.get(code) if unit is None else unit.replace("\\u00B5", "µ").replace("μ", "µ")
    metres = _METRES.get((unit or "").strip().lower())
    return None if metres is None else metres * per / count


def _read_pillow(path: Path) -> Picture:
    """All frames of an image that Pillow reads; palettes are resolved, and one-bit images become 0 and 255."""
    from PIL import Image, ImageSequence

    if path.suffix.lower() == ".png" and _PNG_END not in path.read_bytes():
        raise EOFError("the end of a PNG file is missing")
    with Image.open(path) as image:
        dots = image.info.get("dpi")
        inverted = path.suffix.lower() in _TIFF and image.getexif().get(262) == _INVERTED
        frames = [_of_frame(frame, path.name) for frame in ImageSequence.Iterator(image)]
        # Pillow turns the greys of 1 to 8 bits itself
        turned = inverted and image.mode not in ("1", "L")
    if len({frame.values.shape for frame in frames}) != 1:
        raise InvalidInputError(f"{path.name} holds images of different sizes; needed: slices of one size.")
    picture = _joined(path.name, frames)
    if inverted:
        values = _inverted(picture.values, 8 * picture.values.dtype.itemsize) if turned else picture.values
        picture = replace(picture, values=values).noted(_turned(path.name))
    scale = 0.0254 / float(dots[0]) if dots and float(dots[0]) > 0 else None
    return replace(picture, pixel_size=scale)


def _of_frame(frame: Image.Image, name: str) -> Picture:
    transparent = "transparency" in frame.info
    if frame.mode == "1":
        return picture_of(np.asarray(frame.convert("L")), name)
    if frame.mode in ("P", "PA"):
        palette = np.reshape(np.array(frame.getpalette("RGB") or (), dtype=np.uint8), (-1, 3))
        opacity = np.asarray(frame.convert("RGBA"))[..., 3] if transparent or frame.mode == "PA" else None
        numbers = np.asarray(frame)
        return of_palette(numbers if numbers.ndim == 2 else numbers[..., 0], palette, name, opacity)
    if frame.mode in ("L", "I;16", "I", "RGB") and transparent:
        values = np.asarray(frame)
        absent = values == np.asarray(frame.info["transparency"])
        return picture_of(values, name, ~(absent.all(axis=-1) if values.ndim == 3 else absent))
    if frame.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        frame = frame.convert("RGB")
    return picture_of(np.asarray(frame), name)


def _joined(name: str, pages: Sequence[Picture], slices: tuple[str, ...] = ()) -> Picture:
    """One stack of pictures of one size; greys among colours become colours."""
    colour = any(page.is_colour for page in pages)
    values = [np.repeat(page.values[..., None], 3, axis=-1) if colour and not page.is_colour else page.values for page in pages]
    opaque: Mask | None = None
    if any(page.opaque is not None for page in pages):
        opaque = np.concatenate([np.ones(page.shape, dtype=bool) if page.opaque is None else page.opaque for page in pages])
    notes = tuple(dict.fromkeys(note for page in pages for note in page.notes))
    numbers = any(page.numbers for page in pages)
    return Picture(name, np.concatenate(values), opaque, pages[0].pixel_size, numbers, slices, notes)


def _read_folder(folder: Path) -> Picture:
    try:
        files = [file for file in folder.iterdir() if file.suffix.lower() in _IMAGES and not file.name.startswith(".")]
    except OSError as error:
        raise InvalidInputError(f"the folder {folder} cannot be read: {error.strerror}; choose another one.") from None
    if not files:
        raise InvalidInputError(f"the folder {folder} holds no {', '.join(_IMAGES)} files; needed: one image a slice.")
    files.sort(
        key=lambda file: [int(part) if part.isascii() and part.isdigit() else part for part in re.split(r"([0-9]+)", file.name)]
    )
    pages = [read_picture(file) for file in files]
    for file, page in zip(files, pages, strict=True):
        if page.shape != (1, *pages[0].shape[1:]):
            first, (count, *size) = pages[0].shape[1:], page.shape
            what = f"holds {count} images" if count > 1 else f"is {size[1]} x {size[0]} pixels"
            raise InvalidInputError(
                f"{file.name} {what}; needed: one image a file, of {first[1]} x {first[0]} pixels as {files[0].name}."
            )
    return _joined(folder.name, pages, tuple(file.name for file in files))
