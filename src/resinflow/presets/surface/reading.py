"""Images become media: as in the room of media, with the shipped network as the front end unless its user says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, get_args

from numpy.typing import NDArray

from resinflow.flow import FLOW_SUFFIXES, InvalidInputError, Microstructure
from resinflow.media import FrontEnd, ImageOptions
from resinflow.media import from_image as media_from_image
from resinflow.media import read_medium as media_read_medium

if TYPE_CHECKING:  # it loads torch, which the classical front end does without
    from resinflow.models import Device

__all__ = ["FrontEndName", "from_image", "front_end_named", "read_medium"]

FrontEndName = Literal["learned", "classical"]


def front_end_named(name: FrontEndName, device: Device = "auto") -> FrontEnd | None:
    """Return the shipped network on a device, or None for the classical segmentation.

    Raises:
        InvalidInputError: another name, or a device that is not there.
    """
    if name not in get_args(FrontEndName):
        raise InvalidInputError(f"the front end is {name!r}; needed: {' or '.join(get_args(FrontEndName))}.")
    if name == "classical":
        return None
    from resinflow.presets.surface.model import load_surface_model

    return load_surface_model(device=device)


def from_image(
    image: str | Path | NDArray, *, front_end: FrontEndName | None = None, **options: Unpack[ImageOptions]
) -> Microstructure:
    """Return the medium that an image or a stack of images across the fibres shows.

    Args:
        image: file or array; see :func:`resinflow.media.from_image`.
        front_end: ``learned``: the shipped network finds the fibre surfaces in greys and masks, and samples of where else they
            may be; ``classical``: thresholds find them in greys, and masks have none; None: the classical one where settings
            of its ``segmentation`` are given, else the network.
        options: ``pixel_size`` and all the others of :func:`resinflow.media.from_image`.

    Raises:
        InvalidInputError: as there, an unknown front end, or settings of a segmentation for the learned one.

    Example:
        >>> import numpy as np
        >>> import resinflow as rf
        >>> mask = np.ones((3, 16, 16), dtype=bool)
        >>> mask[:, 6:10, 6:10] = False  # a fibre along z
        >>> rf.from_image(mask, pixel_size="1um", depth=12e-6).extent  # (z, y, x), m
        (1.2e-05, 1.6e-05, 1.6e-05)
    """
    return media_from_image(image, **{"pixel_size": None, **options, "front_end": _chosen(front_end, options)})


def read_medium(path: str | Path, *, front_end: FrontEndName | None = None, **options: Unpack[ImageOptions]) -> Microstructure:
    """Return the medium in a file: an image or a stack, or a saved flow field, which gives its own medium.

    Args:
        path: see :func:`resinflow.media.read_medium`.
        front_end: as :func:`from_image`.
        options: those of :func:`resinflow.media.read_medium`.

    Raises:
        InvalidInputError: as there.

    Example:
        >>> import resinflow as rf
        >>> rf.read_medium("stack.tif", pixel_size=0.94e-6, depth=12e-6).shape
        (3, 16, 16)
        >>> rf.read_medium("flow.npz").shape
        (3, 16, 16)
    """
    saved = Path(path).suffix.lower() in FLOW_SUFFIXES
    return media_read_medium(path, front_end=None if saved else _chosen(front_end, options), **options)


def _chosen(front_end: FrontEndName | None, options: ImageOptions) -> FrontEnd | None:
    settings = options.get("segmentation") is not None
    if front_end == "learned" and settings:
        raise InvalidInputError(
            "settings of a segmentation were given with the front end learned; needed: the front end classical, whose they are."
        )
    return front_end_named(front_end or ("classical" if settings else "learned"))
