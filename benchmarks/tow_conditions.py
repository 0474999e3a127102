"""Bias and scatter of K of windows under each condition on their sides, against the size of the window.

    python benchmarks/tow_conditions.py --fraction 0.5 --seeds 0:6

Windows are cut from sections of straight fibres (7 um, 10 pixels across, 48 fibres wide); the reference is K of the whole
sections with symmetric sides (docs/tow.md).
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from resinflow.flow import COMPONENTS, Microstructure, ResinflowError
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.tow import CONDITIONS, permeability_under

PIXELS, PIXEL = 480, 0.7e-6
SIZES = {480: 1, 240: 1, 120: 2, 60: 4}
"""Edge of a window in pixels, and which of the windows are solved: every so-many-th along the diagonals."""


def windows_of(micro: Microstructure, size: int) -> list[Microstructure]:
    """Return windows of a size, spread over the section."""
    distance = micro.signed_distance
    places = [(row, column) for row, column in np.ndindex(PIXELS // size, PIXELS // size) if (row + column) % SIZES[size] == 0]
    cuts = [(slice(None), slice(y * size, (y + 1) * size), slice(x * size, (x + 1) * size)) for y, x in places]
    return [Microstructure(micro.fluid[cut], micro.spacing, None if distance is None else distance[cut]) for cut in cuts]


def main() -> None:
    """Print the table of a fraction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--seeds", default="0:6", help="first:last")
    options = parser.parse_args()
    first, last = (int(number) for number in options.seeds.split(":"))
    settings = BundleSettings(options.fraction, 7e-6, 0.08, 0.0, 0.5e-6)
    logs: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for seed in range(first, last):
        micro = fibre_bundle((1, PIXELS, PIXELS), (1e-6, PIXELS * PIXEL, PIXELS * PIXEL), seed=seed, settings=settings)
        for size in SIZES:
            for window in windows_of(micro, size):
                for condition in CONDITIONS:
                    for axis in COMPONENTS:
                        try:
                            value = permeability_under(window, condition, axis)
                        except ResinflowError:
                            continue
                        if value > 0:
                            logs[condition, "along" if axis == "z" else "across", size].append(float(np.log(value)))
    for direction in ("across", "along"):
        reference = np.mean(logs["symmetric sides", direction, PIXELS])
        for condition in CONDITIONS:
            cells = [logs[condition, direction, size] for size in reversed(SIZES)]
            text = "  ".join(f"{np.expm1(np.mean(each) - reference):+6.1%} ({np.std(each, ddof=1):.2f})" for each in cells)
            print(f"{direction:7s} {condition:16s} {text}")


if __name__ == "__main__":
    main()
