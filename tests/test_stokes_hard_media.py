"""Media that pull a naive solver down."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle

CUBIC = (1e-6, 1e-6, 1e-6)


def checkered(shape, seed, porosity):
    return Microstructure(np.random.default_rng(seed).random(shape) < porosity, CUBIC)


def flux_variation(flow):
    flux = flow.face_velocity[0].sum(axis=(0, 1))
    return np.ptp(flux) / flux.mean()


def test_throat_one_voxel_wide_carries_the_flow():
    fluid = np.ones((5, 5, 11), bool)
    fluid[:, :, 5] = False
    fluid[2, 2, 5] = True
    flow = stokes.solve(Microstructure(fluid, CUBIC))
    assert flow.permeability > 0
    assert np.unravel_index(flow.speed.argmax(), flow.speed.shape) == (2, 2, 5)
    assert flux_variation(flow) < 1e-4
    drop = flow.pressure[2, 2, 4] - flow.pressure[2, 2, 6]
    assert drop > 0.5 * flow.pressure_drop


def test_isolated_pores_are_at_rest_with_finite_pressure():
    fluid = np.zeros((5, 9, 9), bool)
    fluid[:, :3] = True
    without = stokes.solve(Microstructure(fluid, CUBIC))
    fluid[2:4, 6:8, 3:6] = True
    fluid[0, 5, 8] = True
    flow = stokes.solve(Microstructure(fluid, CUBIC))
    assert not flow.velocity[:, :, 3:].any()
    assert flow.permeability == pytest.approx(without.permeability, rel=1e-9)
    closed = flow.pressure[2:4, 6:8, 3:6]
    assert np.ptp(closed) == 0
    assert 0 < closed.mean() < flow.pressure_drop
    assert flow.pressure[0, 5, 8] == 0  # touches the outlet alone


def test_dead_end_pore_of_a_percolating_cluster_is_nearly_at_rest():
    fluid = np.zeros((1, 12, 12), bool)
    fluid[:, :3] = True
    fluid[:, 3:11, 5] = True
    flow = stokes.solve(Microstructure(fluid, CUBIC))
    assert flow.speed[0, 9, 5] < 1e-6 * flow.speed.max()
    assert np.isfinite(flow.pressure).all()


def test_fluxes_of_separate_clusters_add_up():
    fluid = np.zeros((1, 9, 7), bool)
    fluid[:, 1:4] = True
    alone = stokes.solve(Microstructure(fluid, CUBIC), wall_rule="gap", tolerance=1e-12).permeability
    other = np.zeros_like(fluid)
    other[:, 6:8] = True
    both = stokes.solve(Microstructure(fluid | other, CUBIC), wall_rule="gap", tolerance=1e-12).permeability
    assert both == pytest.approx(
        alone + stokes.solve(Microstructure(other, CUBIC), wall_rule="gap", tolerance=1e-12).permeability, rel=1e-8
    )
    assert both == pytest.approx((27 + 8) * 1e-12 / (12 * 9), rel=1e-6)


@pytest.mark.parametrize("boundary", ["pressure", "periodic"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_cross_section_of_one_voxel(boundary, width):
    micro = Microstructure(np.ones((1, width, 5), bool), CUBIC)
    if boundary == "pressure":
        flow = stokes.solve(micro, lateral="no-slip")
        assert flow.permeability > 0
        assert flux_variation(flow) < 1e-6
    else:
        walled = np.pad(micro.fluid, [(1, 0), (1, 0), (0, 0)])
        assert stokes.solve(Microstructure(walled, CUBIC), boundary="periodic").permeability > 0


def test_box_of_one_voxel():
    flow = stokes.solve(Microstructure(np.ones((1, 1, 1), bool), CUBIC), lateral="no-slip", wall_rule="gap")
    assert flow.permeability == pytest.approx(1e-12 / 24, rel=1e-6)  # four walls, each with coefficient 6
    assert flow.pressure[0, 0, 0] == pytest.approx(flow.pressure_drop / 2)


def test_flow_one_voxel_long():
    micro = fibre_bundle((4, 20, 20), (20e-6, 20e-6, 20e-6), seed=1, settings=BundleSettings(0.4, 7e-6))
    thin = Microstructure(micro.fluid[:, :, :1], micro.spacing)
    assert stokes.solve(thin).permeability > 0


@pytest.mark.parametrize("shape", [(1, 29, 31), (7, 13, 17), (3, 23, 5), (2, 11, 37)])
@pytest.mark.parametrize("boundary", ["pressure", "periodic"])
def test_odd_and_prime_sizes(shape, boundary):
    extent = tuple(count * 1e-6 for count in shape)
    micro = fibre_bundle(shape, extent, seed=2, settings=BundleSettings(0.3, 4e-6))
    flow = stokes.solve(micro, boundary=boundary, wall_rule="plain")
    assert flow.report.status == "converged"
    if flow.permeability:
        assert flux_variation(flow) < 1e-3


def test_fibre_fraction_of_three_quarters():
    radius = 5.6
    y, x = np.mgrid[:48, :48] + 0.5
    centres = [(6 + 12 * i, 6 + 12 * j) for i in range(4) for j in range(4)]
    fluid = np.min([np.hypot(y - cy, x - cx) for cy, cx in centres], axis=0) > 5.85
    micro = Microstructure(np.repeat(fluid[None], 3, axis=0), CUBIC)
    assert micro.fibre_fraction == pytest.approx(0.75, abs=0.03), radius
    flow = stokes.solve(micro, axis="z")
    assert flow.permeability > 0
    across = stokes.solve(micro, axis="x")
    assert across.report.status == "converged"
    assert across.permeability < flow.permeability


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("porosity", [0.4, 0.7])
def test_random_voxels(seed, porosity):
    """Rough walls, one-voxel throats, dead ends and closed pores at once."""
    micro = checkered((7, 8, 9), seed, porosity)
    flow = stokes.solve(micro)
    assert (flow.permeability > 0) == micro.percolates("x")
    assert not flow.velocity[:, ~micro.fluid].any()
    assert np.isfinite(flow.pressure).all()
    if flow.permeability:
        assert flux_variation(flow) < 1e-4


def test_single_slice_of_a_bundle():
    micro = fibre_bundle((1, 40, 40), (40e-6, 40e-6, 40e-6), seed=4, settings=BundleSettings(0.5, 10e-6))
    flow = stokes.solve(micro, wall_rule="plain")
    assert flow.permeability > 0
    assert not flow.velocity[2].any()


def test_flat_voxels_need_no_more_iterations_than_cubes():
    iterations = []
    for depth in (11e-6, 64e-6, 300e-6):
        micro = fibre_bundle((11, 32, 32), (depth, 32e-6, 32e-6), seed=4, settings=BundleSettings(0.5, 10e-6, 0, 3.0))
        iterations.append(stokes.solve(micro, wall_rule="plain").report.iterations)
    assert max(iterations) < 1.6 * min(iterations)
