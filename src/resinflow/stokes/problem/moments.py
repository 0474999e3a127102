"""Open fractions of voxel faces and means of the wall distance over the open part, for a distance that is linear on a face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resinflow.stokes.algebra.pool import kernel

_FLAT = 1e-4
"""Slopes within a face, in face widths over distance, below which the closed form would lose its digits."""
_CLOSED = 1e-6
"""Open fractions that are rounding."""

Array = NDArray[np.float64]


def open_moments(centre: Array, slope_a: Array, slope_b: Array, width: Array) -> tuple[Array, Array, Array]:
    """Return the open fraction of faces, and the means of d and d^2 over the open part; open is where ``0 < d < width``.

    Args:
        centre: distance d at the face centres, m.
        slope_a: change of d over the face along one axis, m.
        slope_b: the same along the other axis.
        width: of the gap that the face stands in, m.
    """
    shape = np.shape(centre)
    moments = np.empty((3, centre.size))
    fields = [np.ascontiguousarray(field).ravel() for field in (centre, slope_a, slope_b, width)]
    _open_moments(fields[0], fields[1], fields[2], fields[3], moments)
    aperture, first, second = moments.reshape(3, *shape)
    return aperture, first, second


@kernel
def _open_moments(centre, slope_a, slope_b, width, out):
    """Open fraction o and the means of d and d^2 over the part of a face where ``0 < d < W``.

    With I_n the integral of d^n over d > 0 and J_n that of (d - W)^n over d > W:

        o = I_0 - J_0,    o <d> = I_1 - J_1 - W J_0,    o <d^2> = I_2 - J_2 - 2 W J_1 - W^2 J_0
    """
    for k in range(centre.size):
        near = _corner_integrals(centre[k], slope_a[k], slope_b[k])
        far = _corner_integrals(centre[k] - width[k], slope_a[k], slope_b[k])
        aperture = near[0] - far[0]
        first = near[1] - far[1] - width[k] * far[0]
        second = near[2] - far[2] - 2 * width[k] * far[1] - width[k] ** 2 * far[0]
        aperture = min(max(aperture, 0.0), 1.0)
        if aperture > 1 - _CLOSED:
            aperture = 1.0
        is_open = aperture > _CLOSED
        out[0, k] = aperture
        out[1, k] = first / aperture if is_open else 0.0
        out[2, k] = second / aperture if is_open else 0.0


@kernel
def _corner_integrals(centre, slope_a, slope_b):
    """Integrals of ``1, t, t^2`` over the part of the unit square where ``t = centre + slope_a a + slope_b b`` is positive.

    Integrals over the square of powers of a linear function's positive part are differences of the next powers at its corners:

        integral of t^n = (p^(n+2) - q^(n+2) - r^(n+2) + s^(n+2)) / ((n + 1) (n + 2) |slope_a| |slope_b|)

    with p to s the positive parts of t at the corners from the largest t to the smallest. Where one slope is next to nothing it
    is (p^(n+1) - q^(n+1)) / ((n + 1) |slope|) with t at the two sides. t is scaled by the largest of its coefficients first.
    """
    scale = max(abs(slope_a), abs(slope_b), abs(centre))
    if scale == 0:  # the wall lies on the face
        return 0.0, 0.0, 0.0
    value, a, b = centre / scale, abs(slope_a) / scale, abs(slope_b) / scale
    large, small = max(a, b, _FLAT), min(a, b)
    if small > _FLAT:
        low, high = 0.5 * (large - small), 0.5 * (large + small)
        p = max(value + high, 0.0)
        q = max(value + low, 0.0)
        r = max(value - low, 0.0)
        s = max(value - high, 0.0)
        area = large * small
        square = p**2 - q**2 - r**2 + s**2
        cube = p**3 - q**3 - r**3 + s**3
        fourth = p**4 - q**4 - r**4 + s**4
        return square / (2 * area), cube / (6 * area) * scale, fourth / (12 * area) * scale**2
    p, q = max(value + 0.5 * large, 0.0), max(value - 0.5 * large, 0.0)
    return (p - q) / large, (p**2 - q**2) / (2 * large) * scale, (p**3 - q**3) / (3 * large) * scale**2
