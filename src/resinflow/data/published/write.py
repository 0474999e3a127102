"""From a store into the published layout, one file after the other and sample by sample."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.data.published.layout import (
    MANIFEST,
    PERMEABILITY_FILE,
    PLANAR_FILE,
    REQUIRED_FILES,
    STATISTICS,
    WITHOUT_OWN_FILE,
    CaseAxis,
    published_channels,
    slice_count,
    turn_x_onto_y,
)
from resinflow.data.published.tensors import write_tensor
from resinflow.data.schema import GIVEN_PERMEABILITY, GRID, LENGTHS, OWN_FIELDS
from resinflow.data.source import Watch, watched
from resinflow.data.store import FlowStore
from resinflow.flow import InvalidInputError, replacing

_PIECES = {**REQUIRED_FILES, PLANAR_FILE: "planar_velocity"}
_LAYOUT: dict[str, Any] = {"slice_axis": True, "components": 3, "planar": True}
"""How a generated data set is laid out."""


def export_published(store: FlowStore, path: str | Path, *, watch: Watch | None = None, plain: bool = False) -> Path:
    """Write a data set in the published layout, whole or not at all, and return its folder.

    float32 values are kept bit for bit, and samples that came from flows along y are turned back. One sample at a time is in
    memory. Fields that have no published file get one of their own name, so that converting back loses nothing.

    Args:
        store: a complete data set.
        path: the folder, made or replaced.
        watch: called with the numbers of finished and of all files.
        plain: write the published files alone.

    Raises:
        InvalidInputError: incomplete samples, or a place that cannot be written.
    """
    missing = int((~store.complete).sum())
    if missing:
        raise InvalidInputError(f"{missing} samples of {store.path} are not there yet; run the command that makes it again.")
    layout = store.attributes.get("layout") or _LAYOUT
    names = [*REQUIRED_FILES, *([PLANAR_FILE] if layout["planar"] else []), PERMEABILITY_FILE]
    extras = [] if plain else [name for name in OWN_FIELDS if store.has(name) and name not in WITHOUT_OWN_FILE]
    cases: dict[CaseAxis, int] = layout.get("cases", {"x": len(store)})
    first = dict(zip(cases, itertools.accumulate(cases.values(), initial=0), strict=False))
    files = list(itertools.product(cases, [*names, *extras]))
    with replacing(Path(path)) as folder:
        for axis, name in watched(files, watch, len(files)):
            samples = range(first[axis], first[axis] + cases[axis])
            _write_file(store, folder / axis / f"{name}.pt", name, axis, samples, layout)
        _write_json(folder / STATISTICS, store.attributes.get("published_statistics") or published_statistics(store))
        if not plain:
            _write_json(folder / MANIFEST, store.attributes)
    return Path(path)


def _write_file(store: FlowStore, path: Path, name: str, axis: CaseAxis, samples: range, layout: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nz, ny, nx = store.shape
    grid = (nz, ny, nx) if axis == "x" else (nz, nx, ny)
    kind = np.dtype((layout.get("types") or {}).get(name, "float32"))
    shape: tuple[int, ...]
    if name == "dxyz":
        shape = (3,)
    elif name == PERMEABILITY_FILE and store.has(GIVEN_PERMEABILITY):
        shape = tuple(layout["permeability_shape"])
    elif name == PERMEABILITY_FILE:
        shape, kind = (), np.dtype(np.float64)
    elif name in _PIECES:
        channels = 1 if name in ("domain", "p") else layout["components"]
        shape = (*grid[:1], channels, *grid[1:]) if layout["slice_axis"] else (channels, *grid[1:])
    else:
        kind = np.dtype(OWN_FIELDS[name].dtype)
        lengths = {**LENGTHS, **dict(zip(GRID, grid, strict=True))}
        shape = tuple(lengths[dim] for dim in OWN_FIELDS[name].dims)
    write_tensor(path, (len(samples), *shape), kind, _pieces(store, name, axis, samples, layout["components"]))


def _pieces(store: FlowStore, name: str, axis: CaseAxis, samples: range, components: int) -> Iterator[NDArray[Any]]:
    """The values of one file, sample by sample, as the file holds them."""
    field = _PIECES.get(name, name)
    if name == PERMEABILITY_FILE and store.has(GIVEN_PERMEABILITY):
        field = GIVEN_PERMEABILITY
    for index in samples:
        value = store.read(field, index)
        if axis == "y":
            value = turn_x_onto_y(field, value)
        if name == "dxyz":
            dz, dy, dx = value
            nz, ny, nx = store.shape if axis == "x" else (store.shape[0], store.shape[2], store.shape[1])
            yield np.array([dx * nx, dy * ny, dz * slice_count(nz)])
        else:
            yield published_channels(field, value, components) if name in _PIECES else value


def published_statistics(store: FlowStore) -> dict[str, dict[str, float]]:
    """Return the statistics that published programs scale by: largest absolute values, and means of them over fluid voxels.

    They come from the training split alone where there is one, from all samples otherwise. Units as stored.
    """
    indices = store.indices("train") if "splits" in store.attributes else range(len(store))
    largest = {"U": np.zeros(3), "U_2d": np.zeros(3)}
    sums = {"U": np.zeros(3), "U_2d": np.zeros(3)}
    pressure, size, voxels = 0.0, 0.0, 0
    for index in indices:
        fluid = store.read("fluid", int(index)) > 0
        voxels += int(fluid.sum())
        planar = store.read("planar_velocity", int(index))
        for name, velocity in (
            ("U", store.read("velocity", int(index))),
            ("U_2d", np.concatenate([planar, np.zeros_like(planar[:1])])),
        ):
            speeds = np.abs(velocity)
            largest[name] = np.maximum(largest[name], speeds.max(axis=(1, 2, 3)))
            sums[name] += speeds[:, fluid].sum(axis=1, dtype=np.float64)
        pressure = max(pressure, float(np.abs(store.read("pressure", int(index))).max()))
        dz, dy, dx = store.read("spacing", int(index))
        nz, ny, nx = store.shape
        size = max(size, dx * nx, dy * ny, dz * slice_count(nz))
    statistics = {
        "U": {"max": float(largest["U"].max())},
        "U_2d": {"max": float(largest["U_2d"].max())},
        "p": {"max": pressure},
        "dxyz": {"max": float(size)},
    }
    for name in ("U", "U_2d"):
        means = sums[name] / max(voxels, 1)
        statistics[f"{name}_per_component"] = {
            **{f"max_{component}": float(value) for component, value in zip("uvw", largest[name], strict=True)},
            **{f"mean_{component}": float(value) for component, value in zip("uvw", means, strict=True)},
        }
    return statistics


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
