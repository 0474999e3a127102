"""Drawing, converting or opening a saved flow."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from resinflow.cli.console import make_console, save_all
from resinflow.flow import FlowField, InvalidInputError
from resinflow.view import FIGURE_SUFFIXES, SCENE_SUFFIXES, Field, flow_figure, open_in_napari, render_flow, slices_figure

Kind = Literal["slices", "all-slices", "streamlines", "speed"]


def view_flow(
    path: Path,
    output: Path | None,
    *,
    kind: Kind | None = None,
    slice_index: int | None = None,
    field: Field | None = None,
    napari: bool = False,
) -> None:
    """Draw the saved flow ``path`` when ``output`` is a picture or a page, otherwise convert it; or open it in napari.

    Args:
        path: a flow that resinflow saved.
        output: of the kind that its suffix tells; may be left out with ``napari``.
        kind: what a picture shows; by default ``slices``, for .html and .jpg ``streamlines``.
        slice_index: slice of ``slices``; the middle one by default.
        field: field of ``all-slices``; the speed by default.
        napari: open a window, after writing.

    Raises:
        InvalidInputError: neither output nor napari, an option that the kind does not know, or what the flow's reader and the
            figures refuse.
        MissingDependencyError: an optional library is missing.
    """
    if output is None and not napari:
        raise InvalidInputError("nothing to do with the flow; needed: --output FILE, or --napari to open a window.")
    chosen = _chosen_kind(kind, output)
    _check_options(kind, chosen, slice_index, field)
    flow = FlowField.load(path)
    console = make_console()
    if output is not None and chosen is not None:
        console.print(f"wrote {_draw(flow, output, chosen, slice_index, field)}")
    elif output is not None:
        save_all(console, flow, [output])
    if napari:
        open_in_napari(flow, path.name)


def _chosen_kind(kind: Kind | None, output: Path | None) -> Kind | None:
    """Return what is drawn; None for a file that is no picture."""
    suffix = "" if output is None else output.suffix.lower()
    if suffix not in {*FIGURE_SUFFIXES, *SCENE_SUFFIXES}:
        return None
    return kind or ("slices" if suffix in FIGURE_SUFFIXES else "streamlines")


def _check_options(asked: Kind | None, chosen: Kind | None, slice_index: int | None, field: Field | None) -> None:
    if asked is not None and asked not in get_args(Kind):
        raise InvalidInputError(f"the kind of view is {asked!r}; needed: one of {', '.join(get_args(Kind))}.")
    if asked is not None and chosen is None:
        raise InvalidInputError(f"--kind {asked} goes with a picture; needed: an --output .png, .pdf, .svg, .jpg or .html.")
    if slice_index is not None and chosen != "slices":
        raise InvalidInputError(f"--slice goes with --kind slices; found: {chosen or 'no picture'}. Leave --slice out.")
    if field is not None and chosen != "all-slices":
        raise InvalidInputError("--field goes with --kind all-slices; add that, or leave --field out.")


def _draw(flow: FlowField, output: Path, kind: Kind, slice_index: int | None, field: Field | None) -> Path:
    if kind == "slices":
        return flow_figure(flow, output, slice_index=slice_index)
    if kind == "all-slices":
        return slices_figure(flow, output, field=field or "speed")
    return render_flow(flow, output, kind=kind)
