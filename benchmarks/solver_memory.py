"""Memory of the Stokes solver, bytes a voxel by what numpy allocates: posing, set-up and iteration, and what holds most.

    python benchmarks/solver_memory.py                          # bundles of 96^3 and 128^3, plain walls and surfaces
    python benchmarks/solver_memory.py --sizes 192 --rules plain
    python benchmarks/solver_memory.py --sizes 64 --top 12      # the lines whose arrays are the largest while it iterates

Bytes count from the medium on (its mask and distances belong to whoever made them). ``beyond`` is the largest of the columns
less the fields that are returned: velocity, staggered velocity and pressure in double precision, 56 bytes. ``resident`` is the
largest growth of the process, which also knows of what compiled code and libraries allocate.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from dataclasses import dataclass, field
from typing import get_args

from rich.console import Console
from rich.table import Table
from stopwatch import bound_threads, command_line, in_child, peak_bytes

from resinflow.stokes.problem.mask import WallRule

EXTENT = 50e-6
FIELD_BYTES = 56


@dataclass
class Peaks:
    """Bytes a voxel at the peaks of the parts of a solve, and the largest lines of code."""

    voxels: int
    names: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def note(self, name: str) -> None:
        """Note the peak since the last call."""
        gc.collect()
        self.names[name] = tracemalloc.get_traced_memory()[1] / self.voxels
        tracemalloc.reset_peak()

    def look(self, count: int) -> None:
        """Note the lines that hold most now."""
        if self.lines or not count:
            return
        for line in tracemalloc.take_snapshot().statistics("lineno")[:count]:
            place = line.traceback[0]
            self.lines.append(f"{line.size / self.voxels:6.1f}  {place.filename.rpartition('resinflow/')[2]}:{place.lineno}")


def measured(size: int, rule: WallRule, tolerance: float, top: int) -> dict[str, object]:
    """Return the peaks of one solve."""
    from resinflow.flow import Drive, SolverReport
    from resinflow.media import BundleSettings, fibre_bundle
    from resinflow.stokes.algebra.pool import Pool
    from resinflow.stokes.algebra.twoscale import TwoScale
    from resinflow.stokes.problem.pose import pose
    from resinflow.stokes.solve import PosedStokes, solve

    solve(fibre_bundle((12, 12, 12), (EXTENT, EXTENT, EXTENT), seed=1, volume_fraction=0.4), wall_rule=rule)
    micro = fibre_bundle((size, size, size), (EXTENT, EXTENT, EXTENT), seed=1, settings=BundleSettings(volume_fraction=0.5))
    before = peak_bytes()
    peaks = Peaks(micro.fluid.size)
    started_at = time.perf_counter()
    tracemalloc.start()
    with Pool(1) as pool:
        problem = pose(micro, Drive("x"), rule)
        if problem is None:
            raise SystemExit("no resin flows through the bundle")
        peaks.note("pose")
        preconditioner = TwoScale(pool, problem.system)
        peaks.note("set-up")
        posed = PosedStokes(problem, preconditioner, pool, 0.0, rule)
        flow = posed.solve(tolerance, follow=lambda permeability, error: peaks.look(top))
    peaks.note("iteration")
    return {
        **peaks.names,
        "resident": (peak_bytes() - before) / peaks.voxels,
        "seconds": time.perf_counter() - started_at,
        "iterations": flow.report.iterations if isinstance(flow.report, SolverReport) else 0,
        "lines": peaks.lines,
    }


def main() -> None:
    """Print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 128])
    parser.add_argument("--rules", nargs="+", default=["plain", "surface"])
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--top", type=int, default=0)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        size, name = options.only.split(",")
        rule = next(each for each in get_args(WallRule) if each == name)
        print(json.dumps(measured(int(size), rule, options.tolerance, options.top)))
        return
    columns = ("pose", "set-up", "iteration")
    table = Table("voxels", "walls", *columns, "beyond", "resident", "s", "steps", title="bytes a voxel")
    console = Console()
    for size in options.sizes:
        for rule in options.rules:
            extra = ("--tolerance", str(options.tolerance), "--top", str(options.top))
            row = in_child((sys.executable, __file__, "--only", f"{size},{rule}", *extra), bound_threads(1))
            beyond = max(row[name] for name in columns) - FIELD_BYTES
            cells = [f"{row[name]:.0f}" for name in columns]
            rest = (f"{beyond:.0f}", f"{row['resident']:.0f}", f"{row['seconds']:.1f}", str(row["iterations"]))
            table.add_row(f"{size}^3", rule, *cells, *rest)
            for line in row["lines"]:
                console.print(f"{size}^3 {rule} {line}")
    console.print(table)


if __name__ == "__main__":
    main()
