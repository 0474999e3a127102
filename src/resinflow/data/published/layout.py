"""The published layout on disk: ``DIR/x/{domain,U_2d,U,p,dxyz}.pt``, the same under ``DIR/y`` for flow along y.

Tensors of N samples: ``domain`` (N, S, 1, H, W), 1 in the fluid; ``U`` and ``U_2d`` (N, S, 3, H, W), m/s; ``p``
(N, S, 1, H, W); ``dxyz`` (N, 3), the physical size (x, y, z), m; optionally ``permeability``. The older 2-D set has no axis S.

The first and the last slice lie on symmetry planes, so that S slices over a depth Lz are Lz / (S - 1) apart (Lz for one slice).
Sets that resinflow wrote have more in the same folders: every other field of the store under its own name, and
``DIR/resinflow.json`` with the attributes. Programs that know the published files alone never open them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.data.description import check_attributes
from resinflow.data.published.tensors import open_tensor
from resinflow.data.schema import ALL_FIELDS, FIELDS, GIVEN_PERMEABILITY, GRID, LENGTHS, OWN_FIELDS, PLANAR_VECTOR, VECTOR
from resinflow.flow import InvalidInputError

CaseAxis = Literal["x", "y"]
CASES: tuple[CaseAxis, ...] = ("x", "y")
MANIFEST = "resinflow.json"
STATISTICS = "statistics.json"
REQUIRED_FILES = {"domain": "fluid", "U": "velocity", "p": "pressure", "dxyz": "spacing"}
PLANAR_FILE = "U_2d"
PERMEABILITY_FILE = "permeability"
WITHOUT_OWN_FILE = {"fluid", "velocity", "pressure", "planar_velocity", "permeability", "complete"}
"""Fields that a published file holds whole; ``dxyz`` rounds the spacing, so that the exact one has a file of its own."""

_SIZES = (1e-9, 1.0)
"""Smallest and largest edge of a box, m."""


def slice_count(slices: int) -> int:
    """How many slice distances make the depth: the outer slices lie on the outer planes."""
    return max(slices - 1, 1)


@dataclass(frozen=True)
class Case:
    """The samples of one flow axis.

    Attributes:
        axis: flow axis in the files.
        folder: where they lie.
        files: memory-mapped arrays by file name, as they are on disk.
        extras: further fields of our store, by field name.
    """

    axis: CaseAxis
    folder: Path
    files: Mapping[str, NDArray[Any]]
    extras: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.files["domain"])

    @property
    def has_slice_axis(self) -> bool:
        """False in the older 2-D set, whose samples are single slices."""
        return self.files["domain"].ndim == 5

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of a sample whose flow is turned along x."""
        height, width = self.files["domain"].shape[-2:]
        slices = self.files["domain"].shape[1] if self.has_slice_axis else 1
        return (slices, height, width) if self.axis == "x" else (slices, width, height)

    def fields(self, index: int) -> dict[str, NDArray[Any]]:
        """Return the fields of sample ``index`` under the names of our store, with the flow turned along x.

        Raises:
            InvalidInputError: a mask of other values than 0 and 1, or a planar flow with a component out of the plane.
        """
        values = {
            "fluid": self._mask(index),
            "velocity": self._vector("U", index),
            "pressure": self._grid("p", index)[:, 0],
            "planar_velocity": self._planar(index),
            "spacing": self._spacing(index),
            **{name: array[index] for name, array in self.extras.items()},
        }
        if self.axis == "y":
            values = {name: turn_y_onto_x(name, value) for name, value in values.items()}
        if PERMEABILITY_FILE in self.files and "permeability" not in values:
            values[GIVEN_PERMEABILITY] = self.files[PERMEABILITY_FILE][index].reshape(-1)
        return values

    def _grid(self, name: str, index: int) -> NDArray[Any]:
        """One sample of a file, (S, channels, H, W)."""
        array = self.files[name][index]
        return array if self.has_slice_axis else array[None]

    def _mask(self, index: int) -> NDArray[np.uint8]:
        domain = self._grid("domain", index)[:, 0]
        if not ((domain == 0) | (domain == 1)).all():
            raise InvalidInputError(
                f"{self.folder}/domain.pt: sample {index} holds values from {domain.min():g} to {domain.max():g}; "
                "needed: 1 in the fluid and 0 in the fibres."
            )
        return domain.astype(np.uint8)

    def _vector(self, name: str, index: int) -> NDArray[Any]:
        """One sample of a velocity, (3, S, H, W); the third component of a 2-D set is zero."""
        vector = np.moveaxis(self._grid(name, index), 1, 0)
        return vector if len(vector) == 3 else np.concatenate([vector, np.zeros_like(vector[:1])])

    def _planar(self, index: int) -> NDArray[Any]:
        planar = self._vector(PLANAR_FILE if PLANAR_FILE in self.files else "U", index)
        if np.any(planar[2] != 0):
            raise InvalidInputError(
                f"{self.folder}/{PLANAR_FILE}.pt: the planar flow of sample {index} leaves its plane (vz up to "
                f"{np.abs(planar[2]).max():g} m/s); needed: vz = 0."
            )
        return planar[:2]

    def _spacing(self, index: int) -> NDArray[np.float64]:
        if "spacing" in self.extras:
            return self.extras["spacing"][index]
        size_x, size_y, size_z = self.files["dxyz"][index].astype(np.float64)
        height, width = self.files["domain"].shape[-2:]
        slices = self.files["domain"].shape[1] if self.has_slice_axis else 1
        return np.array([size_z / slice_count(slices), size_y / height, size_x / width])


@dataclass(frozen=True)
class PublishedSet:
    """A data set in the published layout, opened for reading.

    Attributes:
        path: its folder.
        cases: one or two flow axes.
        attributes: what our store said of it, None if it was not written by resinflow.
        statistics: content of ``statistics.json``, None without one.
    """

    path: Path
    cases: tuple[Case, ...]
    attributes: dict[str, Any] | None
    statistics: dict[str, Any] | None

    def __len__(self) -> int:
        return sum(len(case) for case in self.cases)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample, its flow turned along x."""
        return self.cases[0].shape

    def fields(self, index: int) -> dict[str, NDArray[Any]]:
        """Return the fields of one sample: those of ``x`` come first, then those of ``y``."""
        first = self.cases[0]
        return first.fields(index) if index < len(first) else self.cases[1].fields(index - len(first))


def is_published(path: Path) -> bool:
    """Return whether a folder holds a data set in the published layout."""
    return any((path / axis / "domain.pt").is_file() for axis in CASES)


def open_published(path: Path) -> PublishedSet:
    """Open a data set in the published layout; values are read when they are asked for.

    Raises:
        InvalidInputError: a missing or damaged file, or files whose shapes do not fit together.
    """
    if not is_published(path):
        raise InvalidInputError(
            f"{path} holds neither x/domain.pt nor y/domain.pt; needed: a data set in the published layout."
        )
    attributes = _read_json(path / MANIFEST)
    cases = tuple(_open_case(axis, path / axis, attributes) for axis in CASES if (path / axis / "domain.pt").is_file())
    if len({case.shape for case in cases}) > 1 or len({case.has_slice_axis for case in cases}) > 1:
        raise InvalidInputError(
            f"{path}: turned along x the samples of y have {cases[1].shape} voxels, those of x {cases[0].shape}; "
            "needed: the same. Move one of the two folders to a place of its own."
        )
    if attributes is not None:
        check_attributes(attributes, sum(len(case) for case in cases), path / MANIFEST)
    return PublishedSet(path, cases, attributes, _read_json(path / STATISTICS))


def _open_case(axis: CaseAxis, folder: Path, attributes: dict[str, Any] | None) -> Case:
    names = [*REQUIRED_FILES, *(name for name in (PLANAR_FILE, PERMEABILITY_FILE) if (folder / f"{name}.pt").is_file())]
    files = {name: open_tensor(folder / f"{name}.pt") for name in names}
    _check_shapes(folder, files)
    extras: dict[str, NDArray[Any]] = {}
    if attributes is not None:
        extras = {
            name: open_tensor(folder / f"{name}.pt")
            for name in OWN_FIELDS
            if name not in WITHOUT_OWN_FILE and (folder / f"{name}.pt").is_file()
        }
        if PERMEABILITY_FILE in files and not (attributes.get("layout") or {}).get("permeability_given"):
            extras["permeability"] = files[PERMEABILITY_FILE]
        _check_extras(folder, files["domain"], extras)
    return Case(axis, folder, files, extras)


def _check_shapes(folder: Path, files: Mapping[str, NDArray[Any]]) -> None:
    domain = files["domain"].shape
    if len(domain) not in (4, 5) or domain[-3] != 1 or 0 in domain:
        raise InvalidInputError(
            f"{folder}/domain.pt has shape {domain}; needed: (N, S, 1, H, W), or (N, 1, H, W) of a 2-D set."
        )
    channels = {"U": (3,), PLANAR_FILE: (3,), "p": (1,)} if len(domain) == 5 else {"U": (2, 3), PLANAR_FILE: (2, 3), "p": (1,)}
    for name, allowed in channels.items():
        possible = [(*domain[:-3], count, *domain[-2:]) for count in allowed]
        if name in files and files[name].shape not in possible:
            raise InvalidInputError(
                f"{folder}/{name}.pt has shape {files[name].shape}; needed beside domain.pt: {possible[-1]}."
            )
    if len(domain) == 5 and PLANAR_FILE not in files:
        raise InvalidInputError(f"{folder}/{PLANAR_FILE}.pt does not exist; needed: the planar flow of every slice.")
    sizes = files["dxyz"]
    if sizes.shape != (domain[0], 3):
        raise InvalidInputError(f"{folder}/dxyz.pt has shape {sizes.shape}; needed: {(domain[0], 3)}, the size (x, y, z) in m.")
    low, high = _SIZES
    if not ((sizes >= low) & (sizes <= high)).all():
        raise InvalidInputError(
            f"{folder}/dxyz.pt holds sizes from {sizes.min():g} to {sizes.max():g} that are not positive lengths of a "
            f"microstructure; needed: the size (x, y, z) in m, {low:g} to {high:g}."
        )
    if PERMEABILITY_FILE in files and files[PERMEABILITY_FILE].shape[:1] != domain[:1]:
        raise InvalidInputError(
            f"{folder}/permeability.pt has {files[PERMEABILITY_FILE].shape[:1]} samples; needed: {domain[0]}."
        )


def _check_extras(folder: Path, domain: NDArray[Any], extras: Mapping[str, NDArray[Any]]) -> None:
    samples, height, width = domain.shape[0], *domain.shape[-2:]
    lengths = {**LENGTHS, **dict(zip(GRID, (domain.shape[1] if domain.ndim == 5 else 1, height, width), strict=True))}
    for name, array in extras.items():
        needed = (samples, *(lengths[dim] for dim in OWN_FIELDS[name].dims))
        if array.shape != needed:
            raise InvalidInputError(f"{folder}/{name}.pt has shape {array.shape}; needed beside domain.pt: {needed}.")


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not JSON ({error}); restore it, or move it away.") from None
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path} holds {type(values).__name__}; needed: a mapping.")
    return values


def published_channels(name: str, value: NDArray[Any], components: int) -> NDArray[Any]:
    """Return a field of one sample as its published file holds it: channels behind the slices, (S, channels, H, W)."""
    dims = FIELDS[name].dims
    if dims[0] == PLANAR_VECTOR:
        value = np.concatenate([value, np.zeros_like(value[:1])])[:components]
    elif dims[0] == VECTOR:
        value = value[:components]
    else:
        value = value[None]
    return np.moveaxis(value, 0, 1)


def turn_y_onto_x(name: str, value: NDArray) -> NDArray:
    """Return field ``name`` of one sample with y turned onto x: the new x is the old y, the new y runs against the old x.

    Arrays turn with the medium, (vx, vy, vz) becomes (vy, -vx, vz), voxel edges along x and y change places. Fields without
    direction come back as they are.
    """
    return _turned(name, value, turns=1)


def turn_x_onto_y(name: str, value: NDArray) -> NDArray:
    """Undo :func:`turn_y_onto_x`, bit for bit; all fields but vectors have the shape of one sample, as there."""
    return _turned(name, value, turns=-1)


def _turned(name: str, value: NDArray, turns: int) -> NDArray:
    dims = ALL_FIELDS[name].dims
    if name == "spacing":
        return np.asarray(value)[[0, 2, 1]]
    if dims[-len(GRID) :] != GRID:
        return value
    turned = np.rot90(value, turns, axes=(-2, -1))
    if dims[0] not in (VECTOR, PLANAR_VECTOR):
        return turned
    x, y = (turned[1], -turned[0]) if turns == 1 else (-turned[1], turned[0])
    return np.stack([x, y, *turned[2:]])
