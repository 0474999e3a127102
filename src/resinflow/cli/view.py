"""The commands `resinflow plot` and `resinflow view`: argument parsing only, as in :mod:`resinflow.cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

Output = Parameter(name=["--output", "-o"])


def register(app: App) -> None:
    """Add the commands to ``app``."""
    app.command(plot)
    app.command(view)


def plot(runs: list[Path], /, *, output: Annotated[Path, Output]) -> None:
    """Draw the curves of a training: losses of every stage, their terms, physics metrics, learning rate; or compare several.

    Example: resinflow plot runs/small runs/wider -o compared.png

    Parameters
    ----------
    runs
        Run or model directories, or log files (.json) of this or the published programs; several are drawn together.
    output
        One figure of all stages (.png, .pdf, .svg), or a folder for one PNG a stage.
    """
    from resinflow.cli.plotting import plot_training

    plot_training(runs, output)


def view(
    flow: Path,
    /,
    *,
    output: Annotated[Path | None, Output] = None,
    kind: Literal["slices", "all-slices", "streamlines", "speed"] | None = None,
    slice_index: Annotated[int | None, Parameter(name="--slice")] = None,
    field: Literal["speed", "vx", "vy", "vz", "pressure"] | None = None,
    napari: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Draw a saved flow field: slices, or a 3-D picture or page; convert it; or open it in napari.

    Parameters
    ----------
    flow
        A flow field that resinflow saved.
    output
        A figure (.png, .pdf, .svg), a 3-D picture (.png, .jpg), a 3-D page for any browser (.html), or the converted field
        (.vti for ParaView, .npz, .nc, .zarr).
    kind
        slices (all fields at one z), all-slices (one field at every z), streamlines or speed (3-D); by default slices, for
        .html and .jpg streamlines.
    slice_index
        Slice of the figure, counted from 0; the middle one by default.
    field
        Field of all-slices; speed by default.
    napari
        Open a window of napari with the flow (needs the extra: pip install 'resinflow[napari]').
    """
    from resinflow.cli.viewing import view_flow

    view_flow(flow, output, kind=kind, slice_index=slice_index, field=field, napari=napari)
