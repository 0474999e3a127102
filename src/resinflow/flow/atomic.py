"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resinflow.flow.errors import InvalidInputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` (same suffix), which takes the place of ``path`` when the block ends.

    The path may be a file or a directory (a Zarr store, a model); a link is followed. An error in the block removes the
    temporary path and leaves ``path`` as it was. A directory is replaced only by a directory of its own kind, so that a
    mistyped name does not cost a folder of other things.

    Raises:
        InvalidInputError: the place cannot be written, or a folder of something else stands there.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem}-{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if target.is_dir():
            _replace_directory(temporary, target)
        else:
            os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot write {path}: {reason}; choose a place that can be written.") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        elif temporary.exists():
            temporary.unlink()


def _replace_directory(temporary: Path, target: Path) -> None:
    """Put ``temporary`` in the place of the directory ``target``; a failed move puts the older one back."""
    _check_same_kind(temporary, target)
    retired = temporary.with_name(f"{temporary.name}.old")
    os.replace(target, retired)
    try:
        os.replace(temporary, target)
    except OSError:
        os.replace(retired, target)
        raise
    shutil.rmtree(retired)


def _check_same_kind(temporary: Path, target: Path) -> None:
    """Refuse a target whose files are not those of its successor (sub-folders, the arrays of a store, may differ)."""
    if not any(target.iterdir()) and temporary.is_dir():
        return
    new = _file_names(temporary) if temporary.is_dir() else set()
    old = _file_names(target)
    if not old & new or old - new:
        names = ", ".join(sorted(old - new)[:3]) or "no file of what is to be written"
        raise InvalidInputError(
            f"{target} is a folder that would be lost (it holds {names}); needed: a new or empty path; "
            "choose another name or remove the folder."
        )


def _file_names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")}
