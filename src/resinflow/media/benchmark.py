"""The twin of the glass tow of the benchmark of image-based permeability: a bundle of its numbers, in any box."""

from __future__ import annotations

from dataclasses import replace

from resinflow.flow import Microstructure, check_positive, check_whole
from resinflow.media.bundles import BundleSettings, fibre_bundle

BENCHMARK_SHAPE = (973, 125, 1004)
"""Voxels (nz, ny, nx) of the benchmark's image; the fibres run along z here."""
BENCHMARK_VOXEL = 0.521e-6
"""Edge of its voxels, m."""
BENCHMARK_TOW = BundleSettings(
    volume_fraction=0.565,
    diameter=8.4e-6,
    diameter_scatter=0.9 / 8.4 / 2.5,  # scatter ends at 2.5 deviations: 7.5 to 9.3 um
    misalignment=2.0,
    minimum_gap=0.8e-6,
    waviness=1.5,
    wavelength=250e-6,
)
"""What the tow is asked to be: fraction and diameters are the benchmark's; tilt, waves and gap, which spreads the fibres
evenly, are our choice."""


def benchmark_tow(
    shape: tuple[int, int, int] = BENCHMARK_SHAPE,
    *,
    seed: int,
    voxel: float = BENCHMARK_VOXEL,
    volume_fraction: float = BENCHMARK_TOW.volume_fraction,
    minimum_gap: float = BENCHMARK_TOW.minimum_gap,
) -> Microstructure:
    """Return a tow like that of Syerko et al., Composites A 167 (2023) 107397: wavy glass fibres of 7.5 to 9.3 um.

    The whole image (122 million voxels, about 350 fibres cut by its faces) takes some GB of memory; a smaller ``shape`` is a
    smaller part of such a tow, and a larger ``voxel`` a coarser image.

    Args:
        shape: voxels (nz, ny, nx); the fibres run along z.
        seed: one seed, one tow.
        voxel: edge of a voxel, m.
        volume_fraction: of the fibres.
        minimum_gap: m, between two fibres; the smaller it is, the more the fibres cluster and the higher K.

    Raises:
        InvalidInputError: numbers out of range, or a box too small for one fibre.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.benchmark_tow((4, 32, 32), seed=1)
        >>> abs(micro.fibre_fraction - 0.565) < 0.005
        True
    """
    edge = check_positive("voxel", voxel, "m")
    nz, ny, nx = (check_whole("a count of voxels", count, 1) for count in shape)
    settings = replace(BENCHMARK_TOW, volume_fraction=volume_fraction, minimum_gap=minimum_gap)
    return fibre_bundle((nz, ny, nx), (nz * edge, ny * edge, nx * edge), seed=seed, settings=settings)
