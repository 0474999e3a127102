"""Which wall rule is closest to the smooth geometry: random planar bundles at 64, 128 and 256 pixels against 512.

Run ``python benchmarks/walls.py``; ``--bundles 20 --fraction 0.5`` are the defaults. Prints bias and root mean square of the
relative error of K per rule and resolution, as Markdown. The reference is the signed distance at 512 pixels.
"""

from __future__ import annotations

import sys

import numpy as np
from stopwatch import command_line

from resinflow.flow import Microstructure
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import solve

PIXELS = (64, 128, 256)
REFERENCE = 512
RULES = ("gap", "plain", "surface")
WIDTH = 50e-6
TOLERANCE = 1e-4


def same_fibres(seed: int, pixels: int, settings: BundleSettings, radius_change: float | None) -> tuple[Microstructure, float]:
    """Return bundle ``seed`` on a grid, with the radii of the first grid it was put on, and that grid's change of radii.

    A bundle meets its fibre fraction on every grid by a small change of all radii; here the geometry must stay.
    """
    micro = fibre_bundle((1, pixels, pixels), (WIDTH, WIDTH, WIDTH), seed=seed, settings=settings)
    own = float(micro.provenance["radius_change"])
    wanted = own if radius_change is None else radius_change
    distance = np.asarray(micro.signed_distance, dtype=np.float64) + own - wanted
    return Microstructure(distance > 0, micro.spacing, distance), wanted


def main() -> None:
    """Solve all bundles and print the table."""
    parser = command_line(__doc__)
    parser.add_argument("--bundles", type=int, default=20)
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--diameter", type=float, default=12e-6)
    options = parser.parse_args()
    settings = BundleSettings(options.fraction, options.diameter, misalignment=0.0)
    errors: dict[tuple[str, int], list[float]] = {(rule, pixels): [] for rule in RULES for pixels in PIXELS}
    for seed in range(1, options.bundles + 1):
        finest, change = same_fibres(seed, REFERENCE, settings, None)
        reference = solve(finest, wall_rule="surface", tolerance=TOLERANCE).permeability
        if reference == 0:
            print(f"bundle {seed} does not percolate: left out", file=sys.stderr)
            continue
        for pixels in PIXELS:
            micro, _ = same_fibres(seed, pixels, settings, change)
            for rule in RULES:
                permeability = solve(micro, wall_rule=rule, tolerance=TOLERANCE).permeability
                errors[rule, pixels].append(permeability / reference - 1)
        latest = ", ".join(f"{rule} {100 * errors[rule, PIXELS[0]][-1]:+.1f} %" for rule in RULES)
        print(f"bundle {seed}: K = {reference:.4g} m^2; at {PIXELS[0]} pixels {latest}", file=sys.stderr, flush=True)
    print("| rule | " + " | ".join(f"{pixels} px: bias | RMS | median" for pixels in PIXELS) + " |")
    print("|---" * (1 + 3 * len(PIXELS)) + "|")
    for rule in RULES:
        cells = []
        for pixels in PIXELS:
            values = 100 * np.array(errors[rule, pixels])
            cells += [f"{values.mean():+.2f} %", f"{np.sqrt(np.mean(values**2)):.2f} %", f"{np.median(np.abs(values)):.2f} %"]
        print(f"| {rule} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
