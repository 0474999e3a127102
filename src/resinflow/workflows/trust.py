"""How far a predicted flow can be trusted: what is certain of it, and the solver that takes it to a wanted accuracy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from resinflow.core import FlowField, InvalidInputError, Microstructure, ModelReport, SolverReport
from resinflow.core.surface import refined_medium, with_surface
from resinflow.data.coarsen import coarse_grain
from resinflow.stokes import certify
from resinflow.stokes.certify import drive_of
from resinflow.stokes.posed import PosedStokes, posed_stokes
from resinflow.stokes.problem import Drive

Factors = tuple[int, int, int]

FACTORS: Factors = (2, 2, 2)
"""Finer voxels per voxel along (z, y, x): the grid that the flows of the standard data set are solved on."""
TRUTH_TOLERANCE = 1e-4
"""Relative error of K of the flow that predictions are compared with, as in the standard data set."""
_LARGEST_TOLERANCE = 0.5


@dataclass(frozen=True)
class Work:
    """What a solve on the finer grid took, without its set-up.

    Attributes:
        iterations: Krylov steps.
        seconds: wall time.
        permeability_error: estimated relative error of K that is left.
    """

    iterations: int
    seconds: float
    permeability_error: float

    @classmethod
    def of(cls, flow: FlowField) -> Work:
        """Read it from a solver's report; a flow at rest took none."""
        report = flow.report
        if not isinstance(report, SolverReport):
            return cls(0, 0.0, 0.0)
        return cls(report.iterations, report.wall_time, report.permeability_error)


@dataclass(frozen=True)
class Refinement:
    """A flow that the solver took from a start to a wanted accuracy on a finer grid.

    Attributes:
        flow: averages on the grid of the start; K is the finer grid's.
        shape: voxels (nz, ny, nx) of the finer grid.
        setup_seconds: wall time of the fibre surfaces, the discrete system and its preconditioner, whatever the start.
        work: from the start on.
        cold: from the solver's own start, where it was run.
        truth: the flow at :data:`TRUTH_TOLERANCE` or better on the grid of the start, where the cold start was run.
    """

    flow: FlowField
    shape: tuple[int, int, int]
    setup_seconds: float
    work: Work
    cold: Work | None = None
    truth: FlowField | None = None


def certified(flow: FlowField) -> FlowField:
    """Return the flow with its certificate (:func:`resinflow.stokes.certify`) in its report.

    The certificate speaks of the discrete problem on the flow's own grid: with walls where the fibre surfaces are if the flow
    knows of surfaces that cut voxels, else with plain walls on the faces of the mask.

    Raises:
        InvalidInputError: a flow without report.
        ConvergenceError: the Poisson solve failed.
    """
    if flow.report is None:
        raise InvalidInputError("the flow has no report to hold a certificate; needed: a model's or a solver's flow.")
    micro = flow.microstructure
    if (flow.open_voxels == micro.fluid).all():
        found = certify(flow)
    else:
        found = certify(replace(flow, microstructure=with_surface(micro)), wall_rule="surface")
    return replace(flow, report=replace(flow.report, certificate=found))


def check_refinement(tolerance: float) -> None:
    """Raise InvalidInputError unless ``tolerance`` is a relative error of K that a solver can be asked for."""
    if not 0 < tolerance < _LARGEST_TOLERANCE:
        raise InvalidInputError(
            f"the tolerance of the refinement is {tolerance:g}; needed: above 0 and below {_LARGEST_TOLERANCE:g}, a relative "
            "error of K, e.g. --refine 0.01."
        )


def refine_flow(
    flow: FlowField, tolerance: float, *, compare: bool = False, factors: Factors = FACTORS, threads: int | None = None
) -> Refinement:
    """Hand a flow to the solver until the error of K on a finer grid is estimated below ``tolerance``.

    The finer grid has the fibre surfaces of the medium's signed distance, estimated from the mask where there is none
    (:func:`resinflow.core.surface.refined_medium`), and walls there. The error is estimated from above.

    Args:
        flow: where to start: a model's flow, or any other of the medium.
        tolerance: relative error of K, above 0 and below 0.5.
        compare: also solve from the solver's own start, to measure what the given one saves, and to the truth.
        factors: finer voxels per voxel along (z, y, x).
        threads: as :func:`resinflow.solve`.

    Raises:
        InvalidInputError: a tolerance out of range, or a medium that does not percolate along the flow on either grid.
        ConvergenceError: the tolerance was not met.
    """
    check_refinement(tolerance)
    micro, drive = flow.microstructure, drive_of(flow)
    fine = refined_medium(micro, factors)
    with posed_stokes(fine, drive, "surface", threads) as posed:
        if posed is None:
            raise _blocked(drive)
        warm = posed.solve(tolerance, initial=flow)
        cold = posed.solve(tolerance) if compare else None
        truth = None if cold is None else _finished(posed, cold, min(tolerance, TRUTH_TOLERANCE))
    name = flow.report.model if isinstance(flow.report, ModelReport) else "another flow"
    refined = _averaged(warm, micro, factors, posed.setup_seconds, (f"refined from a prediction by {name}",))
    return Refinement(
        flow=refined,
        shape=fine.shape,
        setup_seconds=posed.setup_seconds,
        work=Work.of(warm),
        cold=None if cold is None else Work.of(cold),
        truth=None if truth is None else _averaged(truth, micro, factors, posed.setup_seconds),
    )


def solve_finer(
    micro: Microstructure, drive: Drive, tolerance: float = TRUTH_TOLERANCE, *, factors: Factors = FACTORS
) -> FlowField:
    """Return the flow that the solver finds on a finer grid, averaged: what a model with the base ``grid`` predicts.

    Raises:
        InvalidInputError: as :func:`refine_flow`.
        ConvergenceError: the tolerance was not met.
    """
    with posed_stokes(refined_medium(micro, factors), drive, "surface") as posed:
        if posed is None:
            raise _blocked(drive)
        return _averaged(posed.solve(tolerance), micro, factors, posed.setup_seconds)


def _finished(posed: PosedStokes, flow: FlowField, tolerance: float) -> FlowField:
    """The flow at a tighter tolerance: itself if it meets it, else solved on; its report counts all of the work."""
    done = Work.of(flow)
    if done.permeability_error <= tolerance:
        return flow
    further = posed.solve(tolerance, initial=flow)
    if not isinstance(further.report, SolverReport):
        return further
    report = further.report
    total = replace(report, iterations=report.iterations + done.iterations, wall_time=report.wall_time + done.seconds)
    return replace(further, report=total)


def _averaged(
    fine: FlowField, micro: Microstructure, factors: Factors, setup_seconds: float, origin: tuple[str, ...] = ()
) -> FlowField:
    """The means on the stored grid; the report tells the grid, and its time includes the set-up."""
    flow = coarse_grain(fine, factors, micro)
    if not isinstance(flow.report, SolverReport):
        return flow
    nz, ny, nx = fine.microstructure.shape
    known = micro.provenance.get("surface", "known") if micro.signed_distance is not None else "estimated from the mask"
    words = "; ".join((*origin, f"solved on {nx} x {ny} x {nz} voxels with fibre surfaces {known}"))
    seconds = flow.report.wall_time + setup_seconds
    return replace(flow, report=replace(flow.report, wall_time=seconds, warnings=(*flow.report.warnings, words)))


def _blocked(drive: Drive) -> InvalidInputError:
    return InvalidInputError(
        f"the medium does not percolate along {drive.axis} on the finer grid, so that nothing flows: K = 0; needed: a medium "
        "with a way through, or leave out the refinement."
    )


def print_certificates(console: Console, flows: dict[str, FlowField]) -> None:
    """Print what is certain of the flows that carry a certificate; nothing where none does."""
    known = {
        name: (flow, found)
        for name, flow in flows.items()
        if flow.report is not None and (found := flow.report.certificate) is not None
    }
    if not known:
        return
    rule = next(iter(known.values()))[1].wall_rule
    table = Table(title=f"certificate: the discrete flow on these voxels, walls by the rule {rule}", title_justify="left")
    table.add_column("field", no_wrap=True)
    for title in ("its K is at least, m^2", "of the field's K", "projection changed", "momentum residual", "net outflow"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, (flow, found) in known.items():
        part = f"{100 * found.permeability_bound / flow.permeability:.1f} %" if flow.permeability > 0 else "-"
        bound = f"{found.permeability_bound:.4e}"
        table.add_row(name, bound, part, f"{100 * found.correction:.2g} %", f"{found.residual:.3f}", f"{found.divergence:.1e}")
    console.print(table)
    console.print(
        "The bound holds for any field after the projection to no net outflow and no flow through fibre faces. Residual: 0 for "
        "the exact flow of this problem, 1 for no flow."
    )


def print_refinement(console: Console, refinement: Refinement) -> None:
    """Print what the refinement reached, what it took, and, where a cold start was run, what was saved."""
    nz, ny, nx = refinement.shape
    work, cold = refinement.work, refinement.cold
    console.print(
        f"refined on {nx} x {ny} x {nz} voxels, walls by the rule surface: error of K at most "
        f"{100 * work.permeability_error:.2g} % (estimated from above) after {work.iterations} iterations, "
        f"{work.seconds:.2f} s on top of a set-up of {refinement.setup_seconds:.2f} s"
    )
    if cold is None:
        console.print("--compare also solves from a cold start and prints what the prediction saved")
        return
    console.print(
        f"from a cold start: {cold.iterations} iterations, {cold.seconds:.2f} s; the prediction saved "
        f"{_saved(work.iterations, cold.iterations)} of the iterations and {_saved(work.seconds, cold.seconds)} of the time "
        "without set-up"
    )


def _saved(spent: float, otherwise: float) -> str:
    """Part saved, in per cent; negative where more was spent."""
    return f"{100 * (1 - spent / otherwise):.0f} %" if otherwise > 0 else "nothing"
