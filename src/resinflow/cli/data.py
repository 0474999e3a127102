"""The commands of `resinflow data`: generating, converting, checking and downloading data sets, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

from resinflow.cli.answer import AsJson, print_json
from resinflow.cli.console import Pace, counting, make_console, showing_pace
from resinflow.cli.outputs import check_outputs
from resinflow.flow import FIGURE_SUFFIXES, InvalidInputError, check_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from resinflow.data import FlowSource
    from resinflow.data.download import Download, Record

data_app = App(name="data", help="Data sets of microstructures with their flows.")
DownloadFolder = Annotated[
    Path | None, Parameter(name=["--output", "-o"], help="Folder; by default data/NAME or models/NAME here.")
]
BaseUrl = Annotated[
    str | None, Parameter(help="Server that holds the record, such as a mirror; by default https://zenodo.org.")
]


@data_app.command
def generate(
    recipe: Path,
    output: Path,
    /,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    dashboard: str | None = None,
    as_json: AsJson = False,
) -> None:
    """Generate a data set of random fibre bundles and their flows. Running again continues where it stopped.

    Parameters
    ----------
    recipe
        YAML recipe, e.g. recipes/data-small.yaml, or a variant in one, e.g. recipes/data-ood.yaml:tilted.
    output
        Folder of the data set (Zarr). The number of its samples is fixed: the split is drawn over all of them.
    workers
        Processes of a Dask cluster on this machine; by default one a core.
    scheduler
        Address of a Dask scheduler (tcp://host:8786) whose workers make the samples; all must see the same OUTPUT.
    dashboard
        Address of Dask's dashboard on this machine's cluster, e.g. :8787; by default none.
    """
    if workers is not None:
        check_whole("--workers", workers, 1)
    check_outputs((output, ()))

    from resinflow.data import count_drawn_anew, load_data_recipe
    from resinflow.data import generate as generate_samples

    console = make_console(as_json=as_json)
    data_recipe = load_data_recipe(recipe)
    pace = Pace()
    with showing_pace(console, "samples", pace) as watch:
        store = generate_samples(data_recipe, output, workers=workers, scheduler=scheduler, dashboard=dashboard, watch=watch)
    if pace.rate is not None:
        console.print(f"made {pace.count} samples in {pace.seconds:.0f} s ({pace.rate:.0f} a minute)")
    anew = count_drawn_anew(data_recipe, store)
    if anew:
        console.print(
            f"{anew} of {len(store)} media were drawn anew, since their first draw did not percolate or could not be packed: "
            "the dense end of the ranges is thinner for it"
        )
    content = _tell(console, output, store)
    if as_json:
        print_json({**content, "made": pace.count, "drawn_anew": anew})


@data_app.command
def split(data: Path, /, *, as_json: AsJson = False) -> None:
    """Draw the split 70/15/15 by the identity of the media; a split is drawn once and stored in the data set.

    Parameters
    ----------
    data
        A complete data set without a split.
    """
    from resinflow.data import FlowStore, draw_splits

    division = draw_splits(FlowStore.open(data, writable=True))
    sizes = {name: len(part) for name, part in division.parts().items()}
    make_console(as_json=as_json).print(", ".join(f"{name} {size}" for name, size in sizes.items()))
    if as_json:
        print_json({"data": str(data), "splits": sizes})


@data_app.command
def stats(data: Path, /, *, as_json: AsJson = False) -> None:
    """Compute the statistics of the training split, which scale the networks, and store them in the data set.

    Parameters
    ----------
    data
        A data set with a split.
    """
    from resinflow.data import FlowStore, compute_statistics

    statistics = compute_statistics(FlowStore.open(data, writable=True))
    make_console(as_json=as_json).print(
        f"{statistics['samples']} training samples; RMS correction to the response flow (vx, vy, vz in units of its RMS speed, "
        "pressure in units of the pressure drop): " + ", ".join(f"{value:.4f}" for value in statistics["correction_rms"])
    )
    if as_json:
        print_json({"data": str(data), "statistics": statistics})


@data_app.command
def info(
    data: Path,
    /,
    *,
    pressure_drop: float | None = None,
    viscosity: float | None = None,
    density: float | None = None,
    as_json: AsJson = False,
) -> None:
    """Show what is in a data set: recipe, samples, splits, ranges of fibre fraction and permeability.

    Parameters
    ----------
    data
        A data set (folder or URL), a folder in the published layout, or a YAML file that names one with its units.
    pressure_drop
        Pa; only for a published folder that does not say it.
    viscosity
        Pa s, likewise.
    density
        kg/m^3, likewise, if its pressure is kinematic.
    """
    from resinflow.data import open_flows

    console = make_console(as_json=as_json)
    content = _tell(console, data, open_flows(data, pressure_drop=pressure_drop, viscosity=viscosity, density=density))
    if as_json:
        print_json(content)


def _tell(console: Console, data: Path, source: FlowSource) -> dict[str, Any]:
    """Print what is in a data set, and return it with names and units for JSON."""
    from resinflow.data import SPLITS, FlowStore

    shape = source.shape
    complete = source.complete
    console.print(f"{data}: {int(complete.sum())} of {len(source)} samples of {shape[2]} x {shape[1]} x {shape[0]} voxels")
    info = source.info
    if "splits" in source.attributes:
        console.print("splits: " + ", ".join(f"{name} {len(source.indices(name))}" for name in SPLITS))
    ranges = _ranges(source, complete) if complete.any() else {}
    splits = {name: len(source.indices(name)) for name in SPLITS} if "splits" in source.attributes else None
    counts = {"samples": len(source), "complete": int(complete.sum())}
    content = {"data": str(data), **counts, "shape": list(shape), "splits": splits, "ranges": ranges}
    if not ranges:
        return content
    if info.converted and info.layout is not None:
        flows = ", ".join(f"{count} along {axis}" for axis, count in info.layout.cases.items())
        console.print(f"{'converted from' if isinstance(source, FlowStore) else 'in'} the published layout: {flows}")
    for title, _, name, unit in _FIELDS:
        if name in ranges:
            low, middle, high = (f"{ranges[name][which]:.4g}" for which in ("least", "median", "greatest"))
            console.print(f"{title}: {low} to {high}{unit}, median {middle}{unit}")
    return content


_FIELDS = (
    ("fibre fraction asked", "volume_fraction", "volume_fraction", ""),
    ("fibre diameter", "diameter", "diameter_m", " m"),
    ("misalignment limit", "misalignment", "misalignment_degrees", " degrees"),
    ("permeability", "permeability", "permeability_m2", " m^2"),
)
"""Title, field, name in JSON and unit of what differs from sample to sample."""


def _ranges(source: FlowSource, complete: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Least, median and greatest value of what differs between the samples, by its name in JSON."""
    from resinflow.data import FlowStore

    ranges = {}
    for _, field, name, _ in _FIELDS:
        if field == "permeability" or (isinstance(source, FlowStore) and source.has(field)):
            values = sorted(float(value) for value in source.read(field)[complete])
            ranges[name] = {"least": values[0], "median": values[len(values) // 2], "greatest": values[-1]}
    return ranges


@data_app.command
def card(data: Path, output: Path, /, *, figure: Path | None = None, as_json: AsJson = False) -> None:
    """Write the card of a data set: equations, boundary conditions, ranges, split sizes, and histograms of what came out.

    Parameters
    ----------
    data
        A complete data set with a split.
    output
        The page, NAME.md.
    figure
        The histograms (.png, .pdf, .svg); by default beside the page, under its name.
    """
    figure = figure or output.with_suffix(".png")
    check_outputs((output, (".md",)), (figure, FIGURE_SUFFIXES))

    from resinflow.cli.card import card_answer, write_card

    console = make_console(as_json=as_json)
    with counting(console, "samples") as watch:
        summary = write_card(data, output, figure, watch)
    console.print(f"wrote {output} and {figure}")
    if as_json:
        print_json({"data": str(data), "page": str(output), "figure": str(figure), **card_answer(summary)})


@data_app.command(name="convert")
def convert_data(
    source: Path,
    destination: Path,
    /,
    *,
    pressure_drop: float | None = None,
    viscosity: float | None = None,
    density: float | None = None,
    derive: Annotated[bool, Parameter(negative="")] = False,
    plain: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a data set from the published layout (x/domain.pt, U.pt, ...) into a store, or back.

    Parameters
    ----------
    source
        A folder in the published layout, or a data set.
    destination
        NAME.zarr for a store, which an interrupted conversion goes on in; any other name for the published layout.
    pressure_drop
        Pa over the length of the box; the published files do not say it.
    viscosity
        Pa s, likewise.
    density
        kg/m^3, if the published pressure is kinematic (pressure over density).
    derive
        Add the planar pressure and the response flow with our own solver: training needs them.
    plain
        Write the published files alone, without those that make the way back lossless.
    """
    check_outputs((destination, ()))

    from resinflow.data import FlowStore, export_published, import_published

    console = make_console(as_json=as_json)
    if destination.suffix == ".zarr":
        if plain:
            raise InvalidInputError("--plain was given; it belongs to conversions into the published layout, not into a .zarr.")
        with counting(console, "samples") as watch:
            store = import_published(
                source,
                destination,
                pressure_drop=pressure_drop,
                viscosity=viscosity,
                density=density,
                derive=derive,
                watch=watch,
            )
        content = _tell(console, destination, store)
        if as_json:
            print_json(content)
        return
    if derive or any(value is not None for value in (pressure_drop, viscosity, density)):
        raise InvalidInputError(
            f"options for a conversion into a store were given; needed then: a destination in .zarr, found {destination}."
        )
    store = FlowStore.open(source)
    with counting(console, "files") as watch:
        export_published(store, destination, watch=watch, plain=plain)
    console.print(f"wrote {destination} in the published layout")
    if as_json:
        print_json({"data": str(destination), "samples": len(store), "layout": "published"})


@data_app.command
def check(data: Path, /, *, as_json: AsJson = False) -> None:
    """Check every sample and the splits; print each fault with sample and cause, and exit with status 2 if there is one.

    Parameters
    ----------
    data
        A data set.
    """
    from resinflow.data import FlowStore, check_store

    console = make_console(as_json=as_json)
    store = FlowStore.open(data)
    with counting(console, "checked") as watch:
        faults = check_store(store, watch=watch)
    for fault in faults:
        console.print(str(fault))
    if as_json:
        rows, has_splits = [asdict(fault) for fault in faults], "splits" in store.attributes
        print_json({"data": str(data), "samples": len(store), "splits": has_splits, "faults": rows})
    if faults:
        samples = {fault.sample for fault in faults} - {None}
        raise InvalidInputError(f"{data}: {len(faults)} faults in {len(samples)} of {len(store)} samples.")
    splits = "splits hold" if "splits" in store.attributes else "no splits drawn yet"
    console.print(f"{data}: {len(store)} samples without fault; {splits}")


@data_app.command(name="download")
def download_data(name: str, /, *, output: DownloadFolder = None, base_url: BaseUrl = None, as_json: AsJson = False) -> None:
    """Download a published data set, verify and unpack it: fibres-3d or fibres-2d. Running again goes on.

    Parameters
    ----------
    name
        fibres-3d (2.1 GB) or fibres-2d.
    """
    from resinflow.data.download import DATA_RECORDS

    console = make_console(as_json=as_json)
    output = output or Path("data") / name
    files = fetch_record(console, DATA_RECORDS, name, output, base_url)
    sets = sorted({file.parents[1] for folder in files.folders for file in folder.rglob("domain.pt")})
    for folder in sets or files.folders:
        console.print(f"unpacked to {folder}; to use it: resinflow data convert {folder} {folder}.zarr --derive ...")
    if as_json:
        print_json({"record": name, "output": str(output), **download_answer(files), "sets": [str(folder) for folder in sets]})


def fetch_record(console: Console, records: Mapping[str, Record], name: str, output: Path, base_url: str | None) -> Download:
    """Download a published record by name, print its files, and return what is on disk.

    Raises:
        InvalidInputError: another name.
        DownloadError: the network's or the server's reasons.
    """
    from resinflow.data.download import BASE_URL, download_record, named_record

    record = named_record(records, name)
    check_outputs((output, ()))
    with counting(console, "bytes") as watch:
        download = download_record(record, output, base_url=base_url or BASE_URL, watch=watch)
    for file in download.files:
        console.print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")
    if not download.verified:
        console.print("note: the record could not be reached; these files were taken as they are, unverified", style="yellow")
    return download


def download_answer(download: Download) -> dict[str, Any]:
    """Return the files of a download with their sizes, where archives were unpacked to, and whether all was verified."""
    return {
        "files": [{"file": str(file), "bytes": file.stat().st_size} for file in download.files],
        "folders": [str(folder) for folder in download.folders],
        "verified": download.verified,
    }
