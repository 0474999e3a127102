"""What the conditions on the sides of a box do to K: the same medium under each of them."""

from __future__ import annotations

from typing import Literal, get_args

from resinflow.flow import Axis, Boundary, Drive, InvalidInputError, Lateral, Microstructure
from resinflow.stokes import WallChoice, between_walls, solve_discrete, wall_rule_of

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
    medium, drive = between_walls(micro, Drive(axis, boundary=boundary, lateral=lateral))
    flow = solve_discrete(medium, drive, tolerance, wall_rule=wall_rule_of(medium, wall_rule))
    return flow.permeability * medium.fluid.size / micro.fluid.size
