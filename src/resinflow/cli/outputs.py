"""The files that a command is to write, checked before its work begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from resinflow.flow import InvalidInputError, MissingDependencyError, check_flow_target, checked_target

_FOLDERS = (".zarr",)


def check_outputs(*outputs: tuple[Path | None, Sequence[str]]) -> None:
    """Refuse files that could not be written; nothing heavy is loaded.

    Args:
        outputs: each file (None: it is not wanted) with the suffixes that it may have; none for a folder.

    Raises:
        InvalidInputError: another suffix, one name twice, a folder in the place of a file or a file in that of a folder, a data
            set in the place of a flow field, or a place that cannot be written.
        MissingDependencyError: the library of a format is not installed.
    """
    targets = [(path, suffixes) for path, suffixes in outputs if path is not None]
    for number, (path, suffixes) in enumerate(targets):
        if suffixes:
            checked_target(path, suffixes)
        if path.resolve() in {other.resolve() for other, _ in targets[:number]}:
            raise InvalidInputError(f"{path} is to be written twice; needed: a name for each output.")
        is_flow = bool(suffixes) and path.suffix.lower() in _FOLDERS
        _check_place(path, is_folder=is_flow or not suffixes)
        if is_flow:
            check_flow_target(path)
    if any(path.suffix.lower() == ".vti" for path, _ in targets) and find_spec("pyvista") is None:
        raise MissingDependencyError(
            "the .vti format needs pyvista, which is not installed; run: pip install 'resinflow[view]'."
        )


def _check_place(path: Path, *, is_folder: bool) -> None:
    if path.is_dir() and not is_folder:
        raise InvalidInputError(f"cannot write {path}: it is a folder; choose the name of a file.")
    if is_folder and path.exists() and not path.is_dir():
        raise InvalidInputError(f"cannot write {path}: it is no folder; choose the name of a folder.")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise InvalidInputError(f"cannot write {path}: {folder} is no folder; choose a place that can be written.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInputError(f"cannot write {path}: {folder} is protected; choose a place that can be written.")
