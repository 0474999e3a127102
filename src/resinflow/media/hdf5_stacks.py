"""Stacks of images in HDF5 and NeXus files, read slice by slice into one array."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import InvalidInputError, MissingDependencyError, address_of, check_size
from resinflow.media.picture import Picture, picture_of

if TYPE_CHECKING:
    from h5py import Dataset, File

_LISTED = 6
"""Data sets that a message names."""
_NEXUS_DEFAULT = "default"
_DEEPEST = 16
"""Groups through which the default of a file may lead, so that a file whose default leads back to itself ends, too."""


def read_hdf5(path: str | Path, rows: slice = slice(None), columns: slice = slice(None), place: int | None = None) -> Picture:
    """Return the stack at ``file.nxs::/entry/data``, (ny, nx) or (nz, ny, nx), read once and slice by slice.

    Without the name of a data set the one that NeXus calls its default is read, or the only one that can be a stack.

    Args:
        path: file, or file and name of a data set.
        rows: of every slice that are read; others never come into memory.
        columns: likewise.
        place: number of the only slice of a stack that is read; None: all.

    Raises:
        InvalidInputError: no such file or data set, several that may be meant, or none of two or three dimensions.
        MissingDependencyError: h5py is not installed.
    """
    file, _ = address_of(path)
    try:
        with _opened(file) as content:
            data = _dataset(content, path)
            return picture_of(_slices(data, rows, columns, place), f"{file.name}::{data.name}")
    except OSError as error:
        raise _damaged(file, error) from None


def hdf5_shape(path: str | Path) -> tuple[str, tuple[int, int, int]]:
    """Return name and shape (nz, ny, nx) of the stack at an address, without reading it.

    Raises:
        InvalidInputError: as :func:`read_hdf5`.
        MissingDependencyError: likewise.
    """
    file, _ = address_of(path)
    try:
        with _opened(file) as content:
            data = _dataset(content, path)
            nz, ny, nx = (1, *data.shape) if data.ndim == 2 else data.shape
            return f"{file.name}::{data.name}", (int(nz), int(ny), int(nx))
    except OSError as error:
        raise _damaged(file, error) from None


def _opened(file: Path) -> File:
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(
            f"{file.name} needs h5py, which is not installed; run: pip install 'resinflow[hdf5]'."
        ) from None
    if not file.is_file():
        raise InvalidInputError(f"{file} does not exist; needed: an HDF5 or NeXus file, e.g. scan.nxs::/entry/data.")
    return h5py.File(file, "r")


def _damaged(file: Path, error: OSError) -> InvalidInputError:
    reason = str(error).splitlines()[0].rstrip(".")
    return InvalidInputError(f"{file.name} cannot be read ({reason}); the file is damaged or of another type: export it again.")


def _dataset(content: File, path: str | Path) -> Dataset:
    """The data set that an address names, or that a file without a name in its address must mean."""
    import h5py

    file, name = address_of(path)
    stacks = _stacks(content)
    if name is None:
        name = _default(content) or (next(iter(stacks)) if len(stacks) == 1 else None)
    if name is None:
        raise InvalidInputError(f"{file.name} holds {_list_of(stacks)}; needed: the name of one, {_example(file, stacks)}.")
    entry = content.get(name)
    if isinstance(entry, h5py.Group):  # NeXus names the data of a group
        entry = content.get(_default(entry) or "")
    if not isinstance(entry, h5py.Dataset):
        raise InvalidInputError(
            f"{file.name} has no data set {name}; it holds {_list_of(stacks)}. Needed: {_example(file, stacks)}."
        )
    if not _is_stack(entry):
        raise InvalidInputError(
            f"{name} of {file.name} has shape {entry.shape} and type {entry.dtype}; needed: greys (nz, ny, nx) or (ny, nx)."
        )
    if entry.external:  # raw bytes of any file that the writer of this one names
        raise InvalidInputError(
            f"{name} of {file.name} lies in another file; needed: data in the file itself. Copy them into it."
        )
    return entry


def _is_stack(entry: Dataset) -> bool:
    """Whether a data set can be a stack of images."""
    return entry.shape is not None and len(entry.shape) in (2, 3) and min(entry.shape) > 0 and entry.dtype.kind in "buif"


def _stacks(content: File) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the data sets that can be stacks of images."""
    import h5py

    shapes: dict[str, tuple[int, ...]] = {}

    def look(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and _is_stack(entry):
            shapes[f"/{name}"] = entry.shape

    content.visititems(look)
    return shapes


def _default(group: Any) -> str | None:
    """The data set that NeXus' attributes ``default`` and ``signal`` lead to; None without them."""
    for _ in range(_DEEPEST):
        if group is None or _NEXUS_DEFAULT not in group.attrs:
            break
        group = group.get(_text(group.attrs[_NEXUS_DEFAULT]))
    if group is None or "signal" not in group.attrs:
        return None
    return f"{group.name.rstrip('/')}/{_text(group.attrs['signal'])}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _list_of(stacks: Mapping[str, tuple[int, ...]]) -> str:
    if not stacks:
        return "no stack of images"
    shapes = [f"{name} ({' x '.join(str(count) for count in shape)})" for name, shape in list(stacks.items())[:_LISTED]]
    return ", ".join(shapes) + (f" and {len(stacks) - _LISTED} more" if len(stacks) > _LISTED else "")


def _example(file: Path, stacks: Mapping[str, tuple[int, ...]]) -> str:
    return f"e.g. {file.name}::{next(iter(stacks), '/entry/data')}"


def _slices(data: Dataset, rows: slice, columns: slice, place: int | None) -> NDArray:
    """The values of a part of every slice, one slice at a time: a compressed stack is never in memory twice."""
    ny, nx = data.shape[-2:]
    shape = (*data.shape[:-2], len(range(ny)[rows]), len(range(nx)[columns]))
    values_read = math.prod(shape) if place is None else math.prod(shape[-2:])
    check_size(f"{Path(data.file.filename).name}::{data.name}", values_read * data.dtype.itemsize)
    if data.ndim == 2:
        return np.asarray(data[rows, columns])
    if place is not None:
        return np.asarray(data[place, rows, columns])
    values = np.empty(shape, dtype=data.dtype)
    for place in range(data.shape[0]):
        data.read_direct(values, np.s_[place, rows, columns], np.s_[place])
    return values
