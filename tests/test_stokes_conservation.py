"""Mass balance and no slip, on tilted bundles with flat voxels, for every boundary condition."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.microstructure import AXES
from resinflow.media.bundles import BundleSettings, fibre_bundle

CONDITIONS = [("pressure", "symmetry"), ("pressure", "periodic"), ("pressure", "no-slip"), ("periodic", "symmetry")]
COMPONENTS = ("x", "y", "z")
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((6, 24, 24), (20e-6, 24e-6, 24e-6), seed=3, settings=BundleSettings(0.4, 8e-6))


@pytest.fixture(scope="module", params=CONDITIONS, ids="-".join)
def flow(request, bundle):
    boundary, lateral = request.param
    return stokes.solve(bundle, boundary=boundary, lateral=lateral, tolerance=TOLERANCE, wall_rule="plain")


def outflow(flow):
    """Net outflow of every voxel, m^3/s, from the staggered velocities."""
    total = np.zeros(flow.microstructure.shape)
    volume = np.prod(flow.microstructure.spacing)
    for field, component in zip(flow.face_velocity, COMPONENTS, strict=True):
        axis = AXES.index(component)
        total += np.diff(field, axis=axis) * volume / flow.microstructure.spacing[axis]
    return total


def test_flux_is_equal_through_every_plane(flow):
    flux = flow.face_velocity[0].sum(axis=(0, 1))
    assert np.ptp(flux) < 1e-4 * abs(flux.mean())


def test_no_voxel_gains_or_loses_resin(flow):
    _, dy, dx = flow.microstructure.spacing
    through_a_face = flow.speed.max() * dy * dx
    assert np.abs(outflow(flow)).max() < 1e-4 * through_a_face


def test_tighter_tolerance_leaves_less_divergence(bundle):
    loose, tight = (np.abs(outflow(stokes.solve(bundle, tolerance=t, wall_rule="plain"))).max() for t in (1e-3, 1e-8))
    assert tight < loose / 10


def test_velocity_is_zero_in_fibres_and_on_their_faces(flow):
    solid = ~flow.microstructure.fluid
    assert not flow.velocity[:, solid].any()
    for field, component in zip(flow.face_velocity, COMPONENTS, strict=True):
        axis = AXES.index(component)
        assert not np.delete(field, -1, axis)[solid].any()
        assert not np.delete(field, 0, axis)[solid].any()


def test_no_resin_crosses_closed_sides(flow):
    if flow.boundary == "periodic" or flow.lateral == "periodic":
        for field, component in zip(flow.face_velocity[1:], COMPONENTS[1:], strict=True):
            axis = AXES.index(component)
            assert np.array_equal(np.take(field, 0, axis), np.take(field, -1, axis))
    else:
        assert not flow.face_velocity[1][:, [0, -1]].any()
        assert not flow.face_velocity[2][[0, -1]].any()


def test_velocity_at_centres_is_the_mean_of_the_faces(flow):
    for number, component in enumerate(COMPONENTS):
        axis = AXES.index(component)
        field = flow.face_velocity[number]
        mean = 0.5 * (np.delete(field, -1, axis) + np.delete(field, 0, axis))
        assert flow.velocity[number] == pytest.approx(mean, rel=1e-12, abs=1e-12 * flow.speed.max())


def test_permeability_is_the_flux_through_the_inlet(flow):
    _, height, width = flow.microstructure.extent
    mean = flow.face_velocity[0][:, :, 0].mean()
    assert flow.permeability == pytest.approx(flow.viscosity * mean * width / flow.pressure_drop, rel=1e-4)


def test_pressure_falls_from_inlet_to_outlet(bundle):
    """Stokes pressure has no maximum principle, but strays little beyond what drives it."""
    flow = stokes.solve(bundle, pressure_drop=5e4, wall_rule="plain")
    assert flow.pressure[bundle.fluid].min() > -0.1 * 5e4
    assert flow.pressure[bundle.fluid].max() < 1.1 * 5e4
    mean = flow.pressure.sum(axis=(0, 1)) / bundle.fluid.sum(axis=(0, 1))
    assert mean[0] > 0.9 * 5e4
    assert mean[-1] < 0.1 * 5e4
    assert not flow.pressure[~bundle.fluid].any()


def test_flow_follows_the_pressure_drop(flow):
    assert flow.permeability > 0
    assert flow.report.permeability_error < 1e-4


def test_stated_error_of_permeability_covers_the_true_one(bundle):
    exact = stokes.solve(bundle, tolerance=1e-11, wall_rule="plain").permeability
    for tolerance in (1e-2, 1e-3, 1e-4):
        flow = stokes.solve(bundle, tolerance=tolerance, wall_rule="plain")
        true = abs(flow.permeability / exact - 1)
        assert flow.report.permeability_error >= true / 3
        assert true < tolerance


def test_stated_error_of_permeability_holds_over_random_media():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        settings = BundleSettings(rng.uniform(0.2, 0.55), rng.uniform(5e-6, 8e-6))
        micro = fibre_bundle((int(rng.integers(1, 6)), 20, 20), (20e-6,) * 3, seed=seed, settings=settings)
        boundary, lateral = CONDITIONS[seed % len(CONDITIONS)]
        exact = stokes.solve(micro, boundary=boundary, lateral=lateral, tolerance=1e-11, wall_rule="plain").permeability
        if exact > 0:
            flow = stokes.solve(micro, boundary=boundary, lateral=lateral, tolerance=1e-3, wall_rule="plain")
            assert flow.report.permeability_error >= abs(flow.permeability / exact - 1) / 3
