"""Statistics of the training split: how far the starting flows are from the truth, and what else tells what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.data.store import FlowStore

if TYPE_CHECKING:  # sources compute their statistics through this module
    from resinflow.data.source import FlowSource


def measure_statistics(source: FlowSource) -> dict[str, Any]:
    """Return the statistics of the TRAINING split alone.

    ``correction_rms``: root mean square over fluid voxels of the 3-D flow minus the response flow, for vx, vy, vz in units of
    the response flow's RMS speed, and for the pressure in units of the pressure drop. ``correction_rms_grid``: the same against
    the solver's flow on the stored grid, where the data set has it. ``permeability``: mean, minimum and maximum, m^2.

    Raises:
        InvalidInputError: no split drawn yet.
    """
    indices = source.indices("train")
    squares: dict[str, NDArray[np.float64]] = {}
    voxels = 0
    for index in indices:
        sample = source.sample(int(index))
        fluid = sample.truth.microstructure.fluid
        voxels += int(fluid.sum())
        for name, base in (("correction_rms", sample.response), ("correction_rms_grid", sample.grid)):
            if base is None:
                continue
            speed = float(np.sqrt((base.velocity**2).sum(axis=0)[fluid].mean()))
            velocity = (sample.truth.velocity - base.velocity)[:, fluid] / speed
            pressure = (sample.truth.pressure - base.pressure)[None, fluid] / sample.truth.pressure_drop
            total = (np.concatenate([velocity, pressure]).astype(np.float64) ** 2).sum(axis=1)
            squares[name] = squares.get(name, np.zeros(4)) + total
    permeability = np.array([float(source.read("permeability", int(index))) for index in indices])
    return {
        "samples": len(indices),
        **{name: np.sqrt(total / voxels).tolist() for name, total in squares.items()},
        "permeability": {name: float(getattr(permeability, name)()) for name in ("mean", "min", "max")},
    }


def compute_statistics(store: FlowStore) -> dict[str, Any]:
    """Measure, store and return the statistics of the training split.

    Raises:
        InvalidInputError: no split drawn yet.
    """
    statistics = measure_statistics(store)
    store.set_attribute("statistics", statistics)
    return statistics
