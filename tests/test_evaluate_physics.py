from dataclasses import replace

import numpy as np
import pytest

from resinflow.evaluate.conservation import (
    check_physics,
    divergence_at_centres,
    divergence_on_faces,
    flow_rate_variation,
    flow_rates,
)
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Axis, Microstructure

SPACING = (4e-6, 1e-6, 2e-6)


def field(velocity, fluid=None, faces=None, axis: Axis = "x", spacing=SPACING):
    velocity = np.asarray(velocity, dtype=float)
    fluid = np.ones(velocity.shape[1:], dtype=bool) if fluid is None else fluid
    micro = Microstructure(fluid, spacing)
    return FlowField(micro, velocity, np.zeros(fluid.shape), axis, 1.0, 1.0, face_velocity=faces)


def coordinates(shape, spacing=SPACING):
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) * h for n, h in zip(shape, spacing, strict=True)), indexing="ij")
    return z, y, x


def test_a_linear_divergence_free_field_has_no_divergence_on_the_true_spacing():
    z, y, x = coordinates((6, 7, 8))
    assert divergence_at_centres(field([x, y, -2 * z])) < 1e-12


def test_the_same_field_read_with_cubic_voxels_has_divergence():
    z, y, x = coordinates((6, 7, 8))
    assert divergence_at_centres(field([x, y, -2 * z], spacing=(1e-6, 1e-6, 1e-6))) > 0.5


def test_uniform_expansion_has_relative_divergence_root_three():
    z, y, x = coordinates((6, 7, 8))
    assert divergence_at_centres(field([x, y, z])) == pytest.approx(np.sqrt(3.0))


def test_random_numbers_have_the_divergence_of_chance():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(3, 30, 30, 30))
    assert divergence_at_centres(field(noise, spacing=(1e-6, 1e-6, 1e-6))) == pytest.approx(1 / np.sqrt(3), rel=0.02)


def test_a_single_slice_has_the_divergence_of_its_plane():
    _, y, x = coordinates((1, 9, 9))
    assert divergence_at_centres(field([x, -y, 0 * x])) < 1e-12
    assert divergence_at_centres(field([x, y, 0 * x])) == pytest.approx(np.sqrt(2.0))


def test_voxels_beside_a_fibre_do_not_count_at_centres():
    z, y, x = coordinates((6, 9, 9))
    fluid = np.ones((6, 9, 9), dtype=bool)
    fluid[:, 4, 4] = False
    assert divergence_at_centres(field(np.array([x, y, -2 * z]) * fluid, fluid)) < 1e-12


def test_no_voxel_with_all_neighbours_gives_nan():
    assert np.isnan(divergence_at_centres(field(np.ones((3, 2, 5, 5)))))


def staggered(shape, rng):
    """A discretely divergence-free field: the curl of a random edge potential, no flow through the sides."""
    nz, ny, nx = shape
    dz, dy, dx = SPACING
    potential = rng.normal(size=(nz, ny + 1, nx + 1))
    u = np.diff(potential, axis=1) / dy
    v = -np.diff(potential, axis=2) / dx
    w = np.zeros((nz + 1, ny, nx))
    centres = [(u[:, :, 1:] + u[:, :, :-1]) / 2, (v[:, 1:] + v[:, :-1]) / 2, np.zeros(shape)]
    return np.array(centres), (u, v, w)


def test_staggered_velocities_are_used_where_the_field_has_them():
    velocity, faces = staggered((3, 8, 8), np.random.default_rng(0))
    flow = field(velocity, faces=faces)
    assert divergence_on_faces(flow) < 1e-12
    assert check_physics(flow).divergence < 1e-12
    assert check_physics(flow).divergence_at_centres > 0.01
    assert np.isnan(divergence_on_faces(replace(flow, face_velocity=None)))


def test_a_leaking_face_is_seen():
    velocity, faces = staggered((3, 8, 8), np.random.default_rng(0))
    faces[0][1, 4, 4] += 0.5 * np.abs(faces[0]).max()
    assert divergence_on_faces(field(velocity, faces=faces)) > 1e-3


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_flow_rate_is_velocity_times_area_along_every_axis(axis):
    velocity = np.zeros((3, 3, 4, 5))
    number = "xyz".index(axis)
    velocity[number] = 2e-3
    flow = field(velocity, axis=axis)
    depth, width, length = flow.microstructure.extent
    area = {"x": depth * width, "y": depth * length, "z": width * length}[axis]
    np.testing.assert_allclose(flow_rates(flow), 2e-3 * area)
    assert flow_rates(flow).shape == ({"x": 5, "y": 4, "z": 3}[axis],)
    assert flow_rate_variation(flow) < 1e-12


def test_flow_rate_is_taken_on_the_faces_where_the_field_has_them():
    velocity = np.zeros((3, 3, 4, 6))
    faces = (np.full((3, 4, 7), 2.0), np.zeros((3, 5, 6)), np.zeros((4, 4, 6)))
    rates = flow_rates(field(velocity, faces=faces))
    np.testing.assert_allclose(rates, 2.0 * 3 * 4 * SPACING[0] * SPACING[1])
    assert rates.shape == (7,)


def test_a_lost_third_of_the_flow_is_seen_in_the_flow_rate():
    velocity = np.zeros((3, 3, 4, 6))
    velocity[0, ..., :3], velocity[0, ..., 3:] = 3.0, 2.0
    assert flow_rate_variation(field(velocity)) == pytest.approx(0.5 / 2.5)


def test_flow_through_a_fibre_is_seen():
    fluid = np.ones((3, 5, 5), dtype=bool)
    fluid[1, 2, 2] = False
    velocity = np.ones((3, 3, 5, 5)) * fluid
    assert check_physics(field(velocity, fluid)).velocity_in_solid == 0.0
    velocity[:, 1, 2, 2] = 0.1
    assert check_physics(field(velocity, fluid)).velocity_in_solid == pytest.approx(0.1)


def test_a_medium_at_rest_has_no_relative_numbers():
    scores = check_physics(field(np.zeros((3, 4, 4, 4))))
    assert all(np.isnan(value) for value in scores.to_dict().values())
