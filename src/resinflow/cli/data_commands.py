"""Generating, converting, checking and downloading data sets, and saying what is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from resinflow.cli.console import Pace, counting, make_console, showing_pace
from resinflow.data import (
    SPLITS,
    FlowStore,
    check_store,
    compute_statistics,
    draw_splits,
    export_published,
    generate,
    import_published,
    load_generation_config,
    open_flows,
)
from resinflow.data.download import BASE_URL, DATA_RECORDS, MODEL_RECORDS, Record, download_record
from resinflow.flow import InvalidInputError


def generate_and_print(
    recipe: Path, output: Path, workers: int | None, scheduler: str | None = None, dashboard: str | None = None
) -> None:
    """Generate the data set of ``recipe``, showing rate and remaining time, then show what is in it."""
    console = make_console()
    config = load_generation_config(recipe)
    pace = Pace()
    with showing_pace(console, "samples", pace) as watch:
        generate(config, output, workers=workers, scheduler=scheduler, dashboard=dashboard, watch=watch)
    if pace.rate is not None:
        console.print(f"made {pace.made} samples in {pace.seconds:.0f} s ({pace.rate:.0f} a minute)")
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
    """Print the size, the state and the ranges of a data set in either layout."""
    console = make_console()
    source = open_flows(data)
    shape = source.shape
    complete = source.complete if isinstance(source, FlowStore) else np.ones(len(source), dtype=bool)
    console.print(f"{data}: {int(complete.sum())} of {len(source)} samples of {shape[2]} x {shape[1]} x {shape[0]} voxels")
    attributes = source.attributes
    if "splits" in attributes:
        console.print("splits: " + ", ".join(f"{name} {len(source.indices(name))}" for name in SPLITS))
    if not complete.any():
        return
    if "converted_from" in attributes.get("recipe", {}):
        flows = ", ".join(f"{count} along {axis}" for axis, count in attributes["layout"]["cases"].items())
        console.print(f"{'converted from' if isinstance(source, FlowStore) else 'in'} the published layout: {flows}")
    for title, field, unit in (
        ("fibre fraction asked", "volume_fraction", ""),
        ("fibre diameter", "diameter", " m"),
        ("misalignment limit", "misalignment", " degrees"),
        ("permeability", "permeability", " m^2"),
    ):
        if field != "permeability" and not (isinstance(source, FlowStore) and source.has(field)):
            continue
        values = source.read(field)[complete]
        console.print(
            f"{title}: {values.min():.4g} to {values.max():.4g}{unit}, median {sorted(values)[len(values) // 2]:.4g}{unit}"
        )


def convert_and_print(
    source: Path,
    destination: Path,
    *,
    pressure_drop: float | None,
    viscosity: float | None,
    density: float | None,
    derive: bool,
    plain: bool,
) -> None:
    """Convert a data set from the published layout into a store (``destination`` ends in .zarr) or back, and say so.

    Raises:
        InvalidInputError: a source that is not of the other layout, or options that the direction does not know.
    """
    console = make_console()
    if destination.suffix == ".zarr":
        if plain:
            raise InvalidInputError("--plain was given; it belongs to conversions into the published layout, not into a .zarr.")
        with counting(console, "samples") as watch:
            import_published(
                source,
                destination,
                pressure_drop=pressure_drop,
                viscosity=viscosity,
                density=density,
                derive=derive,
                watch=watch,
            )
        print_info(destination)
        return
    if derive or any(value is not None for value in (pressure_drop, viscosity, density)):
        raise InvalidInputError(
            f"options for a conversion into a store were given; needed then: a destination in .zarr, found {destination}."
        )
    with counting(console, "files") as watch:
        export_published(FlowStore.open(source), destination, watch=watch, plain=plain)
    console.print(f"wrote {destination} in the published layout")


def check_and_print(data: Path) -> None:
    """Check a data set and print every fault.

    Raises:
        InvalidInputError: there are faults; the message counts them.
    """
    console = make_console()
    store = FlowStore.open(data)
    with counting(console, "checked") as watch:
        faults = check_store(store, watch=watch)
    for fault in faults:
        console.print(str(fault))
    if faults:
        samples = {fault.sample for fault in faults} - {None}
        raise InvalidInputError(f"{data}: {len(faults)} faults in {len(samples)} of {len(store)} samples.")
    splits = "splits hold" if "splits" in store.attributes else "no splits drawn yet"
    console.print(f"{data}: {len(store)} samples without fault; {splits}")


def download_data_and_print(name: str, output: Path | None, base_url: str | None) -> None:
    """Download a published data set by name and say what to do with it."""
    console = make_console()
    folders = _download(console, DATA_RECORDS, name, output or Path("data") / name, base_url)
    found = {file.parents[1] for folder in folders for file in folder.rglob("domain.pt")}
    for folder in sorted(found) or folders:
        console.print(f"unpacked to {folder}; to use it: resinflow data convert {folder} {folder}.zarr --derive ...")


def download_model_and_print(name: str, output: Path | None, base_url: str | None) -> None:
    """Download published weights by name and say what to do with them."""
    console = make_console()
    output = output or Path("models") / name
    _download(console, MODEL_RECORDS, name, output, base_url)
    console.print(f"to use them: resinflow model convert CHECKPOINT OUTPUT, with a checkpoint of {output}")


def _download(console: Console, records: dict[str, Record], name: str, output: Path, base_url: str | None) -> tuple[Path, ...]:
    if name not in records:
        known = "; ".join(f"{known} ({record.content})" for known, record in records.items())
        raise InvalidInputError(f"{name!r} is no known record; known: {known}.")
    with counting(console, "bytes") as watch:
        found = download_record(records[name], output, base_url=base_url or BASE_URL, watch=watch)
    for file in found.files:
        console.print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")
    if not found.verified:
        console.print("note: the record could not be reached; these files were taken as they are, unverified", style="yellow")
    return found.folders
