"""Which clusters of a periodic medium lead through it: those that wind round the box along the flow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components


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
