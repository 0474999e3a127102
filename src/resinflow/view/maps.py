"""The fields of a flow as pictures of single pixels, one a slice, for a viewer that draws its own scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import FlowField, replacing
from resinflow.view.panels import FIBRE_GREY, slice_fields, spread_field
from resinflow.view.scales import SPREAD, ColourScale, scales_of, sequential

_STOPS = 12
"""Colours that describe a map for a colour bar."""
_FILES = {"|v|": "speed", "p": "pressure"}


@dataclass(frozen=True)
class FieldMap:
    """One field in all slices.

    Attributes:
        name: of its pictures: ``NAME-0000.png`` and so on.
        label: as figures label it.
        unit: of the limits.
        low: value of the first colour.
        high: value of the last colour.
        colours: of the scale, from low to high, as ``#rrggbb``.
        slices: number of its pictures.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    colours: tuple[str, ...]
    slices: int


def field_maps(flow: FlowField, folder: Path) -> list[FieldMap]:
    """Write every field of a flow as pictures, a pixel a voxel and grey in the fibres, on one scale over all slices.

    Rows stand as those of the image. Of slices that are all alike the first one is drawn.

    Args:
        flow: solved or predicted.
        folder: replaced in one step if it is there.

    Returns:
        The speed, its components, the pressure and, where the flow has one, the spread of the velocity.

    Raises:
        InvalidInputError: a folder that cannot be written.
    """
    fields = slice_fields(flow, slice(None))
    scales = scales_of(fields)
    if flow.velocity_std is not None:
        fields["spread"] = np.stack([spread_field(flow, index) for index in range(flow.microstructure.shape[0])])
        scales["spread"] = sequential(fields["spread"], colours=SPREAD)
    alike = all(np.array_equal(values, np.broadcast_to(values[:1], values.shape), equal_nan=True) for values in fields.values())
    maps = []
    with replacing(folder) as temporary:
        temporary.mkdir(parents=True)
        for label, values in fields.items():
            pages = values[:1] if alike else values
            maps.append(_written(temporary, label, pages, scales[label]))
    return maps


def _written(folder: Path, label: str, pages: NDArray[np.float64], scale: ColourScale) -> FieldMap:
    """Write the pictures of one field and return what they show."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize, to_hex
    from PIL import Image

    name = _FILES.get(label, label)
    colours = colormaps[scale.colours].with_extremes(bad=FIBRE_GREY)
    norm = Normalize(scale.low, scale.high, clip=True)
    for number, page in enumerate(pages):
        picture = colours(norm(np.ma.masked_invalid(page / scale.size)), bytes=True)
        Image.fromarray(np.asarray(picture)[..., :3].copy()).save(folder / f"{name}-{number:04d}.png", compress_level=1)
    stops = tuple(to_hex(colours(part)) for part in np.linspace(0, 1, _STOPS))
    return FieldMap(name, label, scale.unit, scale.low, scale.high, stops, len(pages))
