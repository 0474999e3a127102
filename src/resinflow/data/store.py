"""The data set on disk: one Zarr v3 group, one chunk a sample.

Workers write different samples at the same time; training reads them lazily; xarray opens the group as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from resinflow.core import FlowField, InvalidInputError, Microstructure
from resinflow.core.files import replacing
from resinflow.data.schema import ALL_FIELDS, FIELDS, GRID, LENGTHS, REQUIRED, SCHEMA


@dataclass(frozen=True)
class Sample:
    """One medium with its flow and the two flows that are known before any 3-D solve."""

    truth: FlowField
    planar: FlowField
    response: FlowField


@dataclass(frozen=True)
class StoredField:
    """How an array is stored: number of samples, type, dimensions of one sample."""

    samples: int
    dtype: str
    dims: tuple[str, ...]


class FlowStore:
    """A data set of samples of one shape.

    Attributes:
        path: the Zarr group.
    """

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self.path = path
        self._group = group
        self._arrays: dict[str, zarr.Array] = {}

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

        Raises:
            InvalidInputError: no such folder, or not a data set of this schema.
        """
        path = Path(path)
        try:
            group = zarr.open_group(path, mode="r+" if writable else "r")
        except (FileNotFoundError, KeyError, ValueError, OSError) as error:
            raise InvalidInputError(f"{path} is not a data set ({type(error).__name__}); {_advice(path)}") from None
        if group.attrs.get("schema") != SCHEMA:
            raise InvalidInputError(f"{path} has schema {group.attrs.get('schema')!r}; needed: {SCHEMA!r}.")
        return cls(path, group)

    @property
    def attributes(self) -> dict[str, Any]:
        """The data set's attributes: schema, boundary conditions, recipe, splits and statistics once they are drawn."""
        return dict(self._group.attrs)

    def set_attribute(self, name: str, value: Any) -> None:
        """Write one attribute (plain JSON types)."""
        self._group.attrs[name] = value

    def has(self, name: str) -> bool:
        """Return whether the data set holds field ``name``: a converted one lacks what its source did not have."""
        return name in self.fields

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that are there, in the order of the schema."""
        return tuple(name for name in ALL_FIELDS if name in self._group)

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
        """Return field ``name`` of one sample, or of all.

        Raises:
            InvalidInputError: unknown field, or a chunk that cannot be read.
        """
        if name not in ALL_FIELDS:
            raise InvalidInputError(f"{name!r} is no field of a data set; known: {', '.join(ALL_FIELDS)}.")
        array = self._array(name)
        try:
            return np.asarray(array[index] if index is not None else array[:])
        except (OSError, ValueError, RuntimeError) as error:
            where = f"sample {index}" if index is not None else "some sample"
            raise InvalidInputError(f"{self.path}: {name} of {where} cannot be read ({error}); generate it again.") from None

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which samples are there, (samples,)."""
        return self.read("complete").astype(bool)

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the samples of ``train``, ``validation`` or ``test``.

        Raises:
            InvalidInputError: unknown split, or no split drawn yet.
        """
        splits = self.attributes.get("splits")
        if splits is None:
            raise InvalidInputError(f"{self.path} has no split yet; draw it with: resinflow data split {self.path}.")
        if split not in splits["indices"]:
            raise InvalidInputError(f"the split is {split!r}; needed: one of {', '.join(splits['indices'])}.")
        return np.asarray(splits["indices"][split], dtype=np.int64)

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
            "iterations": getattr(report, "iterations", 0),
            "residual": getattr(report, "residual", 0.0),
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
        folders = [self.path, *(self.path / name for name in self.fields), *(self.path / name / "c" for name in self.fields)]
        leftovers = [file for folder in folders for file in folder.glob("*.partial")]
        for name in self.fields:
            for index in missing:
                leftovers += (self.path / name / "c" / str(index)).rglob("*.partial")
        for file in leftovers:
            file.unlink(missing_ok=True)

    def _array(self, name: str) -> zarr.Array:
        if name in self._arrays:  # opening an array reads its metadata again, which costs more than a small chunk
            return self._arrays[name]
        if name not in self._group:
            advice = "it is damaged" if name in REQUIRED else "convert its source again with --derive, into a new folder"
            raise InvalidInputError(f"{self.path} holds no {name}; needed for this step; {advice}.")
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise InvalidInputError(f"{self.path}: {name} is no array; generate the data set again.")
        self._arrays[name] = array
        return array

    def _put(self, name: str, index: int, value: Any) -> None:
        self._array(name)[index] = np.asarray(value, dtype=ALL_FIELDS[name].dtype)

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of sample ``index``."""
        dz, dy, dx = self.read("spacing", index).tolist()
        return Microstructure(
            self.read("fluid", index),
            (dz, dy, dx),
            self.read("signed_distance", index) if self.has("signed_distance") else None,
            {"data_set": self.path.name, "sample": index},
        )

    def sample(self, index: int) -> Sample:
        """Return sample ``index`` as flow fields.

        Raises:
            InvalidInputError: the sample is not complete.
        """
        if not self.read("complete", index):
            raise InvalidInputError(f"sample {index} of {self.path} is not there yet; run resinflow data generate again.")
        micro, attributes = self.microstructure(index), self.attributes
        planar = self.read("planar_velocity", index)
        flows = {
            "": self.read("velocity", index),
            "planar_": np.concatenate([planar, np.zeros_like(planar[:1])]),
            "response_": self.read("response_velocity", index),
        }
        truth, flat, response = (
            FlowField(
                micro,
                velocity,
                self.read(f"{prefix}pressure", index) * (1.0 if prefix else attributes.get("density", 1.0)),
                axis="x",
                pressure_drop=attributes["pressure_drop"],
                viscosity=attributes["viscosity"],
            )
            for prefix, velocity in flows.items()
        )
        return Sample(truth, flat, response)


def _advice(path: Path) -> str:
    """What to do with a path that is no data set of ours."""
    if (path / "x" / "domain.pt").is_file() or (path / "y" / "domain.pt").is_file():
        return f"it is in the published layout; convert it with: resinflow data convert {path} {path.name}.zarr --derive."
    return f"make one with: resinflow data generate RECIPE {path}."
