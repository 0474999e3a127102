"""What the network of the preset tilts sees of a bundle, and how slopes are parted for it; lengths in mean diameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from resinflow.nn import FibreGraph

__all__ = ["Plane", "deviations_of", "graph_of", "parted"]

Floats = NDArray[np.float64]

_NEAR = 0.1
_USUAL_RADIUS, _RADIUS_SCALE = 0.5, 5.0
_OWN_SHARE, _LEAST_OWN = 1 / 6, 0.025
"""Usual scatter of single fibres over the largest slope of the bundle, and what is added: fibres are pushed apart, too."""
_MEAN_LOG, _DEVIATION_LOG = -0.5, 0.65
"""Of the logarithm of the scatter over the usual one."""
_LEAST_SCATTER = 2e-3


class Plane(NamedTuple):
    """The sections of a bundle in one plane, and the box that it runs through.

    Attributes:
        places: (n, 2), x and y of the centres.
        radii: (n,).
        limit: tangent of the misalignment.
        gap: that fibres keep.
        above: from the plane to the top of the box.
        below: from the plane to its bottom.
        period: edge of the square that the bundle repeats in; None: it does not.
    """

    places: Floats
    radii: Floats
    limit: float
    gap: float
    above: float
    below: float
    period: float | None = None


def graph_of(plane: Plane, count: int) -> FibreGraph:
    """Return the graph of one bundle in which each fibre sees so many neighbours, the nearest ones."""
    from scipy.spatial import KDTree

    places, radii, period = plane.places, plane.radii, plane.period
    few = min(count, len(places) - 1)
    wrapped = places if period is None else places % period
    tree = KDTree(wrapped, boxsize=period)
    index = np.asarray(tree.query(wrapped, k=few + 1)[1]).reshape(len(places), few + 1)[:, 1:]
    index = np.pad(index, ((0, 0), (0, count - few)), mode="edge") if few else np.zeros((len(places), count), dtype=np.int64)
    ways = places[index] - places[:, None]
    if period is not None:
        ways = ways - period * np.round(ways / period)
    distances = np.linalg.norm(ways, axis=2)
    gaps = distances - radii[:, None] - radii[index]
    nearness = np.exp(-np.maximum(gaps, 0) / _NEAR)
    edges = np.stack([ways[..., 0], ways[..., 1], distances, gaps, nearness, radii[index] - _USUAL_RADIUS], axis=2)
    facts = [4 * plane.limit, 0.5 * np.log(plane.gap) + 1.5, np.log1p(plane.above) - 1, np.log1p(plane.below) - 1]
    return FibreGraph(
        torch.as_tensor(_RADIUS_SCALE * (radii[:, None] - _USUAL_RADIUS), dtype=torch.float32),
        torch.from_numpy(index.astype(np.int64)),
        torch.as_tensor(edges, dtype=torch.float32),
        torch.zeros(len(places), dtype=torch.long),
        torch.tensor([facts], dtype=torch.float32),
    )


def parted(deviations: Floats, limit: float) -> tuple[float, Floats]:
    """Return what slopes (n, 2) have beside those of their bundle as its scatter, a number about zero, and slopes over that.

    Bundles differ in their scatter by far more than chance among their fibres would give, so that it is drawn by itself.

    Args:
        deviations: slopes less their mean.
        limit: tangent of the misalignment.
    """
    size = max(float(np.sqrt((deviations**2).mean())), _LEAST_SCATTER)
    return (float(np.log(size / _usual_scatter(limit))) - _MEAN_LOG) / _DEVIATION_LOG, deviations / size


def deviations_of(scatter: float, own: Floats, limit: float) -> Floats:
    """Return slopes (n, 2) beside those of their bundle; the inverse of :func:`parted`."""
    return own * _usual_scatter(limit) * np.exp(_MEAN_LOG + _DEVIATION_LOG * scatter)


def _usual_scatter(limit: float) -> float:
    return _OWN_SHARE * limit + _LEAST_OWN
