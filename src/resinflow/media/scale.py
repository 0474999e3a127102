"""The scale of an image: what its resolution tag says, and whether the lengths that follow from a scale are those of fibres."""

from __future__ import annotations

from pathlib import Path

from resinflow.flow import InvalidInputError, Microstructure, check_image_sizes, format_length, is_hdf5
from resinflow.media.image_files import read_picture
from resinflow.media.picture import Picture
from resinflow.media.plausibility import fibre_diameter_warning, slice_spacing_warning
from resinflow.media.sections import estimate_fibre_diameter

TAG = "tag"
"""The pixel size that is the image's own."""
_SCREENS = (72.0, 96.0, 100.0, 150.0, 200.0, 300.0, 600.0)
"""Dots per inch of screens and printers: what a file says when nobody measured."""


def checked_sizes(
    pixel_size: float | str | None, depth: float | str | None, path: str | Path | None
) -> tuple[float | None, float]:
    """Return pixel size and depth in m; the pixel size is None where the tag of the image is asked for.

    Args:
        pixel_size: m, or with its unit, or ``tag``.
        depth: m, or with its unit.
        path: of the image; None for an array.

    Raises:
        InvalidInputError: one is missing (what the image's tag says is then told), or is no length that an image can have.
    """
    if pixel_size == TAG and path is not None:
        return None, check_image_sizes(1e-6, depth)[1]
    hint = _hint(path) if pixel_size is None and path is not None else ""
    return check_image_sizes(pixel_size, depth, hint)


def tagged_pixel_size(picture: Picture) -> float:
    """Return the edge of a pixel (m) that the resolution tag of an image says.

    Raises:
        InvalidInputError: no tag, or one in no unit of length.
    """
    if picture.pixel_size is None:
        raise InvalidInputError(
            f"{picture.name} has no resolution tag in a unit of length; needed: the pixel size, e.g. --pixel-size 0.47um."
        )
    return picture.pixel_size


def scale_warnings(micro: Microstructure, *, extruded: bool) -> list[str]:
    """Return what makes the scale of a medium doubtful: fibres too thick or thin, slices too far apart or too close."""
    diameter = estimate_fibre_diameter(micro)
    warnings = [] if diameter is None else [fibre_diameter_warning(diameter)]
    if not extruded:
        warnings.append(slice_spacing_warning(micro.spacing, micro.shape[0], diameter))
    return [warning for warning in warnings if warning is not None]


def _hint(path: str | Path) -> str:
    """What the tag of an image says of its scale, as a sentence after others; empty without a tag."""
    if is_hdf5(path):  # which has no tag
        return ""
    try:
        pixel = read_picture(path).pixel_size
    except InvalidInputError:
        return ""  # the missing size is said first
    if pixel is None:
        return ""
    dots = 0.0254 / pixel
    doubt = " (a screen's or printer's)" if any(abs(dots - usual) < 0.5 for usual in _SCREENS) else ""
    return f" The file's tag says {format_length(pixel)} a pixel, {dots:.4g} dots per inch{doubt}: --pixel-size {TAG} takes it."


def scale_tag(path: str | Path) -> float | None:
    """Return the edge of a pixel (m) that the resolution tag of an image file says; None without one in a unit of length.

    Raises:
        InvalidInputError: as :func:`resinflow.media.read_stack`.
    """
    return read_picture(path).pixel_size
