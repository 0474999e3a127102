"""What a start saves when the solver takes a flow to a wanted accuracy on a grid twice as fine.

    python benchmarks/refine.py [--data data/small.zarr] [--samples 20] [--model small]

Test samples of a data set that was solved on a finer grid. The solver starts cold (response flow of the finer grid), from the
planar flow, the response flow and the solver's flow on the stored grid, from a model's prediction, and from the truth as
it is stored, the best that any prediction could be; it stops when its own estimate of the error of K is below the
tolerance. Prints, as Markdown: the errors of the start, then for every tolerance the mean Krylov iterations and the mean
seconds of one core, from the start on; the set-up, the same for all, is told apart. One run measures everything on the
same posed problems.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from stopwatch import ROOT, command_line, now, timed

from resinflow.data import FlowStore, Sample
from resinflow.flow import FlowField, SolverReport, recover_faces, refined_medium
from resinflow.models import StartFlows
from resinflow.presets import load_model
from resinflow.stokes import PosedStokes, posed_stokes

FACTORS = (2, 2, 2)
TOLERANCES = (1e-2, 3e-3, 1e-3, 1e-4)
COLD = "cold"

Row = tuple[float, ...]


def with_faces(flow: FlowField) -> FlowField:
    """The flow with its staggered velocities, which a data set does not store."""
    faces = recover_faces(flow.velocity, flow.open_voxels, flow.microstructure.spacing)
    return replace(flow, face_velocity=faces.components)


def starts_of(sample: Sample, model: str) -> dict[str, FlowField | None]:
    """All starts by name, None for the solver's own."""
    flows: dict[str, FlowField | None] = {
        COLD: None,
        "planar flow": with_faces(sample.planar),
        "response flow": with_faces(sample.response),
    }
    if sample.grid is not None:
        flows["stored grid"] = with_faces(sample.grid)
    if model != "none":
        predictor = load_model(model)
        base = with_faces(sample.base(predictor.base or "planar"))
        start = StartFlows(sample.planar, base)
        flows["model"] = predictor.predict(sample.truth.microstructure, sample.truth.drive, start=start)
    return {**flows, "truth": with_faces(sample.truth)}


def measured(posed: PosedStokes, start: FlowField | None, truth: FlowField) -> Row:
    """Errors of the start (velocity, K; NaN for none), then iterations and seconds of every tolerance."""
    row = [np.nan, np.nan]
    if start is not None:
        error = np.sqrt(((start.velocity - truth.velocity) ** 2).sum() / (truth.velocity**2).sum())
        row = [float(error), abs(start.permeability / truth.permeability - 1)]
    for tolerance in TOLERANCES:
        flow, seconds = timed(lambda level=tolerance: posed.solve(level, initial=start))
        row += [flow.report.iterations if isinstance(flow.report, SolverReport) else 0, seconds.cpu]
    return tuple(row)


def print_table(rows: dict[str, list[Row]], setups: list[float]) -> None:
    """Means over the samples, one row a start, with the seconds saved against the cold one."""
    titles = [f"{tolerance:g}: iterations | s | saved" for tolerance in TOLERANCES]
    print("| start | velocity error | error of K | " + " | ".join(titles) + " |")
    print("|---" * (3 + 3 * len(TOLERANCES)) + "|")
    cold = np.mean(rows[COLD], axis=0)
    for name, values in rows.items():
        mean = np.mean(values, axis=0)
        cells = ["-" if np.isnan(value) else f"{100 * value:.2f} %" for value in mean[:2]]
        for place in range(2, len(mean), 2):
            saved = "" if name == COLD else f"{100 * (1 - mean[place + 1] / cold[place + 1]):.0f} %"
            cells += [f"{mean[place]:.1f}", f"{mean[place + 1]:.3f}", saved]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\nset-up: {np.mean(setups):.2f} s a medium, whatever the start; {len(setups)} media")


def main() -> None:
    """Measure all starts on all samples and print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "small.zarr")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--model", default="small", help="a shipped model by name, a model directory, or none")
    options = parser.parse_args()
    store = FlowStore.open(options.data)
    rows: dict[str, list[Row]] = defaultdict(list)
    setups: list[float] = []
    for index in store.indices("test")[: options.samples]:
        sample = store.sample(int(index))
        starts = starts_of(sample, options.model)
        before = now()
        fine = refined_medium(sample.truth.microstructure, FACTORS)
        with posed_stokes(fine, sample.truth.drive, "surface", threads=1) as posed:
            if posed is None:
                print(f"sample {index} does not percolate on the finer grid: left out", file=sys.stderr)
                continue
            setups.append((now() - before).cpu)
            for name, start in starts.items():
                rows[name].append(measured(posed, start, sample.truth))
        print(f"sample {index} done", file=sys.stderr, flush=True)
    print_table(rows, setups)


if __name__ == "__main__":
    main()
