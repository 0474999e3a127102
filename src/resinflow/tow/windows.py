"""The windows of a large medium, each solved by itself, by this process or by the workers of a Dask cluster.

A window's K depends on its voxels and the options alone, so that the map is the same, bit for bit, at any number of workers.
What a window gave is written at once: in a folder that is kept, running again continues.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.data import check_scheduler, run_on_workers
from resinflow.flow import (
    Boundary,
    InvalidInputError,
    Lateral,
    Microstructure,
    ResinflowError,
    check_medium,
    check_positive,
    format_length,
    replacing,
)
from resinflow.media import estimate_fibre_diameter
from resinflow.stokes import WallChoice, permeability_tensor
from resinflow.tow.window_map import WindowMap

LEAST_FIBRES = 3.0
"""Fibre diameters that a window must be wide."""
_PLAN, _FLUID, _DISTANCE = "plan.json", "fluid.npy", "distance.npy"


@dataclass(frozen=True)
class WindowOptions:
    """How windows are solved.

    Attributes:
        boundary: condition along the flow in every window.
        lateral: condition on the other sides of a window.
        tolerance: relative error of K.
        wall_rule: as :func:`resinflow.solve`.
    """

    boundary: Boundary = "pressure"
    lateral: Lateral = "symmetry"
    tolerance: float = 1e-4
    wall_rule: WallChoice = "auto"


def measure_windows(
    micro: Microstructure,
    size: float,
    options: WindowOptions = WindowOptions(),
    *,
    folder: Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> WindowMap:
    """Return K of all windows of about a size that tile the slice plane of a medium.

    Args:
        micro: the medium.
        size: edge of a window, m; the windows are as wide as lets a whole number of them fill the medium along either axis.
        options: how they are solved.
        folder: where the results of windows are kept, so that running again continues; None: nowhere. Workers of another
            machine need one that means the same folder to all.
        workers: processes of this machine; 1: this process.
        scheduler: address of a Dask scheduler whose workers are used instead.
        watch: called with the numbers of finished and of all windows.

    Raises:
        InvalidInputError: windows narrower than three fibres or wider than the medium, a folder of other windows, or no
            scheduler answers.
    """
    check_medium(micro)
    rows, columns = window_edges(micro, size)
    if scheduler is not None:
        check_workers(scheduler, folder)
    plan = {"fingerprint": micro.fingerprint, "rows": rows, "columns": columns, **asdict(options)}
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as place:
        root = Path(place).absolute()
        _prepare(root, plan, micro)
        count = (len(rows) - 1) * (len(columns) - 1)
        missing = [number for number in range(count) if not _result_path(root, number).exists()]
        finished = count - len(missing)
        for _ in run_on_workers(partial(_measure_and_write, root), missing, workers=workers, scheduler=scheduler):
            finished += 1
            if watch is not None:
                watch(finished, count)
        results = [json.loads(_result_path(root, number).read_text(encoding="utf-8")) for number in range(count)]
    return _collected(results, micro, rows, columns, options)


def check_workers(scheduler: str, folder: Path | None) -> None:
    """Refuse a scheduler that does not answer, or whose workers have no folder to read and write.

    Raises:
        InvalidInputError: as it says.
    """
    if folder is None:
        raise InvalidInputError("a scheduler needs a folder that its workers can read and write; needed: --folder FOLDER.")
    check_scheduler(scheduler)


def window_edges(micro: Microstructure, size: float) -> tuple[list[int], list[int]]:
    """Return where the windows begin and end along y and x, in voxels.

    Raises:
        InvalidInputError: as :func:`measure_windows`.
    """
    check_positive("the window", size, "m")
    diameter = estimate_fibre_diameter(micro.slice_at(micro.shape[0] // 2))
    if diameter is not None and size < LEAST_FIBRES * diameter:
        raise InvalidInputError(
            f"the window is {format_length(size)} wide, {size / diameter:.2g} of the fibres' diameter "
            f"({format_length(diameter)}); needed: {LEAST_FIBRES:g} diameters or more."
        )
    if size > min(micro.extent[1:]) * (1 + 1e-9):
        raise InvalidInputError(
            f"the window is {format_length(size)} wide, and the medium {format_length(min(micro.extent[1:]))}; "
            "needed: windows no wider than the medium."
        )
    edges = []
    for voxels, extent in zip(micro.shape[1:], micro.extent[1:], strict=True):
        count = max(1, min(round(extent / size), voxels))
        edges.append([round(voxels * k / count) for k in range(count + 1)])
    return edges[0], edges[1]


def _prepare(folder: Path, plan: dict[str, Any], micro: Microstructure) -> None:
    """Write the medium and the plan, or check that the folder holds the same plan."""
    path = folder / _PLAN
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != plan:
            raise InvalidInputError(f"{folder} holds windows of another medium or other options; choose another folder.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray] = {_FLUID: micro.fluid}
    if micro.signed_distance is not None:
        arrays[_DISTANCE] = micro.signed_distance
    for name, values in arrays.items():
        with replacing(folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, values)
    with replacing(folder / "spacing.json") as temporary:
        temporary.write_text(json.dumps(micro.spacing), encoding="utf-8")
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(plan), encoding="utf-8")


def _result_path(folder: Path, number: int) -> Path:
    return folder / f"window-{number:06d}.json"


def _measure_and_write(folder: Path, number: int) -> int:
    """Solve a window of the medium in a folder, read where it lies on disk, and write what it gave."""
    if not (folder / _PLAN).exists():
        raise InvalidInputError(f"a worker sees no windows in {folder}; needed: a folder that is the same to all workers.")
    plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    rows, columns = plan["rows"], plan["columns"]
    row, column = divmod(number, len(columns) - 1)
    part = (slice(None), slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1]))
    fluid = np.load(folder / _FLUID, mmap_mode="r")[part]
    path = folder / _DISTANCE
    distance = np.ascontiguousarray(np.load(path, mmap_mode="r")[part]) if path.exists() else None
    dz, dy, dx = json.loads((folder / "spacing.json").read_text(encoding="utf-8"))
    micro = Microstructure(fluid, (dz, dy, dx), distance)
    options = WindowOptions(plan["boundary"], plan["lateral"], plan["tolerance"], plan["wall_rule"])
    with replacing(_result_path(folder, number)) as temporary:
        temporary.write_text(json.dumps(_result(micro, options)), encoding="utf-8")
    return number


def _result(micro: Microstructure, options: WindowOptions) -> dict[str, Any]:
    """Tensor (None where there is none), fibre fraction, and what is to be said of a window."""
    fraction = micro.fibre_fraction
    if not micro.fluid.any():
        return {"tensor": np.zeros((3, 3)).tolist(), "fraction": fraction, "note": "no resin: K = 0"}
    try:
        tensor = permeability_tensor(micro, threads=1, warn=False, **asdict(options))
    except ResinflowError as error:
        return {"tensor": None, "fraction": fraction, "note": str(error)}
    still = [axis for axis, value in zip("xyz", tensor.diagonal, strict=True) if value == 0]
    note = f"no way through along {' and '.join(still)}: K = 0" if still else ""
    return {"tensor": tensor.values.tolist(), "fraction": fraction, "note": note}


def _collected(
    results: list[dict[str, Any]], micro: Microstructure, rows: list[int], columns: list[int], options: WindowOptions
) -> WindowMap:
    shape = (len(rows) - 1, len(columns) - 1)
    nothing = np.full((3, 3), np.nan)
    tensors = np.array([nothing if each["tensor"] is None else each["tensor"] for each in results], dtype=np.float64)
    _, dy, dx = micro.spacing
    return WindowMap(
        tensors=tensors.reshape(*shape, 3, 3),
        fractions=np.array([each["fraction"] for each in results]).reshape(shape),
        reasons=tuple((*divmod(place, shape[1]), each["note"]) for place, each in enumerate(results) if each["note"]),
        edges_y=dy * np.array(rows, dtype=np.float64),
        edges_x=dx * np.array(columns, dtype=np.float64),
        depth=micro.extent[0],
        boundary=options.boundary,
        lateral="periodic" if options.boundary == "periodic" else options.lateral,
    )
