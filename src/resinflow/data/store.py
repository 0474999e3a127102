"""The data set on disk: one Zarr v3 group, one chunk a sample.

Workers write different samples at the same time; training reads them lazily; xarray opens the group as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from resinflow.data.description import check_attributes, open_arrays
from resinflow.data.division import Division, canonical_fingerprint, draw_division
from resinflow.data.sample import (
    GRID_SAMPLE_FIELDS,
    MEDIUM_FIELDS,
    SAMPLE_FIELDS,
    Sample,
    medium_from_fields,
    sample_from_fields,
)
from resinflow.data.schema import ALL_FIELDS, FIELDS, GRID, LENGTHS, REQUIRED, SCHEMA
from resinflow.data.source import FlowSource
from resinflow.flow import FlowField, InvalidInputError, Microstructure, MissingDependencyError, SolverReport, replacing
from resinflow.flow.chunks import BoundedStore


@dataclass(frozen=True)
class StoredField:
    """How an array is stored: number of samples, type, dimensions of one sample."""

    samples: int
    dtype: str
    dims: tuple[str, ...]


class FlowStore(FlowSource):
    """A data set of samples of one shape on disk.

    Attributes:
        path: the Zarr group: a folder, or the URL of one on object storage.
    """

    def __init__(self, path: Path | str, group: zarr.Group, division: Division | None = None) -> None:
        super().__init__(division)
        self.path = path
        store = BoundedStore(group.store, is_folder=isinstance(path, Path))
        self._group = zarr.open_group(store, path=group.path, mode="r" if group.read_only else "r+")
        self._arrays = open_arrays(self._group, path)
        try:
            for array in self._arrays.values():
                store.watch(array)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from None
        check_attributes(self.attributes, len(self), path)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy, in this process or another, opens the arrays itself: connections belong to the process that made them
        return _reopened, (self.path, self._division)

    @classmethod
    def create(
        cls,
        path: Path,
        samples: int,
        shape: tuple[int, int, int],
        attributes: Mapping[str, Any],
        *,
        fields: Iterable[str] = tuple(FIELDS),
        lengths: Mapping[str, int] | None = None,
    ) -> FlowStore:
        """Make an empty data set, whole or not at all.

        Args:
            path: the Zarr group.
            samples: how many samples it will hold.
            shape: voxels (nz, ny, nx) of a sample.
            attributes: ``pressure_drop`` (Pa), ``viscosity`` (Pa s), and whatever else belongs to the data set. With
                ``density`` (kg/m^3) the stored pressure is kinematic, pressure over density.
            fields: the arrays; a field that is left out is absent from the data set.
            lengths: lengths of further dimensions.
        """
        lengths = {**LENGTHS, **dict(zip(GRID, shape, strict=True)), **(lengths or {})}
        with replacing(path) as temporary:
            group = zarr.open_group(temporary, mode="w", zarr_format=3)
            for name in fields:
                dtype, dims, unit = ALL_FIELDS[name]
                if name == "pressure" and "density" in attributes:
                    unit = "m2 s-2"
                inner = tuple(lengths[dim] for dim in dims)
                group.create_array(
                    name,
                    shape=(samples, *inner),
                    chunks=(1, *inner),
                    dtype=dtype,
                    fill_value=0,
                    dimension_names=("sample", *dims),
                    attributes={"units": unit},
                )
            group.attrs.update(
                {"schema": SCHEMA, "flow_axis": "x", "boundary": "pressure", "lateral": "symmetry", **attributes}
            )
        return cls.open(path, writable=True)

    @classmethod
    def open(cls, path: str | Path, *, writable: bool = False) -> FlowStore:
        """Open a data set; reading never writes.

        Args:
            path: a folder, or a URL that fsspec knows (``s3://bucket/set.zarr``, ``https://host/set.zarr``); chunks are then
                fetched when they are read.
            writable: to add samples or attributes; folders only.

        Raises:
            InvalidInputError: no such folder or URL, or not a data set of this schema.
            MissingDependencyError: the URL's protocol needs a package that is not installed.
        """
        path = locate(path)
        if isinstance(path, str):
            if writable:
                raise InvalidInputError(f"{path} is a URL, which is read only; needed: a folder.")
            return cls._checked(path, _open_url(path))
        try:
            group = zarr.open_group(path, mode="r+" if writable else "r")
        except Exception as error:  # foreign metadata fail in any way
            raise InvalidInputError(f"{path} is not a data set ({type(error).__name__}); {_advice(path)}") from None
        return cls._checked(path, group)

    @classmethod
    def _checked(cls, path: Path | str, group: zarr.Group) -> FlowStore:
        schema = group.attrs.get("schema")
        if schema != SCHEMA:
            raise InvalidInputError(f"{path} has schema {schema!r:.60}; needed: {SCHEMA!r}.")
        return cls(path, group)

    @property
    def attributes(self) -> dict[str, Any]:
        """The data set's attributes: schema, boundary conditions, recipe, splits and statistics once they are drawn."""
        return dict(self._group.attrs)

    @property
    def own_statistics(self) -> dict[str, Any]:
        """Statistics of the training split, as :func:`compute_statistics` stored them."""
        statistics = self.attributes.get("statistics")
        if statistics is None:
            raise InvalidInputError(f"{self.path} has no statistics; compute them with: resinflow data stats {self.path}.")
        return statistics

    def set_attribute(self, name: str, value: Any) -> None:
        """Write one attribute (plain JSON types)."""
        self._group.attrs[name] = value

    def has(self, name: str) -> bool:
        """Return whether the data set holds field ``name``: a converted one lacks what its source did not have."""
        return name in self.fields

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that are there, in the order of the schema."""
        return tuple(self._arrays)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample."""
        _, nz, ny, nx = self._array("fluid").shape
        return nz, ny, nx

    def layout_of(self, name: str) -> StoredField:
        """Return how field ``name`` is stored, to be compared with the schema."""
        array = self._array(name)
        dims = tuple(str(dim) for dim in getattr(array.metadata, "dimension_names", None) or ())
        return StoredField(int(array.shape[0]), str(array.dtype), dims[1:])

    def __len__(self) -> int:
        return int(self._array("complete").size)

    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return field ``name`` of one sample, or of all, shaped as the schema says."""
        if name not in ALL_FIELDS:
            raise InvalidInputError(f"{name!r} is no field of a data set; known: {', '.join(ALL_FIELDS)}.")
        array = self._array(name)
        try:
            return np.asarray(array[index] if index is not None else array[:])
        except Exception as error:  # a damaged chunk fails in any way
            where = f"sample {index}" if index is not None else "some sample"
            raise InvalidInputError(f"{self.path}: {name} of {where} cannot be read ({error}); generate it again.") from None

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which samples are there, (samples,)."""
        return self.read("complete").astype(bool)

    @property
    def own_division(self) -> Division:
        """The division that :func:`draw_splits` stored."""
        splits = self.attributes.get("splits")
        if splits is None:
            raise InvalidInputError(f"{self.path} has no split yet; draw it with: resinflow data split {self.path}.")
        return Division.from_attribute(splits)

    def write_sample(self, index: int, sample: Sample) -> None:
        """Write one sample; it counts as complete only when all of it is on disk."""
        truth, provenance = sample.truth, sample.truth.microstructure.provenance
        micro = truth.microstructure
        report = truth.report
        values = {
            "fluid": micro.fluid,
            "signed_distance": micro.signed_distance,
            "spacing": micro.spacing,
            "velocity": truth.velocity,
            "pressure": truth.pressure,
            "planar_velocity": sample.planar.velocity[:2],
            "planar_pressure": sample.planar.pressure,
            "response_velocity": sample.response.velocity,
            "response_pressure": sample.response.pressure,
            "permeability": truth.permeability,
            "planar_permeability": sample.planar.permeability,
            "response_permeability": sample.response.permeability,
            "iterations": report.iterations if isinstance(report, SolverReport) else 0,
            "residual": report.residual if isinstance(report, SolverReport) else 0.0,
            **_grid_values(sample.grid),
            "fingerprint": np.frombuffer(bytes.fromhex(micro.fingerprint), dtype=np.uint8),
            **{name: provenance[name] for name in ("seed", "volume_fraction", "diameter", "diameter_scatter", "misalignment")},
        }
        self.write_fields(index, values)

    def write_fields(self, index: int, values: Mapping[str, Any]) -> None:
        """Write one sample given by its fields; it counts as complete only when all of it is on disk."""
        for name, value in values.items():
            self._put(name, index, value)
        self._put("complete", index, 1)

    def remove_leftovers(self) -> None:
        """Remove what a killed process left of files that it was writing; no other process may be writing."""
        missing = np.flatnonzero(~self.complete).tolist()
        root = Path(self.path)
        folders = [root, *(root / name for name in self.fields), *(root / name / "c" for name in self.fields)]
        leftovers = [file for folder in folders for file in folder.glob("*.partial")]
        for name in self.fields:
            for index in missing:
                leftovers += (root / name / "c" / str(index)).rglob("*.partial")
        for file in leftovers:
            file.unlink(missing_ok=True)

    def _array(self, name: str) -> zarr.Array:
        if name not in self._arrays:
            advice = "it is damaged" if name in REQUIRED else "convert its source again with --derive, into a new folder"
            raise InvalidInputError(f"{self.path} holds no {name}; needed for this step; {advice}.")
        return self._arrays[name]

    def _put(self, name: str, index: int, value: Any) -> None:
        self._array(name)[index] = np.asarray(value, dtype=ALL_FIELDS[name].dtype)

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of sample ``index``."""
        return self._medium(self._read_all(self._medium_fields, index), index)

    def sample(self, index: int) -> Sample:
        """Return sample ``index`` as flow fields; it must be complete."""
        grid = GRID_SAMPLE_FIELDS if self.has(GRID_SAMPLE_FIELDS[0]) else ()
        values = self._read_all(("complete", *self._medium_fields, *SAMPLE_FIELDS, *grid), index)
        if not values["complete"]:
            raise InvalidInputError(f"sample {index} of {self.path} is not there yet; run resinflow data generate again.")
        return sample_from_fields(values, self._medium(values, index), self.info)

    @cached_property
    def _medium_fields(self) -> tuple[str, ...]:
        return tuple(name for name in MEDIUM_FIELDS if self.has(name))

    def _medium(self, values: Mapping[str, NDArray[Any]], index: int) -> Microstructure:
        return medium_from_fields(values, {"data_set": PurePosixPath(self.path).name, "sample": index})

    def _read_all(self, names: Sequence[str], index: int) -> dict[str, NDArray[Any]]:
        """Several fields of one sample; from object storage, which answers late but many at once, all together."""
        if isinstance(self.path, Path):
            return {name: self.read(name, index) for name in names}
        with ThreadPoolExecutor(len(names)) as pool:
            return dict(zip(names, pool.map(lambda name: self.read(name, index), names), strict=True))


def draw_splits(store: FlowStore) -> Division:
    """Draw the division of a data set by canonical fingerprint, store it and return it.

    The shares are those of the recipe, or 70/15/15. Copies of one medium, mirrored and rotated ones included, always fall into
    the same part.

    Raises:
        InvalidInputError: incomplete samples, or a split is there already.
    """
    if "splits" in store.attributes:
        raise InvalidInputError(f"{store.path} is split already; a split is drawn once.")
    missing = int((~store.complete).sum())
    if missing:
        raise InvalidInputError(f"{missing} samples of {store.path} are not there yet; run resinflow data generate again.")
    prints = [canonical_fingerprint(store.microstructure(index)) for index in range(len(store))]
    division = draw_division(prints, store.info.shares)
    store.set_attribute("splits", division.to_attribute())
    return division


def compute_statistics(store: FlowStore) -> dict[str, Any]:
    """Measure, store and return the statistics of the training split.

    Raises:
        InvalidInputError: no split drawn yet.
    """
    statistics = store.measured_statistics()
    store.set_attribute("statistics", statistics)
    return statistics


def _reopened(path: Path | str, division: Division | None) -> FlowStore:
    store = FlowStore.open(path)
    return store if division is None else store.with_division(division)


def _grid_values(flow: FlowField | None) -> dict[str, Any]:
    if flow is None:
        return {}
    return {"grid_velocity": flow.velocity, "grid_pressure": flow.pressure, "grid_permeability": flow.permeability}


def locate(path: str | Path) -> Path | str:
    """Return a location as a folder of this machine, or as the string of a URL (``s3://bucket/set.zarr``).

    A command line hands locations on as paths, in which ``//`` has become ``/``.
    """
    protocol, separator, rest = str(path).partition(":/")
    if separator and len(protocol) > 1 and "/" not in protocol:  # a single letter is a drive
        return f"{protocol}://{rest.removeprefix('/')}"
    return Path(path)


def _open_url(url: str) -> zarr.Group:
    try:
        return zarr.open_group(url, mode="r")
    except ImportError as error:
        raise MissingDependencyError(f"{url} cannot be read: {str(error).splitlines()[0]}") from None
    except Exception as error:  # every protocol has errors of its own
        reason = (str(error).splitlines() or [""])[0][:120]
        raise InvalidInputError(
            f"no data set can be read at {url} ({type(error).__name__}: {reason}); needed: the address of a .zarr folder."
        ) from None


def _advice(path: Path) -> str:
    """What to do with a path that is no data set of ours."""
    if (path / "x" / "domain.pt").is_file() or (path / "y" / "domain.pt").is_file():
        return (
            "it is in the published layout: read it with resinflow.data.open.open_flows, "
            f"or convert it with: resinflow data convert {path} {path.name}.zarr --derive."
        )
    return f"make one with: resinflow data generate RECIPE {path}."
