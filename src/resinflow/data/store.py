"""The data set on disk: one Zarr v3 group, one chunk a sample.

Workers write different samples at the same time; training reads them lazily; xarray opens the group as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from resinflow.core import FlowField, InvalidInputError, Microstructure
from resinflow.core.files import replacing

SCHEMA = "resinflow-data-1"
_GRID = ("z", "y", "x")

_FIELDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    # name: dtype, dimensions of one sample, unit
    "fluid": ("uint8", _GRID, "1"),
    "signed_distance": ("float32", _GRID, "m"),
    "spacing": ("float64", ("axis",), "m"),
    "velocity": ("float32", ("component", *_GRID), "m s-1"),
    "pressure": ("float32", _GRID, "Pa"),
    "planar_velocity": ("float32", ("planar_component", *_GRID), "m s-1"),
    "planar_pressure": ("float32", _GRID, "Pa"),
    "response_velocity": ("float32", ("component", *_GRID), "m s-1"),
    "response_pressure": ("float32", _GRID, "Pa"),
    "permeability": ("float64", (), "m2"),
    "planar_permeability": ("float64", (), "m2"),
    "response_permeability": ("float64", (), "m2"),
    "iterations": ("int32", (), "1"),
    "residual": ("float64", (), "1"),
    "fingerprint": ("uint8", ("byte",), "1"),
    "seed": ("uint64", (), "1"),
    "volume_fraction": ("float64", (), "1"),
    "diameter": ("float64", (), "m"),
    "diameter_scatter": ("float64", (), "1"),
    "misalignment": ("float64", (), "degree"),
    "complete": ("uint8", (), "1"),
}
_LENGTHS = {"axis": 3, "component": 3, "planar_component": 2, "byte": 32}


@dataclass(frozen=True)
class Sample:
    """One medium with its flow and the two flows that are known before any 3-D solve."""

    truth: FlowField
    planar: FlowField
    response: FlowField


class FlowStore:
    """A data set of samples of one shape.

    Attributes:
        path: the Zarr group.
    """

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self.path = path
        self._group = group

    @classmethod
    def create(cls, path: Path, samples: int, shape: tuple[int, int, int], attributes: Mapping[str, Any]) -> FlowStore:
        """Make an empty data set, whole or not at all."""
        lengths = {**_LENGTHS, **dict(zip(_GRID, shape, strict=True))}
        with replacing(path) as temporary:
            group = zarr.open_group(temporary, mode="w", zarr_format=3)
            for name, (dtype, dims, unit) in _FIELDS.items():
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
            raise InvalidInputError(
                f"{path} is not a data set ({type(error).__name__}); make one with: resinflow data generate RECIPE {path}."
            ) from None
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

    def __len__(self) -> int:
        return int(self.read("complete").size)

    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return field ``name`` of one sample, or of all.

        Raises:
            InvalidInputError: unknown field, or a chunk that cannot be read.
        """
        if name not in _FIELDS:
            raise InvalidInputError(f"{name!r} is no field of the data set; known: {', '.join(_FIELDS)}.")
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
        for name, value in values.items():
            self._put(name, index, value)
        self._put("complete", index, 1)

    def _array(self, name: str) -> zarr.Array:
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise InvalidInputError(f"{self.path}: {name} is no array; generate the data set again.")
        return array

    def _put(self, name: str, index: int, value: Any) -> None:
        self._array(name)[index] = np.asarray(value, dtype=_FIELDS[name][0])

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of sample ``index``."""
        dz, dy, dx = self.read("spacing", index).tolist()
        return Microstructure(
            self.read("fluid", index),
            (dz, dy, dx),
            self.read("signed_distance", index),
            {"data_set": self.path.name, "sample": index},
        )

    def sample(self, index: int) -> Sample:
        """Return sample ``index`` as flow fields.

        Raises:
            InvalidInputError: the sample is not complete.
        """
        if not self.read("complete", index):
            raise InvalidInputError(f"sample {index} of {self.path} is not there yet; run resinflow data generate again.")
        micro = self.microstructure(index)
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
                self.read(f"{prefix}pressure", index),
                axis="x",
                pressure_drop=self.attributes["pressure_drop"],
                viscosity=self.attributes["viscosity"],
            )
            for prefix, velocity in flows.items()
        )
        return Sample(truth, flat, response)
