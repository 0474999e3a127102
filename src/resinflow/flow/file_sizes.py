"""What the files of flow fields say of their sizes, compared with file and machine before a library reads them."""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers.expat import ExpatError, ParserCreate

import numpy as np

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.sizes import array_size, check_size

if TYPE_CHECKING:
    from resinflow.flow.chunks import BoundedStore

_MOST_VALUES = 1100
"""Values that one byte of a compressed .vti file can stand for."""

_SAVED = "needed: a .vti that resinflow saved."
_WRITTEN = {
    "header_type": ("UInt32", "UInt64"),
    "byte_order": ("LittleEndian", "BigEndian"),
    "compressor": ("vtkZLibDataCompressor",),
}
"""How resinflow has VTK write: other ways pack arrays otherwise."""
_BYTES = {
    **{"Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Float32": 4},
    **{"Int64": 8, "UInt64": 8, "Float64": 8},
}

_MOST_COMPONENTS = 9
"""Of a tensor in three dimensions."""


def checked_zarr(path: Path) -> BoundedStore:
    """Return the store of a Zarr group whose arrays fit into memory, and which reads no chunk beyond its array.

    Raises:
        InvalidInputError: arrays that do not fit, or a compression whose size cannot be told before.
    """
    import zarr
    from zarr.storage import LocalStore

    from resinflow.flow.chunks import BoundedStore

    store = BoundedStore(LocalStore(path, read_only=True), is_folder=True)
    group = zarr.open_group(store, mode="r")
    total = 0
    for name, array in group.arrays():
        check_size(f"a chunk of {name}", math.prod(array.shards or array.chunks) * np.dtype(array.dtype).itemsize)
        total += array_size(array.shape, np.dtype(array.dtype))
        store.watch(array)
    check_size(path.name, total)
    return store


def check_netcdf(path: Path) -> None:
    """Raise InvalidInputError unless the arrays of a NetCDF file can be in it and fit into memory."""
    import h5py

    total = 0
    with h5py.File(path, "r") as file:  # h5netcdf's clean-up of a file that HDF5 refuses to open prints a traceback
        for name, entry in file.items():
            if isinstance(entry, h5py.Dataset) and entry.shape is not None:
                size = array_size(entry.shape, entry.dtype)
                check_size(f"{path.name}/{name}", size, path.stat().st_size)
                total += size
    check_size(path.name, total)


def check_vti(path: Path) -> None:
    """Raise InvalidInputError unless a file is VTK image data whose extent, arrays and blocks can be in it.

    VTK itself takes the memory that a file asks for, and ends the process where there is none.
    """
    parser, check = ParserCreate(), _ImageData(path.stat().st_size)
    parser.StartElementHandler, parser.EndElementHandler = check.start, check.end
    parser.CharacterDataHandler = check.text
    try:
        with path.open("rb") as stream:
            parser.ParseFile(stream)  # a cut file ends here: VTK would print a page about it and return an empty image
    except ExpatError as error:
        raise InvalidInputError("it is no XML: damaged, or of another kind; needed: a .vti that resinflow saved.") from error


class _ImageData:
    """The elements of a .vti file, checked one after the other."""

    def __init__(self, size: int) -> None:
        self._limit = _MOST_VALUES * size
        self._file: dict[str, str] | None = None
        self._cells = 0
        self._array: dict[str, str] | None = None
        self._in_fields = False
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Check how an element begins."""
        if self._file is None:
            if name != "VTKFile" or attributes.get("type") != "ImageData":
                raise InvalidInputError(f"it is {attributes.get('type', name)}; needed: VTK image data.")
            self._file = attributes
            others = {key: value for key, value in attributes.items() if value not in _WRITTEN.get(key, (value,))}
            if others or "compressor" not in attributes:
                raise InvalidInputError(f"it is written in another way ({others or 'not compressed'}); {_SAVED}")
        for key in ("WholeExtent", "Extent"):
            if key in attributes:
                self._cells = _cells(attributes[key])
                if self._cells > self._limit:
                    raise InvalidInputError(
                        f"it says that it holds {self._cells:.3g} voxels, which no file of its length does."
                    )
        values, components = (_whole(attributes.get(key, "1")) for key in ("NumberOfTuples", "NumberOfComponents"))
        if not (0 <= values <= self._limit and 1 <= components <= _MOST_COMPONENTS):
            raise InvalidInputError(f"an array says that it holds {values} x {components} values; no file of its length does.")
        self._in_fields |= name == "FieldData"
        if name in ("DataArray", "Array"):
            if attributes.get("format") not in ("binary", "ascii"):
                raise InvalidInputError(f"its arrays are {attributes.get('format')!r:.40}; {_SAVED}")
            self._array, self._text = attributes, []

    def text(self, text: str) -> None:
        """Remember what stands in an array."""
        if self._array is not None:
            self._text.append(text)

    def end(self, name: str) -> None:
        """Check what stands in an array against what it says of itself."""
        if name == "FieldData":
            self._in_fields = False
        if name not in ("DataArray", "Array") or self._array is None or self._file is None:
            return
        array, self._array = self._array, None
        if array["format"] == "binary":
            kind, order = array.get("type", ""), ">" if self._file.get("byte_order") == "BigEndian" else "<"
            word = order + ("Q" if self._file.get("header_type") == "UInt64" else "I")
            size = _unpacked_size("".join("".join(self._text).split()), word, self._limit)
            count = _whole(array["NumberOfTuples"]) if self._in_fields and "NumberOfTuples" in array else self._cells
            needed = count * _whole(array.get("NumberOfComponents", "1")) * _BYTES.get(kind, 0)
            if kind != "String" and size != needed:
                raise InvalidInputError(f"the blocks of an array hold {size} bytes and its extent {needed}; copy it again.")


def _unpacked_size(text: str, word: str, limit: int) -> int:
    """Bytes of an array by the header of its blocks: their number, the size of all and of the last one, their packed sizes."""
    width = struct.calcsize(word)
    try:
        count, size, last = struct.unpack(f"{word[0]}3{word[1]}", _decoded(text, 3 * width))
        if not 0 < count * width <= len(text):
            raise InvalidInputError(f"an array says that it has {count} blocks, which are not there.")
        packed = struct.unpack(f"{word[0]}{3 + count}{word[1]}", _decoded(text, (3 + count) * width))[3:]
    except InvalidInputError:
        raise
    except (struct.error, ValueError):
        raise InvalidInputError("the blocks of an array cannot be read; copy it again.") from None
    total = size * (count - 1) + last if last else size * count
    if max(total, size * count, last) > limit or sum(packed) > len(text):
        raise InvalidInputError(f"an array says that its blocks hold {total / 1e9:.3g} GB, which no file of its length does.")
    return total


def _decoded(text: str, size: int) -> bytes:
    """The first ``size`` bytes of text in base 64, which begin anew after them."""
    content = base64.b64decode(text[: 4 * -(-size // 3)], validate=True)
    if len(content) < size:
        raise ValueError("cut")
    return content[:size]


def _cells(extent: str) -> int:
    """Voxels of an extent ``x0 x1 y0 y1 z0 z1`` in points."""
    ends = [_whole(part) for part in extent.split()]
    edges = [high - low for low, high in zip(ends[::2], ends[1::2], strict=False)]
    if len(ends) != 6 or min(edges) < 0:
        raise InvalidInputError(f"its extent is {extent!r:.80}; needed: six ascending whole numbers.")
    return math.prod(edges)


def _whole(text: str) -> int:
    try:
        return int(text[:30])
    except ValueError:
        raise InvalidInputError(f"it holds {text!r:.40} in the place of a whole number.") from None


def holds_schema(path: Path, schema: str) -> bool:
    """Return whether a folder is empty, or a Zarr group of this schema."""
    if not any(path.iterdir()):
        return True
    try:
        metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        return metadata["attributes"]["schema"] == schema
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
