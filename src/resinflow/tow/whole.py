"""K of the whole of a medium where its solve does not fit into memory: by a Darcy flow over its windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from resinflow.flow import COMPONENTS, Microstructure, PermeabilityTensor, machine_memory
from resinflow.media import estimate_fibre_diameter
from resinflow.tow.budget import Source
from resinflow.tow.upscale import upscaled_tensor
from resinflow.tow.window_map import WindowMap

_SLICE_BYTES, _VOLUME_BYTES = 600, 220
"""Memory of a solve a pixel of a single section, and a voxel of a stack (docs/tow.md)."""
_SHARE = 0.8
"""Part of the machine's memory that a solve may take."""


def least_windows(micro: Microstructure, workers: int = 1) -> int:
    """Return how many windows along an edge a medium must be cut into for their solves to fit into memory; 1: it fits whole.

    Args:
        micro: the medium.
        workers: windows that are solved at a time where there are several.
    """
    if solve_bytes(micro) <= _SHARE * machine_memory():
        return 1
    return max(2, math.ceil(math.sqrt(workers * solve_bytes(micro) / (_SHARE * machine_memory()))))


def solve_bytes(micro: Microstructure) -> int:
    """Return about how much memory a solve of a medium takes."""
    return micro.fluid.size * (_SLICE_BYTES if micro.shape[0] == 1 else _VOLUME_BYTES)


def tensor_of_windows(micro: Microstructure, windows: WindowMap, tolerance: float) -> PermeabilityTensor:
    """Return K of a medium by a Darcy flow over a map of its windows, with a warning that says so.

    Args:
        micro: the medium.
        windows: its map.
        tolerance: relative error of K that the windows were solved to.
    """
    need, memory = solve_bytes(micro) / 1e9, machine_memory() / 1e9
    warning = (
        f"K of the whole is by a Darcy flow over {windows.fractions.size} windows, each solved by itself: a solve of the whole "
        f"takes about {need:.3g} GB of memory, and this machine has {memory:.3g} GB"
    )
    return PermeabilityTensor(
        values=upscaled_tensor(windows),
        boundary=windows.boundary,
        lateral=windows.lateral,
        method="slice" if micro.shape[0] == 1 else "volume",
        errors=(tolerance, tolerance, tolerance),
        fibre_fraction=micro.fibre_fraction,
        fibre_diameter=estimate_fibre_diameter(micro.slice_at(micro.shape[0] // 2)),
        warnings=(warning,),
        provenance={
            **micro.provenance,
            "fingerprint": micro.fingerprint,
            "shape": list(micro.shape),
            "spacing": list(micro.spacing),
        },
    )


def upscaling_source(maps: Sequence[WindowMap]) -> Source:
    """Return what it leaves open that K of the whole is by windows: how far the largest two sizes of them differ."""
    larger, smaller = sorted(maps, key=lambda each: -each.window[0])[:2]
    diagonals = [np.diag(upscaled_tensor(each)) for each in (larger, smaller)]
    x, y, z = (float(abs(np.log(one / other))) for one, other in zip(*diagonals, strict=True))
    return Source(
        "whole by its windows",
        (x, y, z),
        f"Darcy flows over {larger.fractions.size} and {smaller.fractions.size} windows, along {', '.join(COMPONENTS)}",
        "A machine with more memory solves the whole; larger windows (--window) come nearer to it.",
    )
