"""Rates of data sets: generation, reading by the training loader from disk and over HTTP, conversion.

    python benchmarks/data.py generation [--recipe FILE] [--samples N] [--workers N]
    python benchmarks/data.py loading [--data STORE] [--samples N]
    python benchmarks/data.py conversion [--samples N] [--size PIXELS] [--slices S]

`generation` makes the first samples of a recipe with a local cluster. `loading` draws batches of four training samples as
training does (conditions, target, mirrors), with the files in the page cache (warm) and out of it (cold), and from a
`python -m http.server`, which stands for object storage; beside it the samples a second that one training step of stage 1 of
the model `small` takes on one core. `conversion` makes a set of random values in the published layout, converts it
into a store and back and reads it in random order, every step in a process of its own; memory is the peak of its
anonymous pages above those after the imports (mapped files are the page cache's and do not count: the system drops them when
it needs room).
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from stopwatch import ROOT, bound_threads, command_line, now

BATCH = 4


def measure_generation(arguments: argparse.Namespace) -> None:
    """Samples a minute of a local cluster, start of the workers apart."""
    from resinflow.data import generate, load_data_recipe

    recipe = load_data_recipe(arguments.recipe).model_copy(update={"samples": arguments.samples or 200})
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        generate(
            recipe,
            Path(folder) / "set.zarr",
            workers=arguments.workers,
            watch=lambda done, total: times.append(time.perf_counter() - start),
        )
    # the workers start and compile during their first samples
    warm = 2 * arguments.workers
    rate = 60 * (len(times) - 1 - warm) / (times[-1] - times[warm])
    size = " x ".join(str(count) for count in reversed(recipe.shape))
    print(f"generation: {recipe.samples} samples of {size} voxels, {arguments.workers} workers: {rate:.0f} a minute")
    print(f"start of the cluster and {warm} samples: {times[warm]:.1f} s; in all {times[-1]:.1f} s")


def drop_from_page_cache(folder: Path) -> None:
    """Ask the system to forget the pages of all files of a store (Linux; works without privileges for clean pages)."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a folder behind `python -m http.server`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder.parent)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/{folder.name}"
    finally:
        server.kill()
        server.wait()


def loading_rate(place: str, samples: int, workers: int) -> tuple[float, float]:
    """Samples a second that reach the training process (start of the workers apart), and its own ms of CPU a sample."""
    from resinflow.data import open_flows
    from resinflow.presets import LatentRecipe
    from resinflow.presets.training import preset_of
    from resinflow.train.data import flow_data

    recipe = LatentRecipe.model_validate({"seed": 1, "vae3d": {"batch_size": BATCH, "workers": workers}})
    batches = iter(flow_data(open_flows(place), preset_of(recipe), recipe, "vae3d", memory=0).train_dataloader())
    next(batches)
    start, count = now(), 0
    for conditions, _ in batches:
        count += len(conditions)
        if count >= samples:
            break
    if not count:
        raise SystemExit(
            f"{place} has one batch of {BATCH} samples to train on, of which the first is not timed; needed: two or more"
        )
    seconds = now() - start
    return count / seconds.wall, 1e3 * seconds.cpu / count


def training_rate(place: str, batches: int = 5) -> tuple[float, float]:
    """Samples a second, and ms of CPU a sample, of forward and backward pass of stage 1 of the model `small` on one core."""
    import torch

    from resinflow.data import open_flows
    from resinflow.flow import read_values
    from resinflow.presets import LatentRecipe
    from resinflow.presets.training import preset_of
    from resinflow.train.data import flow_data

    torch.set_num_threads(1)
    values = {"vae3d": {"batch_size": BATCH, "workers": 0}}
    recipe = LatentRecipe.model_validate(read_values(ROOT / "recipes" / "small.yaml") | values)
    source, preset = open_flows(place), preset_of(recipe)
    stage = preset.stage("vae3d", preset.networks("vae3d", recipe, source), recipe)
    loader = iter(flow_data(source, preset, recipe, "vae3d").train_dataloader())
    samples = [next(loader) for _ in range(batches + 1)]
    start = now()
    for number, (conditions, target) in enumerate(samples):
        if number == 1:  # the first pass makes room in memory
            start = now()
        with torch.autocast("cpu", torch.bfloat16):
            loss = stage.losses((conditions, target), "train", number)["loss"]
        loss.backward()
    count, seconds = BATCH * batches, now() - start
    return count / seconds.wall, 1e3 * seconds.cpu / count


def measure_loading(arguments: argparse.Namespace) -> None:
    """Samples a second from the store, warm, cold and over HTTP, beside what training takes."""
    store = arguments.data.absolute()
    samples = arguments.samples or 200
    for workers in (0, 1, 2):
        drop_from_page_cache(store)
        rates = {"cold": loading_rate(str(store), samples, workers), "warm": loading_rate(str(store), samples, workers)}
        with served(store) as address:
            rates["over HTTP"] = loading_rate(address, samples, workers)
        shown = ", ".join(f"{where} {rate:.0f} samples/s ({used:.0f} ms)" for where, (rate, used) in rates.items())
        print(f"{workers} workers: {shown}", flush=True)
    rate, used = training_rate(str(store))
    print(f"stage 1 of small trains on {rate:.1f} samples/s ({used:.0f} ms); in brackets: CPU a sample in the training process")


def anonymous_bytes() -> int:
    """Anonymous memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    raise OSError("the system does not tell anonymous memory")


def make_published(folder: Path, samples: int, shape: tuple[int, int, int]) -> None:
    """Random values in the published layout, written sample by sample."""
    from resinflow.data.published.tensors import write_tensor

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
    """One step of the conversion in this process: print its seconds and the peak of its memory."""
    from resinflow.data import FlowStore, export_published, import_published
    from resinflow.data.published.tensors import open_tensor

    samples, shape = arguments.samples or 64, (arguments.slices, arguments.size, arguments.size)
    if step == "make":
        make_published(folder / "published", samples, shape)
        return
    open_tensor(folder / "published" / "x" / "dxyz.pt")  # loads torch, whose own memory is not the conversion's
    before, peak, end = anonymous_bytes(), [0], threading.Event()

    def watch() -> None:
        while not end.wait(0.01):
            peak[0] = max(peak[0], anonymous_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    start = now()
    if step == "import":
        import_published(folder / "published", folder / "set.zarr", pressure_drop=1e5, viscosity=0.1)
    elif step == "export":
        export_published(FlowStore.open(folder / "set.zarr"), folder / "again")
    else:
        store = FlowStore.open(folder / "set.zarr")
        for index in np.random.default_rng(0).permutation(len(store)):
            for name in ("fluid", "velocity", "pressure", "planar_velocity"):
                store.read(name, int(index))
    seconds = (now() - start).wall
    end.set()
    thread.join()
    size = sum(file.stat().st_size for file in (folder / "published").rglob("*.pt"))
    print(
        f"{step}: {samples} samples ({size / 1e6:.0f} MB) in {seconds:.1f} s, {samples / seconds:.1f} a second, "
        f"peak memory {max(peak[0] - before, 0) / 1e6:.0f} MB above the {before / 1e6:.0f} MB after the imports"
    )


def measure_conversion(arguments: argparse.Namespace) -> None:
    """Run all steps of the conversion, each in a process of its own."""
    if arguments.step:
        run_step(arguments.step, arguments.folder, arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        for step in ("make", "import", "export", "read"):
            command = [sys.executable, __file__, *sys.argv[1:], "--step", step, "--folder", folder]
            subprocess.run(command, check=True, env=bound_threads(1))


def main() -> None:
    """Measure what the command line asks for."""
    parser = command_line(__doc__)
    parser.add_argument("what", choices=("generation", "loading", "conversion"))
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "data-small.yaml")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "small.zarr")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--slices", type=int, default=11)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    measure = {"generation": measure_generation, "loading": measure_loading, "conversion": measure_conversion}
    measure[arguments.what](arguments)


if __name__ == "__main__":
    main()
