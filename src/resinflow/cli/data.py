"""The commands of `resinflow data`: argument parsing only, as in :mod:`resinflow.cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

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
) -> None:
    """Generate a data set of random fibre bundles and their flows. Running again continues where it stopped.

    Parameters
    ----------
    recipe
        YAML recipe, e.g. recipes/data-small.yaml.
    output
        Folder of the data set (Zarr).
    workers
        Processes of a Dask cluster on this machine; by default one a core.
    scheduler
        Address of a Dask scheduler (tcp://host:8786) whose workers make the samples; all must see the same OUTPUT.
    dashboard
        Address of Dask's dashboard on this machine's cluster, e.g. :8787; by default none.
    """
    from resinflow.cli.data_commands import generate_and_print

    generate_and_print(recipe, output, workers, scheduler, dashboard)


@data_app.command
def split(data: Path, /) -> None:
    """Draw the split 70/15/15 by the identity of the media; a split is drawn once and stored in the data set.

    Parameters
    ----------
    data
        A complete data set without a split.
    """
    from resinflow.cli.data_commands import split_and_print

    split_and_print(data)


@data_app.command
def stats(data: Path, /) -> None:
    """Compute the statistics of the training split, which scale the networks, and store them in the data set.

    Parameters
    ----------
    data
        A data set with a split.
    """
    from resinflow.cli.data_commands import statistics_and_print

    statistics_and_print(data)


@data_app.command
def info(data: Path, /) -> None:
    """Show what is in a data set: recipe, samples, splits, ranges of fibre fraction and permeability.

    Parameters
    ----------
    data
        A data set (folder or URL), a folder in the published layout, or a YAML file that names one with its units.
    """
    from resinflow.cli.data_commands import print_info

    print_info(data)


@data_app.command
def card(data: Path, output: Path, /, *, figure: Path | None = None) -> None:
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
    from resinflow.cli.card import write_card

    write_card(data, output, figure)


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
    from resinflow.cli.data_commands import convert_and_print

    convert_and_print(
        source,
        destination,
        pressure_drop=pressure_drop,
        viscosity=viscosity,
        density=density,
        derive=derive,
        plain=plain,
    )


@data_app.command
def check(data: Path, /) -> None:
    """Check every sample and the splits; print each fault with sample and cause, and exit with status 2 if there is one.

    Parameters
    ----------
    data
        A data set.
    """
    from resinflow.cli.data_commands import check_and_print

    check_and_print(data)


@data_app.command(name="download")
def download_data(name: str, /, *, output: DownloadFolder = None, base_url: BaseUrl = None) -> None:
    """Download a published data set, verify and unpack it: fibres-3d or fibres-2d. Running again goes on.

    Parameters
    ----------
    name
        fibres-3d (2.1 GB) or fibres-2d.
    """
    from resinflow.cli.data_commands import download_data_and_print

    download_data_and_print(name, output, base_url)
