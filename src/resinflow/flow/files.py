"""Flow fields and media on disk: names, dimensions and units of arrays, attributes, and the formats of files.

A file carries a checksum of its content, so that damage which a format itself does not see (a lost Zarr chunk reads as zeros)
is found on loading.
"""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resinflow.flow.atomic import recover, replacing
from resinflow.flow.errors import InvalidInputError, MissingDependencyError, ResinflowError
from resinflow.flow.file_sizes import check_netcdf, check_vti, checked_zarr, holds_schema
from resinflow.flow.sizes import check_npz

if TYPE_CHECKING:
    import xarray


SCHEMA = "resinflow-flow-1"
MEDIUM_SCHEMA = "resinflow-medium-1"
GRID = ("z", "y", "x")
VECTOR = ("component", *GRID)

DIMENSIONS = {
    "fluid": GRID,
    "velocity": VECTOR,
    "pressure": GRID,
    "signed_distance": GRID,
    "displacements": ("surface_sample", *GRID),
    "velocity_std": VECTOR,
    "pressure_std": GRID,
    "permeability_samples": ("sample",),
    "face_velocity_x": ("z", "y", "x_face"),
    "face_velocity_y": ("z", "y_face", "x"),
    "face_velocity_z": ("z_face", "y", "x"),
}
UNITS = {
    "fluid": "1",
    "velocity": "m s-1",
    "pressure": "Pa",
    "signed_distance": "m",
    "displacements": "m",
    "velocity_std": "m s-1",
    "pressure_std": "Pa",
    "permeability_samples": "m2",
    "face_velocity_x": "m s-1",
    "face_velocity_y": "m s-1",
    "face_velocity_z": "m s-1",
}
_REQUIRED_VARIABLES = {SCHEMA: ("fluid", "velocity", "pressure"), MEDIUM_SCHEMA: ("fluid",)}
_REQUIRED_ATTRIBUTES = {
    SCHEMA: ("spacing", "axis", "pressure_drop", "viscosity", "boundary", "lateral", "provenance", "report"),
    MEDIUM_SCHEMA: ("spacing", "provenance"),
}

_CHECKSUM = "checksum"
_VTI_HEADER = "resinflow"
_FOREIGN = (
    "resinflow did not write it; needed: a flow field that resinflow saved, or the image itself (.tif, .png, .npy) with "
    "--pixel-size and --depth."
)


@dataclass(frozen=True)
class Format:
    """How one suffix is written and read."""

    write: Callable[[xarray.Dataset, Path], None]
    read: Callable[[Path], xarray.Dataset]


def _write_zarr(dataset: xarray.Dataset, path: Path) -> None:
    with warnings.catch_warnings():
        # xarray reads without a warning only what is consolidated, which zarr's specification does not know yet
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", UserWarning)
        dataset.to_zarr(path, mode="w", zarr_format=3, consolidated=True)


def _read_zarr(path: Path) -> xarray.Dataset:
    import xarray

    with xarray.open_zarr(checked_zarr(path), consolidated=False, chunks=None, decode_cf=False) as dataset:
        return dataset.load()


def _write_netcdf(dataset: xarray.Dataset, path: Path) -> None:
    dataset.to_netcdf(path, engine="h5netcdf")


def _read_netcdf(path: Path) -> xarray.Dataset:
    import xarray

    check_netcdf(path)
    with xarray.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
        return dataset.load()


def _write_npz(dataset: xarray.Dataset, path: Path) -> None:
    arrays: dict[str, Any] = {str(name): variable.values for name, variable in dataset.data_vars.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(dataset.attrs)), **arrays)


def _read_npz(path: Path) -> xarray.Dataset:
    import xarray

    check_npz(path)
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:  # np.load leaves a bad zip open
        if "header" not in file:
            raise InvalidInputError(_FOREIGN)
        attrs = json.loads(str(file["header"]))
        variables = {name: (dims, file[name]) for name, dims in DIMENSIONS.items() if name in file}
    return xarray.Dataset(variables, attrs=attrs)


def _pyvista() -> Any:
    try:
        import pyvista
    except ImportError:
        raise MissingDependencyError(
            "the .vti format needs pyvista, which is not installed; run: pip install 'resinflow[view]'."
        ) from None
    return pyvista


def _write_vti(dataset: xarray.Dataset, path: Path) -> None:
    nz, ny, nx = (dataset.sizes[name] for name in GRID)
    dz, dy, dx = dataset.attrs["spacing"]
    image = _pyvista().ImageData(dimensions=(nx + 1, ny + 1, nz + 1), spacing=(dx, dy, dz))
    for name, variable in dataset.data_vars.items():
        values = variable.values
        if variable.dims == GRID:
            image.cell_data[name] = values.ravel()
        elif variable.dims == VECTOR:
            image.cell_data[name] = np.moveaxis(values, 0, -1).reshape(-1, 3)
        else:  # VTK image data has no place for staggered fields: they travel as flat field data
            image.field_data[name] = values.ravel()
    image.field_data[_VTI_HEADER] = [json.dumps(dataset.attrs)]
    image.set_active_scalars("pressure" if "pressure" in image.cell_data else "fluid")
    if "velocity" in image.cell_data:
        image.set_active_vectors("velocity")
    image.save(path)


def _read_vti(path: Path) -> xarray.Dataset:
    import xarray

    pyvista = _pyvista()
    check_vti(path)
    with pyvista.vtk_verbosity("off"), pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
        image = pyvista.get_reader(path).read()
    if _VTI_HEADER not in image.field_data:
        raise InvalidInputError(_FOREIGN)
    attrs = json.loads(str(image.field_data[_VTI_HEADER][0]))
    nx, ny, nz = (count - 1 for count in image.dimensions)
    sizes = {"z": nz, "y": ny, "x": nx, "component": 3, "z_face": nz + 1, "y_face": ny + 1, "x_face": nx + 1}
    sizes |= {"sample": -1, "surface_sample": -1}  # as many as there are
    variables: dict[str, tuple[tuple[str, ...], Any]] = {}
    for name, dims in DIMENSIONS.items():
        if dims == VECTOR and name in image.cell_data:
            variables[name] = (dims, np.moveaxis(image.cell_data[name].reshape(nz, ny, nx, 3), -1, 0))
        elif dims == GRID and name in image.cell_data:
            variables[name] = (dims, image.cell_data[name].reshape(nz, ny, nx))
        elif name in image.field_data:
            variables[name] = (dims, image.field_data[name].reshape([sizes[dim] for dim in dims]))
    return xarray.Dataset({name: (dims, np.array(values)) for name, (dims, values) in variables.items()}, attrs=attrs)


FORMATS = {
    ".zarr": Format(_write_zarr, _read_zarr),
    ".nc": Format(_write_netcdf, _read_netcdf),
    ".npz": Format(_write_npz, _read_npz),
    ".vti": Format(_write_vti, _read_vti),
}
"""By suffix."""
FLOW_SUFFIXES = tuple(FORMATS)


def check_flow_target(path: Path) -> None:
    """Refuse to write a flow field over a folder of something else.

    Raises:
        InvalidInputError: such a folder.
    """
    if path.is_dir() and not any(holds_schema(path, schema) for schema in _REQUIRED_VARIABLES):
        raise InvalidInputError(
            f"{path} is a folder of something else than a flow field (a data set?), which would be lost; choose another name."
        )


def save_dataset(dataset: xarray.Dataset, path: Path) -> Path:
    """Write ``dataset`` in the format that the suffix of ``path`` names and return the path.

    Raises:
        InvalidInputError: an unknown suffix, or a place that cannot be written.
    """
    form = _format_of(path)
    check_flow_target(path)
    signed = dataset.assign_attrs({_CHECKSUM: _checksum(dataset)})
    with replacing(path) as temporary:
        form.write(signed, temporary)
    return path


@contextmanager
def reading(path: Path) -> Iterator[xarray.Dataset]:
    """Yield the dataset in ``path``; whatever is wrong with it, inside the block too, is one error that names the file.

    Raises:
        InvalidInputError: no such file, an unknown suffix, a damaged file, or a dataset that the block refuses.
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
        raise InvalidInputError(f"{path} cannot be read as a flow field: it is damaged, or {_FOREIGN}") from error


def check_dataset(dataset: xarray.Dataset, schema: str = SCHEMA) -> None:
    """Raise InvalidInputError unless the dataset follows the schema and its content is what was saved."""
    attrs = dataset.attrs
    if "schema" not in attrs:
        raise InvalidInputError(_FOREIGN)
    if attrs["schema"] == MEDIUM_SCHEMA != schema:
        raise InvalidInputError("it holds a medium without a flow; needed: a flow field, which resinflow solve makes of it.")
    if attrs["schema"] != schema:
        raise InvalidInputError(f"the schema is {attrs.get('schema')!r}; needed: {schema!r}.")
    missing = [name for name in _REQUIRED_VARIABLES[schema] if name not in dataset]
    missing += [name for name in _REQUIRED_ATTRIBUTES[schema] if name not in attrs]
    if missing:
        raise InvalidInputError(f"{', '.join(missing)} missing; needed: all that resinflow saves.")
    if _CHECKSUM in attrs and attrs[_CHECKSUM] != _checksum(dataset):
        raise InvalidInputError("its content is not what was saved (damaged, or changed by hand); save it again.")


def _format_of(path: Path) -> Format:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise InvalidInputError(f"the suffix of {path.name} is {path.suffix!r}; needed: one of {', '.join(FORMATS)}.")
    return form


def _checksum(dataset: xarray.Dataset) -> int:
    """CRC-32 over the attributes and over names, types and bytes of all arrays, in the order of their names."""
    attributes = {name: np.asarray(value).tolist() for name, value in dataset.attrs.items() if name != _CHECKSUM}
    value = zlib.crc32(json.dumps(attributes, sort_keys=True).encode())
    for name in sorted(map(str, dataset.data_vars)):
        array = np.ascontiguousarray(dataset[name].values)
        value = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), value)
        value = zlib.crc32(array.data, value)
    return value


def grid_coordinates(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> dict[str, Any]:
    """Return the coordinates of the voxel centres along (z, y, x) as a dataset holds them, m."""
    return {
        name: (name, (np.arange(count) + 0.5) * step, {"units": "m"})
        for name, count, step in zip(GRID, shape, spacing, strict=True)
    }


def plain(value: Any) -> Any:
    """Return what JSON can write in the place of a value: provenance and reports may hold numpy numbers and paths."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
