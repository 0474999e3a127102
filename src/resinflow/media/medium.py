"""The medium in a file: an image, a stack, or a saved flow field; and the example that the package brings."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from resinflow.flow import FLOW_SUFFIXES, InvalidInputError, Microstructure, load_medium
from resinflow.media.images import from_image
from resinflow.media.segment import SegmentationSettings

EXAMPLE = "tilted_bundle.tif"


def read_medium(
    path: str | Path,
    *,
    pixel_size: float | str | None = None,
    depth: float | str | None = None,
    slices: int | None = None,
    fibres: Literal["auto", "dark", "bright"] = "auto",
    segmentation: SegmentationSettings | None = None,
    fibre_label: int | float | str | None = None,
    crop: str | None = None,
    roi: str | Path | None = None,
) -> Microstructure:
    """Return the medium in a file: a grey image or stack is segmented; saved media and flow fields give their own.

    Args:
        path: .tif, .png, .jpg, .bmp or .npy, a folder of images, or a saved medium or flow field (.zarr, .nc, .npz,
            .vti).
        pixel_size: edge of a pixel, m, or with its unit, or ``tag``; images need it, what was saved carries its own.
        depth: thickness of the whole stack, m, or with its unit; likewise.
        slices: number of slices into which a single image is extruded along z, 11 by default; all else has its own.
        fibres: whether the fibres are darker or brighter than the matrix.
        segmentation: how greys are segmented; a saved flow field leaves nothing to segment.
        fibre_label: value of the fibres in a label image or mask, several as ``"1,3"``, or ``"nonzero"``.
        crop: part of the image to use, ``"X0:X1,Y0:Y1"`` in pixels.
        roi: the same, or the file of a mask of the region of interest.

    Raises:
        InvalidInputError: missing or unreadable file, no pixel size, labels without ``fibre_label``, media of one phase.

    Example:
        >>> import resinflow as rf
        >>> rf.read_medium("stack.tif", pixel_size=0.94e-6, depth=12e-6).shape
        (3, 16, 16)
        >>> rf.read_medium("flow.npz").shape
        (3, 16, 16)
    """
    path = Path(path)
    if path.suffix.lower() in FLOW_SUFFIXES:
        micro = load_medium(path)
        if pixel_size is not None or depth is not None:
            raise InvalidInputError(f"{path.name} carries its own voxel size; leave out --pixel-size and --depth.")
        if slices is not None:
            raise InvalidInputError(f"{path.name} carries its own slices; leave out --slices.")
        if fibre_label is not None or crop is not None or roi is not None:
            raise InvalidInputError(
                f"{path.name} is a saved medium or flow field, not an image; leave out --fibre-label, --crop and --roi."
            )
        return micro
    return from_image(
        path,
        pixel_size=pixel_size,
        depth=depth,
        slices=slices,
        fibres=fibres,
        segmentation=segmentation,
        fibre_label=fibre_label,
        crop=crop,
        roi=roi,
    )


def is_extruded(micro: Microstructure) -> bool:
    """Return whether all slices of a medium are alike, so that its planar flow is its 3-D flow."""
    return bool((micro.fluid == micro.fluid[:1]).all())


def example_path() -> Path:
    """Return where the package keeps its example, an 11-page TIFF of 64 x 64 pixels: micrographs of a tilted bundle."""
    return Path(str(files("resinflow"))) / "examples" / EXAMPLE
