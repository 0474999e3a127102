"""Files of pictures: writing in one step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resinflow.flow import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_MARGIN = 0.1  # inches


def save_figure(figure: Figure, target: Path, *, resolution: int = 160) -> Path:
    """Write a figure at a resolution in dots per inch and return its path; an older file is replaced in one step.

    Raises:
        InvalidInputError: a folder that cannot be written.
    """
    tight = "tight" if figure.get_layout_engine() is not None else figure.get_tightbbox().padded(_MARGIN)
    with replacing(target) as temporary:  # without an engine, a box of its own spares one of two rounds of drawing
        figure.savefig(temporary, dpi=resolution, bbox_inches=tight, pad_inches=_MARGIN)
    return target
