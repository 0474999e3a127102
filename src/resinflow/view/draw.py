"""A picture of a saved flow. The suffix of the file and the options decide on its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from resinflow.flow import FIGURE_SUFFIXES, SCENE_SUFFIXES, FlowField, InvalidInputError
from resinflow.view.figures import flow_figure
from resinflow.view.render import render_flow
from resinflow.view.slices import Field, slices_figure

Kind = Literal["slices", "all-slices", "streamlines", "speed"]


def picture_kind(
    output: Path | None, kind: Kind | None = None, *, slice_index: int | None = None, field: Field | None = None
) -> Kind | None:
    """Return what a picture shows; None for a file that is no picture.

    Args:
        output: its suffix decides where ``kind`` is left out: ``slices``, for .html and .jpg ``streamlines``.
        kind: one field of all slices, all fields of one slice, or a scene.
        slice_index: goes with ``slices``.
        field: goes with ``all-slices``.

    Raises:
        InvalidInputError: an unknown kind, or an option that the kind does not know.
    """
    suffix = "" if output is None else output.suffix.lower()
    picture: Kind | None = None
    if suffix in {*FIGURE_SUFFIXES, *SCENE_SUFFIXES}:
        picture = kind or ("slices" if suffix in FIGURE_SUFFIXES else "streamlines")
    if kind is not None and kind not in get_args(Kind):
        raise InvalidInputError(f"the kind of view is {kind!r}; needed: one of {', '.join(get_args(Kind))}.")
    if kind is not None and picture is None:
        raise InvalidInputError(f"--kind {kind} goes with a picture; needed: an --output .png, .pdf, .svg, .jpg or .html.")
    if slice_index is not None and picture != "slices":
        raise InvalidInputError(f"--slice goes with --kind slices; found: {picture or 'no picture'}. Leave --slice out.")
    if field is not None and picture != "all-slices":
        raise InvalidInputError("--field goes with --kind all-slices; add that, or leave --field out.")
    return picture


def draw_flow(flow: FlowField, output: Path, kind: Kind, *, slice_index: int | None = None, field: Field | None = None) -> Path:
    """Draw a flow and return the path.

    Args:
        flow: solved or predicted.
        output: a figure (.png, .pdf, .svg) for the slices, a scene (.png, .jpg, .html) for streamlines and speed.
        kind: what the picture shows.
        slice_index: slice of ``slices``; the middle one by default.
        field: field of ``all-slices``; the speed by default.

    Raises:
        InvalidInputError: another suffix, a slice that does not exist, or a folder that cannot be written.
        MissingDependencyError: the library of the scenes is missing.
    """
    if kind == "slices":
        return flow_figure(flow, output, slice_index=slice_index)
    if kind == "all-slices":
        return slices_figure(flow, output, field=field or "speed")
    return render_flow(flow, output, kind=kind)
