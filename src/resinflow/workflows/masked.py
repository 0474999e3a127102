"""A sample of a data set as an image would show it: the mask alone, without the fibre surfaces that cut its voxels."""

from __future__ import annotations

from dataclasses import replace

from resinflow.core import FlowField, Microstructure
from resinflow.data import Sample
from resinflow.stokes import grid_flow


def known_by_mask(sample: Sample) -> Sample:
    """Return the sample with its mask for a medium: the same truth, the flow on the stored grid from estimated surfaces.

    Planar and response flow know the mask alone as they are.

    Raises:
        InvalidInputError: with the estimated surfaces nothing percolates.
    """
    truth = sample.truth
    micro = Microstructure(truth.microstructure.fluid, truth.microstructure.spacing)

    def of_mask(flow: FlowField) -> FlowField:
        return replace(flow, microstructure=micro)

    grid = None
    if sample.grid is not None:
        grid = grid_flow(micro, axis=truth.axis, pressure_drop=truth.pressure_drop, viscosity=truth.viscosity)
    return Sample(of_mask(truth), of_mask(sample.planar), of_mask(sample.response), grid)
