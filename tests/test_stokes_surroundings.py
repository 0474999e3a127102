"""What faces see of the fibre surfaces around them, for surfaces whose distance is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from resinflow.stokes.problem.surroundings import curvature, surroundings

SPACING = (2.0, 1.0, 0.5)
SHAPE = (9, 24, 30)
INNER = (slice(2, -2),) * 3
EVERYWHERE = np.ones(SHAPE, dtype=bool)


def places(axis: int) -> np.ndarray:
    """Coordinates of the places along an axis, broadcast over the grid."""
    line = (np.arange(SHAPE[axis]) + 0.5) * SPACING[axis]
    return np.broadcast_to(line.reshape([-1 if k == axis else 1 for k in range(3)]), SHAPE)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("middle", [0.5, 0.4, 0.31])
def test_a_gap_between_flat_walls_has_its_width_and_no_curvature(axis: int, middle: float) -> None:
    length = SHAPE[axis] * SPACING[axis]
    half = 3.1 * SPACING[axis]
    distance = half - np.abs(places(axis) - middle * length)
    found = surroundings(distance, SPACING)
    fluid = (distance > 0)[INNER]
    away = np.abs(places(axis) - middle * length)[INNER] > SPACING[axis]
    # the middle of the gap lies between two places, wherever between them; on its own place the slope is not the wall's
    np.testing.assert_allclose(found.width[INNER][fluid & away], 2 * half, rtol=1e-12)
    np.testing.assert_allclose(found.width[INNER][fluid], 2 * half, rtol=0.04)
    assert np.abs(curvature(distance, SPACING, EVERYWHERE)[INNER]).max() < 1e-12
    for other in range(3):
        expected = SPACING[axis] if other == axis else 0.0
        np.testing.assert_allclose(np.abs(found.slopes[other][INNER][away]), expected, atol=1e-12)


def test_the_distance_to_a_round_fibre_is_curved_like_one_over_the_radius() -> None:
    spacing = (2.0, 0.25, 0.25)
    y, x = np.meshgrid(*(0.25 * (np.arange(80) - 39.5) for _ in range(2)), indexing="ij")
    radius = np.hypot(y, x)
    distance = np.broadcast_to(radius - 5.0, (7, 80, 80))
    found = curvature(distance, spacing, np.ones(distance.shape, dtype=bool))[3]
    beside = np.abs(radius - 5.2) < 0.2
    np.testing.assert_allclose(found[beside], 1.0 / radius[beside], rtol=0.1)


def test_no_curvature_is_read_across_the_middle_of_a_gap() -> None:
    y = places(1)
    centre = y[:, SHAPE[1] // 2].mean()
    # walls to both sides, the ridge between them bends the distance without any curved wall
    distance = 5.0 - np.abs(y - centre)
    assert np.abs(curvature(distance, SPACING, EVERYWHERE)[INNER]).max() < 1e-12


def test_a_pore_that_opens_beside_a_narrow_gap_is_seen() -> None:
    distance = np.full(SHAPE, 0.4)
    distance[:, :, 15:] = 3.0
    assert surroundings(distance, SPACING).width[4, 12, 14] >= 6.0


def test_the_curvature_of_a_place_does_not_depend_on_what_else_is_asked() -> None:
    distance = np.hypot(places(1) - 12.0, places(2) - 7.0) - 4.0 + 0.1 * places(0)
    some = np.random.default_rng(1).random(SHAPE) < 0.3
    np.testing.assert_array_equal(
        curvature(distance, SPACING, some), np.where(some, curvature(distance, SPACING, EVERYWHERE), 0.0)
    )
