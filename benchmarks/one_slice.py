"""What flows round one slice: extrusion, Monte Carlo by the prior and trained models on the same fresh bundles.

    python benchmarks/one_slice.py --kind 5-10 --media 30 --samples 20 --output scores.json
    python benchmarks/one_slice.py --kind wavy --rivals extruded prior
    python benchmarks/one_slice.py --kind 10-15 --known 3

Bundles of 64 x 64 x 11 voxels, 50 um wide and deep, from seeds of no training set; the middle slice is seen, or several, and
the misalignment told that the bundle was drawn with (docs/one-slice.md). Flows by the solver, K to 1e-3. The same table of the
samples of a data set: resinflow evaluate --preset oneslice --data DATA.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from resinflow.evaluate.one_slice import rivals_named
from resinflow.evaluate.slice_tables import SliceTruth, evaluate_slices, shape_rows, slice_rows
from resinflow.flow import Drive, InvalidInputError
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import solve

SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
STREAM = 210_721


@dataclass(frozen=True)
class Kind:
    """A class of media: number of its stream, misalignments and waviness (degrees), and what is told of them."""

    stream: int
    misalignment: tuple[float, float]
    waviness: float = 0.0
    tells_misalignment: bool = True
    tells_waviness: bool = False


KINDS = {
    "0-5": Kind(0, (0.0, 5.0)),
    "5-10": Kind(1, (5.0, 10.0)),
    "10-15": Kind(2, (10.0, 15.0)),
    "open": Kind(3, (0.0, 15.0), tells_misalignment=False),
    "15-25": Kind(4, (15.0, 25.0)),
    "wavy": Kind(5, (0.0, 5.0), waviness=8.0, tells_waviness=True),
    "wavy-untold": Kind(6, (0.0, 5.0), waviness=8.0),
}


def truths(kind: Kind, count: int) -> Iterator[SliceTruth]:
    """Yield the true flows of fresh media of a kind, and what is told of each."""
    made = index = 0
    while made < count:
        rng = np.random.default_rng((STREAM, kind.stream, index))
        index += 1
        degrees = float(rng.uniform(*kind.misalignment))
        settings = BundleSettings(
            volume_fraction=float(rng.uniform(0.3, 0.65)),
            diameter=float(rng.uniform(8e-6, 15e-6)),
            diameter_scatter=float(rng.uniform(0.0, 0.1)),
            misalignment=degrees,
            waviness=kind.waviness,
        )
        try:
            micro = fibre_bundle(SHAPE, EXTENT, seed=int(rng.integers(2**31)), settings=settings)
        except InvalidInputError:  # too dense for its waves
            continue
        flow = solve(micro, Drive(), tolerance=1e-3)
        if flow.permeability > 0:
            made += 1
            yield SliceTruth(flow, degrees if kind.tells_misalignment else None, kind.waviness if kind.tells_waviness else 0.0)


def main() -> None:
    """Print the tables of a kind of media."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(KINDS), default="5-10")
    parser.add_argument("--media", type=int, default=30)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--known", type=int, default=1)
    parser.add_argument("--rivals", nargs="+", default=["extruded", "prior"])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    media = truths(KINDS[options.kind], options.media)
    evaluation = evaluate_slices(media, rivals_named(options.rivals), samples=options.samples, known=options.known)
    console = Console(width=200, soft_wrap=True)
    for table in (slice_rows(evaluation), shape_rows(evaluation)):
        console.print(table.terminal(wrapped=False))
    if options.output is not None:
        options.output.write_text(json.dumps(evaluation.to_dict(), indent=1))


if __name__ == "__main__":
    main()
