"""Certificates hold for any field over any medium."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resinflow import stokes
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.cases import plane_channel
from resinflow.stokes.certify import certify, project

TIGHT = 1e-12
CONDITIONS = st.sampled_from(
    [
        {},
        {"axis": "y"},
        {"axis": "z"},
        {"lateral": "no-slip"},
        {"lateral": "periodic", "axis": "y"},
        {"boundary": "periodic"},
        {"boundary": "periodic", "axis": "z"},
    ]
)
MEDIA = st.tuples(st.integers(1, 5), st.integers(3, 9), st.integers(3, 9), st.floats(0.5, 0.9), st.integers(0, 2**31))


def random_medium(spec):
    nz, ny, nx, porosity, seed = spec
    fluid = np.random.default_rng(seed).random((nz, ny, nx)) < porosity
    fluid[0, 0, 0], fluid[-1, -1, -1] = True, False
    return Microstructure(fluid, (2e-6, 1e-6, 1.5e-6))


def random_field(flow, seed, amount):
    """The flow with noise in the fluid, without staggered velocities: what a model predicts."""
    noise = np.random.default_rng(seed).standard_normal(flow.velocity.shape) * flow.speed.max() * amount
    velocity = flow.velocity + noise * flow.microstructure.fluid
    return replace(flow, velocity=velocity, face_velocity=None, report=None)


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((6, 24, 24), (30e-6, 24e-6, 24e-6), seed=2, settings=BundleSettings(0.45, 8e-6))


@pytest.fixture(scope="module")
def flow(bundle):
    return stokes.solve(bundle, tolerance=TIGHT, wall_rule="plain")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(MEDIA, CONDITIONS, st.sampled_from([0.0, 0.01, 0.3, 3.0]))
def test_bound_never_exceeds_the_permeability(spec, drive, amount):
    micro = random_medium(spec)
    flow = stokes.solve(micro, tolerance=TIGHT, **drive)
    certificate = certify(random_field(flow, spec[-1], amount))
    assert 0 <= certificate.permeability_bound <= flow.permeability * (1 + 1e-7)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(MEDIA, CONDITIONS)
def test_projecting_twice_changes_nothing(spec, drive):
    micro = random_medium(spec)
    field = random_field(stokes.solve(micro, tolerance=1e-4, **drive), spec[-1], 1.0)
    once = project(field)
    twice = project(once)
    for first, second in zip(once.face_velocity, twice.face_velocity, strict=True):
        assert np.abs(first - second).max() <= 1e-10 * max(once.speed.max(), 1e-300)


@pytest.mark.parametrize(
    "drive", [{}, {"axis": "z"}, {"lateral": "no-slip"}, {"boundary": "periodic", "axis": "y"}], ids=lambda drive: str(drive)
)
def test_own_field_of_the_solver_certifies_its_permeability(bundle, drive):
    flow = stokes.solve(bundle, tolerance=1e-6, **drive, wall_rule="plain")
    certificate = certify(flow)
    assert certificate.permeability_bound == pytest.approx(flow.permeability, rel=1e-6)
    assert certificate.correction < 1e-4
    assert certificate.residual < 1e-2


def test_projected_field_is_free_of_divergence_and_stays_out_of_fibres(bundle, flow):
    field = project(random_field(flow, 0, 1.0))
    u, v, w = field.face_velocity
    dz, dy, dx = bundle.spacing
    outflow = np.diff(u, axis=2) / dx + np.diff(v, axis=1) / dy + np.diff(w, axis=0) / dz
    assert np.abs(outflow).max() < 1e-12 * field.speed.max() / dx
    assert not field.velocity[:, ~bundle.fluid].any()
    assert not v[:, [0, -1]].any()
    flux = u.sum(axis=(0, 1))
    assert np.ptp(flux) < 1e-10 * np.abs(u).sum(axis=(0, 1)).max()


def test_bound_error_is_quadratic_in_the_error_of_the_field(bundle, flow):
    gaps = []
    for amount in (0.01, 0.02, 0.04):
        noisy = project(random_field(flow, 3, 1.0))
        mixed = tuple((1 - amount) * a + amount * b for a, b in zip(flow.face_velocity, noisy.face_velocity, strict=True))
        gaps.append(1 - certify(replace(flow, face_velocity=mixed)).permeability_bound / flow.permeability)
    assert gaps[1] / gaps[0] == pytest.approx(4, rel=0.15)
    assert gaps[2] / gaps[1] == pytest.approx(4, rel=0.15)


def test_planar_flow_is_admissible_as_it_stands(bundle, flow):
    certificate = certify(stokes.planar_flow(bundle, tolerance=TIGHT))
    assert certificate.correction < 1e-5
    assert 0.5 * flow.permeability < certificate.permeability_bound < flow.permeability


def test_response_flow_is_admissible_and_its_permeability_is_its_bound(bundle, flow):
    response = stokes.response_flow(bundle)
    certificate = certify(response)
    assert certificate.correction < 1e-4
    assert certificate.permeability_bound == pytest.approx(response.permeability, rel=1e-4)
    assert certificate.residual > 0.01


def test_bound_ignores_the_amplitude_of_the_field(flow):
    field = random_field(flow, 1, 0.05)
    doubled = replace(field, velocity=2 * field.velocity)
    first, second = certify(field), certify(doubled)
    assert second.permeability_bound == pytest.approx(first.permeability_bound, rel=1e-9)
    assert second.residual > first.residual


def test_certificate_does_not_depend_on_viscosity_and_pressure_drop(bundle, flow):
    field = random_field(flow, 1, 0.05)
    scaled = replace(field, velocity=field.velocity * 6, viscosity=flow.viscosity / 2, pressure_drop=flow.pressure_drop * 3)
    first, second = certify(field), certify(scaled)
    assert second.permeability_bound == pytest.approx(first.permeability_bound, rel=1e-9)
    assert second.residual == pytest.approx(first.residual, rel=1e-6)


def test_field_at_rest_certifies_nothing(bundle):
    rest = FlowField(bundle, np.zeros((3, *bundle.shape)), np.zeros(bundle.shape), "x", 1e5, 0.1)
    certificate = certify(rest)
    assert certificate.permeability_bound == 0
    assert certificate.residual == pytest.approx(1)


def test_backward_field_certifies_nothing(flow):
    backward = replace(flow, velocity=-flow.velocity, face_velocity=None)
    assert certify(backward).permeability_bound == 0


def test_blocked_medium_has_bound_zero_and_a_projection_at_rest():
    fluid = np.ones((1, 4, 6), bool)
    fluid[:, :, 3] = False
    micro = Microstructure(fluid, (1e-6,) * 3)
    field = FlowField(micro, np.ones((3, 1, 4, 6)), np.zeros(micro.shape), "x", 1e5, 0.1)
    assert certify(field).permeability_bound == 0
    assert not project(field).velocity.any()


def test_uniform_velocity_in_a_channel_has_the_known_bound():
    """Plug flow through a channel of N rows: (f.v)^2 / v.A v = (N a)^2 / (2 c), with wall coefficient c."""
    case = plane_channel(4, length=3)
    fluid = case.microstructure.fluid
    velocity = np.stack([fluid * 1.0, fluid * 0.0, fluid * 0.0])
    plug = FlowField(case.microstructure, velocity, np.zeros(fluid.shape), "x", 1e5, 0.1)
    certificate = certify(plug)
    wall = 6 * 4 / (3 * 4 - 2)
    expected = 4**2 / (2 * wall) * 1e-12 / 6  # voxels of 1 um, a box 6 voxels high
    assert certificate.permeability_bound == pytest.approx(expected, rel=1e-9)
    assert expected < case.permeability
