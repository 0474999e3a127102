"""Velocities on voxel faces: divergence, means and turning keep what they say they keep."""

from __future__ import annotations

import numpy as np
import pytest

from resinflow.flow import Drive, Faces, FlowField, Microstructure, turned_vectors

SHAPE = (4, 6, 8)
SPACING = (2e-6, 1e-6, 0.5e-6)


@pytest.fixture
def faces() -> Faces:
    rng = np.random.default_rng(0)
    x, y, z = (rng.normal(size=values.shape) for values in Faces.at_rest(SHAPE, SPACING).components)
    return Faces(x, y, z, SPACING)


@pytest.fixture
def along_y(faces: Faces) -> FlowField:
    rng = np.random.default_rng(1)
    medium = Microstructure(rng.random(SHAPE) < 0.7, SPACING, rng.normal(size=SHAPE))
    pressure = rng.random(SHAPE)
    return FlowField(medium, faces.centres(), pressure, "y", 2e5, 0.3, "periodic", "periodic", face_velocity=faces.components)


def test_the_divergence_of_every_voxel_sums_to_the_outflow_of_the_box(faces: Faces) -> None:
    dz, dy, dx = SPACING
    ends = [np.take(values, -1, 2 - k).sum() - np.take(values, 0, 2 - k).sum() for k, values in enumerate(faces.components)]
    outflow = sum(end * area for end, area in zip(ends, (dz * dy, dz * dx, dy * dx), strict=True))
    assert faces.divergence().sum() * dz * dy * dx == pytest.approx(outflow)


def test_coarse_faces_carry_the_flow_rates_of_the_fine_ones(faces: Faces) -> None:
    factors = (2, 3, 4)
    coarse = faces.coarse(factors)
    assert coarse.spacing == pytest.approx(tuple(edge * factor for edge, factor in zip(SPACING, factors, strict=True)))
    for component, (fine, mean) in enumerate(zip(faces.components, coarse.components, strict=True)):
        axis = 2 - component
        others = tuple(k for k in range(3) if k != axis)
        per_face = np.prod([factors[k] for k in others])
        planes = np.moveaxis(fine, axis, 0)[:: factors[axis]]
        assert np.moveaxis(mean, axis, 0).sum(axis=(1, 2)) * per_face == pytest.approx(planes.sum(axis=(1, 2)))
    assert coarse.divergence().mean() == pytest.approx(faces.divergence().mean())


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_turning_twice_gives_the_same_faces(faces: Faces, axis) -> None:
    again = faces.turned(axis).turned(axis)
    assert again.spacing == SPACING
    assert all((first == second).all() for first, second in zip(again.components, faces.components, strict=True))


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_centres_of_turned_faces_are_turned_centres(faces: Faces, axis) -> None:
    assert (faces.turned(axis).centres() == turned_vectors(faces.centres(), axis)).all()


def test_a_turned_flow_runs_along_x_with_the_same_permeability(along_y: FlowField) -> None:
    turned = along_y.turned()
    assert turned.drive == Drive("x", 2e5, 0.3, "periodic", "periodic")
    assert turned.permeability == pytest.approx(along_y.permeability)
    assert turned.rms_speed == pytest.approx(along_y.rms_speed)
    assert turned.turned() is turned
    assert turned.faces is not None
    assert along_y.faces is not None
    assert turned.faces.divergence().transpose(0, 2, 1) == pytest.approx(along_y.faces.divergence())


def test_faces_of_equal_centres_are_equal_where_the_box_repeats_and_where_it_ends() -> None:
    velocity = np.stack([np.full(SHAPE, value) for value in (1.0, 2.0, 3.0)])
    for wraps in ((False, False, False), (True, True, True)):
        faces = Faces.of_centres(velocity, SPACING, wraps)
        assert [float(np.ptp(values)) for values in faces.components] == [0.0, 0.0, 0.0]
        assert (faces.centres() == velocity).all()
