"""The small-scale part of the Schur complement in voxels that fibre surfaces cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.grid import FLOW
from resinflow.stokes.rows import ABOVE, NORTH
from resinflow.stokes.system import StokesSystem

_SMALLEST = 1e-4
"""Of the value amid the fluid: voxels with next to no open face are not amplified beyond its inverse."""


def pressure_scale(system: StokesSystem) -> NDArray[np.float32]:
    """Return what the small-scale part of the Schur complement's inverse must be multiplied by in every voxel, as a row field.

    1 amid the fluid. At the smallest scale the Schur complement is like ``G^T diag(A)^-1 G``; in a voxel with little open
    face it is smaller than amid the fluid, by the factor that this returns the inverse of (0 in voxels without flow).
    """
    rows, voxels = system.rows, system.voxels
    conductance = system.conductance(np.float64)
    complement = np.zeros(rows.array_shape)
    for number in range(3):
        share = system.shares[int(number == FLOW)].astype(np.float64)
        across = sum(conductance[k] for k in range(3) if k != number)
        diagonal = 2 * (conductance[number] + across * share) + system.excess[number]
        part = np.where(system.unknown(number), conductance[number] * system.openness[number] ** 2 / diagonal, 0.0)
        complement += part
        if number == FLOW:
            complement[:, :-1] += part[:, 1:]
        else:
            complement[:-1] += part[rows.near[:, NORTH if number == 1 else ABOVE]]
    amid = float(np.sum(2 * conductance / (2 * conductance.sum())))
    scale = np.zeros(rows.array_shape, dtype=np.float32)
    carrying = system.labels > 0
    carrying[:, [0, *range(voxels + 1, carrying.shape[1])]] = False
    scale[carrying] = amid / np.maximum(complement[carrying], _SMALLEST * amid)
    rows.wrap(scale)
    return scale
