"""The commands `resinflow plot` and `resinflow view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from resinflow.cli.console import make_console, save_all
from resinflow.cli.options import OUTPUT
from resinflow.cli.outputs import check_outputs
from resinflow.flow import FIGURE_SUFFIXES, FLOW_SUFFIXES, SCENE_SUFFIXES, FlowField, InvalidInputError

VIEW_SUFFIXES = tuple(dict.fromkeys((*FIGURE_SUFFIXES, *SCENE_SUFFIXES, *FLOW_SUFFIXES)))
"""Pictures, pages and flow fields."""


def plot(runs: list[Path], /, *, output: Annotated[Path, OUTPUT]) -> None:
    """Draw the curves of a training: losses of every stage, their terms, physics metrics, learning rate; or compare several.

    Example: resinflow plot runs/small runs/wider -o compared.png

    Parameters
    ----------
    runs
        Run or model directories, or log files (.json) of this or the published programs; several are drawn together.
    output
        One figure of all stages (.png, .pdf, .svg), or a folder for one PNG a stage.
    """
    from resinflow.view import training_figures

    check_outputs((output, FIGURE_SUFFIXES if output.suffix and not output.is_dir() else ()))
    console = make_console()
    for path in training_figures(runs, output):
        console.print(f"wrote {path}")


def view(
    flow: Path,
    /,
    *,
    output: Annotated[Path | None, OUTPUT] = None,
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
    from resinflow.view import check_napari, draw_flow, open_in_napari, picture_kind

    if output is None and not napari:
        raise InvalidInputError("nothing to do with the flow; needed: --output FILE, or --napari to open a window.")
    check_outputs((output, VIEW_SUFFIXES))
    if napari:
        check_napari()
    picture = picture_kind(output, kind, slice_index=slice_index, field=field)
    saved = FlowField.load(flow)
    console = make_console()
    if output is not None and picture is not None:
        console.print(f"wrote {draw_flow(saved, output, picture, slice_index=slice_index, field=field)}")
    elif output is not None:
        save_all(console, saved, [output])
    if napari:
        open_in_napari(saved, flow.name)
