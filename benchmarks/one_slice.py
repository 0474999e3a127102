"""What flows round one slice: extrusion, Monte Carlo by the prior and trained models on the same fresh bundles.

    python benchmarks/one_slice.py --kind 5-10 --media 30 --samples 20 --output scores.json
    python benchmarks/one_slice.py --kind wavy --rivals extruded prior

Bundles of 64 x 64 x 11 voxels, 50 um wide and deep, from seeds of no training set; the middle slice is given, and the
misalignment that the bundle was drawn with (docs/one-slice.md). Flows by the solver, K to 1e-3.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from resinflow.evaluate.one_slice import (
    Rival,
    SliceScores,
    drawn_flows,
    extrusion,
    mean_scores,
    monte_carlo,
    score_rivals,
    solved_draws,
)
from resinflow.flow import Drive, FlowField, InvalidInputError
from resinflow.media import BundleSettings, BundleShape, fibre_bundle, measure_bundle
from resinflow.presets.drawing import slice_engine_named
from resinflow.stokes import solve

SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
STREAM = 210_721


@dataclass(frozen=True)
class Kind:
    """A class of media: misalignments (degrees), waviness (degrees), and what is added to the misalignment that is told."""

    misalignment: tuple[float, float]
    waviness: float = 0.0
    told: float | None = 0.0


KINDS = {
    "0-5": Kind((0.0, 5.0)),
    "5-10": Kind((5.0, 10.0)),
    "10-15": Kind((10.0, 15.0)),
    "open": Kind((0.0, 15.0), told=None),
    "15-25": Kind((15.0, 25.0)),
    "wavy": Kind((0.0, 5.0), waviness=8.0, told=8.0),
    "wavy-untold": Kind((0.0, 5.0), waviness=8.0),
}


def media_of(kind: str, count: int) -> list[tuple[FlowField, float | None]]:
    """Return the true flows of fresh media of a kind, and the misalignment that is told of each."""
    law, flows = KINDS[kind], []
    index = 0
    while len(flows) < count:
        rng = np.random.default_rng((STREAM, list(KINDS).index(kind), index))
        index += 1
        degrees = float(rng.uniform(*law.misalignment))
        settings = BundleSettings(
            volume_fraction=float(rng.uniform(0.3, 0.65)),
            diameter=float(rng.uniform(8e-6, 15e-6)),
            diameter_scatter=float(rng.uniform(0.0, 0.1)),
            misalignment=degrees,
            waviness=law.waviness,
        )
        try:
            micro = fibre_bundle(SHAPE, EXTENT, seed=int(rng.integers(2**31)), settings=settings)
        except InvalidInputError:  # too dense for its waves
            continue
        flow = solve(micro, Drive(), tolerance=1e-3)
        if flow.permeability > 0:
            flows.append((flow, None if law.told is None else degrees + law.told))
    return flows


def rivals_of(names: list[str]) -> list[Rival]:
    """Return the rivals by their names."""
    ready = {"extruded": extrusion, "prior": monte_carlo, "flow": drawn_flows}
    return [ready[name]() if name in ready else solved_draws(slice_engine_named(name), name) for name in names]


def main() -> None:
    """Print the table of a kind of media."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(KINDS), default="5-10")
    parser.add_argument("--media", type=int, default=30)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--rivals", nargs="+", default=["extruded", "prior"])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rivals = rivals_of(options.rivals)
    scores: dict[str, list[SliceScores]] = defaultdict(list)
    shapes: dict[str, list[BundleShape]] = defaultdict(list)
    for number, (truth, told) in enumerate(media_of(options.kind, options.media)):
        shapes["truth"].append(measure_bundle(truth.microstructure))
        for name, score, measured in score_rivals(truth, rivals, misalignment=told, samples=options.samples, seed=number):
            scores[name].append(score)
            shapes[name] += measured
    summary = {name: mean_scores(each).to_dict() for name, each in scores.items()}
    geometry = {
        name: {key: float(np.nanmean([asdict(shape)[key] for shape in each])) for key in asdict(each[0])}
        for name, each in shapes.items()
        if each
    }
    for name, row in (*summary.items(), *geometry.items()):
        print(f"{options.kind:12s} {name:20s} " + "  ".join(f"{key} {value:.4g}" for key, value in row.items()))
    if options.output is not None:
        rows = {name: [asdict(score) for score in each] for name, each in scores.items()}
        options.output.write_text(json.dumps({"scores": summary, "geometry": geometry, "media": rows}, indent=1))


if __name__ == "__main__":
    main()
