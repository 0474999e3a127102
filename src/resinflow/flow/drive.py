"""What drives a flow: direction, pressure drop, viscosity, and the conditions on the sides of the box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import AXES, Axis
from resinflow.flow.numbers import check_positive

Boundary = Literal["pressure", "periodic"]
Lateral = Literal["symmetry", "periodic", "no-slip"]


@dataclass(frozen=True)
class Drive:
    """What drives the flow: direction, pressure drop (Pa), viscosity (Pa s) and the conditions on the box."""

    axis: Axis = "x"
    pressure_drop: float = 1e5
    viscosity: float = 0.1
    boundary: Boundary = "pressure"
    lateral: Lateral = "symmetry"

    def __post_init__(self) -> None:
        check_positive("pressure_drop", self.pressure_drop, "Pa")
        check_positive("viscosity", self.viscosity, "Pa s")
        for name, value, allowed in (
            ("axis", self.axis, ("x", "y", "z")),
            ("boundary", self.boundary, ("pressure", "periodic")),
            ("lateral", self.lateral, ("symmetry", "periodic", "no-slip")),
        ):
            if value not in allowed:
                raise InvalidInputError(f"{name} is {value!r}; needed: one of {', '.join(allowed)}.")

    @property
    def turned(self) -> tuple[int, int, int]:
        """Permutation of the array axes that brings the flow onto the last one; it is its own inverse."""
        order = [0, 1, 2]
        flow = AXES.index(self.axis)
        order[flow], order[2] = order[2], order[flow]
        return order[0], order[1], order[2]
