"""What the voxels of a data set cost in accuracy, and what a finer grid for the solve buys.

    python benchmarks/refinement.py [--recipe recipes/data-stored.yaml] [--media 12] [--tolerance 1e-6]

Media are the first ones of a recipe. Each is solved on grids finer by 1 to 4 in the slice plane and by 1 to 3 in depth, with
plain walls on the mask and with the fibre surfaces, and compared with the finest of all, (3, 4, 4) with surfaces. Prints, as
Markdown: the error of K; that of the velocity averaged onto the stored grid, as it is and fitted to the mask (without flow in
its fibres); and the seconds of one core. A second table says what becomes of the flow through voxels that a
surface cuts and whose centre lies in a fibre.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from stopwatch import ROOT, command_line, timed

from resinflow.data import draw_medium, load_data_recipe
from resinflow.flow import Factors, FlowField, Microstructure
from resinflow.media import Fibres
from resinflow.stokes import WallRule, coarse_grain, fit_to_mask, solve

DEPTHS, PLANES = (1, 2, 3), (1, 2, 3, 4)
Way = tuple[WallRule, Factors]

RULES: tuple[WallRule, ...] = ("plain", "surface")
FINEST: Way = ("surface", (3, 4, 4))
STORING: tuple[Way, ...] = (("plain", (1, 2, 2)), ("surface", (1, 3, 3)))


class Outcome(NamedTuple):
    """A flow on the stored grid: its averages, the same fitted to the mask, and the seconds of its solve."""

    means: FlowField
    fitted: FlowField
    seconds: float


def solved(fibres: Fibres, micro: Microstructure, way: Way, tolerance: float) -> Outcome:
    """Solve the fibres on a finer grid and average onto the stored one."""
    rule, factors = way
    nz, ny, nx = (count * factor for count, factor in zip(micro.shape, factors, strict=True))
    fine = fibres.microstructure((nz, ny, nx))
    flow, seconds = timed(lambda: solve(fine, tolerance=tolerance, wall_rule=rule, threads=1))
    means = coarse_grain(flow, factors, micro)
    return Outcome(means, fit_to_mask(means), seconds.cpu)


def distance(field: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Relative L2 distance of two velocity fields, percent."""
    return 100 * float(np.sqrt(((field - reference) ** 2).sum() / (reference**2).sum()))


def print_table(rows: dict[Way, list[tuple[float, float, float, float]]]) -> None:
    """Errors against the finest, one row a way to solve."""
    print("| walls | finer by (z, y, x) | K: bias | RMS | median | largest | velocity: means | fitted to the mask | seconds |")
    print("|---" * 9 + "|")
    for (rule, factors), values in rows.items():
        k, means, fitted, seconds = np.array(values).T
        cells = [f"{100 * k.mean():+.2f} %", f"{100 * np.sqrt((k**2).mean()):.2f} %", f"{100 * np.median(np.abs(k)):.2f} %"]
        cells += [f"{100 * np.abs(k).max():.2f} %", f"{np.median(means):.1f} %", f"{np.median(fitted):.1f} %"]
        print(f"| {rule} | {factors} | " + " | ".join(cells) + f" | {np.median(seconds):.2f} |")


def storing_losses(outcome: Outcome, micro: Microstructure) -> tuple[float, ...]:
    """What dropping, leading around, and opening of partly filled voxels would change, all in percent."""
    means = outcome.means.velocity
    dropped = np.where(micro.fluid, means, 0.0)
    opened = float((np.abs(means).sum(axis=0) > 0).mean())
    return (
        100 * (float(dropped[0].mean() / means[0].mean()) - 1),
        distance(dropped, means),
        distance(outcome.fitted.velocity, means),
        100 * (opened - micro.porosity),
    )


def print_storing(rows: dict[Way, list[tuple[float, ...]]]) -> None:
    """What becomes of the flow in partly filled voxels."""
    print("\n| solved | flow dropped: K | velocity | led around: velocity | all opened: porosity |")
    print("|---" * 5 + "|")
    for (rule, factors), values in rows.items():
        middle, high = np.median(values, axis=0), np.abs(np.array(values)).max(axis=0)
        cells = [f"{m:+.1f} % ({h:.1f} %)" for m, h in zip(middle, high, strict=True)]
        print(f"| {rule} {factors} | " + " | ".join(cells) + " |")


def main() -> None:
    """Solve all media in all ways and print both tables."""
    parser = command_line(__doc__)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "data-stored.yaml")
    parser.add_argument("--media", type=int, default=12)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    options = parser.parse_args()
    recipe = load_data_recipe(options.recipe)
    ways: list[Way] = [(rule, (rz, r, r)) for rule, r, rz in product(RULES, PLANES, DEPTHS)]
    errors: dict[Way, list[tuple[float, float, float, float]]] = defaultdict(list)
    losses: dict[Way, list[tuple[float, ...]]] = defaultdict(list)
    for index in range(options.media):
        fibres, micro = draw_medium(recipe, np.random.SeedSequence([recipe.seed, index, 0]))
        reference = solved(fibres, micro, FINEST, options.tolerance)
        permeability = reference.means.permeability
        for way in ways:
            outcome = reference if way == FINEST else solved(fibres, micro, way, options.tolerance)
            errors[way].append(
                (
                    outcome.means.permeability / permeability - 1,
                    distance(outcome.means.velocity, reference.means.velocity),
                    distance(outcome.fitted.velocity, reference.fitted.velocity),
                    outcome.seconds,
                )
            )
            if way in STORING:
                losses[way].append(storing_losses(outcome, micro))
        own = 100 * errors["plain", (1, 1, 1)][-1][0]
        print(f"medium {index}: K = {permeability:.4g} m^2; plain on the stored grid {own:+.1f} %", file=sys.stderr, flush=True)
    print_table(errors)
    print_storing(losses)


if __name__ == "__main__":
    main()
