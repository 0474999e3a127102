"""What a prediction takes, part by part, against the solver and against the preset ``paper``; all measured in one run.

    python benchmarks/predict.py                              # both sizes, two threads
    python benchmarks/predict.py --sizes 64 --threads 1 --paper-calls 0

Media are tilted fibre bundles of fibre fraction 0.5 with their exact signed distance: 64 x 64 x 11 voxels of a 50 um cube, and
256 x 256 x 11 voxels of the same size, a piece 200 um wide. Every row runs in a process of its own, so that its peak memory
(libraries included) is its own; that of a prediction is the peak after the first one in a fresh process. Times are means of
repeated runs, compilation and loading apart; processor time is that of all threads, which other work on the machine touches
least. On two threads the planar flow and the base flow of a large medium are solved at the same time: their rows then overlap,
and hold one another's processor time. ``several media`` is the mean over media with other seeds, one after the other: the
package has no other way.

The preset ``paper`` has its full size and random weights, since times do not depend on them; it predicts at 256 x 256 alone,
because its networks take multiples of 128. DDPM's 1000 steps, and DDIM's 50 where fewer calls were asked for, are
extrapolated from the measured time of a denoiser call, which the table says.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from stopwatch import Seconds, Stopwatch, bound_threads, command_line, in_child, peak_bytes, timed

if TYPE_CHECKING:
    from resinflow.flow import FlowField, Microstructure
    from resinflow.media import Fibres
    from resinflow.presets import LatentPredictor

VOXEL = 50e-6 / 64
LAYERS, DEPTH = 11, 50e-6
FRACTION = 0.5
REFINEMENT = (2, 2, 2)  # of the flows that the model is trained on
TOLERANCE = 1e-4  # of K, theirs, too
PAPER_SIZE = 128  # pixels that the published networks take a multiple of
LARGE = 256  # pixels from which a refined solve takes so long that one is enough
LIMIT_GB = 2.0
PARTS = {
    "planar": "planar flow, every slice",
    "base": "base flow, solver on the stored grid",
    "encoder": "encoder_2d",
    "denoiser": "denoiser",
    "decoder": "decoder_3d",
    "projection": "projection",
}
SMALL_CASE = 16  # pixels of the medium that compiles and loads everything

Row = dict[str, Any]


def bundle(size: int, seed: int = 1) -> tuple[Fibres, Microstructure]:
    """Fibres and their medium on the stored grid."""
    from resinflow.media import draw_fibres

    fibres = draw_fibres((LAYERS, size, size), (DEPTH, size * VOXEL, size * VOXEL), seed=seed, volume_fraction=FRACTION)
    return fibres, fibres.microstructure((LAYERS, size, size))


def watched_model(name: str, watch: Stopwatch) -> LatentPredictor:
    """The model of a directory or of a shipped name (``random``: untrained), all of its parts under the stopwatch."""
    import resinflow.models.correction as correction
    import resinflow.models.start as start
    from resinflow.presets import LatentDiffusion, LatentPredictor, LatentRecipe, model_directory

    def watched(part: str, function: Callable[..., FlowField]) -> Callable[..., FlowField]:
        def run(*arguments: Any, **options: Any) -> FlowField:
            with watch.timing(part):
                return function(*arguments, **options)

        return run

    start.planar_flow = watched("planar", start.planar_flow)
    start.response_flow = watched("base", start.response_flow)
    start.grid_flow = watched("base", start.grid_flow)
    correction.projected = watched("projection", correction.projected)
    if name == "random":
        config = LatentRecipe().model
        model = LatentPredictor("small, untrained", config, LatentDiffusion(config))
    else:
        model = LatentPredictor.load(model_directory(name), "cpu")
    for part, network in (
        ("encoder", model.networks.vae.encoder_2d),
        ("denoiser", model.networks.denoiser),
        ("decoder", model.networks.vae.decoder_3d),
    ):
        watch.watch(network, part)
    return model


def mean_time(work: Callable[[], Any], repeats: int) -> Row:
    """Mean times of repeated runs."""
    mean = sum((timed(work)[1] for _ in range(repeats)), Seconds()) * (1 / repeats)
    return {"wall": mean.wall, "cpu": mean.cpu}


def measured(work: Callable[[], Any], repeats: int) -> Row:
    """Row of a piece of work: mean times, and the peak memory after a first run that does not count."""
    work()
    memory = peak_bytes() / 1e9
    return {**mean_time(work, repeats), "gb": memory}


def measure_prediction(size: int, options: argparse.Namespace) -> Row:
    """A prediction and its parts; one sample alone; several media."""
    watch = Stopwatch()
    model = watched_model(options.model, watch)
    model.predict(bundle(SMALL_CASE)[1], samples=1)
    micro = bundle(size)[1]

    def predict(samples: int | None) -> FlowField:
        return model.predict(micro, samples=samples, steps=options.steps)

    first = predict(options.samples)
    memory = peak_bytes() / 1e9
    watch.clear()
    row = mean_time(lambda: predict(options.samples), options.repeats)
    means = {name: watch.total[name] * (1 / options.repeats) for name in PARTS}
    parts = {name: [mean.wall, mean.cpu, watch.calls[name] / options.repeats] for name, mean in means.items()}
    report = first.report
    others = [bundle(size, seed)[1] for seed in range(2, 2 + options.media)]
    several = [timed(lambda medium=medium: model.predict(medium, samples=options.samples))[1] for medium in others]
    mean = sum(several, Seconds()) * (1 / max(1, len(several)))
    return {
        **row,
        "gb": memory,
        "parts": parts,
        "model": model.name,
        "samples": getattr(report, "samples", 0),
        "steps": getattr(report, "steps", 0),
        "single": mean_time(lambda: predict(1), options.repeats),
        "several": {"wall": mean.wall, "cpu": mean.cpu, "media": len(several)},
    }


def measure_grid(size: int, options: argparse.Namespace) -> Row:
    """The solver on the stored grid, with the fibre surfaces."""
    from resinflow.stokes import grid_flow

    grid_flow(bundle(SMALL_CASE)[1])
    micro = bundle(size)[1]
    return measured(lambda: grid_flow(micro, tolerance=TOLERANCE), options.repeats)


def measure_refined(size: int, options: argparse.Namespace) -> Row:
    """The solver on the refined grid, averaged onto the stored one: what the model's truth is made by."""
    from resinflow.stokes import solve_refined

    def solved(fibres: Fibres, micro: Microstructure) -> FlowField:
        return solve_refined(fibres, micro, REFINEMENT, wall_rule="surface", tolerance=TOLERANCE)

    solved(*bundle(SMALL_CASE))
    medium = bundle(size)

    def work() -> FlowField:
        return solved(*medium)

    if size >= LARGE:  # once is enough: the small case has compiled it
        return {**mean_time(work, 1), "gb": peak_bytes() / 1e9}
    return measured(work, options.repeats)


def measure_paper(size: int, options: argparse.Namespace) -> Row:
    """A prediction of the preset ``paper`` by DDIM of some steps, and the time of one denoiser call."""
    from paper import random_system

    from resinflow.presets import PaperPredictor
    from resinflow.stokes import planar_flow

    system, watch = random_system(), Stopwatch()
    if system.model is None:
        raise SystemExit("the preset has a denoiser; none was built")
    watch.watch(system.model, "denoiser")
    planar_flow(bundle(SMALL_CASE)[1])
    model = PaperPredictor("paper, random weights", system.architecture, system)
    micro = bundle(size)[1]
    _, whole = timed(lambda: model.predict(micro, sampler="ddim", steps=options.paper_calls))
    call = watch.total["denoiser"] * (1 / watch.calls["denoiser"])
    rest = whole - watch.total["denoiser"]
    return {
        "wall": whole.wall,
        "cpu": whole.cpu,
        "gb": peak_bytes() / 1e9,
        "calls": watch.calls["denoiser"],
        "call": [call.wall, call.cpu],
        "rest": [rest.wall, rest.cpu],
    }


MEASURES = {
    "prediction": measure_prediction,
    "grid": measure_grid,
    "refined": measure_refined,
    "paper": measure_paper,
}


def alone(name: str, size: int, options: argparse.Namespace) -> Row:
    """Measure in a process of its own, with the threads that were asked for."""
    return in_child([sys.executable, *sys.argv, "--child", name, "--sizes", str(size)], bound_threads(options.threads))


def table_of_parts(size: int, row: Row) -> Table:
    """What a prediction spends its time on."""
    table = Table(title=f"{size} x {size} x {LAYERS}: a prediction of {row['samples']} samples, {row['steps']} steps each")
    for heading in ("part", "calls", "s", "CPU s", "share of CPU"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    parts = row["parts"]
    rest = [row[clock] - sum(part[i] for part in parts.values()) for i, clock in enumerate(("wall", "cpu"))]
    for name, (wall, cpu, calls) in {**parts, "rest": [*rest, 1]}.items():
        title = PARTS.get(name, "conditions, mirrors, and all else")
        table.add_row(title, f"{calls:.0f}", f"{wall:.3f}", f"{cpu:.3f}", f"{100 * cpu / row['cpu']:.0f} %")
    table.add_row("all", "", f"{row['wall']:.3f}", f"{row['cpu']:.3f}", "100 %", style="bold")
    return table


def paper_rows(row: Row) -> dict[str, Row]:
    """DDIM-50 and DDPM-1000 from the measured prediction."""
    rows = {}
    for sampler, steps in (("DDIM", 50), ("DDPM", 1000)):
        measured_whole = sampler == "DDIM" and row["calls"] == steps
        wall, cpu = (rest + steps * call for rest, call in zip(row["rest"], row["call"], strict=True))
        note = "" if measured_whole else f", extrapolated from {row['calls']} denoiser calls"
        rows[f"paper, {sampler}-{steps}{note}"] = {"wall": wall, "cpu": cpu, "gb": row["gb"]}
    return rows


def table_of_ratios(size: int, rows: dict[str, Row]) -> Table:
    """Every way to the flow beside the prediction, which is the first row."""
    table = Table(title=f"{size} x {size} x {LAYERS}: against a prediction")
    for heading in ("what", "s", "CPU s", "time ratio", "CPU ratio", "peak memory GB"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    first = next(iter(rows.values()))
    for name, row in rows.items():
        ratios = [f"{row[clock] / first[clock]:.3g}" for clock in ("wall", "cpu")]
        memory = f"{row['gb']:.2f}" if "gb" in row else ""
        table.add_row(name, f"{row['wall']:.3g}", f"{row['cpu']:.3g}", *ratios, memory)
    return table


def report(size: int, options: argparse.Namespace, console: Console) -> bool:
    """Measure and print one size; False if the prediction needs too much memory."""
    row = alone("prediction", size, options)
    console.print(table_of_parts(size, row))
    several = row["several"]
    rows = {f"prediction by {row['model']}, {row['samples']} samples": row}
    if several["media"]:
        rows[f"prediction, mean of {several['media']} media one after the other"] = several
    rows["prediction, 1 sample"] = row["single"]
    rows[f"solver on the stored grid, K to {TOLERANCE:g}"] = alone("grid", size, options)
    rows[f"solver on the grid refined by {REFINEMENT}, K to {TOLERANCE:g}"] = alone("refined", size, options)
    if options.paper_calls and size % PAPER_SIZE == 0:
        rows |= paper_rows(alone("paper", size, options))
    console.print(table_of_ratios(size, rows))
    verdict = "below" if row["gb"] < LIMIT_GB else "NOT below"
    console.print(f"peak memory of a prediction in a fresh process: {row['gb']:.2f} GB, {verdict} {LIMIT_GB:g} GB")
    return row["gb"] < LIMIT_GB


def main() -> None:
    """Measure and print all sizes."""
    parser = command_line(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256], help="pixels of a slice's edge")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="small", help="a shipped model, a directory, or random: small without training")
    parser.add_argument("--samples", type=int, help="of a prediction; the model's own number by default")
    parser.add_argument("--steps", type=int, help="of a sample; the model's own number by default")
    parser.add_argument("--media", type=int, default=4, help="predicted one after the other")
    parser.add_argument("--paper-calls", type=int, default=50, help="denoiser calls of paper that are made; 0: leave it out")
    parser.add_argument("--child", choices=MEASURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(MEASURES[options.child](options.sizes[0], options)))
        return
    console = Console(width=132)
    fits = [report(size, options, console) for size in options.sizes]
    console.print(f"{platform.processor() or platform.machine()}, {options.threads} thread(s)")
    sys.exit(not all(fits))


if __name__ == "__main__":
    main()
