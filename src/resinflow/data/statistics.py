"""Statistics of the training split: what scales the networks, and what tells the data set's user what is in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from resinflow.data.store import FlowStore


def compute_statistics(store: FlowStore) -> dict[str, Any]:
    """Compute, store and return the statistics of the TRAINING split alone.

    ``correction_rms``: root mean square over fluid voxels of the 3-D flow minus the response flow, for vx, vy, vz in units of
    its response flow's RMS speed, and for the pressure in units of the pressure drop.
    ``correction_rms_planar``: the same against the planar flow. ``permeability``: mean, minimum and maximum, m^2.

    Raises:
        InvalidInputError: no split drawn yet.
    """
    indices = store.indices("train")
    squares = {"response": np.zeros(4), "planar": np.zeros(4)}
    voxels = 0
    for index in indices:
        sample = store.sample(int(index))
        fluid = sample.truth.microstructure.fluid
        speed = float(np.sqrt((sample.response.velocity**2).sum(axis=0)[fluid].mean()))
        voxels += int(fluid.sum())
        for name, base in (("response", sample.response), ("planar", sample.planar)):
            velocity = (sample.truth.velocity - base.velocity)[:, fluid] / speed
            pressure = (sample.truth.pressure - base.pressure)[None, fluid] / sample.truth.pressure_drop
            squares[name] += (np.concatenate([velocity, pressure]).astype(np.float64) ** 2).sum(axis=1)
    permeability = store.read("permeability")[indices]
    statistics = {
        "samples": len(indices),
        "correction_rms": np.sqrt(squares["response"] / voxels).tolist(),
        "correction_rms_planar": np.sqrt(squares["planar"] / voxels).tolist(),
        "permeability": {name: float(getattr(permeability, name)()) for name in ("mean", "min", "max")},
    }
    store.set_attribute("statistics", statistics)
    return statistics
