"""The geometry of the pore space on a voxel grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from resinflow.flow.contents import MEDIUM_SCHEMA, SCHEMA, Contents, plain
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.files import reading, save_contents
from resinflow.flow.markup import html_table
from resinflow.flow.numbers import check_array, format_length

if TYPE_CHECKING:
    import xarray

Axis = Literal["x", "y", "z"]
AXES: tuple[Axis, ...] = ("z", "y", "x")
"""Array axes by name: arrays are (z, y, x), vectors are (x, y, z)."""

_LARGEST_SPACING = 1e-2  # m: a voxel above a centimetre is a length given in mm or um


@dataclass(frozen=True, eq=False, repr=False)
class Microstructure:
    """A fibrous medium on a regular grid of box-shaped voxels.

    The arrays are read-only: the mask is the object's own copy, the distance a view without a copy.

    Attributes:
        fluid: bool (nz, ny, nx), True where resin flows, False in the fibres.
        spacing: voxel size (dz, dy, dx) in m; voxels may be anisotropic.
        signed_distance: optional (nz, ny, nx), distance to the fibre surface in m, positive in the fluid.
        provenance: where the geometry comes from (generator and its parameters, or file and segmentation).
        displacements: optional (samples, nz, ny, nx), m: by how much the fibre surfaces nearby may lie farther out of their
            fibres than ``signed_distance`` has them, in samples of what an image leaves open. Files of flows leave them out.

    Raises:
        InvalidInputError: a wrong shape, a non-binary or NaN mask, or a spacing that cannot be metres.
    """

    fluid: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    signed_distance: NDArray[np.floating] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    displacements: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fluid", _checked_mask(self.fluid))
        object.__setattr__(self, "spacing", _checked_spacing(self.spacing))
        object.__setattr__(self, "provenance", dict(self.provenance))
        if self.signed_distance is not None:
            distance = check_array("signed_distance", self.signed_distance, self.fluid.shape)
            object.__setattr__(self, "signed_distance", distance)
        if self.displacements is not None:
            shape = (len(self.displacements), *self.fluid.shape)
            object.__setattr__(self, "displacements", check_array("displacements", self.displacements, shape))

    def __repr__(self) -> str:
        return f"<Microstructure: {self.describe()}>"

    def _repr_html_(self) -> str:
        nz, ny, nx = self.shape
        rows = [
            ("voxels (x, y, z)", f"{nx} x {ny} x {nz}"),
            ("voxel size", " x ".join(format_length(length) for length in reversed(self.spacing))),
            ("box", " x ".join(format_length(length) for length in reversed(self.extent))),
            ("fibre fraction", f"{self.fibre_fraction:.3f}"),
            ("fibre surfaces", "faces of the voxels" if self.signed_distance is None else "between the voxels"),
        ]
        origin = self.provenance.get("generator", self.provenance.get("source"))
        if origin is not None:
            rows.append(("from", str(origin)))
        rows += [("warning", str(warning)) for warning in self.provenance.get("warnings", ())]
        return html_table("Microstructure", rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (nz, ny, nx)."""
        nz, ny, nx = self.fluid.shape
        return nz, ny, nx

    @property
    def extent(self) -> tuple[float, float, float]:
        """Size of the box (z, y, x) in m."""
        nz, ny, nx = self.shape
        dz, dy, dx = self.spacing
        return nz * dz, ny * dy, nx * dx

    @cached_property
    def porosity(self) -> float:
        """Fluid volume over box volume."""
        return float(self.fluid.mean())

    @property
    def fibre_fraction(self) -> float:
        """Fibre volume over box volume."""
        return 1.0 - self.porosity

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 of the mask, its shape and the spacing: the identity of the discrete medium."""
        digest = hashlib.sha256()
        digest.update(np.asarray(self.shape, dtype="<i8").tobytes())
        digest.update(np.asarray(self.spacing, dtype="<f8").tobytes())
        digest.update(np.packbits(self.fluid, axis=None).tobytes())
        return digest.hexdigest()

    def percolates(self, axis: Axis = "x") -> bool:
        """Return whether fluid voxels connected by faces join the two box faces normal to ``axis``.

        Raises:
            InvalidInputError: ``axis`` is not x, y or z.
        """
        from scipy import ndimage

        number = AXES.index(check_axis(axis))
        labels = np.empty(self.shape, dtype=np.int32)
        ndimage.label(self.fluid, output=labels)  # the default structure joins voxels by faces only
        first = np.take(labels, 0, axis=number)
        last = np.take(labels, -1, axis=number)
        return bool(np.intersect1d(first[first > 0], last[last > 0]).size)

    def slice_at(self, index: int) -> Microstructure:
        """Return slice ``index`` (from 0 at the bottom) as a one-slice medium of the same spacing.

        Raises:
            InvalidInputError: no such slice.
        """
        slices = self.shape[0]
        if not 0 <= index < slices:
            raise InvalidInputError(f"slice {index} was asked of a medium with {slices} slices; needed: 0 to {slices - 1}.")
        distance = None if self.signed_distance is None else self.signed_distance[index : index + 1]
        return Microstructure(self.fluid[index : index + 1], self.spacing, distance, {**self.provenance, "slice": index})

    def describe(self) -> str:
        """Return size, voxel size, extent and fibre fraction in one line."""
        nz, ny, nx = self.shape
        size = " x ".join(format_length(length) for length in reversed(self.extent))
        voxel = " x ".join(format_length(length) for length in reversed(self.spacing))
        return f"{nx} x {ny} x {nz} voxels of {voxel} ({size}), fibre fraction {self.fibre_fraction:.3f}"

    def contents(self) -> Contents:
        """Return what a file of the medium holds."""
        values = {
            "fluid": self.fluid.astype(np.uint8),
            "signed_distance": self.signed_distance,
            "displacements": self.displacements,
        }
        attributes = {
            "schema": MEDIUM_SCHEMA,
            "spacing": list(self.spacing),
            "provenance": json.dumps(self.provenance, default=plain),
        }
        return Contents({name: array for name, array in values.items() if array is not None}, attributes)

    @staticmethod
    def from_contents(contents: Contents) -> Microstructure:
        """Return the medium in the contents of a file, be it a medium's or a flow field's.

        Raises:
            InvalidInputError: arrays that are no medium, or a provenance that is no mapping.
        """
        provenance = json.loads(contents.attributes["provenance"])
        if not isinstance(provenance, dict):
            raise InvalidInputError(f"its provenance is {type(provenance).__name__}; needed: a mapping.")
        fluid, distance, displacements = map(contents.array, ("fluid", "signed_distance", "displacements"))
        return Microstructure(np.asarray(fluid), tuple(contents.attributes["spacing"]), distance, provenance, displacements)

    def to_xarray(self) -> xarray.Dataset:
        """Return the medium as a Dataset: mask, distance and samples of the surfaces, coordinates in m and units."""
        return self.contents().to_xarray()

    @staticmethod
    def from_xarray(dataset: xarray.Dataset) -> Microstructure:
        """Return the medium of a dataset, be it a medium's or a flow field's.

        Raises:
            InvalidInputError: arrays that are no medium, or a provenance that is no mapping.
        """
        return Microstructure.from_contents(Contents.of(dataset))

    def save(self, path: str | Path) -> Path:
        """Write the medium to ``path``: .zarr, .nc, .npz, or .vti (ParaView); replaces an older file in one step.

        ``resinflow solve`` and ``resinflow predict`` take it: it has the same mask, fibre surfaces and samples of them.

        Raises:
            InvalidInputError: an unknown suffix, or a place that cannot be written.
        """
        return save_contents(self.contents(), Path(path))

    @staticmethod
    def load(path: str | Path) -> Microstructure:
        """Return the medium in a file that :meth:`save` wrote, or that of a saved flow field.

        Raises:
            InvalidInputError: no such file, an unknown suffix, or a damaged file; the message names the file.
        """
        with reading(Path(path)) as contents:
            contents.check(MEDIUM_SCHEMA if contents.attributes.get("schema") == MEDIUM_SCHEMA else SCHEMA)
            return Microstructure.from_contents(contents)


save_medium, load_medium = Microstructure.save, Microstructure.load
"""The names of both as functions."""


def check_medium(micro: Any) -> Microstructure:
    """Return ``micro``, or raise InvalidInputError unless it is a medium."""
    if not isinstance(micro, Microstructure):
        what = f"an array of shape {micro.shape}" if isinstance(micro, np.ndarray) else f"of type {type(micro).__name__}"
        raise InvalidInputError(
            f"the medium is {what}; needed: a Microstructure, e.g. rf.from_image(...) of an image or "
            "rf.Microstructure(mask, spacing)."
        )
    return micro


def check_axis(axis: Any) -> Axis:
    """Return ``axis``, or raise InvalidInputError unless it is x, y or z."""
    if axis not in AXES:
        raise InvalidInputError(f"the flow axis is {axis!r}; needed: one of x, y, z.")
    return axis


def _checked_mask(fluid: Any) -> NDArray[np.bool_]:
    """Return a contiguous read-only copy: neither later writes to the given array nor ours can reach each other."""
    mask = np.asarray(fluid)
    if mask.ndim != 3 or 0 in mask.shape:
        advice = " Add an axis for a single slice: mask[None]." if mask.ndim == 2 else ""
        raise InvalidInputError(
            f"the fluid mask has shape {mask.shape}; needed: three dimensions (nz, ny, nx), each at least 1.{advice}"
        )
    if mask.dtype.kind not in "biuf":
        raise InvalidInputError(f"the fluid mask holds values of type {mask.dtype}; needed: booleans, or numbers 0 and 1.")
    if mask.dtype != np.bool_ and not ((mask == 0) | (mask == 1)).all():
        raise InvalidInputError(_non_binary(mask))
    mask = np.array(mask, dtype=np.bool_, order="C")
    mask.setflags(write=False)
    return mask


def _non_binary(mask: NDArray[Any]) -> str:
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        return "the fluid mask holds NaN; needed: True (or 1) in the fluid, False (or 0) in the fibres."
    values = np.unique(mask)
    advice = (
        f"Pass mask == {values[-1]:g} where {values[-1]:g} marks the fluid."
        if len(values) <= 2
        else "Segment a greyscale image first (resinflow.media.images.from_image)."
    )
    return (
        f"the fluid mask holds {len(values)} different values from {values[0]:g} to {values[-1]:g}; "
        f"needed: 0 and 1 only. {advice}"
    )


def _checked_spacing(spacing: Any) -> tuple[float, float, float]:
    try:
        values = tuple(float(value) for value in spacing)
    except (TypeError, ValueError):
        values = ()
    if len(values) != 3 or not all(np.isfinite(value) and value > 0 for value in values):
        raise InvalidInputError(f"the voxel spacing is {spacing!r}; needed: three positive lengths (dz, dy, dx) in metres.")
    if max(values) > _LARGEST_SPACING:
        raise InvalidInputError(
            f"the largest voxel edge is {max(values):g} m; needed: metres, below {_LARGEST_SPACING:g}. "
            "A pixel of 0.5 um is 0.5e-6."
        )
    return values[0], values[1], values[2]
