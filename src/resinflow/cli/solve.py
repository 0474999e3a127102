"""Solving a medium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from resinflow.cli.console import make_console, print_medium, print_plausibility, print_warnings, save_all, working
from resinflow.cli.medium import read_medium
from resinflow.cli.options import DriveOptions, MediumOptions
from resinflow.flow import Drive, FlowField, SolverReport
from resinflow.stokes import MASK_RULE, solve
from resinflow.view import flow_figure


def solve_medium(
    path: Path, image: MediumOptions, drive: DriveOptions, outputs: Sequence[Path], figure: Path | None
) -> FlowField:
    """Solve the flow through the medium in ``path``, print K and the convergence, save fields and figure.

    Walls are where the fibre surfaces are, if the medium knows them, else where its voxels are.
    """
    console = make_console()
    with working(console, "reading and segmenting"):
        micro = read_medium(path, image)
    print_medium(console, micro, path.name)
    with working(console, "solver"):
        known = micro.signed_distance is not None
        flow = solve(micro, Drive(**asdict(drive)), wall_rule="surface" if known else MASK_RULE)
    console.print(f"walls: {'the fibre surfaces, known between the voxels' if known else 'the faces of the voxels'}")
    print_plausibility(console, flow)
    report = flow.report
    if isinstance(report, SolverReport):
        console.print(
            f"{report.status} in {report.iterations} iterations, {report.wall_time:.2f} s; estimated error of K by the "
            f"iteration {report.permeability_error:.1e}; divergence {report.divergence:.1e} of the mean flow "
            "through a voxel face"
        )
    print_warnings(console, [flow])
    save_all(console, flow, outputs)
    if figure is not None:
        console.print(f"wrote {flow_figure(flow, figure)}")
    return flow
