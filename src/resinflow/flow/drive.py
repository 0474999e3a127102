"""What drives a flow: direction, pressure drop, viscosity, and the conditions on the sides of the box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypedDict, Unpack

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import AXES, Axis
from resinflow.flow.numbers import check_positive, check_type

Boundary = Literal["pressure", "periodic"]
Lateral = Literal["symmetry", "periodic", "no-slip"]


class DriveOptions(TypedDict, total=False):
    """The values of a :class:`Drive` as keyword arguments: ``solve(micro, axis="y", pressure_drop=2e5)``."""

    axis: Axis
    pressure_drop: float
    viscosity: float
    boundary: Boundary
    lateral: Lateral


@dataclass(frozen=True)
class Drive:
    """What drives a flow.

    Attributes:
        axis: direction of the pressure drop.
        pressure_drop: Pa over the length of the box along ``axis``.
        viscosity: Pa s.
        boundary: ``pressure``: pressure on the inlet and outlet face, zero normal gradient of the velocity there;
            ``periodic``: periodic in all three directions, driven by the mean pressure gradient.
        lateral: the other faces of a pressure-driven box: ``symmetry``, ``periodic`` or ``no-slip``.

    Raises:
        InvalidInputError: an unknown axis or condition, or a pressure drop or viscosity that is not positive.
    """

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

    @classmethod
    def of(cls, drive: Drive | None, **options: Unpack[DriveOptions]) -> Drive:
        """Return ``drive`` (None: the default one) with the values of ``options`` in the place of its own.

        Raises:
            InvalidInputError: as :class:`Drive`.
        """
        drive = cls() if drive is None else drive
        check_type("the drive", drive, Drive, 'a Drive, e.g. rf.Drive("y")')
        return replace(drive, **options)

    @property
    def turned(self) -> tuple[int, int, int]:
        """Permutation of the array axes that brings the flow onto the last one; it is its own inverse."""
        order = [0, 1, 2]
        flow = AXES.index(self.axis)
        order[flow], order[2] = order[2], order[flow]
        return order[0], order[1], order[2]
