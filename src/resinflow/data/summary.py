"""What is in a data set, sample by sample: the numbers behind its data card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resinflow.data.division import SPLITS
from resinflow.data.sample import Sample
from resinflow.data.source import FlowSource, Watch, watched
from resinflow.flow import FlowField


class Quantity(NamedTuple):
    """A number that every sample has: its name in words, its unit, and whether it spans decades."""

    title: str
    unit: str
    logarithmic: bool = False


QUANTITIES = {
    "permeability": Quantity("permeability K", "m^2", logarithmic=True),
    "porosity": Quantity("porosity", "1"),
    "lateral_ratio": Quantity("RMS vz over RMS vx", "1"),
    "planar_error": Quantity("planar flow: relative L2 error of velocity", "1"),
    "response_error": Quantity("response flow: relative L2 error of velocity", "1"),
    "aspect": Quantity("voxel aspect dz/dx", "1"),
}
"""Quantities of a :class:`DataSummary`, in the order of the card."""


@dataclass(frozen=True)
class DataSummary:
    """Numbers of all samples of a split data set.

    Attributes:
        values: (samples,) by name as in ``QUANTITIES``.
        parts: sample numbers of every part of the split.
    """

    values: dict[str, NDArray[np.float64]]
    parts: dict[str, NDArray[np.int64]]


def summarise(source: FlowSource, watch: Watch | None = None) -> DataSummary:
    """Read all samples and return their numbers.

    Args:
        source: a complete data set with a split.
        watch: called with the numbers of read and of all samples.

    Raises:
        InvalidInputError: no split, or a sample that is missing.
    """
    parts = {split: source.indices(split) for split in SPLITS}
    rows = [sample_numbers(source.sample(index)) for index in watched(range(len(source)), watch, len(source))]
    return DataSummary({name: np.array([row[name] for row in rows]) for name in QUANTITIES}, parts)


def sample_numbers(sample: Sample) -> dict[str, float]:
    """Return the quantities of one sample by name."""
    truth, micro = sample.truth, sample.truth.microstructure
    dz, _, dx = micro.spacing
    vx, _, vz = (float(np.sqrt((component.astype(np.float64) ** 2).mean())) for component in truth.velocity)
    return {
        "permeability": truth.permeability,
        "porosity": micro.porosity,
        "lateral_ratio": vz / vx if vx > 0 else 0.0,
        "planar_error": _relative_error(sample.planar, truth),
        "response_error": _relative_error(sample.response, truth),
        "aspect": dz / dx,
    }


def _relative_error(flow: FlowField, truth: FlowField) -> float:
    """L2 norm of the velocity error over that of the truth."""
    size = float((truth.velocity.astype(np.float64) ** 2).sum())
    error = float(((flow.velocity - truth.velocity).astype(np.float64) ** 2).sum())
    return float(np.sqrt(error / size)) if size > 0 else 0.0
