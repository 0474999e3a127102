"""Benchmark of the Stokes solver: time, iterations, memory and ratios, all measured in one run.

    python benchmarks/solver.py                        # every case, one thread and two
    python benchmarks/solver.py --cases 64 128 c96     # some cases
    python benchmarks/solver.py --peclet venv/bin/python --limit 300

Cases are tilted fibre bundles of fibre fraction 0.5 in a 50 um cube: n x n x 11 voxels, and ``cN`` with N^3. Times are
medians of repeated solves to an estimated relative error of K of 1e-4, compilation apart. Every row runs in a process of its
own, for its peak memory; ratios are of processor time, which other work on the machine touches least. ``error`` is the error
of K against the same discrete problem solved to 1e-9.

Others are measured where they are installed: OpenFOAM's simpleFoam until its K stays within 1e-4 of where it ends
(``solver_openfoam.py``), and so is the PyPI package peclet.flow (``solver_peclet.py``), best in an environment of its own that
``--peclet`` names. Their discretisations, hence their K, are their own.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from stopwatch import bound_threads, command_line, peak_bytes, timed

EXTENT = 50e-6
LAYERS = 11
TOLERANCE = 1e-4
RULE = "plain"  # the default for masks; the baseline's, too
CASES = ("64", "128", "256", "512", "c96")
FIELD_BYTES = 56  # a voxel of a flow field: velocity, staggered velocity and pressure in double precision


def medium(case: str, seed: int = 1) -> Any:
    """The microstructure of a case."""
    from resinflow.media import BundleSettings, fibre_bundle

    cube = case.startswith("c")
    count = int(case.removeprefix("c"))
    shape = (count, count, count) if cube else (LAYERS, count, count)
    return fibre_bundle(shape, (EXTENT, EXTENT, EXTENT), seed=seed, settings=BundleSettings(volume_fraction=0.5))


def load(path: str) -> Any:
    """Read a microstructure that the parent process wrote."""
    from resinflow.flow import Microstructure

    with np.load(path) as file:
        dz, dy, dx = (float(step) for step in file["spacing"])
        return Microstructure(file["fluid"], (dz, dy, dx))


def resident_bytes() -> int:
    """Resident size of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def repeat(work: Any, repeats: int) -> tuple[float, float, Any]:
    """Median wall and processor time of ``repeats`` calls and the last result."""
    times, result = [], None
    for _ in range(repeats):
        result = None  # frees the memory of the one before
        result, seconds = timed(work)
        times.append(seconds)
    return statistics.median(each.wall for each in times), statistics.median(each.cpu for each in times), result


def measure_own(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Row of this solver."""
    from resinflow.stokes import solve

    solve(medium("12"), tolerance=TOLERANCE, threads=threads)
    micro = load(path)
    before = resident_bytes()
    first = solve(micro, tolerance=TOLERANCE, threads=threads, wall_rule=RULE)
    memory = peak_bytes() - before
    seconds, processor, flow = repeat(lambda: solve(micro, tolerance=TOLERANCE, threads=threads, wall_rule=RULE), repeats)
    return {
        "seconds": seconds,
        "processor": processor,
        "iterations": flow.report.iterations,
        "estimate": flow.report.permeability_error,
        "permeability": first.permeability,
        "bytes": memory / micro.fluid.size - FIELD_BYTES,
    }


def measure_baseline(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Row of the first version, with scipy and pyamg; its tolerance is on the energy norm, whose square is the error of K."""
    from solver_scipy import solve

    micro = load(path)
    before = resident_bytes()
    seconds, processor, flow = repeat(lambda: solve(micro, tolerance=TOLERANCE**0.5, wall_rule=RULE), repeats)
    memory = peak_bytes() - before
    return {
        "seconds": seconds,
        "processor": processor,
        "iterations": flow.iterations,
        "estimate": None,
        "permeability": flow.corrected,
        "bytes": memory / micro.fluid.size,
    }


def measure_reference(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """K of the discrete problem to 1e-9."""
    from resinflow.stokes import solve

    return {"permeability": solve(load(path), tolerance=1e-9, threads=threads, wall_rule=RULE).permeability}


def steps(flow: Any) -> int:
    """Iterations that a flow took."""
    return flow.report.iterations


def measure_starts(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Iterations to 1 %, 0.1 % and 0.01 % of K from several starts, and the response flow's time and K."""
    from resinflow.stokes import planar_flow, project, response_flow, solve

    micro = load(path)
    response_flow(medium("12"), threads=threads)
    seconds, _, response = repeat(lambda: response_flow(micro, threads=threads, wall_rule=RULE), repeats)
    planar_seconds, _, planar = repeat(lambda: planar_flow(micro, tolerance=TOLERANCE), 1)
    starts = {
        "none (response flow inside)": None,
        "planar flow": planar,
        "planar flow, projected": project(planar, wall_rule=RULE),
    }
    work = {
        name: {
            f"{level:g}": steps(solve(micro, tolerance=level, initial=start, threads=threads, wall_rule=RULE))
            for level in (1e-2, 1e-3, 1e-4)
        }
        for name, start in starts.items()
    }
    return {
        "response seconds": seconds,
        "response permeability": response.permeability,
        "planar seconds": planar_seconds,
        "planar permeability": planar.permeability,
        "work": work,
    }


def measure_openfoam(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Row of simpleFoam."""
    from solver_openfoam import measure

    return {**measure(load(path), TOLERANCE), "estimate": None, "bytes": None}


MEASURES = {
    "resinflow": measure_own,
    "scipy + pyamg": measure_baseline,
    "OpenFOAM": measure_openfoam,
    "reference": measure_reference,
    "starts": measure_starts,
}


def in_child(
    name: str, path: str, threads: int, repeats: int, *, limit: float | None = None, peclet: str = ""
) -> dict[str, Any]:
    """Measure in a process of its own, so that its peak memory is its own and its threads are bound.

    Beyond ``limit`` seconds the row is ``{"over": limit}``.
    """
    environment = {**bound_threads(threads), "OMP_PROC_BIND": "false"}
    command = [sys.executable, __file__, "--child", name, path, str(threads), str(repeats)]
    if name == "peclet.flow":
        command = [peclet, str(Path(__file__).with_name("solver_peclet.py")), path, str(TOLERANCE)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as child:
        try:
            output, errors = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return {"over": limit}
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)  # simpleFoam is a child of the child
    if child.returncode:
        reason = (errors.strip().splitlines() or ["no message"])[-1]
        return {"failed": reason}
    return json.loads(output.splitlines()[-1])


def has_peclet(python: str) -> bool:
    """Whether that interpreter has the package peclet.flow."""
    if shutil.which(python) is None:
        return False
    test = "import importlib.util as u, sys; sys.exit(not (u.find_spec('peclet') and u.find_spec('peclet.flow')))"
    return subprocess.run([python, "-c", test], check=False, capture_output=True).returncode == 0


def solvers(threads: list[int], peclet: str, console: Console) -> list[tuple[str, int]]:
    """The solvers to be measured and their threads; says which are not installed."""
    from solver_openfoam import available

    runs = [("resinflow", count) for count in threads]
    for name, installed, counts in (
        ("scipy + pyamg", importlib.util.find_spec("pyamg") is not None, [1]),
        ("OpenFOAM", available(), [1]),
        ("peclet.flow", has_peclet(peclet), threads),
    ):
        if installed:
            runs += [(name, count) for count in counts]
        else:
            console.print(f"{name}: not installed: skipped")
    return runs


HEADINGS = (
    "case",
    "voxels",
    "solver",
    "threads",
    "s",
    "CPU s",
    "CPU ns/voxel",
    "CPU ratio",
    "steps",
    "estimate",
    "error",
    "B/voxel",
)


def table_of_solvers(cases: list[str], options: argparse.Namespace, folder: Path, console: Console) -> Table:
    """Measure every solver on every case."""
    table = Table(title=f"K to an estimated error of {TOLERANCE:g}; ratios of processor time to resinflow's on one thread")
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    runs = solvers(options.threads, options.peclet, console)
    for case in cases:
        micro = medium(case)
        path = store(micro, case, folder)
        exact = in_child("reference", path, 1, 1)["permeability"]
        own = None
        for name, count in runs:
            repeats = options.repeats if name == "resinflow" else 1
            row = in_child(name, path, count, repeats, limit=options.limit, peclet=options.peclet)
            own = own or row.get("processor", float("nan"))
            comparable = name in ("resinflow", "scipy + pyamg")
            numbers = cells(row, micro.fluid.size, own, comparable * exact)
            table.add_row(case, f"{micro.fluid.size}", name, f"{count}", *numbers)
            console.print(f"{case}, {name}, {count} thread(s): {numbers[0]} s", style="dim")
        table.add_section()
    return table


def cells(row: dict[str, Any], voxels: int, own: float, exact: float) -> list[str]:
    """The numbers of a row, from the seconds on; ``exact``: K of the same discrete problem, 0 for another discretisation."""
    if "over" in row:
        return [f"> {row['over']:g}"]
    if "failed" in row:
        return ["failed", "", "", "", "", row["failed"][:24]]
    used = row["processor"]
    estimate = "" if row.get("estimate") is None else f"{row['estimate']:.1e}"
    error = f"{row['permeability'] / exact - 1:+.1e}" if exact else f"K {row['permeability']:.3g}"
    size = "" if row.get("bytes") is None else f"{row['bytes']:.0f}"
    seconds = (f"{row['seconds']:.3f}", f"{used:.3f}", f"{used / voxels * 1e9:.0f}", f"{used / own:.2f}")
    return [*seconds, f"{row['iterations']}", estimate, error, size]


def store(micro: Any, case: str, folder: Path) -> str:
    """Write a medium for the processes that measure, and return the path."""
    path = str(folder / f"{case}.npz")
    np.savez(path, fluid=micro.fluid, spacing=micro.spacing, signed_distance=micro.signed_distance)
    return path


def table_of_starts(case: str, folder: Path) -> Table:
    """Iterations from several starts."""
    path = store(medium(case), case, folder)
    exact = in_child("reference", path, 1, 1)["permeability"]
    row = in_child("starts", path, 1, 3)
    title = (
        f"steps to an estimated error of K on {case}; response flow: {row['response seconds']:.3f} s, K "
        f"{row['response permeability'] / exact - 1:+.1%}; planar flow: {row['planar seconds']:.3f} s, K "
        f"{row['planar permeability'] / exact - 1:+.1%}"
    )
    table = Table(title=title)
    levels = list(next(iter(row["work"].values())))
    for heading in ("start", *levels):
        table.add_column(heading, justify="right")
    for name, counts in row["work"].items():
        table.add_row(name, *(str(counts[level]) for level in levels))
    return table


def machine() -> str:
    """The processor, in words."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    processor = names[0] if names else platform.processor()
    return f"{platform.node()}: {processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Parse the command line and print the tables."""
    parser = command_line(__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a row may take (default 300)")
    parser.add_argument("--peclet", default=sys.executable, metavar="PYTHON", help="interpreter that has peclet.flow")
    parser.add_argument("--no-starts", action="store_true")
    parser.add_argument("--child", nargs=4, metavar=("NAME", "PATH", "THREADS", "REPEATS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, path, threads, repeats = options.child
        print(json.dumps(MEASURES[name](path, int(threads), int(repeats))))
        return
    console = Console(width=150)
    console.print(f"{machine()}; threads {', '.join(map(str, options.threads))}; tolerance {TOLERANCE:g}; wall rule {RULE}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.print(table_of_solvers(options.cases, options, folder, console))
        if not options.no_starts:
            console.print(table_of_starts("64", folder))


if __name__ == "__main__":
    main()
