"""Files of pictures: a check of the suffix before any work, and writing in one step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resinflow.flow import InvalidInputError, replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


def checked_target(path: str | Path, suffixes: Sequence[str] = FIGURE_SUFFIXES) -> Path:
    """Return ``path`` if its suffix is one of ``suffixes`` (in any case).

    Raises:
        InvalidInputError: another suffix.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: one of {', '.join(suffixes)}.")
    return target


def save_figure(figure: Figure, target: Path, *, resolution: int = 160) -> Path:
    """Write a figure at a resolution in dots per inch and return its path; an older file is replaced in one step.

    Raises:
        InvalidInputError: a folder that cannot be written.
    """
    with replacing(target) as temporary:
        figure.savefig(temporary, dpi=resolution, bbox_inches="tight", pad_inches=0.1)
    return target
