"""How many random media a minute one core draws, and how many of the asked bundles are found.

    python benchmarks/bundles.py [--seeds 40] [--workers 2]

Media are 64 x 64 x 11 voxels of a 50 um cube, diameters 5 to 15 um with a scatter of 8 %, gaps of 0.5 um; tilts reach 15
degrees, waves 10 degrees at 60 um. Prints media a minute of one core (processor time) over fibre fraction and kind, as
Markdown; "missing" counts bundles that were not found. Then the rate of all workers together on the recipe's own ranges.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from stopwatch import ROOT, command_line

from resinflow.data import draw_medium, load_data_recipe
from resinflow.flow import InvalidInputError
from resinflow.media import BundleSettings, fibre_bundle

SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7)
DIAMETERS = (5e-6, 8e-6, 11e-6, 15e-6)
KINDS = {
    "straight": {"misalignment": 0.0},
    "tilted": {"misalignment": 15.0},
    "tilted, strict gap": {"misalignment": 15.0, "strict_gap": True},
    "wavy": {"misalignment": 0.0, "waviness": 10.0, "wavelength": 60e-6},
    "tilted and wavy": {"misalignment": 15.0, "waviness": 10.0, "wavelength": 60e-6},
    "tilted, periodic": {"misalignment": 15.0, "boundary": "periodic"},
}
RECIPE = ROOT / "recipes" / "data-stored.yaml"


def rate(settings: list[BundleSettings], seeds: int) -> str:
    """Media a minute of one core, over settings in turn; how many were not found."""
    missing, start = 0, time.process_time()
    for seed in range(seeds):
        try:
            fibre_bundle(SHAPE, EXTENT, seed=seed, settings=settings[seed % len(settings)])
        except InvalidInputError:
            missing += 1
    per_minute = 60 * seeds / (time.process_time() - start)
    return f"{per_minute:.0f}" + (f" ({missing} of {seeds} missing)" if missing else "")


def draw_many(first: int, count: int) -> int:
    """Draw media of the recipe, from number ``first``."""
    recipe = load_data_recipe(RECIPE)
    for index in range(first, first + count):
        draw_medium(recipe, np.random.SeedSequence([recipe.seed, index, 0]))
    return count


def main() -> None:
    """Print the table and the rate of the recipe."""
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for extra in KINDS.values():  # compiles
        fibre_bundle((2, 8, 8), EXTENT, seed=0, settings=BundleSettings(**extra))
    for diameters, title in ((DIAMETERS[1:], "8 to 15 um"), (DIAMETERS[:1], "5 um")):
        print(f"\n| {title}: media a minute | " + " | ".join(f"{fraction:g}" for fraction in FRACTIONS) + " |")
        print("|---" * (1 + len(FRACTIONS)) + "|")
        for name, extra in KINDS.items():
            cells = [
                rate([BundleSettings(fraction, diameter, 0.08, **extra) for diameter in diameters], options.seeds)
                for fraction in FRACTIONS
            ]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    each = 10 * options.seeds
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        list(pool.map(draw_many, range(options.workers), [1] * options.workers))  # loads the compiled code
        start = time.perf_counter()
        media = sum(pool.map(draw_many, [each * worker for worker in range(options.workers)], [each] * options.workers))
        seconds = time.perf_counter() - start
    print(f"\n{RECIPE.name}: {60 * media / seconds:.0f} media a minute with {options.workers} processes")


if __name__ == "__main__":
    main()
