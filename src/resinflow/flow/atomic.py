"""Files that are written whole or not at all, and what is left where a process is killed while it writes one.

A file grows under a hidden name beside its place, ``.NAME-HOST-PROCESS-RANDOM.SUFFIX``. HOST stands for the machine (and the
container) and PROCESS is the number of the writer, so that the leavings of a process that lives no longer can be told from
the files of one that is writing.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from resinflow.flow.errors import InvalidInputError

_LONGEST_STEM = 50
"""Characters (of 4 bytes at most) of a name that its temporary name repeats: file systems allow 255 bytes."""
_RETIRED = ".old"
_TEMPORARY = re.compile(
    r"\.(?P<stem>.*)-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}(?P<suffix>\.(?!old$)[^.]*)?(?P<old>\.old)?"
)
_log = logging.getLogger(__name__)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` (same suffix), which takes the place of ``path`` when the block ends.

    The path may be a file or a directory (a Zarr store, a model); a link is followed. An error in the block removes the
    temporary path and leaves ``path`` as it was. A directory is replaced only by a directory of its own kind, so that a
    mistyped name does not cost a folder of other things. A process that is killed at any moment leaves the old or the new;
    the next call for this folder removes what else it leaves, and says so in the log.

    Raises:
        InvalidInputError: the place cannot be written, or a folder of something else stands there.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        sweep(target.parent)
        yield temporary
        if target.is_dir():
            _replace_directory(temporary, target)
        else:
            os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot write {path}: {reason}; choose a place that can be written.") from error
    finally:
        _remove(temporary)


def recover(target: Path) -> None:
    """Bring back the directory ``target`` where a process was killed between moving the old one away and the new one in."""
    if target.exists() or not target.parent.is_dir():
        return
    for entry, match in _left_behind(target.parent):
        if match["old"] and _temporary_names(target, match):
            os.replace(entry, target)
            _log.warning("%s is back: a process was killed while it replaced it", target)
            return


def sweep(folder: Path) -> list[Path]:
    """Remove what processes that live no longer on this machine left half-written in ``folder``; return the paths."""
    swept = []
    for entry, _ in _left_behind(folder):
        _remove(entry)
        swept.append(entry)
        _log.warning("removed %s, which a process that was killed left half-written", entry)
    return swept


def _left_behind(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """Temporary paths of processes that live no longer, and what their names say."""
    matches = (_TEMPORARY.fullmatch(name) for name in os.listdir(folder) if name.startswith("."))
    return [(folder / match.string, match) for match in matches if match and not _may_live(match)]


def _temporary_path(target: Path) -> Path:
    stem = target.stem[:_LONGEST_STEM]
    return target.with_name(f".{stem}-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{target.suffix}")


def _temporary_names(target: Path, match: re.Match[str]) -> bool:
    return match["stem"] == target.stem[:_LONGEST_STEM] and (match["suffix"] or "") == target.suffix


@cache
def _host() -> str:
    """Eight hexadecimal digits for the machine, or the container, that numbers this process."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{zlib.crc32(f'{platform.node()} {space}'.encode()):08x}"


def _may_live(match: re.Match[str]) -> bool:
    """Whether the process of a temporary name lives, as far as this one can tell."""
    if match["host"] != _host() or os.name != "posix":
        return True
    try:
        os.kill(int(match["process"]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # a process of another user
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path.is_symlink() or path.exists():
        path.unlink(missing_ok=True)


def _replace_directory(temporary: Path, target: Path) -> None:
    """Put ``temporary`` in the place of the directory ``target``; a failed move puts the older one back."""
    _check_same_kind(temporary, target)
    if _exchange(temporary, target):  # the older one now stands under the temporary name
        return
    retired = temporary.with_name(f"{temporary.name}{_RETIRED}")
    os.replace(target, retired)
    try:
        os.replace(temporary, target)
    except OSError:
        os.replace(retired, target)
        raise
    shutil.rmtree(retired)


_RENAME_EXCHANGE = 2
_CURRENT_FOLDER = -100


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step, which no kill divides; False where the system cannot (renameat2 of Linux)."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return rename(_CURRENT_FOLDER, os.fsencode(one), _CURRENT_FOLDER, os.fsencode(other), _RENAME_EXCHANGE) == 0


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
