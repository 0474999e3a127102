"""Benchmark of the Stokes solver: time, iterations, memory and ratios, all measured in one run.

    python benchmarks/solver.py                       # every case, one thread and two
    python benchmarks/solver.py --cases 64 128        # some cases

Cases are tilted fibre bundles of fibre fraction 0.5 in a 50 um cube: n x n x 11 voxels, and ``cube-n`` with n^3. Times are
medians of repeated solves to an estimated relative error of K of 1e-4, compilation apart. Every row runs in a process of its
own, for its peak memory; ratios are of processor time, which other work on the machine touches least. ``error`` is the error
of K against a solve to 1e-9.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

EXTENT = 50e-6
LAYERS = 11
TOLERANCE = 1e-4
RULE = "gap"  # the baseline's discretisation
CASES = ("64", "128", "256", "512", "cube-96")
FIELD_BYTES = 56  # a voxel of a flow field: velocity, staggered velocity and pressure in double precision
BASELINE_LIMIT = 1_000_000  # voxels above which the baseline is left out


def medium(case: str, seed: int = 1) -> Any:
    """The microstructure of a case."""
    from resinflow.media import BundleSettings, fibre_bundle

    cube = case.startswith("cube-")
    count = int(case.removeprefix("cube-"))
    shape = (count, count, count) if cube else (LAYERS, count, count)
    return fibre_bundle(shape, (EXTENT,) * 3, seed=seed, settings=BundleSettings(volume_fraction=0.5))


def load(path: str) -> Any:
    """Read a microstructure that the parent process wrote."""
    from resinflow.core import Microstructure

    with np.load(path) as file:
        return Microstructure(file["fluid"], tuple(float(step) for step in file["spacing"]))


def peak_bytes() -> int:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident_bytes() -> int:
    """Resident size of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def repeat(work: Any, repeats: int) -> tuple[float, float, Any]:
    """Median wall and processor time of ``repeats`` calls and the last result."""
    wall, processor, result = [], [], None
    for _ in range(repeats):
        result = None
        started, used = time.perf_counter(), time.process_time()
        result = work()
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(processor), result


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
    seconds, processor, flow = repeat(lambda: solve(micro, tolerance=TOLERANCE**0.5), repeats)
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


def measure_starts(path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Iterations to 1 %, 0.1 % and 0.01 % of K from several starts, and the response flow's time and K."""
    from resinflow.stokes import planar_flow, response_flow, solve
    from resinflow.stokes.certify import project

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
            f"{level:g}": solve(micro, tolerance=level, initial=start, threads=threads, wall_rule=RULE).report.iterations
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


MEASURES = {
    "resinflow": measure_own,
    "scipy + pyamg": measure_baseline,
    "reference": measure_reference,
    "starts": measure_starts,
}


def in_child(name: str, path: str, threads: int, repeats: int) -> dict[str, Any]:
    """Measure in a process of its own, so that its peak memory is its own and its threads are bound."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--child", name, path, str(threads), str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed on {path}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def table_of_solvers(cases: list[str], threads: list[int], repeats: int, folder: Path) -> Table:
    """Measure every solver on every case."""
    table = Table(title=f"K to an estimated error of {TOLERANCE:g}")
    for heading in (
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
    ):
        table.add_column(heading, justify="right")
    for case in cases:
        micro = medium(case)
        path = str(folder / f"{case}.npz")
        np.savez(path, fluid=micro.fluid, spacing=micro.spacing)
        exact = in_child("reference", path, 1, 1)["permeability"]
        own = None
        runs = [("resinflow", count) for count in threads]
        if micro.fluid.size <= BASELINE_LIMIT:
            runs.append(("scipy + pyamg", 1))
        rows = [(name, count, in_child(name, path, count, repeats if name == "resinflow" else 1)) for name, count in runs]
        for name, count, row in rows:
            own = own or row["processor"]
            estimate = "" if row["estimate"] is None else f"{row['estimate']:.1e}"
            error = f"{row['permeability'] / exact - 1:+.1e}"
            size = "" if row["bytes"] is None else f"{row['bytes']:.0f}"
            used = row["processor"]
            numbers = (f"{row['seconds']:.3f}", f"{used:.3f}", f"{used / micro.fluid.size * 1e9:.0f}", f"{used / own:.2f}")
            table.add_row(
                case, f"{micro.fluid.size}", name, f"{count}", *numbers, f"{row['iterations']}", estimate, error, size
            )
        table.add_section()
    return table


def table_of_starts(case: str, folder: Path) -> Table:
    """Iterations from several starts."""
    path = str(folder / f"{case}.npz")
    micro = medium(case)
    np.savez(path, fluid=micro.fluid, spacing=micro.spacing)
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
    for name, steps in row["work"].items():
        table.add_row(name, *(str(steps[level]) for level in levels))
    return table


def machine() -> str:
    """The processor, in words."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-starts", action="store_true")
    parser.add_argument("--child", nargs=4, metavar=("NAME", "PATH", "THREADS", "REPEATS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, path, threads, repeats = options.child
        print(json.dumps(MEASURES[name](path, int(threads), int(repeats))))
        return
    console = Console(width=140)
    console.print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.print(table_of_solvers(options.cases, options.threads, options.repeats, folder))
        if not options.no_starts:
            console.print(table_of_starts("64", folder))


if __name__ == "__main__":
    main()
