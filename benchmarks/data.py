"""Memory and rate of conversions, and samples a second from a store.

    python benchmarks/data.py [--samples N] [--size PIXELS] [--slices S]

Makes a set of random values in the published layout in a temporary folder, converts it into a store and back, and reads it
in random order. Every step runs in a process of its own; memory is the peak of its anonymous pages above those after the
imports (mapped files are the page cache's and do not count: the system drops them when it needs room).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np


def anonymous_bytes() -> int:
    """Anonymous memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    raise OSError("the system does not tell anonymous memory")


def make_published(folder: Path, samples: int, shape: tuple[int, int, int]) -> None:
    """Random values in the published layout, written sample by sample."""
    from resinflow.data.tensors import write_tensor

    (folder / "x").mkdir(parents=True)
    slices, height, width = shape
    kind = np.dtype(np.float32)
    rng = np.random.default_rng(0)
    for name, channels in (("domain", 1), ("U", 3), ("U_2d", 3), ("p", 1)):
        one = (slices, channels, height, width)

        def values(name: str = name, one: tuple[int, ...] = one):
            for _ in range(samples):
                value = rng.random(one, dtype=np.float32)
                if name == "domain":
                    value = (value > 0.5).astype(np.float32)
                if name == "U_2d":
                    value[:, 2] = 0
                yield value

        write_tensor(folder / "x" / f"{name}.pt", (samples, *one), kind, values())
    write_tensor(folder / "x" / "dxyz.pt", (samples, 3), kind, (np.full(3, 50e-6) for _ in range(samples)))


def run_step(step: str, folder: Path, arguments: argparse.Namespace) -> None:
    """One step in this process: print its seconds and the peak of its memory."""
    from resinflow.data import FlowStore, export_published, import_published
    from resinflow.data.tensors import open_tensor

    shape = (arguments.slices, arguments.size, arguments.size)
    if step == "make":
        make_published(folder / "given", arguments.samples, shape)
        return
    open_tensor(folder / "given" / "x" / "dxyz.pt")  # loads torch, whose own memory is not the conversion's
    before, peak, done = anonymous_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], anonymous_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    begun = time.perf_counter()
    if step == "import":
        import_published(folder / "given", folder / "set.zarr", pressure_drop=1e5, viscosity=0.1)
    elif step == "export":
        export_published(FlowStore.open(folder / "set.zarr"), folder / "again")
    else:
        store = FlowStore.open(folder / "set.zarr")
        for index in np.random.default_rng(0).permutation(len(store)):
            for name in ("fluid", "velocity", "pressure", "planar_velocity"):
                store.read(name, int(index))
    seconds = time.perf_counter() - begun
    done.set()
    thread.join()
    size = sum(file.stat().st_size for file in (folder / "given").rglob("*.pt"))
    print(
        f"{step}: {arguments.samples} samples ({size / 1e6:.0f} MB) in {seconds:.1f} s, "
        f"{arguments.samples / seconds:.1f} a second, "
        f"peak memory {max(peak[0] - before, 0) / 1e6:.0f} MB above the {before / 1e6:.0f} MB after the imports"
    )


def main() -> None:
    """Run all steps, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--slices", type=int, default=11)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run_step(arguments.step, arguments.folder, arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        for step in ("make", "import", "export", "read"):
            command = [sys.executable, __file__, *sys.argv[1:], "--step", step, "--folder", folder]
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
