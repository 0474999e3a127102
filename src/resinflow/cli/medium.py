"""A medium from whatever file the user has: an image, a stack, or a flow field saved before."""

from __future__ import annotations

from pathlib import Path

from resinflow.cli.options import MediumOptions
from resinflow.flow import FlowField, InvalidInputError, Microstructure
from resinflow.media import from_image

_FLOW_SUFFIXES = (".zarr", ".nc", ".npz", ".vti")


def read_medium(path: Path, options: MediumOptions) -> Microstructure:
    """Return the medium in ``path``: a grey image or stack is segmented, a saved flow field gives its own medium.

    Raises:
        InvalidInputError: missing or unreadable file, no pixel size, RGB images, all-solid or all-fluid media.
    """
    if path.suffix in _FLOW_SUFFIXES:
        if options.pixel_size is not None or options.depth is not None:
            raise InvalidInputError(f"{path.name} carries its own voxel size; leave out --pixel-size and --depth.")
        return FlowField.load(path).microstructure
    return from_image(path, pixel_size=options.pixel_size, depth=options.depth, slices=options.slices, fibres=options.fibres)


def is_extruded(micro: Microstructure) -> bool:
    """Whether all slices of a medium are alike, so that its planar flow is its 3-D flow."""
    return bool((micro.fluid == micro.fluid[:1]).all())
