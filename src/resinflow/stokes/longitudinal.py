"""The flow along the fibres of an extruded medium: one Poisson problem in a slice, ``-lap(vz) = 1``, vz = 0 on the fibres.

Walls, conductances and open fractions are those of the Stokes system for flow along z; in that system the slice has two faces
normal to z with half a control volume each (one in a period), whose velocities are equal. What is solved here is their sum:

    excess = (excess_f + c_z) / share_f    (c_z: conductance to the other face; 0 in a period)

The error of K is known from above as for the Stokes flow (:mod:`resinflow.stokes.algebra.outer`): at the best amplitude it is
the energy of the error, ``r.A^-1 r`` with the residual r.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import ConvergenceError, Drive, FlowField, Microstructure, SolverReport
from resinflow.stokes.algebra.level import Rows
from resinflow.stokes.algebra.multigrid import Multigrid, Viscous
from resinflow.stokes.algebra.outer import INFLATION, Follow
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.algebra.stencil import BLOCKED
from resinflow.stokes.algebra.twoscale import VISCOUS_TUNING, conjugate_gradients
from resinflow.stokes.problem.mask import FLOW, WallRule
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.problem.problem import Problem, rate_permeability, still
from resinflow.stokes.problem.system import pack_excess
from resinflow.stokes.state_file import StateFile

Array = NDArray[np.float64]

_THINNEST = 0.125
"""Pixels: thickness of a slice below which it is made thicker."""
_RUN_TOLERANCE = 1e-4
"""Relative residual at which a run in single precision ends; the next one starts from the residual in double precision."""


@dataclass(frozen=True, eq=False)
class _Plane:
    """The Poisson problem of a slice, arrays (x, y), lengths in the edge of a voxel along z.

    Attributes:
        rows: layout of its fields in single precision.
        diagonal: BLOCKED where there is no unknown.
        conductance: between neighbours along x and along y.
        wraps: whether the slice repeats along x and along y.
        openness: open fraction of the faces normal to z, 0 where there is no unknown: the right-hand side.
        operator: the same operator in single precision.
    """

    rows: Rows
    diagonal: Array
    conductance: tuple[float, float]
    wraps: tuple[bool, bool]
    openness: Array
    operator: Viscous

    def apply(self, values: Array) -> Array:
        """Return the operator times ``values``, which are 0 where there is no unknown; there the image is 0, too."""
        image = self.diagonal * values
        for axis, (conductance, wraps) in enumerate(zip(self.conductance, self.wraps, strict=True)):
            lines, into = np.moveaxis(values, axis, 0), np.moveaxis(image, axis, 0)
            into[1:] -= conductance * lines[:-1]
            into[:-1] -= conductance * lines[1:]
            if wraps:
                into[0] -= conductance * lines[-1]
                into[-1] -= conductance * lines[0]
        return np.where(self.openness > 0, image, 0.0)


def longitudinal_flow(
    layer: Microstructure,
    drive: Drive,
    tolerance: float,
    max_iterations: int,
    wall_rule: WallRule,
    *,
    watch: Callable[[int, float], None] | None = None,
    follow: Follow | None = None,
    threads: int | None = None,
    state: str | Path | None = None,
) -> FlowField:
    """Return the flow along z through one slice whose fibres stand along z, over its thickness.

    Args:
        layer: the slice.
        drive: along z; its pressure drop is over the thickness of the slice.
        tolerance: relative error of K, estimated from above.
        max_iterations: steps of conjugate gradients after which the solver raises.
        wall_rule: as :func:`resinflow.solve`.
        watch: called with the iteration number and the relative residual, after every run of conjugate gradients.
        follow: called before it with K, m^2, and its relative error, estimated from above.
        threads: as :func:`resinflow.solve`.
        state: as :func:`resinflow.solve`; noted after every run of conjugate gradients.

    Raises:
        InvalidInputError: as :func:`resinflow.solve` for the medium and the state.
        ConvergenceError: the tolerance was not met.
    """
    started_at = time.perf_counter()
    slab, load = _thick_enough(layer, drive)
    problem = pose(slab, load, wall_rule)
    if problem is None:
        return still(layer, drive, started_at)
    with Pool(threads) as pool:
        plane = _plane(problem)
        scale = rate_permeability(problem)

        def follow_rate(rate: float, error: float) -> None:
            if follow is not None:
                follow(scale * rate, error)

        file = None if state is None else StateFile(state, layer, drive, wall_rule, started_at)
        with nullcontext() if file is None else file.keeping():
            values, report = _solved(pool, plane, tolerance, max_iterations, started_at, watch, follow_rate, file)
    flow = _flow(problem, values * plane.openness, report)
    share = drive.pressure_drop / load.pressure_drop
    return replace(flow, microstructure=layer, pressure=flow.pressure * share, pressure_drop=drive.pressure_drop)


def _thick_enough(layer: Microstructure, drive: Drive) -> tuple[Microstructure, Drive]:
    """A slice that is much thinner than its pixels made as thick as they are, at the same pressure gradient.

    The flow is the same, but its conductances would be lost in the rounding of the one along z.
    """
    dz, dy, dx = layer.spacing
    thickness = max(dy, dx)
    if dz > _THINNEST * thickness:
        return layer, drive
    slab = Microstructure(layer.fluid, (thickness, dy, dx), layer.signed_distance, layer.provenance)
    return slab, replace(drive, pressure_drop=drive.pressure_drop * thickness / dz)


def _plane(problem: Problem) -> _Plane:
    """The in-plane part of the equations of the faces normal to z."""
    system = problem.system
    nx, ny, _ = problem.grid.fluid.shape

    def on_faces(field: NDArray) -> Array:
        return system.rows.unpack(field, (nx, ny, 1))[..., 0].astype(np.float64)

    conductance = system.conductance(np.float64)
    share = float(system.shares[1][1])
    is_unknown = on_faces(system.unknown(FLOW)) > 0
    rest = on_faces(system.rest[FLOW]) if system.has_rest else 0.0
    beyond = (on_faces(system.excess[FLOW]) + rest + float(conductance[FLOW])) / share
    excess = np.where(is_unknown, beyond, float(BLOCKED))
    wraps = problem.grid.wraps[:2]
    rows = Rows((1, nx, ny), (False, wraps[0], wraps[1]))
    first, rest = pack_excess(rows, excess[None])
    in_plane = np.array([0.0, conductance[0], conductance[1]], dtype=np.float32)
    operator = Viscous(rows, first, rest, np.ones(rows.array_shape[1], dtype=np.float32), in_plane)
    openness = on_faces(system.openness[FLOW]) if system.partly_open else np.ones((nx, ny))
    diagonal = np.where(is_unknown, excess + 2 * float(conductance[0] + conductance[1]), float(BLOCKED))
    strengths = (float(conductance[0]), float(conductance[1]))
    return _Plane(rows, diagonal, strengths, (wraps[0], wraps[1]), np.where(is_unknown, openness, 0.0), operator)


def _solved(
    pool: Pool,
    plane: _Plane,
    tolerance: float,
    max_iterations: int,
    started_at: float,
    watch: Callable[[int, float], None] | None,
    follow: Follow,
    file: StateFile | None,
) -> tuple[Array, SolverReport]:
    """The velocity for a unit load, at its best amplitude, and the report."""
    rows, right = plane.rows, plane.openness
    multigrid = Multigrid(pool, plane.operator, VISCOUS_TUNING, {})
    earlier = None if file is None else file.load(right.shape)
    values, step = np.zeros_like(right) if earlier is None else earlier.values, rows.zeros()
    made, seconds = (0, 0.0) if earlier is None else (earlier.iterations, earlier.seconds)
    iterations, first, history = 0, 0.0, []
    while True:
        image = plane.apply(values)
        work, power = float((right * values).sum()), float((values * image).sum())
        amplitude = work / power if power > 0 else 1.0
        values *= amplitude
        residual = right - amplitude * image
        packed = rows.pack(residual[None])
        multigrid.cycle(packed, step)
        size = float((rows.unpack(step, (1, *right.shape))[0] * residual).sum())
        first = first or size
        history.append(float(np.sqrt(max(size, 0.0) / first)))
        error = INFLATION * size / (amplitude * work) if work > 0 else np.inf
        if file is not None:
            file.note(values, made + iterations, history)
        follow(amplitude * work, error)
        if watch is not None:
            watch(iterations, history[-1])
        if error <= tolerance:
            break
        if iterations >= max_iterations or (len(history) > 2 and history[-1] > 0.5 * history[-2]):
            raise _stopped(error, tolerance, iterations, iterations >= max_iterations, file)
        goal = max(_RUN_TOLERANCE, 0.5 * float(np.sqrt(tolerance / error)) if np.isfinite(error) else 0.0)
        _, count = conjugate_gradients(pool, plane.operator, multigrid.cycle, packed, step, goal, max_iterations - iterations)
        iterations += max(count, 1)
        values += np.where(right > 0, rows.unpack(step, (1, *right.shape))[0], 0.0)
    report = SolverReport(
        status="converged",
        iterations=made + iterations,
        residual=history[-1],
        residual_history=tuple(history),
        permeability_error=error,
        divergence=0.0,
        wall_time=time.perf_counter() - started_at + seconds,
    )
    return values, report


def _stopped(error: float, tolerance: float, iterations: int, falls: bool, file: StateFile | None) -> ConvergenceError:
    """What to raise where the tolerance was not met; the iterate of one that was falling is kept."""
    reached = (
        f"the flow along z reached an estimated relative error of K of {error:.1e} in {iterations} iterations; "
        f"needed: {tolerance:g}."
    )
    if not falls:
        return ConvergenceError(f"{reached} It no longer falls: use a looser tolerance.", error, ("looser tolerance",))
    kept = f" The field so far is kept in {file.path}." if file is not None and file.save() else ""
    words = f"{reached} It was falling: allow more iterations or a looser tolerance.{kept}"
    return ConvergenceError(words, error, ("more iterations", "looser tolerance"))


def _flow(problem: Problem, velocity: Array, report: SolverReport) -> FlowField:
    """The flow field of velocities (x, y) per area of the whole face, for a unit load in the unit of the system."""
    layer, drive = problem.micro, problem.drive
    _, ny, nx = layer.shape
    speed = velocity.T * (layer.spacing[0] * drive.pressure_drop / drive.viscosity)
    is_open = layer.fluid | problem.grid.fluid.transpose(drive.turned)
    return FlowField(
        microstructure=layer,
        velocity=np.stack([np.zeros(layer.shape), np.zeros(layer.shape), speed[None]]),
        pressure=np.where(is_open, 0.5 * drive.pressure_drop, 0.0),
        **asdict(drive),
        face_velocity=(np.zeros((1, ny, nx + 1)), np.zeros((1, ny + 1, nx)), np.stack([speed, speed])),
        report=report,
    )
