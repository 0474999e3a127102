"""The permeability tensor of a medium: its values, principal axes, symmetry, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.contents import plain
from resinflow.flow.drive import Boundary, Drive, Lateral
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.grid import COMPONENTS
from resinflow.flow.markup import html_table
from resinflow.flow.numbers import DARCY, check_array

Method = Literal["slice", "volume"]
"""How a tensor was solved: across the fibres by one slice and along them by one Poisson problem, or as a 3-D flow an axis."""

_SQUARE_MICROMETRE = 1e-12
_ROUNDING = 1e-9
"""Eigenvalues below this part of the largest are zero."""
_SYMMETRIC = 1e-3
"""Asymmetry from which on a tensor is said not to be symmetric."""


@dataclass(frozen=True, eq=False, repr=False)
class PermeabilityTensor:
    """K of a medium: the superficial velocity is ``-K grad(p) / viscosity``.

    Attributes:
        values: (3, 3), m^2, rows and columns ordered (x, y, z). As computed: what is not symmetric in them tells of the
            solver's error in periodic boxes, and in others of how far the box is from one that represents the medium.
        boundary: condition along the flow.
        lateral: condition on the other sides.
        method: how it was solved.
        errors: estimated relative errors of Kxx, Kyy, Kzz left by the iteration.
        fibre_fraction: of the medium.
        fibre_diameter: m, median of the fibres that slices cut whole; None where there is none.
        wall_time: seconds.
        warnings: what a careful reader must know.
        provenance: of the medium, with its fingerprint, shape and spacing.

    Raises:
        InvalidInputError: values that are no finite (3, 3) array, or unknown conditions.
    """

    values: NDArray[np.floating]
    boundary: Boundary
    lateral: Lateral
    method: Method
    errors: tuple[float, float, float]
    fibre_fraction: float
    fibre_diameter: float | None = None
    wall_time: float = 0.0
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Drive(boundary=self.boundary, lateral=self.lateral)  # refuses unknown conditions
        object.__setattr__(self, "values", check_array("values", self.values, (3, 3)))
        object.__setattr__(self, "provenance", dict(self.provenance))

    def __repr__(self) -> str:
        sizes = ", ".join(f"K{axis}{axis} {value:.4g}" for axis, value in zip(COMPONENTS, self.diagonal, strict=True))
        return f"<PermeabilityTensor: {sizes} m^2, {self.conditions}>"

    @property
    def diagonal(self) -> tuple[float, float, float]:
        """Kxx, Kyy and Kzz, m^2."""
        x, y, z = (float(value) for value in np.diag(self.values))
        return x, y, z

    @property
    def conditions(self) -> str:
        """The conditions on the sides of the box in words."""
        return "periodic" if self.boundary == "periodic" else f"pressure with {self.lateral} sides"

    @cached_property
    def symmetric(self) -> NDArray[np.float64]:
        """The symmetric part (3, 3), m^2."""
        return 0.5 * (self.values + self.values.T).astype(np.float64)

    @cached_property
    def asymmetries(self) -> dict[str, float]:
        """Differences of mirrored entries, ``xy``, ``xz`` and ``yz``, over the geometric mean of their diagonal entries.

        ``|Kxy - Kyx| / sqrt(Kxx Kyy)``: K along fibres is many times that across them, and is no measure of the plane across.
        Where nothing flows along one of the two axes, over the largest entry; 0 for a medium without any flow.
        """
        largest = float(np.abs(self.values).max())
        shares = {}
        for first, second in ((0, 1), (0, 2), (1, 2)):
            difference = abs(float(self.values[first, second]) - float(self.values[second, first]))
            least, greatest = sorted((self.diagonal[first], self.diagonal[second]))
            scale = float(np.sqrt(least) * np.sqrt(greatest)) if least > 0 else largest
            shares[COMPONENTS[first] + COMPONENTS[second]] = difference / scale if scale > 0 else 0.0
        return shares

    @property
    def asymmetry(self) -> float:
        """The largest of the :attr:`asymmetries`."""
        return max(self.asymmetries.values())

    @property
    def is_symmetric(self) -> bool:
        """Whether mirrored entries differ by less than a thousandth of the geometric mean of their diagonal entries."""
        return self.asymmetry < _SYMMETRIC

    @property
    def is_positive_definite(self) -> bool:
        """Whether resin flows with the pressure gradient whatever its direction: no eigenvalue is zero or below."""
        return bool(self.principal_values[-1] > _ROUNDING * abs(self.principal_values[0]))

    @property
    def principal_values(self) -> tuple[float, float, float]:
        """Eigenvalues of the symmetric part, m^2, the largest first."""
        first, second, third = (float(value) for value in self._principal[0])
        return first, second, third

    @property
    def principal_directions(self) -> NDArray[np.float64]:
        """Unit vectors (3, 3) that belong to :attr:`principal_values`, one a row, components (x, y, z).

        The component of greatest size of each is positive.
        """
        return self._principal[1]

    @cached_property
    def _principal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scale = float(np.abs(self.symmetric).max()) or 1.0  # eigh scales poorly at 1e-14
        values, vectors = np.linalg.eigh(self.symmetric / scale)
        rows = vectors.T[::-1].copy()
        signs = np.sign(np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1))
        rows *= signs
        rows.setflags(write=False)
        return values[::-1] * scale, rows

    @property
    def in_plane_angle(self) -> float:
        """Angle of the direction of greatest K within the plane of x and y, degrees from x towards y, -90 to 90."""
        (xx, xy), (_, yy) = self.symmetric[:2, :2]
        return float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)))

    @property
    def statement(self) -> str:
        """Whether the tensor is symmetric and positive definite, in words."""
        (first, second), share = max(self.asymmetries.items(), key=lambda pair: pair[1])
        size = f"K{first}{second} and K{second}{first} differ by {share:.1e} of sqrt(K{first}{first} K{second}{second})"
        symmetry = f"symmetric ({size})" if self.is_symmetric else f"not symmetric: {size}"
        if not np.any(self.values):
            return "zero: nothing flows along any axis"
        if self.is_positive_definite:
            return f"{symmetry}, positive definite"
        still = [axis for axis, value in zip(COMPONENTS, self.diagonal, strict=True) if value == 0]
        reason = f": no way through along {' and '.join(still)}" if still else ""
        return f"{symmetry}, not positive definite{reason}"

    def in_unit(self, unit: Literal["m^2", "um^2", "darcy"]) -> NDArray[np.float64]:
        """Return the values (3, 3) in a unit.

        Raises:
            InvalidInputError: an unknown unit.
        """
        units = {"m^2": 1.0, "um^2": _SQUARE_MICROMETRE, "darcy": DARCY}
        if unit not in units:
            raise InvalidInputError(f"the unit is {unit!r}; needed: one of {', '.join(units)}.")
        return np.asarray(self.values / units[unit], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return the tensor as plain JSON types: values in m^2, um^2 and darcy, principal axes, conditions, provenance."""
        return {
            "values_m2": self.values.tolist(),
            "values_um2": self.in_unit("um^2").tolist(),
            "values_darcy": self.in_unit("darcy").tolist(),
            "principal_values_m2": list(self.principal_values),
            "principal_directions": self.principal_directions.tolist(),
            "in_plane_angle_degrees": self.in_plane_angle,
            "asymmetry": self.asymmetry,
            "asymmetries": dict(self.asymmetries),
            "symmetric": self.is_symmetric,
            "positive_definite": self.is_positive_definite,
            "boundary": self.boundary,
            "lateral": self.lateral,
            "method": self.method,
            "solver_errors": list(self.errors),
            "fibre_fraction": self.fibre_fraction,
            "fibre_diameter_m": self.fibre_diameter,
            "wall_time_s": self.wall_time,
            "warnings": list(self.warnings),
            "provenance": json.loads(json.dumps(self.provenance, default=plain)),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> PermeabilityTensor:
        """Return the tensor of which :meth:`to_dict` made ``values``.

        Raises:
            InvalidInputError: a key is missing.
        """
        try:
            x, y, z = values["solver_errors"]
            return PermeabilityTensor(
                values=np.array(values["values_m2"], dtype=np.float64),
                boundary=values["boundary"],
                lateral=values["lateral"],
                method=values["method"],
                errors=(x, y, z),
                fibre_fraction=values["fibre_fraction"],
                fibre_diameter=values["fibre_diameter_m"],
                wall_time=values["wall_time_s"],
                warnings=tuple(values["warnings"]),
                provenance=values["provenance"],
            )
        except KeyError as error:
            raise InvalidInputError(f"the permeability tensor lacks {error}; needed: what its to_dict returns.") from None

    def _repr_html_(self) -> str:
        rows = [(axis, *(f"{value:.4g}" for value in row)) for axis, row in zip(COMPONENTS, self.in_unit("um^2"), strict=True)]
        principal = ", ".join(f"{value / _SQUARE_MICROMETRE:.4g}" for value in self.principal_values)
        notes = (
            f"principal values {principal} um^2",
            self.statement,
            f"fibre fraction {self.fibre_fraction:.3f}",
            *self.warnings,
        )
        return html_table(f"K in um^2, {self.conditions}", rows, ("", *COMPONENTS), notes)
