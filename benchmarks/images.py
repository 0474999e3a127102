"""Time and memory of reading one large image, by front end: linear in the pixels, or not.

    python benchmarks/images.py --sizes 500 1000 2000

The image repeats a drawn micrograph (fibres of 20 pixels, fraction 0.55) with its mirror images; `round` blackens what lies
outside of a round field of view. Each row is a process of its own: loading the libraries is in its memory, not in its time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

import resinflow as rf
from resinflow.media import draw_micrograph

TILE, PIXEL = 250, 0.5e-6


def image_of(size: int, view: str) -> np.ndarray:
    """Return a grey image of ``size`` pixels a side."""
    page = rf.fibre_bundle((1, TILE, TILE), (PIXEL, TILE * PIXEL, TILE * PIXEL), seed=1, volume_fraction=0.55)
    tile = draw_micrograph(page, seed=1)[0]
    cell = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    image = np.tile(cell, (-(-size // len(cell)),) * 2)[:size, :size].copy()
    if view == "round":
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        image[y**2 + x**2 > (size / 2) ** 2] = 0
    return image


def read(path: str, front_end: Literal["learned", "classical"]) -> None:
    """Read an image and print the seconds and the gigabytes that this took."""
    small = image_of(64, "whole")
    rf.from_image(small, pixel_size=PIXEL, depth=50e-6, front_end=front_end)  # what is loaded once
    start = time.perf_counter()
    rf.from_image(path, pixel_size=PIXEL, depth=50e-6, front_end=front_end)
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        path, front_end = options.read
        read(path, "learned" if front_end == "learned" else "classical")
        return
    print("| image | front end | pixels | seconds | of the row before | us a pixel | GB |\n|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for view in ("whole", "round"):
            for front_end in ("learned", "classical"):
                before = None
                for size in options.sizes:
                    path = Path(folder) / f"{view}-{size}.npy"
                    np.save(path, image_of(size, view))
                    command = [sys.executable, __file__, "--read", str(path), front_end]
                    seconds, memory = (float(word) for word in subprocess.check_output(command, text=True).split())
                    ratio = "" if before is None else f"{seconds / before:.1f}"
                    cells = (view, front_end, f"{size} x {size}", f"{seconds:.1f}", ratio, f"{1e6 * seconds / size**2:.1f}")
                    print("|", " | ".join((*cells, f"{memory:.2f}")), "|", flush=True)
                    before = seconds


if __name__ == "__main__":
    main()
