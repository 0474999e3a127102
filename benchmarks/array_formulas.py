"""The formulas of the literature for arrays of parallel fibres against this solver, in per cent of its K.

    python benchmarks/array_formulas.py --voxels 96

Walls at the exact surfaces, one period of the array; against the exact arrays where they are tabulated the solver is within
0.3 % at 64 voxels a diameter (docs/solver.md).
"""

from __future__ import annotations

import argparse
from math import pi, sqrt

import numpy as np

from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media import (
    Arrangement,
    Direction,
    berdichevsky_cai_permeability,
    drummond_tahir_permeability,
    gebart_permeability,
)
from resinflow.stokes import solve

FRACTIONS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
DIAMETER = 7e-6


def array_cell(arrangement: Arrangement, fraction: float, voxels: int) -> Microstructure:
    """Return one period of an array of round fibres along z, about ``voxels`` a diameter, with its exact surfaces."""
    radius = DIAMETER / 2
    fibres = 1 if arrangement == "square" else 2
    # square: side^2 V = pi r^2; hexagonal: a cell of s by sqrt(3) s holds two fibres
    height = radius * sqrt(pi / fraction) if fibres == 1 else radius * sqrt(2 * pi / (sqrt(3) * fraction))
    width = height if fibres == 1 else sqrt(3) * height
    ny, nx = (max(round(edge * voxels / DIAMETER), 4) for edge in (height, width))
    dy, dx = height / ny, width / nx
    y, x = ((np.arange(count) + 0.5) * step for count, step in ((ny, dy), (nx, dx)))
    centres = [(height / 2, width / 2)] if fibres == 1 else [(0.0, 0.0), (height / 2, width / 2)]
    images = [(a + i * height, b + j * width) for a, b in centres for i in (-1, 0, 1) for j in (-1, 0, 1)]
    apart = np.min([np.hypot(y[:, None] - a, x[None] - b) for a, b in images], axis=0)
    distance = (apart - radius)[None]
    return Microstructure(distance > 0, (min(dy, dx), dy, dx), distance)


def solved(arrangement: Arrangement, direction: Direction, fraction: float, voxels: int) -> float:
    """Return K (m^2) of an array by the solver."""
    cell = array_cell(arrangement, fraction, voxels)
    axis = "x" if direction == "transverse" else "z"
    return solve(cell, axis=axis, boundary="periodic", tolerance=1e-5, wall_rule="surface").permeability


def formulas(arrangement: Arrangement, direction: Direction, fraction: float) -> dict[str, float]:
    """Return K (m^2) by every formula; NaN where a series gives no positive K."""
    values = {
        "Gebart": gebart_permeability(fraction, DIAMETER, arrangement, direction),
        "Berdichevsky and Cai": berdichevsky_cai_permeability(fraction, DIAMETER, direction),
    }
    try:
        values["Drummond and Tahir"] = drummond_tahir_permeability(fraction, DIAMETER, arrangement, direction)
    except InvalidInputError:
        values["Drummond and Tahir"] = float("nan")
    return values


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, default=96, help="voxels a fibre diameter")
    voxels = parser.parse_args().voxels
    arrangements: tuple[Arrangement, ...] = ("hexagonal", "square")
    directions: tuple[Direction, ...] = ("transverse", "longitudinal")
    print(f"| formula, array | {' | '.join(f'{fraction:g}' for fraction in FRACTIONS)} |")
    print(f"| --- |{' --- |' * len(FRACTIONS)}")
    for direction in directions:
        for arrangement in arrangements:
            exact = [solved(arrangement, direction, fraction, voxels) for fraction in FRACTIONS]
            way = "across" if direction == "transverse" else "along"
            print(f"| K / a^2, {arrangement}, {way} | {' | '.join(f'{k / (DIAMETER / 2) ** 2:.4g}' for k in exact)} |")
            rows = [formulas(arrangement, direction, fraction) for fraction in FRACTIONS]
            for name in rows[0]:
                cells = [
                    "-" if np.isnan(row[name]) else f"{100 * (row[name] / k - 1):+.3g} %"
                    for row, k in zip(rows, exact, strict=True)
                ]
                print(f"| {name}, {arrangement}, {way} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
