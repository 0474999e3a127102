"""Flow fields and media on disk: the formats of files.

A file carries a checksum of its content, so that damage which a format itself does not see (a lost Zarr chunk reads as zeros)
is found on loading.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.flow.atomic import recover, replacing
from resinflow.flow.contents import DIMENSIONS, FOREIGN, REQUIRED_ARRAYS, Contents
from resinflow.flow.errors import InvalidInputError, ResinflowError
from resinflow.flow.file_sizes import check_netcdf, checked_zarr, holds_schema
from resinflow.flow.sizes import check_npz
from resinflow.flow.vti import read_vti, write_vti


@dataclass(frozen=True)
class Format:
    """How one suffix is written and read."""

    write: Callable[[Contents, Path], None]
    read: Callable[[Path], Contents]


def _write_zarr(contents: Contents, path: Path) -> None:
    with warnings.catch_warnings():
        # xarray reads without a warning only what is consolidated, which zarr's specification does not know yet
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", UserWarning)
        contents.to_xarray().to_zarr(path, mode="w", zarr_format=3, consolidated=True)


def _read_zarr(path: Path) -> Contents:
    import xarray

    with xarray.open_zarr(checked_zarr(path), consolidated=False, chunks=None, decode_cf=False) as dataset:
        return Contents.of(dataset.load())


def _write_netcdf(contents: Contents, path: Path) -> None:
    contents.to_xarray().to_netcdf(path, engine="h5netcdf")


def _read_netcdf(path: Path) -> Contents:
    import xarray

    check_netcdf(path)
    with xarray.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
        return Contents.of(dataset.load())


def _write_npz(contents: Contents, path: Path) -> None:
    arrays: dict[str, Any] = dict(contents.arrays)
    with path.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(contents.attributes)), **arrays)


def _read_npz(path: Path) -> Contents:
    check_npz(path)
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:  # np.load leaves a bad zip open
        if "header" not in file:
            raise InvalidInputError(FOREIGN)
        return Contents({name: file[name] for name in DIMENSIONS if name in file}, json.loads(str(file["header"])))


FORMATS = {
    ".zarr": Format(_write_zarr, _read_zarr),
    ".nc": Format(_write_netcdf, _read_netcdf),
    ".npz": Format(_write_npz, _read_npz),
    ".vti": Format(write_vti, read_vti),
}
"""By suffix."""
FLOW_SUFFIXES = tuple(FORMATS)


def check_flow_target(path: Path) -> None:
    """Refuse to write a flow field over a folder of something else.

    Raises:
        InvalidInputError: such a folder.
    """
    if path.is_dir() and not any(holds_schema(path, schema) for schema in REQUIRED_ARRAYS):
        raise InvalidInputError(
            f"{path} is a folder of something else than a flow field (a data set?), which would be lost; choose another name."
        )


def save_contents(contents: Contents, path: Path) -> Path:
    """Write ``contents`` in the format that the suffix of ``path`` names and return the path.

    Raises:
        InvalidInputError: an unknown suffix, or a place that cannot be written.
    """
    form = _format_of(path)
    check_flow_target(path)
    with replacing(path) as temporary:
        form.write(contents.signed(), temporary)
    return path


@contextmanager
def reading(path: Path) -> Iterator[Contents]:
    """Yield what ``path`` holds; whatever is wrong with it, inside the block too, is one error that names the file.

    Raises:
        InvalidInputError: no such file, an unknown suffix, a damaged file, or contents that the block refuses.
    """
    form = _format_of(path)
    recover(path)
    if not path.exists():
        raise InvalidInputError(f"{path} does not exist; needed: a flow field that resinflow saved.")
    if not path.is_file() and not path.is_dir():  # reading a pipe or a device may never end
        raise InvalidInputError(f"{path} is neither file nor folder; needed: a flow field that resinflow saved.")
    try:
        yield form.read(path)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} cannot be used as a flow field: {error}") from error
    except (ResinflowError, MemoryError):
        raise
    except Exception as error:  # every backend has its own errors for a truncated or foreign file
        raise InvalidInputError(f"{path} cannot be read as a flow field: it is damaged, or {FOREIGN}") from error


def _format_of(path: Path) -> Format:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise InvalidInputError(f"the suffix of {path.name} is {path.suffix!r}; needed: one of {', '.join(FORMATS)}.")
    return form
