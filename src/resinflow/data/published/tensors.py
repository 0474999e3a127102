"""Torch tensor files (.pt), read and written piece by piece, so that a file larger than memory passes through.

A ``.pt`` file is untrusted input: it is loaded with ``weights_only=True``, which builds tensors and runs nothing.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError

_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_CENTRAL_SIGNATURE = b"PK\x01\x02"
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_CENTRAL_CRC_AT = 16
"""Place of the checksum in an entry of a zip's central directory (APPNOTE.TXT 4.3.12)."""


def open_tensor(path: Path) -> NDArray[Any]:
    """Return the tensor of a ``.pt`` file as an array that is read from disk where it is touched.

    Raises:
        InvalidInputError: no such file, or one that holds something else than a single dense tensor of numbers.
    """
    import torch

    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: a tensor file of the published layout.")
    try:
        tensor = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # a damaged or hostile file fails in any way: in the zip, in the pickle, in the mapping
        reason = (str(error).splitlines() or [""])[0][:120]
        raise InvalidInputError(
            f"{path} cannot be read as a tensor ({type(error).__name__}: {reason}); needed: a file that torch.save wrote "
            "(torch 1.6 or later) with one tensor in it."
        ) from None
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
        raise InvalidInputError(f"{path} holds {type(tensor).__name__}; needed: one dense tensor.")
    try:
        array = tensor.detach().numpy()
    except (TypeError, RuntimeError):  # also a tensor without values (meta), or with values to be conjugated
        raise InvalidInputError(
            f"{path} holds numbers of type {tensor.dtype}; needed: values of a type that numpy knows."
        ) from None
    if array.dtype.kind not in "biuf":
        raise InvalidInputError(f"{path} holds numbers of type {array.dtype}; needed: real numbers.")
    if array.nbytes > path.stat().st_size:
        raise InvalidInputError(f"{path} says that it holds {array.nbytes} bytes of numbers, more than the file has.")
    return array


def write_tensor(path: Path, shape: tuple[int, ...], dtype: np.dtype, pieces: Iterable[NDArray[Any]]) -> None:
    """Write a tensor whose values come piece by piece, in order; ``torch.load`` opens it as any other, with ``mmap`` too.

    torch lays the container out and leaves a hole for the values; they are then written into it, and the checksum with them.

    Raises:
        InvalidInputError: the pieces hold more or fewer values than ``shape``.
    """
    import torch
    from torch.serialization import skip_data

    count = int(np.prod(shape))
    blank = path.with_name(f"{path.name}.blank")
    try:
        with blank.open("wb") as file:
            file.truncate(count * dtype.itemsize)  # sparse: as large as the values, without a block on disk
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        mapped = torch.from_file(str(blank), shared=True, size=count, dtype=kind).view(shape)
        with skip_data():
            torch.save(mapped, path)
    finally:
        blank.unlink(missing_ok=True)
    _fill(path, count * dtype.itemsize, dtype, pieces)


def _fill(path: Path, size: int, dtype: np.dtype, pieces: Iterable[NDArray[Any]]) -> None:
    with zipfile.ZipFile(path) as archive:
        entry = next(info for info in archive.infolist() if info.filename.endswith("/data/0"))
        directory = archive.start_dir
    with path.open("r+b") as file:
        file.seek(entry.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        start = entry.header_offset + _LOCAL_HEADER.size + header[-2] + header[-1]
        file.seek(start)
        checksum, written = 0, 0
        for piece in pieces:
            values = np.ascontiguousarray(piece, dtype=dtype).tobytes()
            checksum = zlib.crc32(values, checksum)
            written += len(values)
            if written > size:
                break
            file.write(values)
        if written != size:
            raise InvalidInputError(f"{path.name}: {written} bytes of values were given; needed: {size}.")
        _patch_checksum(file, start + size, directory, entry.filename, checksum)


def _patch_checksum(file: Any, descriptor: int, directory: int, name: str, checksum: int) -> None:
    """Put the checksum of the values where the container keeps it: behind them and in the central directory."""
    packed = struct.pack("<I", checksum)
    file.seek(descriptor)
    if file.read(4) == _DESCRIPTOR_SIGNATURE:
        file.seek(descriptor + 4)
        file.write(packed)
    file.seek(directory)
    entries = file.read()
    place = 0
    while entries[place : place + 4] == _CENTRAL_SIGNATURE:
        name_length, extra_length, comment_length = struct.unpack_from("<3H", entries, place + 28)
        if entries[place + 46 : place + 46 + name_length].decode() == name:
            file.seek(directory + place + _CENTRAL_CRC_AT)
            file.write(packed)
        place += 46 + name_length + extra_length + comment_length
