"""Reference problems that own their answer: channels, ducts, and regular arrays of parallel fibres.

Every case carries the permeability of its smooth geometry and, for arrays, that at the solid fraction of its voxel mask:
with it the error of a flow solver is told apart from that of the voxel grid's fibre area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, Axis, Boundary, InvalidInputError, Lateral, Microstructure

if TYPE_CHECKING:  # it takes a third of a second to load, and few need a table
    from scipy.interpolate import CubicSpline

Arrangement = Literal["square", "hexagonal"]
Direction = Literal["transverse", "longitudinal"]

_FIBRE_DIAMETER = 10e-6
_DUCT_TERMS = 60

_TRANSVERSE_FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
_LONGITUDINAL_FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_DRAG: dict[Arrangement, tuple[float, ...]] = {
    "square": (15.56, 24.83, 51.53, 102.90, 217.89, 532.55),
    "hexagonal": (15.738, 25.132, 51.148, 96.793, 185.771, 382.223),
}
"""Drag per length over viscosity times superficial velocity, transverse flow. Square: Sangani and Acrivos, Int. J. Multiphase
Flow 8 (1982) 193; hexagonal: eigenfunction collocation, which gives the square values as well."""
_LONGITUDINAL: dict[Arrangement, tuple[float, ...]] = {
    "square": (2.5531, 0.64128, 0.23519, 0.099187, 0.044452, 0.020407),
    "hexagonal": (2.5002, 0.61492, 0.21789, 0.086728, 0.035283, 0.013791),
}
"""Permeability over squared fibre radius, flow along the fibres (eigenfunction collocation)."""


@dataclass(frozen=True)
class ReferenceCase:
    """A medium, the conditions it is solved under, and the permeability that is right.

    Attributes:
        name: what it is, in a few words.
        microstructure: voxel mask with the exact signed distance.
        axis: direction of the flow.
        boundary: condition along the flow.
        lateral: condition on the other sides.
        permeability: of the smooth geometry, m^2.
        mask_permeability: of the same kind of geometry at the solid fraction of the mask, m^2.
        source: where the answer comes from.
    """

    name: str
    microstructure: Microstructure
    axis: Axis
    boundary: Boundary
    lateral: Lateral
    permeability: float
    mask_permeability: float
    source: str


def plane_channel(
    width: int,
    *,
    axis: Axis = "x",
    normal: Axis = "y",
    length: int = 4,
    spacing: tuple[float, float, float] = (1e-6, 1e-6, 1e-6),
    boundary: Boundary = "pressure",
) -> ReferenceCase:
    """Return a channel ``width`` voxels wide between two solid layers one voxel thick: ``K = h^3 / (12 H)``.

    Args:
        width: voxels between the walls.
        axis: direction of the flow.
        normal: direction from wall to wall.
        length: voxels along the two other directions.
        spacing: voxel size (dz, dy, dx), m.
        boundary: condition along the flow.

    Raises:
        InvalidInputError: no voxel between the walls, or ``normal`` along the flow.
    """
    if width < 1 or length < 1:
        raise InvalidInputError(f"the channel is {width} voxels wide and {length} long; needed: at least 1.")
    if normal == axis or normal not in AXES or axis not in AXES:
        raise InvalidInputError(
            f"the channel's axis is {axis!r} and its normal {normal!r}; needed: two different ones of x, y, z."
        )
    across = AXES.index(normal)
    shape = [width + 2 if k == across else length for k in range(3)]
    height = (np.arange(width + 2) - 0.5) * spacing[across]
    gap = width * spacing[across]
    distance = np.minimum(height, gap - height).reshape([-1 if k == across else 1 for k in range(3)])
    distance = np.broadcast_to(distance, shape).copy()
    micro = Microstructure(distance > 0, spacing, distance, {"case": "plane_channel", "width": width})
    permeability = gap**3 / (12 * (width + 2) * spacing[across])
    name = f"channel, {width} voxels, along {axis}"
    return ReferenceCase(name, micro, axis, boundary, "symmetry", permeability, permeability, "Poiseuille: h^2 / 12")


def rectangular_duct(
    height: int, width: int, *, length: int = 3, spacing: tuple[float, float, float] = (1e-6, 1e-6, 1e-6)
) -> ReferenceCase:
    """Return an empty box of ``height`` x ``width`` voxels (z, y) with no-slip sides, flow along x.

    Raises:
        InvalidInputError: a size below one voxel.
    """
    if min(height, width, length) < 1:
        raise InvalidInputError(f"the duct is {height} x {width} x {length} voxels; needed: at least 1 each.")
    dz, dy, _ = spacing
    z = ((np.arange(height) + 0.5) * dz)[:, None, None]
    y = ((np.arange(width) + 0.5) * dy)[None, :, None]
    to_wall = np.minimum(np.minimum(z, height * dz - z), np.minimum(y, width * dy - y))
    distance = np.broadcast_to(to_wall, (height, width, length)).copy()
    micro = Microstructure(distance > 0, spacing, distance, {"case": "rectangular_duct"})
    permeability = duct_permeability(height * dz, width * dy)
    name = f"duct, {height} x {width} voxels"
    return ReferenceCase(name, micro, "x", "pressure", "no-slip", permeability, permeability, "Fourier series")


def duct_permeability(height: float, width: float) -> float:
    """Return K (m^2) of a rectangular duct of sides a <= b (m).

    ``a^2 / 12 (1 - 192 a / (pi^5 b) sum tanh(n pi b / 2 a) / n^5)`` over odd n (White, Viscous Fluid Flow, 2006).
    """
    short, long = sorted((height, width))
    odd = np.arange(1, 2 * _DUCT_TERMS, 2)
    series = (np.tanh(odd * np.pi * long / (2 * short)) / odd**5.0).sum()
    return float(short**2 / 12 * (1 - 192 * short / (np.pi**5 * long) * series))


def fibre_array(
    arrangement: Arrangement,
    fraction: float,
    voxels_per_diameter: float,
    direction: Direction = "transverse",
    *,
    layers: int = 1,
) -> ReferenceCase:
    """Return one periodic cell of a regular array of parallel fibres along z.

    The cell holds a whole number of voxels; the fibre diameter is near ``voxels_per_diameter`` voxels and such that the
    smooth geometry has exactly the asked fraction. The voxels of a hexagonal cell are square to within 2 % or so.

    Args:
        arrangement: ``square`` or ``hexagonal``.
        fraction: fibre fraction of the smooth geometry, within the literature's tables.
        voxels_per_diameter: resolution.
        direction: flow across the fibres (along x) or along them (z).
        layers: voxels along the fibres.

    Raises:
        InvalidInputError: an unknown arrangement or direction, a fraction out of the tables, or less than 2 voxels a diameter.
    """
    if arrangement not in _DRAG or direction not in ("transverse", "longitudinal"):
        raise InvalidInputError(
            f"the array is {arrangement!r}, {direction!r}; needed: square or hexagonal, transverse or longitudinal."
        )
    if not (voxels_per_diameter >= 2 and layers >= 1):
        raise InvalidInputError(f"{voxels_per_diameter} voxels a diameter, {layers} layers; needed: at least 2 and 1.")
    permeability = array_permeability(arrangement, fraction, direction) * (_FIBRE_DIAMETER / 2) ** 2
    cell = _cell(arrangement, fraction)
    per_length = voxels_per_diameter / _FIBRE_DIAMETER
    counts = [max(2, round(side * per_length)) for side in cell]
    dy, dx = (side / count for side, count in zip(cell, counts, strict=True))
    distance = _array_distance(arrangement, cell, counts)
    distance = np.broadcast_to(distance, (layers, *counts)).copy()
    micro = Microstructure(distance > 0, (dx, dy, dx), distance, {"case": "fibre_array", "arrangement": arrangement})
    voxelised = _at_mask_fraction(arrangement, direction, micro.fibre_fraction, cell)
    return ReferenceCase(
        name=f"{arrangement} array, {direction}, c = {fraction:g}, {voxels_per_diameter:g} voxels a diameter",
        microstructure=micro,
        axis="x" if direction == "transverse" else "z",
        boundary="periodic",
        lateral="periodic",
        permeability=permeability,
        mask_permeability=voxelised,
        source="Sangani and Acrivos (1982); collocation" if direction == "transverse" else "collocation",
    )


def array_permeability(arrangement: Arrangement, fraction: float, direction: Direction) -> float:
    """Return K over squared fibre radius of a regular array, the literature's value or its interpolation between fractions.

    Raises:
        InvalidInputError: a fraction out of the tables.
    """
    lowest, highest = table_fractions(direction)[0], table_fractions(direction)[-1]
    if not lowest <= fraction <= highest:
        raise InvalidInputError(f"the fraction is {fraction}; needed for {direction} flow: {lowest} to {highest}.")
    return float(np.exp(_spline(arrangement, direction)(fraction)))


def table_fractions(direction: Direction) -> tuple[float, ...]:
    """Return the fibre fractions at which the literature's values are tabulated."""
    return _TRANSVERSE_FRACTIONS if direction == "transverse" else _LONGITUDINAL_FRACTIONS


@cache
def _spline(arrangement: Arrangement, direction: Direction) -> CubicSpline:
    """Logarithm of K / a^2 over the fraction; masks stray a little beyond the ends of the table."""
    from scipy.interpolate import CubicSpline

    fractions = np.array(table_fractions(direction))
    values = np.array(_LONGITUDINAL[arrangement])
    if direction == "transverse":  # the force on the fibre balances the pressure drop over its cell: K / a^2 = pi / (c F)
        values = np.pi / (fractions * np.array(_DRAG[arrangement]))
    return CubicSpline(fractions, np.log(values))


def _at_mask_fraction(arrangement: Arrangement, direction: Direction, fraction: float, cell: tuple[float, float]) -> float:
    """K (m^2) of the array with the same cell whose round fibres have the mask's fraction."""
    fibres = 1 if arrangement == "square" else 2
    squared_radius = fraction * cell[0] * cell[1] / (fibres * np.pi)
    return float(np.exp(_spline(arrangement, direction)(fraction))) * squared_radius


def _cell(arrangement: Arrangement, fraction: float) -> tuple[float, float]:
    """Height and width (m) of the rectangular cell: one fibre in a square array, two in a hexagonal one."""
    radius = _FIBRE_DIAMETER / 2
    if arrangement == "square":
        side = radius * np.sqrt(np.pi / fraction)
        return side, side
    side = radius * np.sqrt(2 * np.pi / (np.sqrt(3) * fraction))
    return np.sqrt(3) * side, side


def _array_distance(arrangement: Arrangement, cell: tuple[float, float], counts: list[int]) -> NDArray[np.float64]:
    """Exact distance to the nearest fibre surface at the voxel centres of a cell, (ny, nx), m."""
    height, width = cell
    y = ((np.arange(counts[0]) + 0.5) / counts[0] * height)[:, None]
    x = ((np.arange(counts[1]) + 0.5) / counts[1] * width)[None, :]
    centres = [(0.5, 0.5)] if arrangement == "square" else [(0.25, 0.25), (0.75, 0.75)]
    nearest = np.full((counts[0], counts[1]), np.inf)
    for cy, cx in centres:
        for shift_y in (-1, 0, 1):
            for shift_x in (-1, 0, 1):
                distance = np.hypot(y - (cy + shift_y) * height, x - (cx + shift_x) * width)
                np.minimum(nearest, distance, out=nearest)
    return nearest - _FIBRE_DIAMETER / 2
