"""The solver against known answers: the rows that ``resinflow verify`` shows.

Every check gives rows with a permeability, the right one, their relative distance, and the limit it must keep; rows without a
limit state what a method does. Reference problems and their answers are those of :mod:`resinflow.media.cases`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import get_args

import numpy as np

from resinflow.flow import Axis, Boundary, Microstructure
from resinflow.media import (
    Arrangement,
    BundleSettings,
    Direction,
    ReferenceCase,
    fibre_array,
    fibre_bundle,
    plane_channel,
    rectangular_duct,
    table_fractions,
)
from resinflow.stokes.problem.mask import MASK_RULE, WallRule
from resinflow.stokes.solve import solve
from resinflow.stokes.tensor import permeability_tensor

ARRANGEMENTS: tuple[Arrangement, ...] = ("square", "hexagonal")
DIRECTIONS: tuple[Direction, ...] = ("transverse", "longitudinal")
DIAMETERS = (16, 32, 64)
"""Voxels a fibre diameter."""

SURFACE_LIMIT = {32: (0.01, 0.025)}
"""Largest error at a resolution, up to a fibre fraction of 0.5 and above."""

LOWEST_ORDER = 1.6
NEGLIGIBLE_ERROR = 1e-3
"""Root mean square error on the finest grid below which no order is asked: what little is left no longer falls evenly."""

CHANNEL_LIMIT = 1e-6
DUCT_LIMITS = {8: 0.03, 16: 0.01, 32: 0.003}
BUNDLE_LIMIT = 0.03
TENSOR_LIMIT = 1e-5
_CHANNELS: tuple[tuple[Axis, Axis], ...] = (("x", "y"), ("y", "z"), ("z", "x"))
"""Flow and wall normal."""

_ACROSS_AND_ALONG: tuple[Axis, ...] = ("x", "z")
_TIGHT = 1e-10
_BUNDLE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Check:
    """One line of the verification.

    Attributes:
        name: what was solved.
        method: wall rule.
        value: the solver's K, m^2, or a number that the name explains.
        expected: the right K or number; NaN where the name says it all.
        error: relative distance of the two, or another number that must stay within the limit.
        limit: largest magnitude of the error, None where the row only states a fact.
    """

    name: str
    method: str
    value: float
    expected: float
    error: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """Whether the error keeps its limit."""
        return self.limit is None or bool(abs(self.error) <= self.limit)


def verify(*, quick: bool = False, watch: Callable[[Check], None] | None = None) -> list[Check]:
    """Run all checks and return their rows; ``all(row.passed for row in rows)`` is the verdict.

    Args:
        quick: leave out the finest grids and the tilted bundle on its fine grid (seconds instead of minutes).
        watch: called with every row at once.
    """
    diameters = DIAMETERS[:2] if quick else DIAMETERS
    rows: list[Check] = []
    # the orders come last: they are those of the rows before them
    for row in chain(channels(), ducts(), arrays(diameters), tensor(), () if quick else tilted_bundle(), orders(rows)):
        rows.append(row)
        if watch is not None:
            watch(row)
    return rows


def channels() -> Iterator[Check]:
    """Aligned channels of 1, 2, 3 and 5 voxels along every axis: exact with the gap coefficient."""
    for width in (1, 2, 3, 5):
        for axis, normal in _CHANNELS:
            for boundary in get_args(Boundary):
                case = plane_channel(width, axis=axis, normal=normal, boundary=boundary)
                yield _compare(case, "gap", case.permeability, CHANNEL_LIMIT, _TIGHT)


def ducts() -> Iterator[Check]:
    """Square ducts between no-slip sides against the series."""
    for width, limit in DUCT_LIMITS.items():
        case = rectangular_duct(width, width)
        yield _compare(case, "gap", case.permeability, limit, _TIGHT)


def arrays(diameters: Iterable[int] = DIAMETERS) -> Iterator[Check]:
    """Square and hexagonal arrays, across and along the fibres, from the mask and from the signed distance.

    From the mask they are compared at the mask's own fibre fraction, from the signed distance at the exact one.
    """
    for direction in DIRECTIONS:
        for arrangement in ARRANGEMENTS:
            for fraction in table_fractions(direction):
                for diameter in diameters:
                    case = fibre_array(arrangement, fraction, diameter, direction)
                    limits = SURFACE_LIMIT.get(diameter)
                    limit = None if limits is None else limits[int(fraction > 0.5)]
                    yield _compare(case, MASK_RULE, case.mask_permeability, None)
                    yield _compare(case, "surface", case.permeability, limit)


def orders(rows: Iterable[Check]) -> Iterator[Check]:
    """Observed order of convergence over all arrays of a direction, by the root mean square of their errors."""
    for direction in DIRECTIONS:
        for method in (MASK_RULE, "surface"):
            family = [row for row in rows if f"array, {direction}" in row.name and row.method == method]
            sizes = sorted({_diameter(row) for row in family})
            if len(sizes) < 2:
                continue
            rms = [np.sqrt(np.mean([row.error**2 for row in family if _diameter(row) == size])) for size in sizes]
            order = float(np.log(rms[0] / rms[-1]) / np.log(sizes[-1] / sizes[0]))
            shortfall = max(0.0, LOWEST_ORDER - order)
            name = f"observed order, arrays, {direction}, {sizes[0]} to {sizes[-1]} voxels a diameter"
            required = method == "surface" and rms[-1] > NEGLIGIBLE_ERROR
            yield Check(name, method, order, LOWEST_ORDER, shortfall, 0.0 if required else None)


def tensor() -> Iterator[Check]:
    """K tensor of a tilted periodic bundle: symmetric, positive definite, and permuted with the axes of the medium."""
    settings = BundleSettings(0.35, 7e-6, 0.1, 20.0, 0.8e-6)
    micro = fibre_bundle((8, 22, 24), (30e-6, 22e-6, 24e-6), seed=12, settings=settings)
    whole = permeability_tensor(micro, tolerance=_TIGHT, wall_rule=MASK_RULE, boundary="periodic")
    values, asymmetry = whole.values, whole.asymmetry
    scale = float(np.abs(values).max())
    yield Check("K tensor of a tilted bundle: asymmetry", MASK_RULE, asymmetry, 0.0, asymmetry, TENSOR_LIMIT)
    smallest = float(np.linalg.eigvalsh(0.5 * (values + values.T)).min())
    yield Check("K tensor: smallest eigenvalue (above 0)", MASK_RULE, smallest, float("nan"), min(smallest, 0.0), 0.0)
    dz, dy, dx = micro.spacing
    turned = Microstructure(micro.fluid.transpose(0, 2, 1), (dz, dx, dy))
    swapped = values[np.ix_([1, 0, 2], [1, 0, 2])]
    again = permeability_tensor(turned, tolerance=_TIGHT, wall_rule=MASK_RULE, boundary="periodic").values
    distance = float(np.abs(again - swapped).max()) / scale
    yield Check("K tensor: medium turned by 90 degrees", MASK_RULE, distance, 0.0, distance, TENSOR_LIMIT)


def tilted_bundle(factor: int = 4) -> Iterator[Check]:
    """A tilted bundle of 64 x 64 x 11 voxels against its own fibres on a grid ``factor`` times finer."""
    settings = BundleSettings(0.5, 11e-6, 0.08, 10.0, 0.5e-6)
    coarse = _bundle((11, 64, 64), settings)
    fine = _bundle((11 * factor, 64 * factor, 64 * factor), settings)
    change = fine.provenance["radius_change"] - coarse.provenance["radius_change"]
    distance = np.asarray(fine.signed_distance, dtype=np.float64) + change  # the radii of the coarse one
    same = Microstructure(distance > 0, fine.spacing, distance)
    for axis in _ACROSS_AND_ALONG:
        expected = solve(same, axis=axis, wall_rule="surface", tolerance=_BUNDLE_TOLERANCE).permeability
        methods: tuple[tuple[WallRule, float | None], ...] = ((MASK_RULE, None), ("surface", BUNDLE_LIMIT))
        for method, limit in methods:
            value = solve(coarse, axis=axis, wall_rule=method, tolerance=_BUNDLE_TOLERANCE).permeability
            name = f"tilted bundle 64 x 64 x 11 along {axis} against {factor} times finer"
            yield Check(name, method, value, expected, value / expected - 1, limit)


def _bundle(shape: tuple[int, int, int], settings: BundleSettings) -> Microstructure:
    return fibre_bundle(shape, (50e-6, 50e-6, 50e-6), seed=1, settings=settings)


def _compare(case: ReferenceCase, method: WallRule, expected: float, limit: float | None, tolerance: float = 1e-6) -> Check:
    flow = solve(
        case.microstructure,
        axis=case.axis,
        boundary=case.boundary,
        lateral=case.lateral,
        wall_rule=method,
        tolerance=tolerance,
    )
    name = case.name if "channel" not in case.name else f"{case.name}, {case.boundary}"
    return Check(name, method, flow.permeability, expected, flow.permeability / expected - 1, limit)


def _diameter(row: Check) -> int:
    """Voxels a diameter, from a name that ends in ``, 32 voxels a diameter``."""
    return int(row.name.rsplit(", ", 1)[1].split()[0])
