"""Exact symmetries of Stokes flow: scaling, mirrors, reversal, rotation."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle

TIGHT = 1e-12


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((5, 17, 20), (15e-6, 17e-6, 24e-6), seed=8, settings=BundleSettings(0.4, 7e-6))


@pytest.fixture(scope="module")
def flow(bundle):
    return stokes.solve(bundle, tolerance=TIGHT, wall_rule="plain")


def same(field, other, tolerance=2e-5):
    return np.abs(field - other).max() <= tolerance * np.abs(other).max()


def test_halving_viscosity_doubles_velocity(bundle, flow):
    thin = stokes.solve(bundle, viscosity=0.05, tolerance=TIGHT, wall_rule="plain")
    assert thin.velocity == pytest.approx(2 * flow.velocity, rel=1e-12)
    assert thin.pressure == pytest.approx(flow.pressure, rel=1e-12)
    assert thin.permeability == pytest.approx(flow.permeability, rel=1e-12)


def test_velocity_and_pressure_scale_with_the_pressure_drop(bundle, flow):
    strong = stokes.solve(bundle, pressure_drop=3e5, tolerance=TIGHT, wall_rule="plain")
    assert strong.velocity == pytest.approx(3 * flow.velocity, rel=1e-12)
    assert strong.pressure == pytest.approx(3 * flow.pressure, rel=1e-12)


def test_permeability_scales_with_the_square_of_the_voxel_size(bundle, flow):
    big = Microstructure(bundle.fluid, tuple(4 * step for step in bundle.spacing))
    result = stokes.solve(big, tolerance=TIGHT)
    assert result.permeability == pytest.approx(16 * flow.permeability, rel=1e-10)
    assert same(result.velocity, 4 * flow.velocity)


@pytest.mark.parametrize("axis", [0, 1])
def test_medium_mirrored_across_the_flow_gives_mirrored_flow(bundle, flow, axis):
    mirrored = stokes.solve(Microstructure(np.flip(bundle.fluid, axis), bundle.spacing), tolerance=TIGHT)
    expected = np.flip(flow.velocity, axis + 1).copy()
    expected[2 - axis] *= -1
    assert same(mirrored.velocity, expected)
    assert same(mirrored.pressure, np.flip(flow.pressure, axis))


def test_medium_mirrored_along_the_flow_gives_reversed_flow(bundle, flow):
    mirrored = stokes.solve(Microstructure(np.flip(bundle.fluid, 2), bundle.spacing), tolerance=TIGHT)
    expected = np.flip(flow.velocity, 3).copy()
    expected[1:] *= -1
    assert same(mirrored.velocity, expected)
    pressure = np.where(bundle.fluid, flow.pressure_drop - flow.pressure, 0)
    assert same(mirrored.pressure, np.flip(pressure, 2))


@pytest.mark.parametrize(("boundary", "lateral"), [("pressure", "symmetry"), ("pressure", "no-slip"), ("periodic", "symmetry")])
@pytest.mark.parametrize("axis", ["y", "z"])
def test_turned_medium_along_another_axis_gives_the_turned_flow(bundle, axis, boundary, lateral):
    along_x = stokes.solve(bundle, boundary=boundary, lateral=lateral, tolerance=TIGHT, wall_rule="plain")
    turn = {"y": (0, 2, 1), "z": (2, 1, 0)}[axis]
    turned = Microstructure(bundle.fluid.transpose(turn), tuple(bundle.spacing[k] for k in turn))
    other = stokes.solve(turned, axis=axis, boundary=boundary, lateral=lateral, tolerance=TIGHT)
    assert other.permeability == pytest.approx(along_x.permeability, rel=1e-8)
    components = [2 - turn[2 - component] for component in range(3)]
    assert same(other.velocity, along_x.velocity[components].transpose(0, *(k + 1 for k in turn)))
    assert same(other.pressure, along_x.pressure.transpose(turn))


def test_periodic_medium_may_be_shifted(bundle):
    first = stokes.solve(bundle, boundary="periodic", tolerance=TIGHT, wall_rule="plain")
    moved = Microstructure(np.roll(bundle.fluid, (2, 5, 7), (0, 1, 2)), bundle.spacing)
    second = stokes.solve(moved, boundary="periodic", tolerance=TIGHT)
    assert second.permeability == pytest.approx(first.permeability, rel=1e-8)
    assert same(second.velocity, np.roll(first.velocity, (2, 5, 7), (1, 2, 3)))


def test_repeating_a_periodic_cell_changes_nothing(bundle):
    once = stokes.solve(bundle, boundary="periodic", tolerance=TIGHT, wall_rule="plain")
    for repeats in ((2, 1, 1), (1, 2, 1), (1, 1, 2)):
        twice = stokes.solve(
            Microstructure(np.tile(bundle.fluid, repeats), bundle.spacing), boundary="periodic", tolerance=TIGHT
        )
        assert twice.permeability == pytest.approx(once.permeability, rel=1e-7)


def test_medium_and_its_mirror_image_make_a_symmetric_box(bundle):
    """A symmetry plane is what a mirrored copy beyond it would do."""
    half = stokes.solve(bundle, tolerance=TIGHT, wall_rule="plain")
    doubled = np.concatenate([bundle.fluid, bundle.fluid[:, ::-1]], axis=1)
    whole = stokes.solve(Microstructure(doubled, bundle.spacing), tolerance=TIGHT)
    assert whole.permeability == pytest.approx(half.permeability, rel=1e-7)
    assert same(whole.velocity[:, :, :17], half.velocity)


def test_adding_a_fibre_voxel_never_raises_permeability(bundle, flow):
    """Minimum dissipation: fewer admissible flows, less flux (exact with plain walls, whose operator only gains terms)."""
    plain = stokes.solve(bundle, wall_rule="plain", tolerance=TIGHT).permeability
    rng = np.random.default_rng(0)
    for place in rng.permutation(np.argwhere(bundle.fluid))[:4]:
        fluid = bundle.fluid.copy()
        fluid[tuple(place)] = False
        less = stokes.solve(Microstructure(fluid, bundle.spacing), wall_rule="plain", tolerance=TIGHT).permeability
        assert less <= plain * (1 + 1e-9)
