"""The figure of a segmentation: the outlines of the fibres on the image, and a part of it in which single pixels are seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, Microstructure, checked_target, format_length
from resinflow.view.output import save_figure
from resinflow.view.panels import (
    MICROMETRE,
    add_headline,
    draw_microstructure,
    extent_of,
    new_figure,
    panel_size,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_SIDE = 5.2  # inches: a square panel
_WINDOW = (48, 128)  # pixels a side of the part that is shown larger, least and most
_PARTS = 4  # of the image's shorter side
_WALL = "#d62728"
_LARGEST_MARK = 90.0  # square points

Box = tuple[int, int, int, int]


def segmentation_figure(
    micro: Microstructure,
    path: str | Path,
    *,
    image: NDArray | None = None,
    weights: NDArray[np.floating] | None = None,
    slice_index: int | None = None,
    title: str = "",
) -> Path:
    """Draw the outlines of the fibres on the image, whole and in part, and return the path.

    The slice stands as the image does: row 0 on top, y downwards. The part shown larger is that in which the walls count most
    for K, or without ``weights`` the middle; there the walls are marked by how much they count.

    Args:
        micro: the medium.
        path: .png, .pdf or .svg; an older file is replaced in one step.
        image: greys (nz or 1, ny, nx) from which the medium was segmented; without them fibres and fluid are drawn.
        weights: (nz or 1, ny, nx), what a displacement of each piece of wall does to ln K, 1 / m.
        slice_index: z slice shown, counted from 0; the middle one by default.
        title: lines above the figure.

    Raises:
        InvalidInputError: another suffix, a slice that does not exist, arrays of another shape, or a folder that cannot be
            written.
    """
    target = checked_target(path)
    return save_figure(compose_segmentation(micro, image, weights, slice_index, title), target)


def compose_segmentation(
    micro: Microstructure,
    image: NDArray | None = None,
    weights: NDArray[np.floating] | None = None,
    slice_index: int | None = None,
    title: str = "",
) -> Figure:
    """Return the figure that :func:`segmentation_figure` writes.

    Raises:
        InvalidInputError: a slice that does not exist, or arrays of another shape.
    """
    nz, ny, nx = micro.shape
    index = nz // 2 if slice_index is None else slice_index
    if not 0 <= index < nz:
        raise InvalidInputError(f"slice {index} does not exist; needed: 0 to {nz - 1}.")
    page = None if weights is None else _page_of(weights, micro, index)
    part = _part(page, (ny, nx))
    width, height = panel_size(micro, _SIDE)
    count = 2 if page is not None or (part[1] - part[0], part[3] - part[2]) != (ny, nx) else 1
    figure = new_figure((count * (width + 0.5) + 0.3, height + 0.9 + 0.2 * len(title.splitlines())))
    panels = list(figure.subplots(1, count, squeeze=False).ravel())
    for number, axes in enumerate(panels):
        draw_microstructure(axes, micro, index, image)
        style_axes(axes, label_x=True, label_y=number == 0)
        axes.tick_params(labelleft=True)
    place = f"slice {index} (0 to {nz - 1}), z = {format_length((index + 0.5) * micro.spacing[0])}".replace("um", "µm")
    add_headline(panels[0], place)
    if count > 1:
        _draw_part(panels[0], panels[1], part, micro, page)
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_part(whole: Axes, larger: Axes, part: Box, micro: Microstructure, page: NDArray[np.floating] | None) -> None:
    """Show a part of the slice in ``larger`` and frame it in ``whole``; mark the walls by their weights."""
    from matplotlib.patches import Rectangle

    _, dy, dx = micro.spacing
    top, bottom, left, right = (edge * step / MICROMETRE for edge, step in zip(part, (dy, dy, dx, dx), strict=True))
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="white", linewidth=2.0)
    inner = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="black", linewidth=0.8)
    if (left, right, bottom, top) != extent_of(micro):
        whole.add_patch(frame)
        whole.add_patch(inner)
    if page is not None and page.any():
        rows, columns = np.nonzero(page)
        share = np.abs(page[rows, columns])
        larger.scatter(
            (columns + 0.5) * dx / MICROMETRE,
            (rows + 0.5) * dy / MICROMETRE,
            s=_LARGEST_MARK * share / share.max(),
            color=_WALL,
            alpha=0.6,
            linewidths=0,
        )
        add_headline(larger, "red: walls by what they do to K where they move")
    else:
        add_headline(larger, f"{part[3] - part[2]} x {part[1] - part[0]} pixels of it")
    larger.set_xlim(left, right)
    larger.set_ylim(bottom, top)


def _page_of(weights: NDArray[np.floating], micro: Microstructure, index: int) -> NDArray[np.floating]:
    nz, ny, nx = micro.shape
    if weights.ndim != 3 or weights.shape[1:] != (ny, nx) or len(weights) not in (1, nz):
        raise InvalidInputError(
            f"the weights have shape {weights.shape}; needed: that of the medium, {(nz, ny, nx)}, or one slice."
        )
    return weights[index if len(weights) > 1 else 0]


def _part(page: NDArray[np.floating] | None, shape: tuple[int, int]) -> Box:
    """Top, bottom, left and right (pixels) of the part to show larger: the square that holds most weight, or the middle."""
    low, high = _WINDOW
    side = int(np.clip(min(shape) // _PARTS, low, high))
    ny, nx = (min(side, count) for count in shape)
    top, left = (shape[0] - ny) // 2, (shape[1] - nx) // 2
    if page is not None and page.any():
        sums = np.pad(np.abs(page), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
        held = sums[ny:, nx:] - sums[:-ny, nx:] - sums[ny:, :-nx] + sums[:-ny, :-nx]
        top, left = (int(place) for place in np.unravel_index(held.argmax(), held.shape))
    return top, top + ny, left, left + nx
