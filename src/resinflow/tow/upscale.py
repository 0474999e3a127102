"""From a map of local permeability to that of the whole: Darcy's flow over the map, ``div(K grad p) = 0``.

Bilinear elements, some in every window, each with the window's K of the slice plane (2, 2); they hold any tensor. Along z,
where windows go through the whole medium, their flows add up: entries with z are means over the windows.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import spsolve

from resinflow.tow.window_map import WindowMap

ELEMENTS = 3
"""Elements along each edge of a window."""
_CLOSED = 1e-9
"""K of a window that lets nothing through, over the largest."""

Array = NDArray[np.float64]


def upscaled_tensor(windows: WindowMap) -> Array:
    """Return K (3, 3), m^2, of the medium that a map tells of, under the conditions that its windows were solved with.

    Windows without K (no fibre in them) count as those of the largest K, windows without a way through as next to closed.
    """
    local = _filled(windows.tensors)
    height, width = (edge / ELEMENTS for edge in windows.window)
    fine = np.repeat(np.repeat(local[..., :2, :2], ELEMENTS, axis=0), ELEMENTS, axis=1)
    tensor = local.mean(axis=(0, 1))
    tensor[:2, :2] = _darcy_tensor(
        0.5 * (fine + np.swapaxes(fine, -1, -2)), width, height, repeats=windows.boundary == "periodic"
    )
    return tensor


def _filled(tensors: Array) -> Array:
    """The tensors without NaN, and without zeros on their diagonals."""
    largest = np.nanmax(tensors.reshape(-1, 9), axis=0).reshape(3, 3) * np.eye(3)
    filled = np.where(np.isnan(tensors).any(axis=(-1, -2), keepdims=True), largest, tensors)
    floor = _CLOSED * largest.max()
    diagonal = np.einsum("...ii->...i", filled)
    diagonal[...] = np.maximum(diagonal, floor)
    return filled


def _darcy_tensor(local: Array, width: float, height: float, *, repeats: bool) -> Array:
    """Effective K (2, 2) of elements (rows, columns, 2, 2): of a period, or from the two flows of a pressure-driven box."""
    rows, columns = local.shape[:2]
    shape = (rows, columns) if repeats else (rows + 1, columns + 1)
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    if repeats:
        numbers = np.pad(numbers, ((0, 1), (0, 1)), mode="wrap")
    corners = np.stack([numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, :-1], numbers[1:, 1:]], axis=-1).reshape(-1, 4)
    stiffness, gradients = _element(local.reshape(-1, 2, 2), width, height)
    first, second = np.repeat(corners, 4, axis=1), np.tile(corners, 4)
    size = shape[0] * shape[1]
    matrix = csr_matrix(coo_matrix((stiffness.ravel(), (first.ravel(), second.ravel())), shape=(size, size)))
    fluxes, means = np.zeros((2, 2)), np.zeros((2, 2))
    for axis in range(2):
        pressure = (
            _periodic(matrix, corners, local, gradients, width * height, axis) if repeats else _driven(matrix, shape, axis)
        )
        gradient = np.einsum("ec,cd->ed", pressure[corners], gradients)
        if repeats:
            gradient[:, axis] += 1.0
        fluxes[:, axis] = np.einsum("eij,ej->ei", local.reshape(-1, 2, 2), gradient).mean(axis=0)
        means[:, axis] = gradient.mean(axis=0)
    return fluxes @ np.linalg.inv(means)


def _element(local: Array, width: float, height: float) -> tuple[Array, Array]:
    """Stiffness (elements, 4, 4), and the mean gradients (4, 2) of the corners' functions."""
    nodes = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)
    stiffness = np.zeros((len(local), 4, 4))
    mean = np.zeros((4, 2))
    for x, y in product(nodes, nodes):
        slopes = np.array([[y - 1, x - 1], [1 - y, -x], [-y, 1 - x], [y, x]]) / np.array([width, height])
        stiffness += 0.25 * width * height * np.einsum("ci,eij,dj->ecd", slopes, local, slopes)
        mean += 0.25 * slopes
    return stiffness, mean


def _driven(matrix: csr_matrix, shape: tuple[int, int], axis: int) -> Array:
    """Pressure under a unit difference along x (0) or y (1), the other sides closed."""
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    lines = np.moveaxis(numbers, 1 - axis, 0)
    pressure = np.zeros(numbers.size)
    pressure[lines[-1]] = 1.0
    free = np.setdiff1d(numbers, np.concatenate([lines[0], lines[-1]]))
    if free.size:
        pressure[free] = np.asarray(spsolve(matrix[free][:, free].tocsc(), -(matrix @ pressure)[free]))
    return pressure


def _periodic(matrix: csr_matrix, corners: NDArray[np.int64], local: Array, gradients: Array, area: float, axis: int) -> Array:
    """Periodic part of the pressure whose mean gradient is 1 along an axis; 0 at the first corner."""
    load = np.zeros(int(corners.max()) + 1)
    np.add.at(load, corners, -area * local.reshape(-1, 2, 2)[:, :, axis] @ gradients.T)
    pressure = np.zeros_like(load)
    if len(load) > 1:
        pressure[1:] = np.asarray(spsolve(matrix[1:][:, 1:].tocsc(), load[1:]))
    return pressure
