"""What the files of flow fields say of their sizes, compared with file and machine before a library reads them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.parsers.expat import ExpatError, ParserCreate

import numpy as np

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.sizes import array_size, check_size

_MOST_VALUES = 1100
"""Values that one byte of a compressed .vti file can stand for."""

_MOST_COMPONENTS = 9
"""Of a tensor in three dimensions."""


def check_zarr(path: Path) -> None:
    """Raise InvalidInputError unless the arrays of a Zarr group fit into memory."""
    import zarr

    group = zarr.open_group(path, mode="r")
    total = 0
    for name, array in group.arrays():
        check_size(f"a chunk of {name}", math.prod(array.shards or array.chunks) * np.dtype(array.dtype).itemsize)
        total += array_size(array.shape, np.dtype(array.dtype))
    check_size(path.name, total)


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
    """Raise InvalidInputError unless a file is VTK image data whose extent and arrays can be in it.

    VTK itself takes the memory that a file asks for, and ends the process where there is none.
    """
    limit = _MOST_VALUES * path.stat().st_size
    kinds: list[str] = []

    def element(name: str, attributes: dict[str, str]) -> None:
        if not kinds and (name != "VTKFile" or attributes.get("type") != "ImageData"):
            raise InvalidInputError(f"it is {attributes.get('type', name)}; needed: VTK image data.")
        kinds.append(name)
        for key in ("WholeExtent", "Extent"):
            if key in attributes:
                cells = _cells(attributes[key])
                if cells > limit:
                    raise InvalidInputError(f"it says that it holds {cells:.3g} voxels, which no file of its length does.")
        values, components = (_whole(attributes.get(key, "1")) for key in ("NumberOfTuples", "NumberOfComponents"))
        if not (0 <= values <= limit and 1 <= components <= _MOST_COMPONENTS):
            raise InvalidInputError(f"an array says that it holds {values} x {components} values; no file of its length does.")

    parser = ParserCreate()
    parser.StartElementHandler = element
    try:
        with path.open("rb") as stream:
            parser.ParseFile(stream)  # a cut file ends here: VTK would print a page about it and return an empty image
    except ExpatError as error:
        raise InvalidInputError("it is no XML: damaged, or of another kind; needed: a .vti that resinflow saved.") from error


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
