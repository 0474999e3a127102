"""Do the 90 % intervals of K of a tow hold it: drawn tows whose K is known from much larger media.

    python benchmarks/tow_coverage.py measure --kind clustered --seeds 0:20 -o coverage.jsonl
    python benchmarks/tow_coverage.py reference --kind clustered --seeds 0:6 -o coverage.jsonl
    python benchmarks/tow_coverage.py report coverage.jsonl

Tows are single sections of straight fibres of 7 um, 10 pixels across; an image is 24 fibres wide, a medium of the reference 60.
``clustered`` and ``resin-rich`` tows lose fibres: by a random field of 5 diameters, and in round pockets of 3 diameters. Four
images are cut from the corners of each medium, which is as wide as those of the reference: a drawn medium has its fraction of
fibres exactly, so that images of half a medium would vary by 0.7 of what images of a tow vary by.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from resinflow.flow import Microstructure
from resinflow.media import BundleSettings, Fibres, draw_fibres
from resinflow.stokes import permeability_tensor
from resinflow.tow import Representativity, WindowOptions, measure_windows, size_statistics

DIAMETER, PIXEL = 7e-6, 0.7e-6
IMAGE, REFERENCE = 240, 600
COUNTS = (2, 3)
KINDS = {"0.40": 0.40, "0.50": 0.50, "0.60": 0.60, "0.65": 0.65, "clustered": 0.60, "resin-rich": 0.58}
OPTIONS = WindowOptions(boundary="pressure", lateral="symmetry", tolerance=1e-3)


def draw_tow(kind: str, pixels: int, seed: int) -> Microstructure:
    """Return a section of ``pixels`` squared."""
    edge = pixels * PIXEL
    settings = BundleSettings(KINDS[kind], DIAMETER, 0.08, 0.0, 0.35e-6 if KINDS[kind] > 0.6 else 0.5e-6)
    fibres = draw_fibres((1, pixels, pixels), (PIXEL, edge, edge), seed=seed, settings=settings)
    rng = np.random.default_rng([seed, pixels])
    stays = np.ones(len(fibres), dtype=bool)
    if kind == "clustered":
        cells = int(edge / DIAMETER) + 8
        field = ndimage.gaussian_filter(rng.standard_normal((cells, cells)), 5 / 2, mode="wrap")
        places = np.clip(fibres.centres[:, :2] / DIAMETER + 4, 0, cells - 1).astype(int)
        chance = 0.25 + 0.25 * np.tanh(2 * field / field.std())[places[:, 1], places[:, 0]]
        stays = rng.random(len(fibres)) > chance
    elif kind == "resin-rich":
        radius = 3 * DIAMETER
        pockets = rng.uniform(-radius, edge + radius, (rng.poisson(0.12 * (edge + 2 * radius) ** 2 / (np.pi * radius**2)), 2))
        apart = np.linalg.norm(fibres.centres[:, None, :2] - pockets[None], axis=-1)
        stays = (apart > radius).all(axis=1)
    kept = Fibres(fibres.bottom[stays], fibres.top[stays], fibres.radius[stays], fibres.extent, fibres.growth)
    return kept.microstructure((1, pixels, pixels))


def corners(micro: Microstructure, pixels: int) -> Iterator[Microstructure]:
    """Yield the four images of a section that do not overlap."""
    for top, left in np.ndindex(2, 2):
        rows, columns = (slice(0, pixels) if first == 0 else slice(-pixels, None) for first in (top, left))
        part = (slice(None), rows, columns)
        distance = None if micro.signed_distance is None else micro.signed_distance[part]
        yield Microstructure(micro.fluid[part], micro.spacing, distance)


def measure(kind: str, seeds: range) -> Iterator[dict[str, object]]:
    """Yield K of images and of their windows."""
    for seed in seeds:
        for corner, micro in enumerate(corners(draw_tow(kind, REFERENCE, 10_000 + seed), IMAGE)):
            whole = permeability_tensor(micro, boundary="pressure", tolerance=1e-3)
            windows = {
                count: measure_windows(micro, micro.extent[1] / count, OPTIONS).tensors.diagonal(axis1=-2, axis2=-1).tolist()
                for count in COUNTS
            }
            row = {"kind": kind, "seed": seed, "corner": corner, "whole": whole.diagonal, "windows": windows}
            yield {**row, "fraction": micro.fibre_fraction}


def reference(kind: str, seeds: range) -> Iterator[dict[str, object]]:
    """Yield K of much larger media."""
    for seed in seeds:
        tensor = permeability_tensor(draw_tow(kind, REFERENCE, 10_000 + seed), boundary="pressure", tolerance=1e-3)
        yield {"kind": kind, "reference": tensor.diagonal, "fraction": tensor.fibre_fraction}


def report(path: Path) -> None:
    """Print how often the intervals hold the reference."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    references: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in rows:
        if "reference" in row:
            references[row["kind"]].append(row["reference"])
    totals: list[bool] = []
    print("kind        tows  K across, reference  inside x, y   K along  inside z   deviation across, along")
    for kind, values in references.items():
        logs = np.log(np.array(values))
        across, along = float(np.exp(logs[:, :2].mean())), float(np.exp(logs[:, 2].mean()))
        inside, widths = [], []
        for row in (row for row in rows if row["kind"] == kind and "whole" in row):
            sizes = [size_statistics(np.array(each), IMAGE * PIXEL / int(count)) for count, each in row["windows"].items()]
            answer = Representativity(tuple(row["whole"]), tuple(sizes), (IMAGE * PIXEL) ** 2)
            inside.append(
                [low <= true <= high for (low, high), true in zip(answer.interval(0.9), (across, across, along), strict=True)]
            )
            widths.append(answer.deviation)
        if not inside:
            continue
        shares = np.mean(inside, axis=0)
        totals += np.array(inside).ravel().tolist()
        spread = np.mean(widths, axis=0)
        print(
            f"{kind:11s} {len(inside):4d}  {across * 1e12:.4f} um^2 ({len(values)})   {shares[:2].mean():.3f}       "
            f"{along * 1e12:.3f}    {shares[2]:.3f}      {spread[:2].mean():.3f}, {spread[2]:.3f}"
        )
    print(f"all: {np.mean(totals):.3f} of {len(totals)} intervals hold K")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "reference", "report"))
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="0.50")
    parser.add_argument("--seeds", default="0:4", help="first:last")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    if given.what == "report":
        report(given.path)
        return
    first, last = (int(number) for number in given.seeds.split(":"))
    for row in (measure if given.what == "measure" else reference)(given.kind, range(first, last)):
        with given.output.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
