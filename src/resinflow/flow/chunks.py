"""Chunks of Zarr arrays that are read no further than the array says: a small file may unpack to more than a machine holds."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import zarr
from zarr.abc.store import ByteRequest, RangeByteRequest, Store
from zarr.storage import WrapperStore

from resinflow.flow.errors import InvalidInputError

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["BoundedStore"]

_PACKED = ("gzip", "zstd", "blosc")
"""Compressions whose size is known before, or can be counted."""
_TEXT = "vlen-utf8"
_PLAIN = ("bytes", "transpose", "crc32c", _TEXT)
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_LONGEST_WORD = 1 << 10
"""Bytes of a text in an array of texts: the names along a dimension."""
_SLACK = 1 << 12
"""Bytes by which what cannot be compressed grows, beside an eighth of it."""
_PIECE = 1 << 20
_ZSTD = 0xFD2FB528
"""Magic number of a frame (RFC 8878, 3.1.1)."""


@dataclass(frozen=True)
class _Limit:
    """The bytes of a chunk, and how they are compressed; None: not at all."""

    size: int
    compression: str | None


class BoundedStore(WrapperStore[Store]):
    """A store that refuses chunks which unpack to more than their array says.

    Args:
        store: of any kind.
        is_folder: whether it is on this machine, where a chunk that is too long is not even read.
    """

    def __init__(self, store: Store, *, is_folder: bool = False) -> None:
        super().__init__(store)
        self._is_folder = is_folder
        self._limits: dict[str, _Limit] = {}

    def _with_store(self, store: Store) -> BoundedStore:
        copy = BoundedStore(store, is_folder=self._is_folder)
        copy._limits = self._limits
        return copy

    def watch(self, array: zarr.Array) -> None:
        """Bound the chunks of an array from now on.

        Raises:
            InvalidInputError: a compression whose size cannot be told before.
        """
        names = [str(codec.to_dict()["name"]) for codec in array.metadata.codecs] if array.metadata.zarr_format == 3 else ["v2"]
        packed = [name for name in names if name not in _PLAIN]
        if len(packed) > 1 or not set(packed) <= set(_PACKED):
            raise InvalidInputError(
                f"{array.name.strip('/')} is stored by {', '.join(packed)}; needed: Zarr 3 with one of {', '.join(_PACKED)}."
            )
        each = _LONGEST_WORD if _TEXT in names else np.dtype(array.dtype).itemsize
        size = math.prod(array.chunks) * each
        self._limits[f"{array.path}/"] = _Limit(size, packed[0] if packed else None)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a value; see :class:`zarr.abc.store.Store`.

        Raises:
            InvalidInputError: a chunk that unpacks to more than its array says.
        """
        limit = next((limit for prefix, limit in self._limits.items() if key.startswith(prefix)), None)
        if limit is None or key.endswith(_METADATA):
            return await super().get(key, prototype, byte_range)
        longest = limit.size + limit.size // 8 + _SLACK
        if self._is_folder and byte_range is None:
            byte_range = RangeByteRequest(0, longest + 1)
        value = await super().get(key, prototype, byte_range)
        if value is not None and (len(value) > longest or _unpacks_to_more(value.to_bytes(), limit)):
            raise InvalidInputError(f"the chunk {key} holds more than the {limit.size} bytes that its array says")
        return value


def _unpacks_to_more(packed: bytes, limit: _Limit) -> bool:
    if limit.compression == "gzip":
        return _counted_gzip(packed, limit.size) > limit.size
    if limit.compression == "zstd":
        return _zstd_size(packed) > limit.size
    if limit.compression == "blosc":
        return int.from_bytes(packed[4:8], "little") > limit.size
    return False


def _counted_gzip(packed: bytes, most: int) -> int:
    """Bytes that a gzip file unpacks to, counted piece by piece as far as ``most``; what is damaged ends there."""
    count = 0
    while packed and count <= most:
        member = zlib.decompressobj(wbits=31)
        try:
            while not member.eof and count <= most:
                piece = member.decompress(packed, _PIECE)
                count, packed = count + len(piece), member.unconsumed_tail
                if not piece and not packed:
                    break
        except zlib.error:
            return count
        packed = member.unused_data
    return count


def _zstd_size(packed: bytes) -> float:
    """Bytes that the header of a frame names (RFC 8878, 3.1.1.1); infinite where it names none."""
    if len(packed) < 6 or int.from_bytes(packed[:4], "little") != _ZSTD:
        return math.inf
    descriptor = packed[4]
    is_single, kind = bool(descriptor & 0x20), descriptor >> 6
    length = (int(is_single), 2, 4, 8)[kind]
    place = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 0x03]
    field = packed[place : place + length]
    if not length or len(field) < length:
        return math.inf
    return int.from_bytes(field, "little") + (256 if kind == 1 else 0)
