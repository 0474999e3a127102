"""What accuracy costs: errors of velocity and K against time a sample, for every way to the flow; a table and a figure.

    python benchmarks/pareto.py [--model small] [--data data/small.zarr] [--media 40] [--output docs/images/pareto]

The truth is that of the data set's test split: solved on a grid finer by (2, 2, 2) with the exact fibre surfaces. Ways:
the planar flow, the response flow, the solver on the stored grid and on finer ones at several tolerances of K, and the model
with several numbers of samples and steps. Fibres are drawn anew from the data set's recipe, for the finer grids; every
other way is given what a user has, the medium on the stored grid with its signed distance. Times are processor time of one
core, everything included: a prediction's holds the planar flow and the base that it starts from. Errors of the finest
grid are those of its tolerance alone, since its grid is the truth's.

Writes OUTPUT.csv (means and medians over the media) and OUTPUT.png.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pareto_figure import Point, draw, read_csv, table_of, write_csv
from rich.console import Console
from stopwatch import ROOT, Seconds, bound_threads, command_line, timed

if TYPE_CHECKING:
    from resinflow.data import FlowStore, Sample
    from resinflow.flow import Drive, FlowField, Microstructure
    from resinflow.media import Fibres
    from resinflow.presets import LatentPredictor

GRID_TOLERANCES = (1e-1, 1e-2, 1e-4)
REFINEMENTS = ((1, 2, 2), (2, 2, 2))
REFINED_TOLERANCES = (1e-1, 1e-2, 1e-3)
SAMPLES, STEPS = (1, 2, 4, 8), (1, 2, 4)
DRAWS = 20  # media of one sample that a data set tries


@dataclass(frozen=True)
class Medium:
    """A sample of the data set with the fibres that it was made of."""

    sample: Sample
    fibres: Fibres

    @property
    def micro(self) -> Microstructure:
        """The medium on the stored grid."""
        return self.sample.truth.microstructure

    @property
    def drive(self) -> Drive:
        """What drives its flow."""
        return self.sample.truth.drive


@dataclass(frozen=True)
class Way:
    """One point of the figure: its curve, its place on the curve, and what makes the flow, with what that took."""

    curve: str
    setting: str
    run: Callable[[Medium], tuple[FlowField, Seconds]]


def fibres_of(store: FlowStore, index: int) -> Fibres:
    """The fibres of a sample, drawn again from the recipe as the data set drew them."""
    from resinflow.data import DataRecipe, completed_recipe, draw_medium
    from resinflow.flow import InvalidInputError

    recipe = DataRecipe.model_validate(completed_recipe(store.attributes["recipe"]))
    wanted = store.microstructure(index).fingerprint
    for attempt in range(DRAWS):
        try:
            fibres, micro = draw_medium(recipe, np.random.SeedSequence([recipe.seed, index, attempt]))
        except InvalidInputError:
            continue
        if micro.fingerprint == wanted:
            return fibres
    raise SystemExit(f"sample {index} of {store.path} is none that its recipe draws; needed: a generated data set.")


def media_of(store: FlowStore, count: int) -> Iterator[Medium]:
    """The first samples of the test split."""
    for index in store.indices("test")[:count].tolist():
        yield Medium(store.sample(index), fibres_of(store, index))


def solver_ways() -> list[Way]:
    """The flows that need no training."""
    from resinflow.stokes import grid_flow, planar_flow, response_flow, solve_refined

    def on_grid(solver: Callable[..., FlowField], **options: Any) -> Callable[[Medium], tuple[FlowField, Seconds]]:
        return lambda medium: timed(lambda: solver(medium.micro, medium.drive, **options))

    def refined(factors: tuple[int, int, int], tolerance: float) -> Callable[[Medium], tuple[FlowField, Seconds]]:
        def run(medium: Medium) -> FlowField:
            fibres, micro, drive = medium.fibres, medium.micro, medium.drive
            return solve_refined(fibres, micro, factors, drive, wall_rule="surface", tolerance=tolerance)

        return lambda medium: timed(lambda: run(medium))

    return [
        Way("planar flow", "", on_grid(planar_flow)),
        Way("response flow", "", on_grid(response_flow)),
        *(Way("solver, stored grid", f"{level:g}", on_grid(grid_flow, tolerance=level)) for level in GRID_TOLERANCES),
        *(
            Way(f"solver, grid finer by {factors}", f"{level:g}", refined(factors, level))
            for factors in REFINEMENTS
            for level in REFINED_TOLERANCES
        ),
    ]


def model_ways(model: LatentPredictor, samples: Sequence[int], steps: Sequence[int]) -> list[Way]:
    """The model with every number of samples and steps; the flows it starts from are solved, and timed, once a medium."""
    from resinflow.models import Sampling, StartFlows, start_flows

    latest: list[tuple[Medium, StartFlows, Seconds]] = []

    def start_of(medium: Medium) -> tuple[StartFlows, Seconds]:
        if not latest or latest[0][0] is not medium:
            start, seconds = timed(lambda: start_flows(medium.micro, medium.drive, model.base))
            latest[:] = [(medium, start, seconds)]
        return latest[0][1:]

    def predict(count: int, calls: int) -> Callable[[Medium], tuple[FlowField, Seconds]]:
        def run(medium: Medium) -> tuple[FlowField, Seconds]:
            start, before = start_of(medium)
            sampling = Sampling(samples=count, steps=calls)
            flow, seconds = timed(lambda: model.predict(medium.micro, medium.drive, sampling, start=start))
            return flow, before + seconds

        return run

    return [
        Way(f"{model.name}, {calls} step{'s' if calls > 1 else ''}", f"{count}", predict(count, calls))
        for calls in steps
        for count in samples
    ]


def measure(ways: Sequence[Way], media: Iterator[Medium], total: int, console: Console) -> list[Point]:
    """Run every way on every medium; the first medium once more before, so that all is compiled and loaded."""
    from resinflow.evaluate import compare

    results: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for number, medium in enumerate(media):
        if number == 0:
            for way in ways:
                way.run(medium)
        for place, way in enumerate(ways):
            flow, seconds = way.run(medium)
            score = compare(flow, medium.sample.truth)
            results[place].append((seconds.cpu, seconds.wall, score.velocity_error, score.permeability_error))
        console.print(f"{number + 1} of {total} media", highlight=False)
    points = []
    for place, way in enumerate(ways):
        values = np.array(results[place])
        (cpu, wall, velocity, permeability), middle = values.mean(axis=0), np.median(values, axis=0)
        points.append(Point(way.curve, way.setting, cpu, wall, velocity, middle[2], permeability, middle[3], len(values)))
    return points


def main() -> None:
    """Measure, then write table and figure; with ``--redraw`` the figure of a table that is there."""
    parser = command_line(__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "small.zarr")
    parser.add_argument("--model", default="small", help="a shipped model, a directory, or none: the solver alone")
    parser.add_argument("--media", type=int, default=40, help="first samples of the test split")
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "pareto", help="without suffix")
    parser.add_argument("--redraw", action="store_true", help="measure nothing, draw the table again")
    options = parser.parse_args()
    table, figure = (options.output.with_suffix(suffix) for suffix in (".csv", ".png"))
    if options.redraw:
        draw(read_csv(table), figure)
        return
    if os.environ.get("NUMBA_NUM_THREADS") != "1":  # read when numba and torch are loaded: begin again
        os.execve(sys.executable, [sys.executable, *sys.argv], bound_threads(1))
    from resinflow.data import FlowStore
    from resinflow.presets import LatentPredictor, load_model

    console = Console(width=132)
    store, ways = FlowStore.open(options.data), solver_ways()
    if options.model != "none":
        model = load_model(options.model)
        if not isinstance(model, LatentPredictor):
            raise SystemExit(f"{options.model} is no model of the kind `small`.")
        ways += model_ways(model, options.samples, options.steps)
    total = min(options.media, len(store.indices("test")))
    points = measure(ways, media_of(store, total), total, console)
    write_csv(points, table)
    draw(points, figure)
    console.print(table_of(points))
    console.print(f"wrote {table} and {figure}", highlight=False)


if __name__ == "__main__":
    main()
