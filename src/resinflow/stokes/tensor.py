"""The permeability tensor of a periodic medium."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, COMPONENTS, Drive, Microstructure, check_medium
from resinflow.stokes.problem.mask import WallChoice
from resinflow.stokes.solve import DEFAULT_TOLERANCE, solve


def permeability_tensor(
    micro: Microstructure, *, tolerance: float = DEFAULT_TOLERANCE, wall_rule: WallChoice = "auto"
) -> NDArray[np.float64]:
    """Return K (3, 3) in m^2, rows and columns ordered (x, y, z): superficial velocity is ``-K grad(p) / viscosity``.

    Column j is the mean velocity of the periodic flow under a unit pressure gradient along axis j. The tensor is symmetric
    and positive semidefinite to the solver's tolerance (definite if the medium percolates along every axis): the asymmetry is
    left as it is, since it tells of the solver's error.

    Args:
        micro: one period of the medium.
        tolerance: as :func:`resinflow.solve`.
        wall_rule: as :func:`resinflow.solve`.

    Raises:
        InvalidInputError: all-solid media, media without any wall.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> rf.permeability_tensor(micro).shape  # m^2
        (3, 3)
    """
    check_medium(micro)
    tensor = np.zeros((3, 3))
    for column, axis in enumerate(COMPONENTS):
        length = micro.extent[AXES.index(axis)]
        # a unit pressure gradient and unit viscosity: the mean velocity is the tensor's column
        flow = solve(
            micro, Drive(axis, length, 1.0, boundary="periodic", lateral="periodic"), tolerance=tolerance, wall_rule=wall_rule
        )
        tensor[:, column] = flow.velocity.mean(axis=(1, 2, 3))
    return tensor
