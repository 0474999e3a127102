"""What the conditions on the sides of a box do to K: the same medium under each of them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from resinflow.flow import (
    AXES,
    Axis,
    Boundary,
    Drive,
    InvalidInputError,
    Lateral,
    Microstructure,
    surface_distance,
)
from resinflow.stokes import WallChoice, solve_discrete, wall_rule_of

Condition = Literal["periodic", "symmetric sides", "periodic sides", "no-slip sides"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""Periodic in all directions, or pressure on the inlet and outlet with one kind of sides."""
RECOMMENDED: Condition = "symmetric sides"

_SIDES: dict[Condition, tuple[Boundary, Lateral]] = {
    "periodic": ("periodic", "periodic"),
    "symmetric sides": ("pressure", "symmetry"),
    "periodic sides": ("pressure", "periodic"),
    "no-slip sides": ("pressure", "no-slip"),
}
_WALL = 3
"""Voxels of the walls that stand for no-slip sides of a single slice."""


def sides_of(condition: Condition) -> tuple[Boundary, Lateral]:
    """Return the boundary and the lateral condition of a drive.

    Raises:
        InvalidInputError: an unknown condition.
    """
    if condition not in _SIDES:
        raise InvalidInputError(f"the condition is {condition!r}; needed: one of {', '.join(CONDITIONS)}.")
    return _SIDES[condition]


def permeability_under(
    micro: Microstructure, condition: Condition, axis: Axis, *, tolerance: float = 1e-4, wall_rule: WallChoice = "auto"
) -> float:
    """Return K (m^2) along an axis under a condition.

    The sides of a single slice are those in its plane: what is above and below it goes on, also where the sides are no-slip
    walls.

    Args:
        micro: the medium.
        condition: on its sides.
        axis: of the flow.
        tolerance: relative error of K.
        wall_rule: as :func:`resinflow.solve`.

    Raises:
        InvalidInputError: as :func:`resinflow.solve`, or an unknown condition.
        ConvergenceError: the tolerance was not met.
    """
    boundary, lateral = sides_of(condition)
    medium, factor = micro, 1.0
    if condition == "no-slip sides" and micro.shape[0] == 1 and axis != "z":
        medium, lateral = _walled(micro, axis), "symmetry"
        factor = medium.fluid.size / micro.fluid.size
    drive = Drive(axis, boundary=boundary, lateral=lateral)
    return solve_discrete(medium, drive, tolerance, wall_rule=wall_rule_of(medium, wall_rule)).permeability * factor


def _walled(micro: Microstructure, axis: Axis) -> Microstructure:
    """The slice between two walls beside a flow along x or y; a voxel's wall is at its side of the box."""
    across = AXES.index("y" if axis == "x" else "x")
    widths = [(_WALL, _WALL) if place == across else (0, 0) for place in range(3)]
    fluid = np.pad(micro.fluid, widths, constant_values=False)
    if micro.signed_distance is None:
        return Microstructure(fluid, micro.spacing)
    edge, count = micro.spacing[across], fluid.shape[across]
    places = np.arange(count) + 0.5 - _WALL
    to_wall = edge * np.minimum(places, count - 2 * _WALL - places)
    shape = [count if place == across else 1 for place in range(3)]
    distance = np.minimum(np.pad(surface_distance(micro), widths, mode="edge"), to_wall.reshape(shape))
    return Microstructure(distance > 0, micro.spacing, distance.astype(np.float32))
