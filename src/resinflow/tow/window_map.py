"""Local permeability over the windows of a medium: values, and files of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate import write_csv
from resinflow.flow import COMPONENTS, Boundary, InvalidInputError, Lateral, replacing

MAP_SUFFIXES = (".csv", ".vti", ".zarr")
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowMap:
    """K of every window of a medium; windows go through all slices and tile the slice plane.

    Attributes:
        tensors: (rows, columns, 3, 3), m^2, rows along y; 0 where nothing flows along an axis, NaN where a window has no K.
        fractions: (rows, columns), fibre fraction.
        reasons: row, column and what is to be said of windows without K or without a way through.
        edges_y: (rows + 1,), m, where the windows begin and end along y.
        edges_x: (columns + 1,), m, along x.
        depth: m, of the medium.
        boundary: condition along the flow in every window.
        lateral: condition on the other sides of a window.
    """

    tensors: Array
    fractions: Array
    reasons: tuple[tuple[int, int, str], ...]
    edges_y: Array
    edges_x: Array
    depth: float
    boundary: Boundary
    lateral: Lateral

    def __post_init__(self) -> None:
        rows, columns = len(self.edges_y) - 1, len(self.edges_x) - 1
        if self.tensors.shape != (rows, columns, 3, 3) or self.fractions.shape != (rows, columns):
            raise InvalidInputError(
                f"the windows have tensors {self.tensors.shape} and fractions {self.fractions.shape}; "
                f"needed: {(rows, columns, 3, 3)} and {(rows, columns)}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Windows along y and along x."""
        rows, columns = self.fractions.shape
        return rows, columns

    @property
    def window(self) -> tuple[float, float]:
        """Mean size of a window along y and x, m."""
        return float(np.diff(self.edges_y).mean()), float(np.diff(self.edges_x).mean())

    @property
    def blocked(self) -> int:
        """Windows in which nothing flows along x or along y."""
        across = self.tensors[..., (0, 1), (0, 1)]
        return int((across == 0).any(axis=-1).sum())

    def component(self, row: int, column: int) -> Array:
        """Return an entry of the tensor over all windows (rows, columns), m^2."""
        return self.tensors[..., row, column]

    def rows(self) -> list[Mapping[str, Any]]:
        """Return a row a window: place (m), fibre fraction, the nine entries of K (m^2), and what is to be said of it."""
        reasons = {(row, column): reason for row, column, reason in self.reasons}
        return [
            {
                "row": row,
                "column": column,
                **{
                    name: float(edges[place + step])
                    for edges, place, names in ((self.edges_x, column, ("x0_m", "x1_m")), (self.edges_y, row, ("y0_m", "y1_m")))
                    for step, name in enumerate(names)
                },
                "fibre_fraction": float(self.fractions[row, column]),
                **{
                    f"K{one}{other}_m2": float(self.tensors[row, column, i, j])
                    for i, one in enumerate(COMPONENTS)
                    for j, other in enumerate(COMPONENTS)
                },
                "note": reasons.get((row, column), ""),
            }
            for row, column in np.ndindex(*self.shape)
        ]

    def save(self, path: str | Path) -> Path:
        """Write the map: .csv (a row a window), .vti (ParaView, a cell a window) or .zarr; replaces an older file in one step.

        Raises:
            InvalidInputError: another suffix, or a place that cannot be written.
        """
        target = Path(path)
        if target.suffix not in MAP_SUFFIXES:
            raise InvalidInputError(f"the suffix of {target.name} is {target.suffix!r}; needed: {', '.join(MAP_SUFFIXES)}.")
        with replacing(target) as temporary:
            if target.suffix == ".csv":
                write_csv(self.rows(), temporary)
            elif target.suffix == ".zarr":
                self._write_zarr(temporary)
            else:
                self._write_vti(temporary)
        return target

    def _write_zarr(self, path: Path) -> None:
        import xarray

        middles = {name: 0.5 * (edges[1:] + edges[:-1]) for name, edges in (("y", self.edges_y), ("x", self.edges_x))}
        coordinates = {name: (name, values, {"units": "m"}) for name, values in middles.items()}
        components = np.array(COMPONENTS, dtype=object)
        xarray.Dataset(
            {
                "permeability": (("y", "x", "component", "gradient"), self.tensors, {"units": "m^2"}),
                "fibre_fraction": (("y", "x"), self.fractions),
            },
            {**coordinates, "component": components, "gradient": components},
            {"boundary": self.boundary, "lateral": self.lateral, "depth": self.depth},
        ).to_zarr(path)

    def _write_vti(self, path: Path) -> None:
        import pyvista

        height, width = self.window
        rows, columns = self.shape
        grid = pyvista.ImageData(dimensions=(columns + 1, rows + 1, 2), spacing=(width, height, self.depth))
        for i, one in enumerate(COMPONENTS):
            for j, other in enumerate(COMPONENTS):
                grid.cell_data[f"K{one}{other}"] = self.tensors[..., i, j].ravel()
        grid.cell_data["fibre_fraction"] = self.fractions.ravel()
        grid.save(path)
