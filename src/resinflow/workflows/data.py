"""Generating data sets and saying what is in them."""

from __future__ import annotations

import time
from pathlib import Path

from resinflow.data import SPLITS, FlowStore, compute_statistics, draw_splits, generate, load_generation_config
from resinflow.workflows.report import counting, make_console


def generate_and_print(recipe: Path, output: Path, workers: int | None) -> None:
    """Generate the data set of ``recipe`` with a progress bar, then show what is in it."""
    console = make_console()
    config = load_generation_config(recipe)
    begun = time.perf_counter()
    first: list[int] = []
    with counting(console, "samples") as show:

        def watch(done: int, total: int) -> None:
            first.append(done)
            show(done, total)

        generate(config, output, workers=workers, watch=watch)
    made, seconds = first[-1] - first[0], time.perf_counter() - begun
    if made:
        console.print(f"made {made} samples in {seconds:.0f} s ({60 * made / seconds:.0f} a minute)")
    print_info(output)


def split_and_print(data: Path) -> None:
    """Draw the split of a data set and print its sizes."""
    indices = draw_splits(FlowStore.open(data, writable=True))
    make_console().print(", ".join(f"{name} {len(part)}" for name, part in indices.items()))


def statistics_and_print(data: Path) -> None:
    """Compute the statistics of the training split and print them."""
    statistics = compute_statistics(FlowStore.open(data, writable=True))
    make_console().print(
        f"{statistics['samples']} training samples; RMS correction to the response flow (vx, vy, vz in units of its RMS speed, "
        "pressure in units of the pressure drop): " + ", ".join(f"{value:.4f}" for value in statistics["correction_rms"])
    )


def print_info(data: Path) -> None:
    """Print the size, the state and the ranges of a data set."""
    console = make_console()
    store = FlowStore.open(data)
    complete = store.complete
    shape = store.attributes["recipe"]["shape"]
    console.print(f"{data}: {int(complete.sum())} of {len(store)} samples of {shape[2]} x {shape[1]} x {shape[0]} voxels")
    if "splits" in store.attributes:
        console.print("splits: " + ", ".join(f"{name} {len(store.indices(name))}" for name in SPLITS))
    if not complete.any():
        return
    for title, field, unit in (
        ("fibre fraction asked", "volume_fraction", ""),
        ("fibre diameter", "diameter", " m"),
        ("misalignment limit", "misalignment", " degrees"),
        ("permeability", "permeability", " m^2"),
    ):
        values = store.read(field)[complete]
        console.print(
            f"{title}: {values.min():.4g} to {values.max():.4g}{unit}, median {sorted(values)[len(values) // 2]:.4g}{unit}"
        )
