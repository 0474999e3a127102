"""Names of pictures to be written, checked before any work; nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resinflow.flow.errors import InvalidInputError

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
SCENE_SUFFIXES = (".png", ".jpg", ".html")
"""Three-dimensional pictures, and a page for any browser."""


def checked_target(path: str | Path, suffixes: Sequence[str] = FIGURE_SUFFIXES) -> Path:
    """Return ``path`` if its suffix is one of ``suffixes`` (in any case).

    Raises:
        InvalidInputError: another suffix.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: one of {', '.join(suffixes)}.")
    return target
