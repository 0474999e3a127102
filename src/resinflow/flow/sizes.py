"""Sizes that files say of themselves, compared with the file and the machine before any memory is taken."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from resinflow.flow.errors import InvalidInputError

_LARGEST_RATIO = 1100
"""Deflate, the densest of the compressions in use, makes at most 1032 bytes of one."""
_SLACK = 1 << 16
"""Bytes that may come from nothing: headers, and arrays that a format leaves out because they are all alike."""


def machine_memory() -> int:
    """Return the bytes of this machine's memory; without an answer, as many as any machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 46


def check_size(name: str, size: int, stored: int | None = None) -> None:
    """Raise InvalidInputError unless ``size`` bytes fit into memory and can come from a file.

    Args:
        name: of the file or array, for the message.
        size: bytes that it says it holds.
        stored: bytes of the compressed file that they come from; None: not compressed by a known method.
    """
    if size < 0 or (stored is not None and size > _LARGEST_RATIO * stored + _SLACK):
        raise InvalidInputError(f"{name} says that it holds {size / 1e9:.3g} GB, which no file of {stored} bytes does.")
    if size > machine_memory():
        raise InvalidInputError(
            f"{name} holds {size / 1e9:.3g} GB; needed: at most the {machine_memory() / 1e9:.3g} GB of memory of this machine."
        )


def array_size(shape: Sequence[int], dtype: np.dtype) -> int:
    """Return the bytes of an array, without overflow; negative for a shape that cannot be."""
    return math.prod(shape) * dtype.itemsize if all(count >= 0 for count in shape) else -1


def check_npy(path: Path) -> None:
    """Raise InvalidInputError unless ``path`` is a .npy file as long as its header says.

    Raises:
        InvalidInputError: something else than an array of numbers, a cut file, or a header that claims what is not there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        _check_header(path.name, file, size)


def check_npz(path: Path) -> None:
    """Raise InvalidInputError unless the arrays that a .npz file says it holds can be in it and fit into memory.

    Raises:
        InvalidInputError: no zip file, or an array that claims what is not there.
    """
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            for member in members:
                check_size(f"{path.name}/{member.filename}", member.file_size, member.compress_size)
            check_size(path.name, sum(member.file_size for member in members))
            for member in members:
                with archive.open(member) as file:
                    _check_header(f"{path.name}/{member.filename}", file, member.file_size)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InvalidInputError(
            f"{path.name} is no archive of arrays: damaged, or of another kind; needed: an .npz that resinflow saved."
        ) from error


def _check_header(name: str, file: IO[bytes], size: int) -> None:
    """Compare the header of an array in the .npy format with the bytes that follow it."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, EOFError, struct.error) as error:
        raise InvalidInputError(f"{name} is no array in the .npy format ({str(error).splitlines()[0][:80]}).") from None
    if dtype.hasobject:
        raise InvalidInputError(f"{name} holds Python objects; needed: numbers.")
    there, needed = size - file.tell(), array_size(shape, dtype)
    if needed != there:
        raise InvalidInputError(f"{name} says that it holds {needed} bytes (shape {shape}), and {max(there, 0)} are there.")
    check_size(name, needed)
