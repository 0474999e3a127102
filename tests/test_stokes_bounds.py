"""What the solver says of K is so: bounds, divergence and claimed errors on flat voxels, cut seams, distances that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import resinflow
from resinflow import stokes
from resinflow.flow import refined_medium
from resinflow.flow.drive import Drive
from resinflow.flow.errors import ConvergenceError, InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from tests.direct import direct_permeability

SHARED = Path(__file__).parents[1].parent / "shared"
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared inputs are not here")
BOX = (50e-6,) * 3


def bundle(seed, pixels):
    """A random bundle cut by its box."""
    chosen = BundleSettings(volume_fraction=0.4 + 0.02 * (seed % 6), diameter=11e-6)
    return fibre_bundle((11, pixels, pixels), BOX, seed=seed, settings=chosen)


def walls_add_drag(micro):
    for axis in ("x", "z"):
        free, wall = (
            stokes.solve(micro, axis=axis, lateral=lateral, wall_rule="surface").permeability
            for lateral in ("symmetry", "no-slip")
        )
        assert wall < free


def conserves(flow):
    x, y, z = (np.diff(values, axis=2 - k) / flow.microstructure.spacing[2 - k] for k, values in enumerate(flow.face_velocity))
    mean = flow.face_velocity[0].sum(axis=(0, 1)).mean() / (flow.microstructure.fluid.mean(axis=2).sum())
    assert flow.report.divergence < 1e-5
    assert np.abs(x + y + z).max() * flow.microstructure.spacing[2] < 2e-5 * mean


@pytest.mark.parametrize("seed", range(4))
def test_no_slip_sides_never_raise_the_permeability_of_fibre_surfaces(seed):
    walls_add_drag(bundle(seed, 32))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_no_slip_sides_never_raise_the_permeability_of_larger_bundles(seed):
    walls_add_drag(bundle(seed, 64))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("drive", [{"boundary": "periodic"}, {"lateral": "periodic"}])
def test_boxes_that_repeat_conserve_mass_though_their_seams_cut_fibres(seed, drive):
    conserves(stokes.solve(bundle(seed, 32), wall_rule="surface", **drive))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_larger_boxes_that_repeat_conserve_mass(seed):
    for drive in ({"boundary": "periodic"}, {"lateral": "periodic"}):
        conserves(stokes.solve(bundle(seed, 64), wall_rule="surface", **drive))


def test_seams_that_cut_fibres_give_no_way_round_them():
    """Fibre seams as walls: a box that repeats across the flow is about as permeable as between symmetry planes."""
    micro = fibre_bundle((11, 64, 64), BOX, seed=2, settings=BundleSettings(volume_fraction=0.4, diameter=11e-6))
    free = stokes.solve(micro, wall_rule="surface").permeability
    assert stokes.solve(micro, wall_rule="surface", lateral="periodic").permeability == pytest.approx(free, rel=0.5)


@pytest.mark.parametrize("seed", [1, 2])
def test_periodic_bundle_has_the_same_permeability_wherever_its_box_begins(seed):
    chosen = BundleSettings(boundary="periodic", misalignment=0)
    micro = fibre_bundle((1, 48, 48), (1e-6, 50e-6, 50e-6), seed=seed, settings=chosen)
    values = []
    for start in ((0, 0), (5, 17), (24, 9), (40, 31)):
        fluid, distance = (np.roll(field, start, (1, 2)) for field in (micro.fluid, micro.signed_distance))
        moved = Microstructure(fluid, micro.spacing, distance)
        values.append(stokes.solve(moved, boundary="periodic", wall_rule="surface").permeability)
    assert np.ptp(values) < 2e-3 * np.mean(values)  # measured: 1.6e-3 and 2e-5


@shared
@pytest.mark.parametrize("boundary", ["pressure", "periodic"])
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_weave_with_a_face_all_but_closed_solves(axis, boundary):
    case = np.load(SHARED / "cases" / "weave_fail_12_z.npz")
    micro = Microstructure(case["fluid"], tuple(case["spacing"].tolist()), case["signed_distance"])
    flow = stokes.solve(micro, axis=axis, boundary=boundary, wall_rule="surface")
    assert flow.permeability > 0


@shared
@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("name", ["learned_distance_stored", "learned_distance_finer"])
def test_learned_distances_solve(name, axis):
    case = np.load(SHARED / "cases" / f"{name}.npz")
    micro = Microstructure(case["fluid"], tuple(case["spacing"].tolist()), case["distance"])
    surface, plain = (stokes.solve(micro, axis=axis, wall_rule=rule).permeability for rule in ("surface", "plain"))
    assert surface == pytest.approx(plain, rel=0.6)


@shared
def test_learned_distance_solves_on_a_finer_grid():
    case = np.load(SHARED / "cases" / "learned_distance_finer.npz")
    micro = Microstructure(case["fluid"], tuple(case["spacing"].tolist()), case["distance"])
    coarse, fine = (
        stokes.solve(medium, wall_rule="surface", tolerance=1e-4) for medium in (micro, refined_medium(micro, (2, 2, 2)))
    )
    assert fine.permeability == pytest.approx(coarse.permeability, rel=0.1)


@shared
@pytest.mark.parametrize("name", ["libenke_fail_48_48_144_x", "libenke_fail_64_0_128_y"])
def test_greys_of_a_real_stack_solve(name):
    micro = resinflow.from_image(SHARED / "real" / f"{name}.tif", pixel_size=2e-6, depth=48e-6)
    for axis in ("x", "y", "z"):
        flow = stokes.solve(micro, axis=axis, wall_rule="surface", tolerance=1e-4)
        assert flow.permeability > 0


def plates(axis, shape):
    """Fluid between walls in the first and the last layer along an array axis."""
    fluid = np.ones(shape, dtype=bool)
    np.moveaxis(fluid, axis, 0)[[0, -1]] = False
    return fluid


FLAT = [
    *((plates(0, (7, 2, nx)), (ratio, 1, 1), Drive("x")) for ratio in (20, 100, 1000) for nx in (1, 5)),
    *((plates(2, (3, 2, 7)), (1 / ratio, 1, 1), Drive("z")) for ratio in (20, 100, 1000)),
    (plates(2, (3, 2, 7)), (1 / 1000, 1, 1), Drive("y", boundary="periodic")),
    (plates(0, (7, 2, 3)), (1 / 1000, 1, 1), Drive("y", boundary="periodic")),
    (plates(0, (7, 2, 3)), (1 / 1000, 1, 1), Drive("x")),
]


@pytest.mark.parametrize(("fluid", "edges", "drive"), FLAT, ids=lambda value: "-".join(map(str, np.shape(value))))
@pytest.mark.parametrize("tolerance", [1e-6, 1e-8])
def test_claimed_error_holds_on_flat_and_tall_voxels(fluid, edges, drive, tolerance):
    micro = Microstructure(fluid, tuple(1e-6 * edge for edge in edges))
    flow = stokes.solve(micro, drive, tolerance=tolerance)
    error = abs(flow.permeability / direct_permeability(micro, drive, "plain") - 1)
    rounding = 5e-16 * (max(micro.spacing) / min(micro.spacing)) ** 2  # of the assembled system
    assert error <= 3 * flow.report.permeability_error + rounding + 1e-12
    assert flow.report.permeability_error <= tolerance


def test_voxels_too_flat_for_doubles_are_refused_as_such():
    micro = Microstructure(plates(0, (7, 2, 1)), (1e-2, 1e-6, 1e-6))
    with pytest.raises(ConvergenceError, match="rounding: the longest edge of a voxel is 10000 times the shortest") as caught:
        stokes.solve(micro, tolerance=1e-9)
    assert "needed: 1e-09" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_number_of_iterations_is_advised_where_none_helps():
    fluid = np.random.default_rng(3).random((2, 3, 5)) < 0.8
    with pytest.raises(ConvergenceError, match="longest edge of a voxel is 300000 times the shortest") as caught:
        stokes.solve(Microstructure(fluid, (3e-8, 3e-3, 1e-8)), axis="y")
    assert "max_iterations" not in str(caught.value)


def test_distance_that_leaves_the_flow_without_drag_is_refused_and_says_where():
    distance = np.full((1, 2, 4), 1e-6)
    distance[0, 1, 1] = -1e-9
    with pytest.raises(InvalidInputError, match=r"no fibre holds the flow along x .* at voxel z 0, y 1, x 1") as caught:
        stokes.solve(Microstructure(distance > 0, (10e-6, 10e-6, 10e-6), distance), wall_rule="surface")
    assert "needed" in str(caught.value)
    assert "\n" not in str(caught.value)
