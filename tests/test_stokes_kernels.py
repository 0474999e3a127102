"""The matrix-free operators are the assembled system, symmetric, and the same whatever the number of threads."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.solver_operators import assemble

from resinflow import stokes
from resinflow.flow.drive import Drive
from resinflow.flow.microstructure import Microstructure
from resinflow.stokes.algebra import pool as compiled
from resinflow.stokes.algebra.level import Rows, pair_up
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.problem.mask import build_grid
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.problem.problem import to_flow, to_state
from resinflow.stokes.problem.system import PRESSURE, build_system

SIDES = [("pressure", "symmetry"), ("pressure", "periodic"), ("pressure", "no-slip"), ("periodic", "periodic")]
SHAPES = [(3, 7, 8), (1, 9, 5), (4, 1, 6), (1, 1, 7), (5, 4, 1), (2, 2, 3), (1, 1, 1)]
SPACING = (3e-6, 2e-6, 1e-6)
VOXEL, STEP = SPACING[0] * SPACING[1] * SPACING[2], SPACING[2]


def random_mask(shape, seed=0, porosity=0.75):
    mask = np.random.default_rng(seed).random(shape) < porosity
    mask.flat[0] = mask.size == 1
    return mask


def random_state(system, seed=0, dtype=np.float64):
    """A state with random values on all unknowns, wrapped at the ends of the rows where the box is periodic."""
    state = np.random.default_rng(seed).standard_normal((4, *system.rows.array_shape)).astype(dtype)
    state[:, -1] = 0
    state[:, :, 0] = state[:, :, -1] = 0
    for component in range(PRESSURE):
        state[component][~system.unknown(component)] = 0
    state[PRESSURE][system.labels == 0] = 0
    for field in state:
        system.rows.wrap(field)
    return state


def body(system, field):
    return field[..., :-1, 1 : system.rows.points + 1]


def unknowns(system, grid, state):
    """Velocity and pressure unknowns in the order of the assembled system."""
    parts = [
        system.rows.unpack(field, faces.unknown.shape)[faces.unknown] for field, faces in zip(state, grid.faces, strict=False)
    ]
    return np.concatenate(parts), system.rows.unpack(state[PRESSURE], grid.fluid.shape)[grid.fluid]


@pytest.mark.parametrize("rule", ["gap", "plain"])
@pytest.mark.parametrize(("boundary", "lateral"), SIDES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_operator_is_the_assembled_system(shape, boundary, lateral, rule):
    mask = random_mask(shape)
    grid = build_grid(mask, SPACING, boundary, lateral)
    system, matrices = build_system(grid, mask.astype(int), rule), assemble(grid, rule)
    state, image, load = random_state(system), system.new_state(np.float64), system.new_state(np.float64)
    with Pool(1) as pool:
        energy = system.apply(pool, state, image)
    system.add_load(load, 1.0)
    velocity, pressure = unknowns(system, grid, state)
    momentum, outflow = unknowns(system, grid, image)
    expected = (matrices.apply_viscous(velocity) * STEP**2 + matrices.gradient @ pressure * STEP) / VOXEL
    layers = shape[2] if boundary == "periodic" else 1
    assert np.allclose(momentum, expected, rtol=0, atol=1e-5)
    assert np.allclose(outflow, matrices.gradient.T @ velocity * STEP / VOXEL, rtol=0, atol=1e-12)
    assert np.allclose(unknowns(system, grid, load)[0], matrices.load * STEP / VOXEL * layers, rtol=0, atol=1e-12)
    assert energy == pytest.approx(velocity @ momentum + pressure @ outflow, abs=1e-9)
    assert system.work(state) == pytest.approx(unknowns(system, grid, load)[0] @ velocity, abs=1e-9)


@pytest.mark.parametrize(("boundary", "lateral"), SIDES)
def test_operator_is_symmetric_with_partly_open_faces(boundary, lateral):
    mask = random_mask((4, 6, 7))
    system = build_system(build_grid(mask, SPACING, boundary, lateral), mask.astype(int), "gap")
    openness = np.random.default_rng(2).uniform(0.2, 1, (3, *system.rows.array_shape)).astype(np.float32)
    for field in openness:
        system.rows.wrap(field)
    system = replace(system, openness=openness)
    first, second = random_state(system, 3), random_state(system, 4)
    images = system.new_state(np.float64), system.new_state(np.float64)
    with Pool(1) as pool:
        for state, image in zip((first, second), images, strict=True):
            system.apply(pool, state, image)
    one, other = (float((body(system, a) * body(system, b)).sum()) for a, b in ((first, images[1]), (second, images[0])))
    assert one == pytest.approx(other, rel=1e-12)


def test_faces_without_unknown_stay_zero():
    mask = random_mask((4, 6, 7))
    system = build_system(build_grid(mask, SPACING, "pressure", "no-slip"), mask.astype(int), "gap")
    image = system.new_state(np.float32)
    with Pool(1) as pool:
        system.apply(pool, random_state(system, dtype=np.float32), image)
    for component in range(PRESSURE):
        assert not image[component][~system.unknown(component)].any()
    assert not body(system, image[PRESSURE])[body(system, system.labels) == 0].any()


@pytest.mark.parametrize(("boundary", "lateral"), SIDES)
def test_every_number_of_threads_gives_the_same_bits(monkeypatch, boundary, lateral):
    monkeypatch.setattr(compiled, "_SMALLEST_SHARE", 1)
    micro = Microstructure(random_mask((5, 8, 9), porosity=0.85), SPACING)
    flows = [stokes.solve(micro, boundary=boundary, lateral=lateral, threads=threads) for threads in (1, 2, 3)]
    for flow in flows[1:]:
        assert np.array_equal(flow.velocity, flows[0].velocity)
        assert np.array_equal(flow.pressure, flows[0].pressure)
        assert flow.report.residual_history == flows[0].report.residual_history


@pytest.mark.parametrize(("boundary", "lateral"), SIDES)
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_state_and_flow_are_inverse_to_each_other(boundary, lateral, axis):
    micro = Microstructure(random_mask((4, 6, 5), seed=5, porosity=0.85), SPACING)
    problem = pose(micro, Drive(axis, 3e4, 0.7, boundary, lateral), "gap")
    state = random_state(problem.system, 6)
    back = to_state(problem, to_flow(problem, state, None))
    assert np.abs(back - state).max() < 1e-12


@pytest.mark.parametrize("wraps", [(False,) * 3, (True, True, False), (True,) * 3])
def test_rows_hold_an_array_and_know_their_neighbours(wraps):
    rows = Rows((3, 4, 5), wraps)
    values = np.arange(1.0, 61).reshape(3, 4, 5)
    field = rows.pack(values, np.float64)
    assert np.array_equal(rows.unpack(field, (3, 4, 5)), values)
    for column, (axis, step) in enumerate(((1, 1), (1, -1), (0, 1), (0, -1))):
        expected = np.roll(values, step, axis)
        if not wraps[axis]:
            np.moveaxis(expected, axis, 0)[0 if step > 0 else -1] = 0
        assert np.array_equal(field[rows.near[:, column], 1:6].reshape(3, 4, 5), expected)


def test_every_row_has_one_parent_that_counts_it_as_a_child():
    for paired in ((True, True, True), (False, True, True), (True, False, False)):
        transfer = pair_up(Rows((5, 3, 7), (False,) * 3), paired).transfer
        children = transfer.children[transfer.children >= 0]
        assert sorted(children) == list(range(15))
        for parent, family in enumerate(transfer.children):
            assert all(transfer.parent[child] == parent for child in family if child >= 0)
