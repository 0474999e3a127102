"""Addresses of stacks within HDF5 and NeXus files: ``scan.nxs::/entry/data``."""

from __future__ import annotations

from pathlib import Path

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx5")
_MARK = "::"


def address_of(path: str | Path) -> tuple[Path, str | None]:
    """Return the file that a path names, and the name of the data set in it; None where the path is a file of its own.

    ``scan.nxs::/entry/data`` is the data set ``/entry/data`` of ``scan.nxs``. A file that has the mark in its own name, and is
    there, is itself.
    """
    text = str(path)
    file, mark, name = text.partition(_MARK)
    if not mark or Path(file).suffix.lower() not in HDF5_SUFFIXES or Path(text).exists():
        return Path(text), None
    return Path(file), f"/{name.strip('/')}"


def is_hdf5(path: str | Path) -> bool:
    """Return whether a path names an HDF5 or NeXus file, or a data set in one; what it holds is not looked at."""
    return address_of(path)[0].suffix.lower() in HDF5_SUFFIXES
