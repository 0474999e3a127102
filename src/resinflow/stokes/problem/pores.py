"""Which pores carry flow: face-connected clusters of fluid voxels and what they touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components


@dataclass(frozen=True)
class Pores:
    """Clusters of fluid voxels, for flow along the last array axis.

    Attributes:
        labels: int (nz, ny, nx), 0 in the fibres, 1.. in the clusters.
        count: number of clusters.
        through: bool (count + 1,), clusters that join inlet and outlet.
        inlet: bool (count + 1,), clusters that touch the inlet face.
        outlet: bool (count + 1,), clusters that touch the outlet face.
    """

    labels: NDArray[np.integer]
    count: int
    through: NDArray[np.bool_]
    inlet: NDArray[np.bool_]
    outlet: NDArray[np.bool_]


_IN_SLICE = np.array([[[0] * 3] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0] * 3] * 3])
"""Neighbours of a voxel in its own slice."""


def find_pores(fluid: NDArray[np.bool_], periodic: tuple[bool, bool, bool], *, apart: bool = False) -> Pores:
    """Label the pores of ``fluid`` (nz, ny, nx); ``periodic`` tells per array axis whether opposite faces are joined.

    In a box that is periodic along the flow those pores lead through that wind round it. ``apart``: no pore goes on from one
    slice to the next.
    """
    labels = np.empty(fluid.shape, dtype=np.int32)
    ndimage.label(fluid, structure=_IN_SLICE if apart else None, output=labels)
    labels, count = _joined(labels, int(labels.max()), (periodic[0], periodic[1], False))
    labels = labels.astype(smallest_kind(count), copy=False)
    inlet, outlet = np.zeros((2, count + 1), dtype=bool)
    first, last = labels[..., 0], labels[..., -1]
    if periodic[2]:
        inlet = outlet = winding_clusters(first, last, count)
        whole, number = _joined(labels, count, periodic)
        winds = np.zeros(number + 1, dtype=bool)
        winds[np.unique(whole[inlet[labels]])] = True
        return Pores(whole.astype(smallest_kind(number), copy=False), number, winds, winds, winds)
    inlet[np.unique(first[first > 0])] = True
    outlet[np.unique(last[last > 0])] = True
    return Pores(labels, count, inlet & outlet, inlet, outlet)


def smallest_kind(count: int) -> type[np.signedinteger]:
    """Return the smallest kind of integers that holds so many labels."""
    return next(kind for kind in (np.int8, np.int16, np.int32) if count <= np.iinfo(kind).max)


def _joined(labels: NDArray[np.integer], count: int, periodic: tuple[bool, bool, bool]) -> tuple[NDArray[np.integer], int]:
    """Merge the labels that meet across periodic faces."""
    pairs = []
    for axis, wraps in enumerate(periodic):
        if wraps:
            first, last = np.take(labels, 0, axis), np.take(labels, -1, axis)
            both = (first > 0) & (last > 0)
            pairs.append(np.unique(np.stack([first[both], last[both]]), axis=1))
    if not pairs or count == 0:
        return labels, count
    joined = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(joined.shape[1]), (joined[0], joined[1])), shape=(count + 1, count + 1))
    _, merged = connected_components(graph, directed=False)
    # the fibres (label 0) have no pair, hence a group of their own: make it number 0 again
    order = np.full(merged.max() + 1, -1)
    order[merged[0]] = 0
    others = [group for group in dict.fromkeys(merged[1:].tolist()) if group != merged[0]]
    order[others] = np.arange(1, len(others) + 1)
    return order[merged][labels], len(others)


def winding_clusters(first: NDArray[np.integer], last: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Return for every cluster whether copies of it in neighbouring periods are connected along the flow axis.

    Fluid at the same place of the first and the last layer is not enough: both may belong to a pore that a wall closes
    inside the box. A cluster leads through if a closed path in it crosses the seam more often in one sense than in the other:
    along a spanning tree every label gets the number of its period, and some crossing of the seam contradicts it.

    Args:
        first: labels (1..count, 0 in the fibres) in the first layer along the flow, of clusters joined across the sides of the
            box but not across the seam along the flow.
        last: labels in the last layer.
        count: number of clusters.

    Returns:
        bool (count + 1,), index 0 (fibres) False.
    """
    meet = (first > 0) & (last > 0)
    through = np.zeros(count + 1, dtype=bool)
    if not meet.any():
        return through
    before, after = np.unique(np.stack([last[meet], first[meet]]), axis=1)
    nodes = count + 1
    ones = np.ones(before.size)
    # a forward crossing of the seam adds one period; self-crossings lie on the diagonal and contradict every tree
    links = csr_array(
        (np.concatenate([ones, ones]), (np.concatenate([before, after]), np.concatenate([after, before]))), shape=(nodes,) * 2
    )
    forward = csr_array((ones, (before, after)), shape=(nodes,) * 2)
    groups, member = connected_components(links, directed=False)
    period = np.zeros(nodes, dtype=np.int64)
    _, roots = np.unique(member, return_index=True)
    crossing = set(zip(forward.nonzero()[0].tolist(), forward.nonzero()[1].tolist(), strict=True))
    touched = np.zeros(groups, dtype=bool)
    touched[member[before]] = True
    for root in roots[touched]:
        order, parents = breadth_first_order(links, root, directed=False)
        for node in order[1:].tolist():
            parent = int(parents[node])
            period[node] = period[parent] + (1 if (parent, node) in crossing else -1)
    winds = np.zeros(groups, dtype=bool)
    winds[member[before[period[after] != period[before] + 1]]] = True
    through = winds[member]
    through[0] = False
    return through
