"""The medium in a file: an image, a stack, or a saved flow field; and the example that the package brings."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Unpack

from resinflow.flow import FLOW_SUFFIXES, InvalidInputError, Microstructure, load_medium
from resinflow.media.front_end import FrontEnd
from resinflow.media.images import ImageOptions, from_image

EXAMPLE = "tilted_bundle.tif"


def read_medium(path: str | Path, *, front_end: FrontEnd | None = None, **options: Unpack[ImageOptions]) -> Microstructure:
    """Return the medium in a file: a grey image or stack is segmented; saved media and flow fields give their own.

    Args:
        path: .tif, .png, .jpg, .bmp or .npy, a folder of images, or a saved medium or flow field (.zarr, .nc, .npz, .vti).
        front_end: what finds fibre surfaces in images; None: the classical segmentation.
        options: those of :func:`from_image`. Images need ``pixel_size`` and ``depth``; what was saved carries its own and
            leaves nothing to segment.

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
        present = {name for name, value in options.items() if value is not None}
        if present & {"pixel_size", "depth"}:
            raise InvalidInputError(f"{path.name} carries its own voxel size; leave out --pixel-size and --depth.")
        if "slices" in present:
            raise InvalidInputError(f"{path.name} carries its own slices; leave out --slices.")
        if present & {"fibre_label", "crop", "roi"}:
            raise InvalidInputError(
                f"{path.name} is a saved medium or flow field, not an image; leave out --fibre-label, --crop and --roi."
            )
        return micro
    return from_image(path, **{"pixel_size": None, **options, "front_end": front_end})


def is_extruded(micro: Microstructure) -> bool:
    """Return whether all slices of a medium are alike, so that its planar flow is its 3-D flow."""
    return bool((micro.fluid == micro.fluid[:1]).all())


def example_path() -> Path:
    """Return where the package keeps its example, an 11-page TIFF of 64 x 64 pixels: micrographs of a tilted bundle."""
    return Path(str(files("resinflow"))) / "examples" / EXAMPLE
