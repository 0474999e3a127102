"""The permeability tensor of a medium, from one flow an axis."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import (
    AXES,
    COMPONENTS,
    Axis,
    Boundary,
    Drive,
    FlowField,
    InvalidInputError,
    Lateral,
    Microstructure,
    PermeabilityTensor,
    SolverReport,
    check_medium,
)
from resinflow.media import estimate_fibre_diameter
from resinflow.stokes.estimate import gap_statistics
from resinflow.stokes.extruded import between_walls, layer_drive, layer_of
from resinflow.stokes.problem.mask import WallChoice, WallRule, wall_rule_of
from resinflow.stokes.solve import DEFAULT_TOLERANCE, MAX_ITERATIONS, solve_discrete

Watch = Callable[[Axis, int, float], None]
Follow = Callable[[Axis, float, float], None]
_SINGULAR = 1e-6
"""Least singular value of the mean pressure gradients, over the greatest, of which a tensor can be told."""


def permeability_tensor(
    micro: Microstructure,
    *,
    boundary: Boundary = Drive.boundary,
    lateral: Lateral = Drive.lateral,
    tolerance: float = DEFAULT_TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    wall_rule: WallChoice = "auto",
    threads: int | None = None,
    warn: bool = True,
    watch: Watch | None = None,
    follow: Follow | None = None,
) -> PermeabilityTensor:
    """Return K (3, 3): the superficial velocity is ``-K grad(p) / viscosity``.

    In a periodic box column j is the mean velocity under a unit pressure gradient along axis j. A pressure-driven box has a
    mean gradient across the driven axis as well, where its sides let pressure build up: from the three flows with the mean
    velocities ``U`` (3, 3) and mean pressure gradients ``G`` (3, 3), a column a flow, ``K = -viscosity U G^-1``.

    A medium whose slices are alike (a single micrograph) is solved across the fibres by one slice, and along z by one Poisson
    problem: Kxz and Kyz are zero. No-slip sides of a single slice are those in its plane: what is above and below it goes on.

    Args:
        micro: the medium; one period of it where ``boundary`` is ``periodic``.
        boundary: condition along the flow: ``pressure``, or ``periodic`` (in all directions) for media that repeat.
        lateral: condition on the other sides of a pressure-driven box; ``symmetry`` is the one of least bias for parts of a
            larger medium (docs/tow.md).
        tolerance: as :func:`resinflow.solve`, of the entries on the diagonal.
        max_iterations: as :func:`resinflow.solve`.
        wall_rule: as :func:`resinflow.solve`.
        threads: as :func:`resinflow.solve`.
        warn: whether to look for gaps that the pixels do not resolve, at the price of a set-up.
        watch: called with the axis, the iteration number and the relative residual.
        follow: called before it with the axis, K along it, m^2, and about its relative error, as :func:`resinflow.solve`.

    Returns:
        The tensor, in m^2. That of a periodic box is symmetric to the solver's tolerance, and positive definite if the medium
        percolates along every axis; ``statement`` says whether it is.

    Raises:
        InvalidInputError: all-solid media, media without any wall, options out of range.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> rf.permeability_tensor(micro).values.shape  # m^2
        (3, 3)
    """
    check_medium(micro)
    started_at = time.perf_counter()
    rule = wall_rule_of(micro, wall_rule)
    side: Lateral = "periodic" if boundary == "periodic" else lateral
    drives = [Drive(axis, micro.extent[AXES.index(axis)], 1.0, boundary, side) for axis in COMPONENTS]
    layer = layer_of(micro)
    in_slices = micro.shape[0] == 1 or (layer is not None and all(layer_drive(micro, drive) is not None for drive in drives))
    velocities, gradients = np.zeros((3, 3)), np.zeros((3, 3))
    errors, warnings = [0.0, 0.0, 0.0], []
    for column, drive in enumerate(drives):
        medium, load = _slice_problem(micro, drive, layer)
        flow = _solved(medium, load, rule, tolerance, max_iterations, threads, watch, follow)
        # a single slice between walls is wider than the slice by what the walls take
        share = 1.0 if micro.shape[0] > 1 else medium.fluid.size / micro.fluid.size
        velocities[:, column] = flow.velocity.mean(axis=(1, 2, 3), dtype=np.float64) * share
        gradients[:, column] = _mean_gradient(flow)
        if isinstance(flow.report, SolverReport):
            errors[column] = flow.report.permeability_error
            warnings += flow.report.warnings
        if warn and drive.axis == "x":
            warnings += _gap_warning(flow, rule)
    return PermeabilityTensor(
        values=_tensor(velocities, gradients),
        boundary=boundary,
        lateral=side,
        method="slice" if in_slices else "volume",
        errors=(errors[0], errors[1], errors[2]),
        fibre_fraction=micro.fibre_fraction,
        fibre_diameter=estimate_fibre_diameter(micro if layer is None else layer),
        wall_time=time.perf_counter() - started_at,
        warnings=tuple(warnings),
        provenance={
            **micro.provenance,
            "fingerprint": micro.fingerprint,
            "shape": list(micro.shape),
            "spacing": list(micro.spacing),
            "wall_rule": rule,
        },
    )


def _slice_problem(micro: Microstructure, drive: Drive, layer: Microstructure | None) -> tuple[Microstructure, Drive]:
    """What is solved for an axis: one slice of an extruded medium where the sides allow it, else the whole."""
    single = layer_drive(micro, drive)
    return between_walls(micro, drive) if layer is None or single is None else (layer, single)


def _solved(
    micro: Microstructure,
    drive: Drive,
    rule: WallRule,
    tolerance: float,
    max_iterations: int,
    threads: int | None,
    watch: Watch | None,
    follow: Follow | None,
) -> FlowField:
    def show(iteration: int, residual: float) -> None:
        if watch is not None:
            watch(drive.axis, iteration, residual)

    def tell(permeability: float, error: float) -> None:
        if follow is not None:
            follow(drive.axis, permeability, error)

    return solve_discrete(micro, drive, tolerance, max_iterations, rule, watch=show, follow=tell, threads=threads)


def _mean_gradient(flow: FlowField) -> NDArray[np.float64]:
    """The mean pressure gradient (x, y, z), Pa / m: that of the drive along its axis, and across it what the sides build up.

    Across the axis it is the difference of the mean pressures of the fluid in the first and the last layer of voxels. Nothing
    builds up where sides are joined.
    """
    micro = flow.microstructure
    gradient = np.zeros(3)
    for component, axis in enumerate(COMPONENTS):
        place = AXES.index(axis)
        if axis == flow.axis:
            gradient[component] = -flow.pressure_drop / flow.length
        elif "periodic" not in (flow.boundary, flow.lateral) and micro.shape[place] > 1:
            means = [_layer_mean(flow, place, layer) for layer in (0, -1)]
            gradient[component] = (means[1] - means[0]) / (micro.spacing[place] * (micro.shape[place] - 1))
    return gradient


def _layer_mean(flow: FlowField, place: int, layer: int) -> float:
    """Mean pressure of the fluid in a layer of voxels; the mean of the box where the layer holds none."""
    fluid, pressure = (np.moveaxis(field, place, 0)[layer] for field in (flow.microstructure.fluid, flow.pressure))
    return float(pressure[fluid].mean()) if fluid.any() else 0.5 * flow.pressure_drop


def _tensor(velocities: NDArray[np.float64], gradients: NDArray[np.float64]) -> NDArray[np.float64]:
    """``K = -U G^-1`` for unit viscosity."""
    if np.linalg.svd(gradients, compute_uv=False)[-1] < _SINGULAR * np.abs(gradients).max():
        raise InvalidInputError(
            "the mean pressure gradients of the three flows lie in one plane, so that they tell no tensor; needed: a larger "
            "box, or periodic sides (boundary periodic)."
        )
    return -velocities @ np.linalg.inv(gradients)


def _gap_warning(flow: FlowField, rule: WallRule) -> list[str]:
    """What narrow gaps leave open, for media that do not know their surfaces exactly; at most one line."""
    if rule == "surface" and "surface" not in flow.microstructure.provenance:
        return []
    warning = gap_statistics(flow, surfaces=rule == "surface").warning
    return [warning] if warning else []
