"""Kernels that aggregate: from a stencil to the network of what flow joins in every block, and from a network to a coarser one.

Conductances between aggregates take the resistances inside of them in series,

    1 / C_IJ = 1 / (sum of c_ij over i in I, j in J) + (R_I + R_J) / 2,    1 / R_I = sum of c_ij along the axis over i, j in I

so that in a wide pore, where the distance between aggregates doubles, C is half the sum, as on a coarser grid, while a throat
between pores keeps its conductance, however large the aggregates grow on both of its sides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.level import ABOVE, BELOW, NORTH, SOUTH
from resinflow.stokes.algebra.network import Values
from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.algebra.stencil import BLOCKED, LIMIT


class Sums(NamedTuple):
    """What the construction of a network adds up.

    Attributes:
        axis: (edges,), array axis of an edge.
        inner: (3, points), conductances inside of a point along every array axis.
        slack: (points,), conductances to the open sides of the box.
    """

    axis: NDArray[np.int8]
    inner: Values
    slack: Values


@kernel
def _strongest_row(r, level, out):
    """Largest conductance of every place of a row, 0 without unknown."""
    cx, cy, cz, near, d = level.cx, level.cy, level.cz, level.layout.near, level.diagonal
    north, above = near[r, NORTH], near[r, ABOVE]
    for j in range(1, level.layout.points + 1):
        sides = max(cx[r, j], cx[r, j + 1])
        across = max(max(cy[r, j], cy[north, j]), max(cz[r, j], cz[above, j]))
        out[j] = max(sides, across) if d[r, j] < LIMIT else np.float32(0)


@kernel
def join_blocks(lo, hi, level, transfer, threshold, parent, counts):
    """Number the strongly joined parts of every block from 0 on, in ``parent``; ``counts`` (rows of blocks, blocks) of them.

    Two places are strongly joined by a conductance of at least ``threshold`` times the smaller of their largest ones: a place
    follows whatever it is joined to best, and a throat joins neither side.
    """
    diagonal, points, children = level.diagonal, level.layout.points, transfer.children
    most = np.zeros((4, diagonal.shape[1]), dtype=np.float32)
    label = np.empty(8, dtype=np.int64)
    width = 2 if transfer.paired[2] else 1
    for row in range(lo, hi):
        for k in range(4):
            if children[row, k] >= 0:
                _strongest_row(children[row, k], level, most[k])
        for block in range(1, transfer.points + 1):
            west = width * (block - 1) + 1
            for k in range(4):
                r = children[row, k]
                for step in range(2):
                    inside = r >= 0 and step < width and west + step <= points and diagonal[r, west + step] < LIMIT
                    label[2 * k + step] = 2 * k + step if inside else -1
            _join_block(label, level, children[row], transfer.paired, west, threshold, most)
            number = 0
            for k in range(8):
                if label[k] == k:
                    number += 1
            counts[row, block - 1] = number
            _write_numbers(label, row, west, width, children, parent)


@kernel
def _join_block(label, level, rows, paired, west, threshold, most):
    """Join the strongly joined places of a block, whose ``label`` is their own number at first and -1 without unknown."""
    cx, cy, cz = level.cx, level.cy, level.cz
    for k in range(4):
        r = rows[k]
        for step in range(2):
            here, j = 2 * k + step, west + step
            if label[here] < 0:
                continue
            if step == 1 and label[here - 1] >= 0:
                _join(label, here, here - 1, _is_strong(cx[r, j], most[k, j], most[k, j - 1], threshold))
            if k % 2 == 1 and paired[1] and label[here - 2] >= 0:
                _join(label, here, here - 2, _is_strong(cy[r, j], most[k, j], most[k - 1, j], threshold))
            if k >= 2 and paired[0] and label[here - 4] >= 0:
                _join(label, here, here - 4, _is_strong(cz[r, j], most[k, j], most[k - 2, j], threshold))


@kernel
def _is_strong(conductance, most, most_beside, threshold):
    return conductance > 0 and conductance >= threshold * min(most, most_beside)


@kernel
def _join(label, here, there, strong):
    """Give two parts of a block the smaller of their labels."""
    if not strong or label[here] == label[there]:
        return
    low, high = min(label[here], label[there]), max(label[here], label[there])
    for k in range(8):
        if label[k] == high:
            label[k] = low


@kernel
def _write_numbers(label, row, west, width, children, parent):
    """Write the parts of a block to ``parent``, numbered in the order of their first places."""
    for k in range(4):
        r = children[row, k]
        if r < 0:
            continue
        for step in range(width):
            own = label[2 * k + step]
            if own < 0:
                continue
            number = 0
            for other in range(own):
                if label[other] == other:
                    number += 1
            parent[r, west + step] = number


@kernel
def number_points(lo, hi, transfer, points, base, parent):
    """Add to the part of every place where the points of its block begin; -1 stays."""
    children = transfer.children
    for row in range(lo, hi):
        for k in range(4):
            r = children[row, k]
            if r < 0:
                continue
            for j in range(1, points + 1):
                block = (j - 1) // 2 if transfer.paired[2] else j - 1
                if parent[r, j] >= 0:
                    parent[r, j] += base[row, block]


_MOST_EDGES = 64
"""Upper bound of the edges of a point on the finest network: 24 outer sides of a block, and its own parts."""


@kernel
def edges_of_stencil(lo, hi, level, transfer, parent, base, fill, network, sums):
    """Add up conductances of a stencil between and inside of the points of a network; ``lo, hi`` count rows of blocks.

    Without ``fill`` only the number of edges is written, to ``network.start[point + 1]``. ``base``: (rows of blocks,
    blocks + 1). All in one loop: calls that hand arrays on would take most of the time.
    """
    cx, cy, cz, near, points = level.cx, level.cy, level.cz, level.layout.near, level.layout.points
    start, inner, slack, children = network.start, sums.inner, sums.slack, transfer.children
    width = 2 if transfer.paired[2] else 1
    others, axes = np.empty(_MOST_EDGES, dtype=np.int32), np.empty(_MOST_EDGES, dtype=np.int8)
    totals = np.empty(_MOST_EDGES, dtype=np.float32)
    conductance, ends = np.empty(6, dtype=np.float32), np.empty(6, dtype=np.int32)
    for row in range(lo, hi):
        for block in range(transfer.points):
            west = width * block + 1
            for point in range(base[row, block], base[row, block + 1]):
                count, totals[:] = 0, 0
                for place in range(8):
                    r, j = children[row, place // 2], west + place % 2
                    if r < 0 or place % 2 >= width or j > points or parent[r, j] != point:
                        continue
                    s, n, b, a = near[r, SOUTH], near[r, NORTH], near[r, BELOW], near[r, ABOVE]
                    conductance[0], conductance[1] = cx[r, j], cx[r, j + 1]
                    ends[0], ends[1] = parent[r, j - 1], parent[r, j + 1]
                    conductance[2], conductance[3], ends[2], ends[3] = cy[r, j], cy[n, j], parent[s, j], parent[n, j]
                    conductance[4], conductance[5], ends[4], ends[5] = cz[r, j], cz[a, j], parent[b, j], parent[a, j]
                    for side in range(6):
                        axis, c, other = 2 - side // 2, conductance[side], ends[side]
                        if not c > 0 or ((other == point or other < 0) and not fill):
                            continue
                        if other == point:
                            inner[axis, point] += np.float32(0.5) * c
                        elif other < 0:
                            slack[point] += c
                        else:
                            e = 0
                            while e < count and others[e] != other:
                                e += 1
                            others[e], axes[e] = other, axis
                            totals[e] += c
                            count = max(count, e + 1)
                if not fill:
                    start[point + 1] = count
                    continue
                begin, end = start[point], start[point] + count
                network.other[begin:end], sums.axis[begin:end] = others[:count], axes[:count]
                network.conductance[begin:end] = totals[:count]


@kernel
def count_network_edges(fine, first, child, parent, latest, start):
    """Write the number of edges of every aggregate of a network to ``start[aggregate + 1]``.

    ``latest``: (aggregates,) work space, -1.
    """
    for point in range(first.size - 1):
        count = 0
        for k in range(first[point], first[point + 1]):
            i = child[k]
            for e in range(fine.start[i], fine.start[i + 1]):
                other = parent[fine.other[e]]
                if other != point and latest[other] != point:
                    latest[other] = point
                    count += 1
        start[point + 1] = count


@kernel
def edges_of_network(fine, fine_axis, first, child, parent, place, network, sums):
    """Add up the conductances of a network between and inside of its aggregates, ``child[first[I]:first[I + 1]]``.

    ``place``: (aggregates,) work space, -1.
    """
    for point in range(first.size - 1):
        begin = network.start[point]
        end = begin
        for k in range(first[point], first[point + 1]):
            i = child[k]
            for e in range(fine.start[i], fine.start[i + 1]):
                other, c = parent[fine.other[e]], fine.conductance[e]
                if other == point:
                    sums.inner[fine_axis[e], point] += np.float32(0.5) * c
                elif place[other] < begin:
                    place[other] = end
                    network.other[end], sums.axis[end], network.conductance[end] = other, fine_axis[e], c
                    end += 1
                else:
                    network.conductance[place[other]] += c


@kernel
def _half_resistance(conductance):
    return 0.5 / conductance if conductance > 0 else 0.0


@kernel
def put_in_series(lo, hi, network, sums, along):
    """Take the resistances inside of the points in series with those between them, and write the diagonal.

    ``along``: the array axis of the slack.
    """
    start, other, conductance = network.start, network.other, network.conductance
    for i in range(lo, hi):
        total = 0.0
        for e in range(start[i], start[i + 1]):
            k = sums.axis[e]
            inside = _half_resistance(sums.inner[k, i]) + _half_resistance(sums.inner[k, other[e]])
            conductance[e] = 1.0 / (1.0 / conductance[e] + inside)
            total += conductance[e]
        if sums.slack[i] > 0:
            sums.slack[i] = 1.0 / (1.0 / sums.slack[i] + _half_resistance(sums.inner[along, i]))
        total += sums.slack[i]
        network.diagonal[i] = total if total > 0 else BLOCKED


@kernel
def join_points(network, block, threshold, root):
    """Write to ``root`` one point of the strongly joined part of its block, for every point (as :func:`join_blocks`)."""
    start, other, conductance = network.start, network.other, network.conductance
    most = np.zeros(root.size, dtype=np.float32)
    for i in range(root.size):
        root[i] = i
        for e in range(start[i], start[i + 1]):
            most[i] = max(most[i], conductance[e])
    for i in range(root.size):
        for e in range(start[i], start[i + 1]):
            o = other[e]
            if o >= i or block[o] != block[i] or not conductance[e] >= threshold * min(most[i], most[o]):
                continue
            a, b = i, o
            while root[a] != a:
                root[a] = root[root[a]]
                a = root[a]
            while root[b] != b:
                root[b] = root[root[b]]
                b = root[b]
            root[max(a, b)] = min(a, b)
    for i in range(root.size):
        root[i] = root[root[i]]
