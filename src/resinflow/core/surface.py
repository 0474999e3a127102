"""Where the fibre surfaces are: known from a generator, or estimated from a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.core.microstructure import Microstructure

_HALF_PIXEL = 0.46
"""Mean distance, in pixels, from the outermost pixel centres of one phase to the surface; half a pixel for walls along the
grid, less for slanted ones. Chosen for K without bias on 24 tilted bundles of 64 x 64 pixels."""
_PAD = 8


def surface_distance(micro: Microstructure) -> NDArray[np.floating]:
    """Return the signed distance to the fibre surface, (nz, ny, nx), m, positive in the fluid.

    The medium's own where it has one. From a mask alone it is estimated slice by slice from the distances of pixel centres,
    with an error of about a third of a pixel (root mean square beside the surface): no rule can tell more from a mask.
    """
    if micro.signed_distance is not None:
        return micro.signed_distance
    from scipy import ndimage

    _, dy, dx = micro.spacing
    offset = _HALF_PIXEL * min(dy, dx)
    distance = np.empty(micro.shape)
    for layer, fluid in zip(distance, micro.fluid, strict=True):
        pad = min(_PAD, *fluid.shape)
        beyond = np.pad(fluid, pad, mode="symmetric")  # as the flow sees its sides
        inner = (slice(pad, -pad), slice(pad, -pad))
        if beyond.all() or not beyond.any():  # no surface in this slice: as far as the box is wide
            layer[...] = max(micro.extent) * (1.0 if beyond.all() else -1.0)
            continue
        to_fibre = np.asarray(ndimage.distance_transform_edt(beyond, sampling=(dy, dx)))[inner]
        to_fluid = np.asarray(ndimage.distance_transform_edt(~beyond, sampling=(dy, dx)))[inner]
        layer[...] = np.where(fluid, to_fibre - offset, offset - to_fluid)
    return distance


def with_surface(micro: Microstructure) -> Microstructure:
    """Return the medium with a signed distance: itself where it has one, else with the estimated one."""
    if micro.signed_distance is not None:
        return micro
    provenance = {**micro.provenance, "surface": "estimated from the mask"}
    return Microstructure(micro.fluid, micro.spacing, surface_distance(micro), provenance)
