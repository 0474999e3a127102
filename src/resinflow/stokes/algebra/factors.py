"""Networks that are solved directly, by sparse factors.

Pores in a plane are nearly a tree: the factors of a network of 10,000 points hold few more values than its edges, and are there
in 10 ms. Throats that are closed to a few per cent let conductances vary over seven orders of magnitude, which factors resolve
and smoothing on coarser and coarser networks does not.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from resinflow.stokes.algebra.network import Network, Values

_HELD = 1e30
"""Of a point without edges and slack: its value is 0."""


class NetworkFactors:
    """The inverse of a network's operator; where no slack holds a pore, one of its points is held instead.

    The load of such a pore must add up to zero; its values are then right but for a constant.
    """

    def __init__(self, network: Network, slack: Values) -> None:
        """Factorise; the diagonal is added up in double precision, so that every row keeps what it has beyond its edges."""
        count = slack.size
        ends = np.repeat(np.arange(count), np.diff(network.start))
        conductance = network.conductance.astype(np.float64)
        joined = csc_array((conductance, (ends, network.other)), shape=(count, count))
        diagonal = np.bincount(ends, weights=conductance, minlength=count) + slack
        _, pore = connected_components(joined, directed=False)
        first = np.unique(pore, return_index=True)[1]
        free = first[np.bincount(pore, weights=slack) == 0]
        diagonal[free] += np.where(diagonal[free] > 0, diagonal[free], _HELD)
        operator = (diags_array(diagonal) - joined).tocsc()
        symmetric = {"SymmetricMode": True}
        self._factors = splu(operator, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric)

    def solve(self, right: Values, out: Values) -> None:
        """Write the inverse times ``right``."""
        out[...] = self._factors.solve(right.astype(np.float64))
