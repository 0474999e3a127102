"""What a refined prediction reached, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from resinflow.cli.answer import interval_answer
from resinflow.flow import LEVEL, REACH, Microstructure, surface_source

if TYPE_CHECKING:
    from resinflow.stokes import Refinement, Work


def refined_interval(refinement: Refinement, surfaces: float | None = None) -> tuple[float, float]:
    """Return the ends (m^2) of the interval of K: bounds of the finer grid's K, widened by the fibre surfaces where known.

    Args:
        refinement: the refined flow.
        surfaces: relative standard deviation of K that the fibre surfaces leave.
    """
    low = refinement.flow.permeability
    high = low * (1 + refinement.work.permeability_error)  # the solver's K is low, by no more than its error
    return (low, high) if surfaces is None else (low * max(1 - REACH * surfaces, 0.0), high * (1 + REACH * surfaces))


def refinement_answer(refinement: Refinement, surfaces: float | None = None) -> dict[str, Any]:
    """Return what the refinement reached and what it took."""
    parts = {} if surfaces is None else {"fibre surfaces": surfaces}
    level = None if surfaces is None else LEVEL
    return {
        "interval": interval_answer(refined_interval(refinement, surfaces), parts, level=level),
        "finer_shape": list(refinement.shape),
        "setup_s": refinement.setup_seconds,
        "work": _work(refinement.work),
        "cold_work": None if refinement.cold is None else _work(refinement.cold),
    }


def _work(work: Work) -> dict[str, Any]:
    return {"iterations": work.iterations, "wall_time_s": work.seconds, "solver_error": work.permeability_error}


def print_surface_error(micro: Microstructure, surfaces: float | None, console: Console) -> None:
    """Print that an interval does not know the error of fibre surfaces that come from an image, where it does not."""
    if surfaces is not None or surface_source(micro) == "exact":
        return
    console.print(
        "the interval leaves out the error of the fibre surfaces, which are "
        f"{micro.provenance.get('surface', 'estimated from a mask')}; needed: an image that is read with "
        "--front-end learned, and a model that is calibrated for it (resinflow model calibrate)",
        style="yellow",
    )


def print_refinement(console: Console, refinement: Refinement, surfaces: float | None = None) -> None:
    """Print what the refinement reached, what it took, and, where a cold start was run, what was saved.

    Args:
        console: where.
        refinement: the refined flow.
        surfaces: relative standard deviation of K that the fibre surfaces leave, where it is known.
    """
    nz, ny, nx = refinement.shape
    work, cold = refinement.work, refinement.cold
    low, high = refined_interval(refinement, surfaces)
    console.print(
        f"{'90 % ' if surfaces is not None else ''}interval of K: {low:.4g} to {high:.4g} m^2 on the finer grid of "
        f"{nx} x {ny} x {nz} voxels with walls at the fibre surfaces: error of K at most "
        f"{100 * work.permeability_error:.2g} % (estimated from above)"
        + ("" if surfaces is None else f", standard deviation by the fibre surfaces {100 * surfaces:.2g} %")
    )
    print_surface_error(refinement.flow.microstructure, surfaces, console)
    console.print(
        f"refined in {work.iterations} iterations, {work.seconds:.2f} s on top of a set-up of {refinement.setup_seconds:.2f} s"
    )
    if cold is None:
        console.print("--compare also solves from a cold start and prints whether the prediction saved work")
        return
    console.print(f"from a cold start: {cold.iterations} iterations, {cold.seconds:.2f} s; {saving_in_words(work, cold)}")


def saving_in_words(work: Work, cold: Work) -> str:
    """Return whether the start from the prediction saved iterations and time, set-up apart."""
    return (
        f"the prediction saved {_saved(work.iterations, cold.iterations, 'iterations')} and "
        f"{_saved(work.seconds, cold.seconds, 'seconds', digits=2)}"
    )


def _saved(spent: float, otherwise: float, unit: str, digits: int = 0) -> str:
    """What was saved of a number, in words also where nothing was."""
    if spent < otherwise:
        return f"{otherwise - spent:.{digits}f} of {otherwise:.{digits}f} {unit} ({100 * (1 - spent / otherwise):.0f} %)"
    return f"no {unit}" + (f" (it took {spent - otherwise:.{digits}f} more)" if spent > otherwise else "")
