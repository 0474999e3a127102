"""One sample of a data set: a medium with its flow and the flows that a model starts from, and the fields it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.data.info import DataInfo
from resinflow.flow import Base, FlowField, InvalidInputError, Microstructure

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


def sample_from_fields(values: Mapping[str, NDArray[Any]], micro: Microstructure, info: DataInfo) -> Sample:
    """Return a sample from its fields ``SAMPLE_FIELDS`` as they are stored.

    Args:
        values: arrays by field name, those of ``GRID_SAMPLE_FIELDS`` where the data set has them; ``pressure`` is kinematic
            where the data set has a ``density``.
        micro: the medium.
        info: of the data set.
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
            values[f"{prefix}pressure"] * (1.0 if prefix else info.pressure_unit),
            **asdict(info.drive),
        )
        for prefix, velocity in flows.items()
    )
    return Sample(truth, flat, response, *grid)
