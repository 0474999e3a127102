"""The commands `resinflow solve` and `resinflow verify`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from resinflow.cli.answer import AsJson, medium_answer, print_flow_json, print_json
from resinflow.cli.console import (
    COMMAND_LINE,
    following,
    make_console,
    print_medium,
    print_plausibility,
    print_warnings,
    save_all,
    working,
)
from resinflow.cli.drawn import (
    DRAWS_TOLERANCE,
    Drawing,
    DrawingOptions,
    Question,
    answer,
    drawing_answer,
    read_question,
    surface_deviation,
)
from resinflow.cli.options import FLAT, MediumOptions, Outputs, SolverOptions
from resinflow.cli.outputs import check_outputs
from resinflow.flow import (
    FIGURE_SUFFIXES,
    FLOW_SUFFIXES,
    BlockedMediumError,
    FlowField,
    InvalidInputError,
    Microstructure,
    SolverReport,
)

if TYPE_CHECKING:
    from resinflow.evaluate import TextTable
    from resinflow.stokes import Check

_EXIT_MISSED = 1
_STATE = ".state.npz"
_STATE_SUFFIXES = (".npz",)


def solve(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, FLAT] = MediumOptions(),
    options: Annotated[SolverOptions, FLAT] = SolverOptions(),
    drawing: Annotated[DrawingOptions, FLAT] = DrawingOptions(),
    samples: int | None = None,
    seed: int = 0,
    output: Outputs = None,
    figure: Path | None = None,
    state: Path | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Solve the Stokes flow through a medium: the trustworthy number, from the voxels alone.

    With --misalignment the flow through media that are drawn round a single image, with --slice-spacing through those drawn
    between the slices of a stack that lie far apart.

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a flow field saved before (.vti, .npz, .nc, .zarr).
    samples
        Drawn media, 16 by default.
    seed
        Seed of the drawn media.
    figure
        Save a figure (.png, .pdf, .svg) of the flow at the middle slice, or of four drawn media.
    state
        Where the field so far is kept while the solver works, for --resume; by default beside the first output, else here.
    resume
        Go on from the field that an interrupted solve (Ctrl-C, SIGTERM, a crash) left, if there is one.
    """
    drive = options.drive
    drawing.check(
        samples,
        ours=[("--samples", samples is not None), ("--seed", seed != 0)],
        others=[("--state", state is not None), ("--resume", resume)],
    )
    kept = None if drawing.asked else _state_of(state, medium, output, drive.axis)
    check_outputs(*((path, FLOW_SUFFIXES) for path in output or ()), (figure, FIGURE_SUFFIXES), (kept, _STATE_SUFFIXES))
    drawing.sizes(image).check(medium)
    if kept is not None and kept.exists() and not resume:
        raise InvalidInputError(
            f"{kept} holds the field of a solve that was interrupted; needed: --resume to go on from it, or another "
            "place (--state), or no file there: remove it to start anew."
        )
    _check(options)

    from resinflow.view import flow_figure

    console = make_console(as_json=as_json)
    if drawing.asked:
        question = read_question(medium, image, drawing, console)
        mixture = _solve_drawn(question, options, Drawing(drawing, samples, seed, output or [], figure), console)
        print_flow_json(as_json, medium_answer(question.micro, str(medium)), mixture, drawing_answer(question, drawing))
        return
    with working(console, "reading and segmenting"):
        micro = image.read(medium)
    print_medium(console, micro, medium.name, drive)
    if resume:
        goes_on = kept is not None and kept.exists()
        console.print(f"goes on from {kept}" if goes_on else "there is no field to go on from: the solver starts anew")
    with following(console, "solver") as follow, _saying_where(kept):
        flow = _solved(micro, options, follow, kept)
    console.print(f"walls: {_walls(micro, options)}")
    print_plausibility(console, flow)
    if isinstance(flow.report, SolverReport):
        console.print(_convergence(flow.report))
    print_warnings(console, {"solver": flow})
    save_all(console, flow, output or [])
    if figure is not None:
        console.print(f"wrote {flow_figure(flow, figure, image=image.greys(medium, micro))}")
    print_flow_json(as_json, medium_answer(micro, str(medium)), flow, {"walls": _walls(micro, options)})


def _solve_drawn(question: Question, options: SolverOptions, drawing: Drawing, console: Console) -> FlowField:
    """Solve drawn media, to 1e-4 of K where nothing else is asked for: they differ by per cents; return what they say."""
    loose = options.tolerance is None and options.refine is None
    each = replace(options, tolerance=DRAWS_TOLERANCE) if loose else options
    console.print(f"walls: {_walls(question.micro, options)}")
    surfaces = surface_deviation(question.micro, options.drive)
    return answer(question, drawing, lambda medium: _solved(medium, each, _quiet, None), console, surfaces)


def _quiet(permeability: float, error: float) -> None:
    """Show nothing of a solve: of drawn media their number is shown."""


def _check(options: SolverOptions) -> None:
    """Raise InvalidInputError for options out of range, or --refine beside options that it replaces."""
    if options.max_iterations is not None and options.max_iterations < 1:
        raise InvalidInputError(f"--max-iterations is {options.max_iterations}; needed: 1 or more.")
    from resinflow.stokes import check_refinement

    if options.refine is None:
        return
    check_refinement(options.refine)
    if options.tolerance is not None:
        raise InvalidInputError("--refine says how accurate K shall be on the finer grid; leave out --tolerance.")
    if options.wall_rule not in ("auto", "surface"):
        raise InvalidInputError(
            f"--wall-rule is {options.wall_rule!r}; needed: auto or surface: --refine puts the walls at the fibre surfaces."
        )


def _state_of(state: Path | None, medium: Path, output: list[Path] | None, axis: str) -> Path | None:
    """Where the field so far is kept; None where the current folder, by default, cannot be written."""
    if state is not None:
        return state
    if output:
        return output[0].with_name(f"{output[0].stem}{_STATE}")
    return Path(f"{medium.stem}-{axis}{_STATE}") if os.access(os.curdir, os.W_OK | os.X_OK) else None


@contextmanager
def _saying_where(state: Path | None) -> Iterator[None]:
    """Let an interruption say where the field so far is and how to go on from it."""
    try:
        yield
    except KeyboardInterrupt as error:
        if state is None or not state.exists():
            raise
        command = COMMAND_LINE.get()
        again = command if "--resume" in command.split() else f"{command} --resume"
        raise type(error)(f"the field so far is in {state}. Go on from it with: {again}") from error


def _solved(
    micro: Microstructure, options: SolverOptions, follow: Callable[[float, float], None], state: Path | None
) -> FlowField:
    """Return the flow on the medium's own grid, or with --refine on a finer one; at rest if nothing flows there."""
    from resinflow.stokes import DEFAULT_TOLERANCE, MAX_ITERATIONS, rest_flow, solve_finer
    from resinflow.stokes import solve as solve_flow

    drive = options.drive
    most = MAX_ITERATIONS if options.max_iterations is None else options.max_iterations
    if options.refine is None:
        if options.wall_rule == "surface" and micro.signed_distance is None:
            raise InvalidInputError(
                "the mask does not tell where its fibre surfaces are; needed: a grey image, or a mask of fibre sections and "
                "--front-end learned. Leave out --wall-rule, or estimate them on a finer grid, e.g. --refine 1e-4."
            )
        tolerance = DEFAULT_TOLERANCE if options.tolerance is None else options.tolerance
        return solve_flow(
            micro, drive, tolerance=tolerance, max_iterations=most, wall_rule=options.wall_rule, follow=follow, state=state
        )
    try:
        return solve_finer(micro, drive, tolerance=options.refine, max_iterations=most, follow=follow, state=state)
    except BlockedMediumError:
        return rest_flow(micro, drive)


def _walls(micro: Microstructure, options: SolverOptions) -> str:
    """Where the walls of the flow are, and on which grid."""
    from resinflow.stokes import wall_rule_of

    known = str(micro.provenance.get("surface", "known between the voxels"))
    if options.refine is not None:
        source = "estimated from the mask" if micro.signed_distance is None else known
        return f"the fibre surfaces, {source}, on a grid twice as fine as the voxels"
    rule = wall_rule_of(micro, options.wall_rule)
    if rule == "surface":
        return f"the fibre surfaces, {known}"
    return "the faces of the voxels" if rule == "plain" else "the faces of the voxels, by the rule gap"


def verify(*, quick: bool = False, as_json: AsJson = False) -> None:
    """Check the solver against known answers: channels, ducts, fibre arrays, K tensor, tilted bundle; exit status 1 on a miss.

    Parameters
    ----------
    quick
        Leave out the finest grids: a minute instead of several.
    """
    from resinflow.stokes import verify as verify_solver

    console = make_console(as_json=as_json)
    with working(console, "verification"):
        rows = verify_solver(quick=quick)
    console.print(_table(rows).terminal(wrapped=False))
    missed = [row for row in rows if not row.passed]
    limited = sum(row.limit is not None for row in rows)
    console.print(f"{limited - len(missed)} of {limited} limits kept; {len(rows) - limited} rows state a fact without a limit")
    for row in missed:
        console.print(f"missed: {row.name}, {row.method}: {row.error:.3g} (limit {row.limit:g})")
    if as_json:
        print_json({"checks": [{**asdict(row), "passed": row.passed} for row in rows], "missed": len(missed)})
    if missed:
        sys.exit(_EXIT_MISSED)


def _convergence(report: SolverReport) -> str:
    return (
        f"{report.status} in {report.iterations} iterations, {report.wall_time:.2f} s; estimated error of K by the "
        f"iteration {report.permeability_error:.1e}; divergence {report.divergence:.1e} of the mean flow "
        "through a voxel face"
    )


def _table(rows: list[Check]) -> TextTable:
    from resinflow.evaluate import TextTable

    cells = []
    for row in rows:
        expected = "" if math.isnan(row.expected) else f"{row.expected:.5g}"
        verdict = "" if row.limit is None else ("ok" if row.passed else "MISSED")
        limit = "" if row.limit is None else f"{row.limit:g}"
        cells.append((row.name, row.method, f"{row.value:.5g}", expected, f"{row.error:+.2e}", limit, verdict))
    return TextTable(("check", "wall rule", "value", "expected", "error", "limit", ""), tuple(cells), names=2)
