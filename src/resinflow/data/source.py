"""A source of samples, whatever its layout on disk: what training and evaluation are written against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from resinflow.flow import Base, FlowField, InvalidInputError, Microstructure


class FlowSource(Protocol):
    """Samples of one shape, their splits and their statistics. Opening and reading write nothing beside the data."""

    @property
    def path(self) -> Path | str:
        """Folder or URL."""
        ...

    @property
    def attributes(self) -> dict[str, Any]:
        """``pressure_drop``, ``viscosity``, ``recipe``, ``splits`` once drawn, and what else the set says of itself."""
        ...

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the training split (:func:`resinflow.data.statistics.measure_statistics`)."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (nz, ny, nx) of every sample."""
        ...

    def __len__(self) -> int: ...

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the samples of ``train``, ``validation``, ``test`` or ``all``."""
        ...

    def microstructure(self, index: int) -> Microstructure:
        """Return the medium of one sample."""
        ...

    def read(self, name: str, index: int | None = None) -> NDArray[Any]:
        """Return one field of one sample, or of all."""
        ...

    def sample(self, index: int) -> Sample:
        """Return one sample as flow fields."""
        ...


class SourceConfig(BaseModel):
    """A data set named by a YAML file: what a folder in the published layout does not say of itself.

    Attributes:
        path: folder or URL; a relative one starts at the YAML file.
        pressure_drop: Pa.
        viscosity: Pa s.
        density: kg/m^3 if the pressure is kinematic.
        cache: folder for solved flows; a relative one starts at the YAML file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    pressure_drop: Annotated[float, Field(gt=0)] | None = None
    viscosity: Annotated[float, Field(gt=0)] | None = None
    density: Annotated[float, Field(gt=0)] | None = None
    cache: str | None = None


MEDIUM_FIELDS = ("fluid", "spacing", "signed_distance")
"""Fields that make a medium; the last one may be absent."""
SAMPLE_FIELDS = (
    "velocity",
    "pressure",
    "planar_velocity",
    "planar_pressure",
    "response_velocity",
    "response_pressure",
)
"""Fields that, beside the medium, make a :class:`Sample`."""
GRID_SAMPLE_FIELDS = ("grid_velocity", "grid_pressure")
"""Fields that a data set solved on a finer grid has besides."""


@dataclass(frozen=True)
class Sample:
    """One medium with its flow and the flows that a model starts from or is compared with.

    Attributes:
        truth: the flow, solved on the stored grid or on a finer one.
        planar: each slice by itself.
        response: Darcy's law with the local Stokes response.
        grid: the solver's flow on the stored grid, where the truth comes from a finer one.
    """

    truth: FlowField
    planar: FlowField
    response: FlowField
    grid: FlowField | None = None

    def base(self, kind: Base) -> FlowField:
        """Return the flow that a model corrects: the planar flow, the response flow, or the solver's on the stored grid.

        Raises:
            InvalidInputError: no flow on the stored grid beside the truth, since the truth itself was solved there.
        """
        if kind != "grid":
            return {"planar": self.planar, "response": self.response}[kind]
        if self.grid is None:
            raise InvalidInputError(
                "the data set's flows were solved on its own grid, so that the model's base, the flow on that grid, would be "
                "the answer; needed: a data set with a refinement, or a model with base: response."
            )
        return self.grid


def medium_from_fields(values: Mapping[str, Any], provenance: Mapping[str, Any] | None = None) -> Microstructure:
    """Return the medium of a sample from its fields ``MEDIUM_FIELDS``."""
    dz, dy, dx = (float(edge) for edge in values["spacing"])
    return Microstructure(values["fluid"], (dz, dy, dx), values.get("signed_distance"), provenance or {})


def sample_from_fields(values: Mapping[str, NDArray[Any]], micro: Microstructure, attributes: Mapping[str, Any]) -> Sample:
    """Return a sample from its fields ``SAMPLE_FIELDS`` as they are stored.

    Args:
        values: arrays by field name, those of ``GRID_SAMPLE_FIELDS`` where the data set has them; ``pressure`` is kinematic
            where the attributes hold ``density``.
        micro: the medium.
        attributes: ``pressure_drop`` (Pa), ``viscosity`` (Pa s), optionally ``density`` (kg/m^3).
    """
    planar = values["planar_velocity"]
    flows = {
        "": values["velocity"],
        "planar_": np.concatenate([planar, np.zeros_like(planar[:1])]),
        "response_": values["response_velocity"],
    }
    if "grid_velocity" in values:
        flows["grid_"] = values["grid_velocity"]
    truth, flat, response, *grid = (
        FlowField(
            micro,
            velocity,
            values[f"{prefix}pressure"] * (1.0 if prefix else attributes.get("density", 1.0)),
            axis="x",
            pressure_drop=attributes["pressure_drop"],
            viscosity=attributes["viscosity"],
        )
        for prefix, velocity in flows.items()
    )
    return Sample(truth, flat, response, *grid)


def data_fingerprint(source: FlowSource) -> str:
    """Return one sha256 over the fingerprints of all media of a data set and its splits."""
    digest = hashlib.sha256(source.read("fingerprint").tobytes())
    digest.update(json.dumps(source.attributes.get("splits"), sort_keys=True).encode())
    return digest.hexdigest()
