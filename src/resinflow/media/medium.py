"""The medium in a file: an image, a stack, or a saved flow field; and the example that the package brings."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from resinflow.flow import FLOW_SUFFIXES, FlowField, InvalidInputError, Microstructure
from resinflow.media.images import from_image
from resinflow.media.segment import SegmentationSettings

EXAMPLE = "tilted_bundle.tif"


def read_medium(
    path: str | Path,
    *,
    pixel_size: float | None = None,
    depth: float | None = None,
    slices: int | None = None,
    fibres: Literal["auto", "dark", "bright"] = "auto",
    segmentation: SegmentationSettings | None = None,
) -> Microstructure:
    """Return the medium in a file: a grey image or stack is segmented, a saved flow field gives its own medium.

    Args:
        path: .tif, .png or .npy, or a flow field (.zarr, .nc, .npz, .vti).
        pixel_size: edge of a pixel, m; images need it, flow fields carry their own.
        depth: thickness of the whole stack, m; likewise.
        slices: number of slices into which a single image is extruded along z, 11 by default; all else has its own.
        fibres: whether the fibres are darker or brighter than the matrix.
        segmentation: how greys are segmented; a saved flow field leaves nothing to segment.

    Raises:
        InvalidInputError: missing or unreadable file, no pixel size, RGB images, all-solid or all-fluid media.

    Example:
        >>> import resinflow as rf
        >>> rf.read_medium("stack.tif", pixel_size=0.94e-6, depth=12e-6).shape
        (3, 16, 16)
        >>> rf.read_medium("flow.npz").shape
        (3, 16, 16)
    """
    path = Path(path)
    if path.suffix.lower() in FLOW_SUFFIXES:
        micro = FlowField.load(path).microstructure
        if pixel_size is not None or depth is not None:
            raise InvalidInputError(f"{path.name} carries its own voxel size; leave out --pixel-size and --depth.")
        if slices is not None:
            raise InvalidInputError(f"{path.name} carries its own slices; leave out --slices.")
        return micro
    return from_image(path, pixel_size=pixel_size, depth=depth, slices=slices, fibres=fibres, segmentation=segmentation)


def is_extruded(micro: Microstructure) -> bool:
    """Return whether all slices of a medium are alike, so that its planar flow is its 3-D flow."""
    return bool((micro.fluid == micro.fluid[:1]).all())


def example_path() -> Path:
    """Return where the package keeps its example, an 11-page TIFF of 64 x 64 pixels: micrographs of a tilted bundle."""
    return Path(str(files("resinflow"))) / "examples" / EXAMPLE
