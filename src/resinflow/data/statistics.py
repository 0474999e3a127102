"""Statistics of the training split: how far the starting flows are from the truth, and what else tells what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.data.sample import Sample


def measure_statistics(samples: Iterable[Sample], permeability: NDArray[np.float64]) -> dict[str, Any]:
    """Return the statistics of samples, those of the TRAINING split alone.

    ``correction_rms``: root mean square over fluid voxels of the 3-D flow minus the response flow, for vx, vy, vz in units of
    the response flow's RMS speed, and for the pressure in units of the pressure drop. ``correction_rms_grid``: the same against
    the solver's flow on the stored grid, where the data set has it. ``permeability``: mean, minimum and maximum, m^2.

    Args:
        samples: read one after the other.
        permeability: (samples,), m^2, as stored.
    """
    squares: dict[str, NDArray[np.float64]] = {}
    voxels = 0
    for sample in samples:
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
    return {
        "samples": len(permeability),
        **{name: np.sqrt(total / voxels).tolist() for name, total in squares.items()},
        "permeability": {
            "mean": float(permeability.mean()),
            "min": float(permeability.min()),
            "max": float(permeability.max()),
        },
    }
