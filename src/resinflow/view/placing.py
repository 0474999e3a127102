"""Panels that stand where arithmetic puts them: a layout engine, which measures all texts twice, takes longer than to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Side = Literal["top", "bottom", "right"]

BAR = 0.09
"""Inches: thickness of a colour bar."""
BAR_ROOM: dict[Side, float] = {"top": 0.55, "bottom": 0.5, "right": 0.75}
"""Inches beside panels: a colour bar with its ticks and its label."""
LABEL_ROOM: dict[Side, float] = {"top": 0.0, "bottom": 0.42, "right": 0.0}
"""Inches: ticks and label of an axis; a bar on that side of the panels stands beyond them."""
ROW_LABEL_ROOM = 0.6
"""Inches left of panels: ticks and label of their y axis."""
_LINE = 0.19
_BAR_GAP = 0.08
_BAR_LENGTH = 0.95  # of the side of the panels


@dataclass(frozen=True)
class Spaces:
    """Room round the panels of a grid, inches.

    Attributes:
        columns: before each column, and after the last one.
        rows: above each row, and below the last one.
    """

    columns: tuple[float, ...]
    rows: tuple[float, ...]


def title_room(title: str) -> float:
    """Return the height of a title above the panels of a figure, inches."""
    return _LINE * len(title.splitlines()) + 0.1


def placed_panels(panel: tuple[float, float], spaces: Spaces, title: str) -> tuple[Figure, NDArray[np.object_]]:
    """Return a figure of its own and its panels (rows, columns), with a title above them.

    Args:
        panel: width and height of each, inches.
        spaces: room round the panels, that of the title left out.
        title: one or more lines.
    """
    from matplotlib.figure import Figure

    width, height = panel
    lefts = [sum(spaces.columns[: k + 1]) + k * width for k in range(len(spaces.columns))]
    tops = [title_room(title) + sum(spaces.rows[: k + 1]) + k * height for k in range(len(spaces.rows))]
    size = (lefts[-1], tops[-1])
    figure = Figure(figsize=size)
    grid = np.empty((len(tops) - 1, len(lefts) - 1), dtype=object)
    for row, column in np.ndindex(grid.shape):
        corner = (lefts[column] / size[0], 1.0 - (tops[row] + height) / size[1])
        grid[row, column] = figure.add_axes((*corner, width / size[0], height / size[1]))
    figure.suptitle(title, fontsize=10, y=1.0 - 0.05 / size[1], va="top")
    return figure, grid


def bar_axes(figure: Figure, panels: Sequence[Axes], side: Side) -> Axes:
    """Return the axes of a colour bar beside panels of a figure without a layout engine."""
    width, height = figure.get_size_inches()
    boxes = [axes.get_position(original=True) for axes in panels]
    left, right = min(box.x0 for box in boxes) * width, max(box.x1 for box in boxes) * width
    bottom, top = min(box.y0 for box in boxes) * height, max(box.y1 for box in boxes) * height
    if side == "right":
        length = _BAR_LENGTH * (top - bottom)
        rectangle = (right + _BAR_GAP, (bottom + top - length) / 2, BAR, length)
    else:
        length = _BAR_LENGTH * (right - left)
        place = top + _BAR_GAP if side == "top" else bottom - LABEL_ROOM[side] - BAR
        rectangle = ((left + right - length) / 2, place, length, BAR)
    x, y, across, along = rectangle
    return figure.add_axes((x / width, y / height, across / width, along / height), label="<colorbar>")
