"""How much each choice moves K of a tow like the benchmark's: conditions, sub-domains, averages, voxels, seeds, formulas.

    python benchmarks/tow.py --shape 48 62 124 --voxel 1.042e-6 --seeds 0 1 2 -o tow.json

Of every tow K is solved under each condition, as a whole and in sub-domains side by side along x, the recommended condition
first; the file keeps what is done, so that running again goes on, and ``--minutes`` ends it: no row begins after them. The
published scatter is that of the answers of Syerko et al., Composites A 167 (2023) 107397, after outliers were taken out: 14 %
along the fibres, 24 % across (docs/tow.md).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np

from resinflow.flow import COMPONENTS, Microstructure
from resinflow.media import (
    BENCHMARK_TOW,
    BENCHMARK_VOXEL,
    benchmark_tow,
    berdichevsky_cai_permeability,
    drummond_tahir_permeability,
    gebart_permeability,
)
from resinflow.stokes import permeability_tensor
from resinflow.tow import CONDITIONS, RECOMMENDED, Condition, permeability_under

PUBLISHED = {"along": 0.14, "across": 0.24}
"""Coefficient of variation of the published answers without outliers."""
PARTS = (1, 2, 4)
AVERAGES = ("arithmetic", "geometric", "harmonic")
WHOLE = "symmetric sides, 1"
TENSOR = "tensor of the three flows"
FACES = "plain walls"
TWICE = "twice the voxel"
Triple = list[float]


def main() -> None:
    """Solve what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(48, 62, 124), help="voxels nz ny nx")
    parser.add_argument("--voxel", type=float, default=2 * BENCHMARK_VOXEL, help="edge of a voxel, m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--gap", type=float, default=BENCHMARK_TOW.minimum_gap, help="smallest gap between fibres, m")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--parts", type=int, nargs="+", default=list(PARTS), help="numbers of sub-domains; 1 is the whole")
    parser.add_argument("--coarse", action="store_true", help="also solve each tow with voxels twice as wide")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row after them; 0 prints what is done")
    parser.add_argument("-o", "--output", type=Path, default=Path("tow.json"))
    options = parser.parse_args()
    runs = json.loads(options.output.read_text()) if options.output.exists() else {}
    nz, ny, nx = options.shape
    parts = sorted({1, *options.parts})
    solved: list[dict[str, list[Triple]]] = []
    end = time.monotonic() + 60 * options.minutes
    for seed in options.seeds:
        done = runs.setdefault(f"{nz} x {ny} x {nx}, {options.voxel:g} m, gap {options.gap:g} m, seed {seed}", {})
        if time.monotonic() < end:
            micro = benchmark_tow((nz, ny, nx), seed=seed, voxel=options.voxel, minimum_gap=options.gap)
            print(f"seed {seed}: {micro.fluid.size} voxels, fraction of fibres {micro.fibre_fraction:.3f}", flush=True)
            for name, values in _answers(micro, parts, options.tolerance, options.coarse, done, end):
                done[name] = values
                options.output.write_text(json.dumps(runs, indent=1))
                print(f"seed {seed}, {name}: {np.round(np.array(values) * 1e12, 4).tolist()} um^2", flush=True)
        solved.append(done)
    if solved := [run for run in solved if WHOLE in run]:
        report(solved, parts)


def _answers(
    micro: Microstructure, parts: list[int], tolerance: float, coarse: bool, done: dict[str, list[Triple]], end: float
) -> Iterator[tuple[str, list[Triple]]]:
    """Diagonals of the tensors of all sub-domains, by condition and count, and under other walls; those not yet done."""
    for name in _rows(parts, coarse):
        if name in done:
            continue
        if time.monotonic() > end:
            return
        begin = time.process_time()
        yield name, _solved(micro, name, tolerance)
        print(f"    {time.process_time() - begin:.0f} s of processor time", flush=True)


def _rows(parts: list[int], coarse: bool) -> list[str]:
    """Names of what is solved of a tow, what matters most first."""
    pairs = [(condition, count) for condition in CONDITIONS for count in parts]
    pairs.sort(key=lambda pair: (pair[0] != RECOMMENDED, pair[1]))
    first, *rest = [f"{condition}, {count}" for condition, count in pairs]
    return [first, *([TWICE] if coarse else []), *rest, TENSOR, FACES]


def _solved(micro: Microstructure, name: str, tolerance: float) -> list[Triple]:
    """K of one row: of every sub-domain along x, y and z."""
    if name == TENSOR:
        return [list(permeability_tensor(micro, tolerance=tolerance).diagonal)]
    if name == FACES:
        return [diagonal(Microstructure(micro.fluid, micro.spacing), RECOMMENDED, tolerance)]
    if name == TWICE:
        return [diagonal(halved(micro), RECOMMENDED, tolerance)]
    condition, _, count = name.rpartition(", ")
    return [diagonal(part, cast(Condition, condition), tolerance) for part in parts_of(micro, int(count))]


def parts_of(micro: Microstructure, count: int) -> list[Microstructure]:
    """Return sub-domains of equal width side by side along x."""
    edges = np.linspace(0, micro.shape[2], count + 1).astype(int)
    distance = np.asarray(micro.signed_distance)
    cuts = [(slice(None), slice(None), slice(first, last)) for first, last in pairwise(edges)]
    return [Microstructure(micro.fluid[cut], micro.spacing, distance[cut]) for cut in cuts]


def halved(micro: Microstructure) -> Microstructure:
    """Return the medium on voxels twice as wide, its distance averaged over eight."""
    nz, ny, nx = (count // 2 for count in micro.shape)
    distance = np.asarray(micro.signed_distance, dtype=np.float64)[: 2 * nz, : 2 * ny, : 2 * nx]
    coarse = distance.reshape(nz, 2, ny, 2, nx, 2).mean(axis=(1, 3, 5))
    dz, dy, dx = micro.spacing
    return Microstructure(coarse > 0, (2 * dz, 2 * dy, 2 * dx), coarse)


def diagonal(micro: Microstructure, condition: Condition, tolerance: float) -> Triple:
    """Return K (m^2) along x, y and z: flow rate over pressure drop."""
    return [permeability_under(micro, condition, axis, tolerance=tolerance) for axis in COMPONENTS]


def report(runs: list[dict[str, list[Triple]]], parts: list[int]) -> None:
    """Print how far each choice is from the whole box with symmetric sides, along and across, and the formulas."""
    print(f"\n{len(runs)} tows; K of the choice over that of the whole box with symmetric sides, geometric mean:")
    for name in _names(runs, parts):
        print(f"{name:44s} across {_deviation(runs, name, 'across'):+7.1%}   along {_deviation(runs, name, 'along'):+7.1%}")
    print("\nstandard deviation of ln K over the choices (the published scatter: across 24 %, along 14 %):")
    for title, names in _families(runs, parts).items():
        spreads = [np.std([np.log1p(_deviation(runs, name, way)) for name in names], ddof=1) for way in ("across", "along")]
        print(f"{title:44s} across {spreads[0]:7.1%}   along {spreads[1]:7.1%}")
    if len(runs) > 1:
        logs = np.log([run[WHOLE][0] for run in runs])
        across, along = np.std(logs[:, :2], ddof=1), np.std(logs[:, 2], ddof=1)
        print(f"{'seeds (and x against y)':44s} across {across:7.1%}   along {along:7.1%}")
    _print_formulas(runs)


def _names(runs: list[dict[str, list[Triple]]], parts: list[int]) -> list[str]:
    """Choices that all runs have: conditions with one box, and sub-domains with each average."""
    whole = [f"{condition}, 1" for condition in CONDITIONS]
    split = [f"{condition}, {count}" for condition in CONDITIONS for count in parts[1:]]
    whole, split, other = (
        [name for name in names if all(name in run for run in runs)] for names in (whole, split, [TENSOR, FACES, TWICE])
    )
    return [*whole, *(f"{name}, {average}" for name in split for average in AVERAGES), *other]


def _families(runs: list[dict[str, list[Triple]]], parts: list[int]) -> dict[str, list[str]]:
    """Choices of one kind, the others held."""
    sides = "symmetric sides"
    families = {
        "conditions, whole box": [f"{condition}, 1" for condition in CONDITIONS],
        f"conditions, {parts[-1]} sub-domains, arithmetic": [f"{c}, {parts[-1]}, arithmetic" for c in CONDITIONS],
        "number of sub-domains, arithmetic": [WHOLE, *(f"{sides}, {count}, arithmetic" for count in parts[1:])],
        f"average over {parts[-1]} sub-domains": [f"{sides}, {parts[-1]}, {average}" for average in AVERAGES],
        "K from the flow rate or from the tensor": [WHOLE, TENSOR],
        "walls: surfaces or voxel faces": [WHOLE, FACES],
        "voxel or twice the voxel": [WHOLE, TWICE],
        "all of these together": _names(runs, parts),
    }
    return {title: names for title, names in families.items() if len(names) > 1 and set(names) <= set(_names(runs, parts))}


def _deviation(runs: list[dict[str, list[Triple]]], name: str, way: str) -> float:
    """Relative deviation of a choice from the whole box with symmetric sides, geometric mean over tows and axes."""
    key, average = name, "arithmetic"
    if name.endswith(AVERAGES):
        key, _, average = name.rpartition(", ")
    axes = [2] if way == "along" else [0, 1]
    logs = [np.log(_averaged(run[key], average)[axes] / np.array(run[WHOLE][0])[axes]) for run in runs]
    return float(np.expm1(np.mean(logs)))


def _averaged(values: list[Triple], average: str) -> np.ndarray:
    """K of sub-domains as one, each axis by itself."""
    array = np.maximum(np.array(values), 1e-30)
    if average == "geometric":
        return np.exp(np.log(array).mean(axis=0))
    return 1 / (1 / array).mean(axis=0) if average == "harmonic" else array.mean(axis=0)


def _print_formulas(runs: list[dict[str, list[Triple]]]) -> None:
    means = np.exp(np.log([run[WHOLE][0] for run in runs]).mean(axis=0))
    across, along = float(np.sqrt(means[0] * means[1])), float(means[2])
    print(f"\nour K, um^2: across {across * 1e12:.4g}, along {along * 1e12:.4g}; formulas over it:")
    fraction, diameter = BENCHMARK_TOW.volume_fraction, BENCHMARK_TOW.diameter
    rows = {
        "Gebart, hexagonal": [
            gebart_permeability(fraction, diameter, "hexagonal", way) for way in ("transverse", "longitudinal")
        ],
        "Gebart, square": [gebart_permeability(fraction, diameter, "square", way) for way in ("transverse", "longitudinal")],
        "Drummond and Tahir, hexagonal": [
            drummond_tahir_permeability(fraction, diameter, "hexagonal", way) for way in ("transverse", "longitudinal")
        ],
        "Berdichevsky and Cai": [
            berdichevsky_cai_permeability(fraction, diameter, way) for way in ("transverse", "longitudinal")
        ],
    }
    for name, (transverse, longitudinal) in rows.items():
        print(f"{name:44s} across {transverse / across:7.2f}   along {longitudinal / along:7.2f}")


if __name__ == "__main__":
    main()
