"""Media as their users have them: the fibre surfaces of a known medium, read from its drawn micrograph or from its mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resinflow.data import Sample
from resinflow.evaluate.choices import Surfaces
from resinflow.flow import FlowField, Microstructure
from resinflow.media import FrontEnd, draw_micrograph, estimate_fibre_diameter, from_image
from resinflow.models import PLANAR_TOLERANCE
from resinflow.stokes import grid_flow, planar_flow, response_flow

__all__ = ["BLUR", "photograph", "read_surfaces", "sample_from_surfaces", "seen_in"]

BLUR = (0.04, 0.10)
"""Standard deviation of a micrograph's blur over the fibre diameter, drawn evenly."""
_GREYS = (95.0, 150.0)
_NOISE = (3.0, 9.0)
_RIM = (0.0, 0.4)
_GRADIENT = (0.0, 0.2)
_STREAM = 77


def photograph(micro: Microstructure, seed: int) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """Return a drawn micrograph (nz, ny, nx) of a medium, and how it was taken.

    Fibres are dark or bright, at equal chances; blur, noise, rim and uneven light are drawn at random.

    Args:
        micro: with exact fibre surfaces.
        seed: one seed, one micrograph.

    Returns:
        The greys, and ``blur`` and ``diameter`` in pixels, ``noise`` and ``rim``.
    """
    rng = np.random.default_rng([_STREAM, seed])
    pixel = float(np.sqrt(micro.spacing[1] * micro.spacing[2]))
    diameter = (estimate_fibre_diameter(micro) or 10 * pixel) / pixel
    blur, noise, rim, gradient = (float(rng.uniform(*span)) for span in (BLUR, _NOISE, _RIM, _GRADIENT))
    fibre, matrix = _GREYS if rng.random() < 0.5 else _GREYS[::-1]
    greys = draw_micrograph(
        micro,
        seed=seed,
        fibre_grey=fibre,
        matrix_grey=matrix,
        blur=blur * diameter,
        noise=noise,
        rim=rim,
        gradient=gradient,
    )
    return greys, {"blur": blur * diameter, "diameter_pixels": diameter, "noise": noise, "rim": rim}


def read_surfaces(
    micro: Microstructure, surfaces: Surfaces, seed: int, front_end: FrontEnd | None
) -> tuple[Microstructure, dict[str, float]]:
    """Return a medium with the surfaces that its user would find, and how its micrograph was taken.

    Args:
        micro: with exact surfaces.
        surfaces: ``exact``: the medium itself; ``grey``: read from a micrograph; ``mask``: from its mask.
        seed: of the micrograph.
        front_end: what reads them; None: the classical segmentation, and for masks no surfaces at all.

    Raises:
        InvalidInputError: a micrograph in which no fibres are found.
    """
    if surfaces == "exact":
        return micro, {}
    pixel, depth = micro.spacing[2], micro.extent[0]
    if surfaces == "grey":
        greys, traits = photograph(micro, seed)
        return from_image(greys, pixel_size=pixel, depth=depth, front_end=front_end), traits
    if front_end is None:
        return Microstructure(micro.fluid, micro.spacing), {}
    return from_image(micro.fluid, pixel_size=pixel, depth=depth, front_end=front_end), {}


def sample_from_surfaces(sample: Sample, micro: Microstructure) -> Sample:
    """Return the sample as it starts from another reading of its medium: the same truth, its start flows solved anew.

    Raises:
        InvalidInputError: nothing percolates through what was read.
    """
    truth = sample.truth
    if micro is truth.microstructure:
        return sample
    drive = truth.drive
    grid = None if sample.grid is None else grid_flow(micro, drive)
    if np.array_equal(micro.fluid, truth.microstructure.fluid):  # which is all that the other two depend on
        planar, response = (replace(flow, microstructure=micro) for flow in (sample.planar, sample.response))
    else:
        planar, response = planar_flow(micro, drive, tolerance=PLANAR_TOLERANCE), response_flow(micro, drive)
    return Sample(truth, planar, response, grid)


def seen_in(flow: FlowField, truth: FlowField) -> FlowField:
    """Return a flow through what was read of a medium as one through the medium itself, to compare it with the truth."""
    return replace(flow, microstructure=truth.microstructure)
