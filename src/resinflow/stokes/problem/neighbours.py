"""What the neighbours of a face along one axis add to its diagonal (:mod:`resinflow.stokes.problem.cutcell`), in one pass."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_exact_kernel = numba.njit(nogil=True, cache=True, error_model="numpy")
"""Sums keep their order: faces that are alike in mirror images have the same diagonal, bit for bit."""


class Fields(NamedTuple):
    """Of the faces normal to one axis, (nz, ny, nx) each; see :mod:`resinflow.stokes.problem.cutcell`.

    Attributes:
        first: mean of the distance over the open part.
        second: mean of its square.
        width: of the gap.
        aperture: open fraction.
    """

    first: Array
    second: Array
    width: Array
    aperture: Array


class Sums(NamedTuple):
    """What is added up, (nz, ny, nx) each.

    Attributes:
        plain: conductances to all places beside a face.
        joined: those to unknowns.
        pull: conductances times the reference profile of the place beside, in the gap of the face.
        beside_wall: whether a place beside is partly closed.
    """

    plain: Array
    joined: Array
    pull: Array
    beside_wall: NDArray[np.bool_]


def add_neighbours(
    axis: int,
    fields: Fields,
    unknown: NDArray[np.bool_],
    conductance: Array,
    closed: NDArray[np.bool_],
    wraps: bool,
    sums: Sums,
) -> None:
    """Add what the two neighbours of every face along ``axis`` contribute, in place.

    Args:
        axis: array axis of the neighbours.
        fields: of the faces; all arrays are contiguous.
        unknown: (nz, ny, nx), faces whose velocity is solved for.
        conductance: (nz, ny, nx), to a neighbour.
        closed: which lines along the axis have no place beyond their ends; without that axis. Other lines repeat.
        wraps: whether unknowns are joined over the ends of the lines.
        sums: receive it.
    """
    shape = unknown.shape
    lines = (int(np.prod(shape[:axis])), shape[axis], -1)
    parts = Fields(*(field.reshape(lines) for field in fields))
    plain, joined, pull = (total.reshape(lines) for total in sums[:3])
    totals = Sums(plain, joined, pull, sums.beside_wall.reshape(lines))
    arrays = (parts, unknown.reshape(lines), conductance.reshape(lines), closed.reshape(lines[0], -1))
    for step in (-1, 1):
        _add(step, *arrays, wraps, totals)


@_exact_kernel
def _add(step, fields, unknown, conductance, closed, wraps, sums):
    """All arrays are (outer, along, inner), ``closed`` is (outer, inner)."""
    first, second, width, aperture = fields
    plain, joined, pull, beside_wall = sums
    outer, count, inner = unknown.shape
    for o in range(outer):
        for k in range(count):
            other = k + step
            beyond = other < 0 or other >= count
            if beyond:
                other = count - 1 if step < 0 else 0
            for i in range(inner):
                weight = conductance[o, k, i]
                if not (beyond and closed[o, i]):
                    plain[o, k, i] += weight
                    pull[o, k, i] += weight * 0.5 * (width[o, k, i] * first[o, other, i] - second[o, other, i])
                    beside_wall[o, k, i] |= aperture[o, other, i] < 1
                if unknown[o, other, i] and (wraps or not beyond):
                    joined[o, k, i] += weight
