"""Planar flow and response flow: what they are exactly, and which bounds they give."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import AXES, Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle

TIGHT = 1e-12


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((5, 20, 22), (20e-6, 20e-6, 22e-6), seed=5, settings=BundleSettings(0.4, 7e-6))


@pytest.fixture(scope="module")
def flow(bundle):
    return stokes.solve(bundle, tolerance=TIGHT, wall_rule="plain")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_planar_flow_is_the_flow_of_every_slice_by_itself(bundle, axis):
    planar = stokes.planar_flow(bundle, axis=axis, tolerance=TIGHT)
    for index in range(bundle.shape[0]):
        alone = stokes.solve(bundle.slice_at(index), axis=axis, tolerance=TIGHT, wall_rule="plain")
        assert np.abs(planar.velocity[:, index] - alone.velocity[:, 0]).max() < 1e-5 * alone.speed.max()
        assert np.abs(planar.pressure[index] - alone.pressure[0]).max() < 1e-5 * alone.pressure_drop


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_the_tolerance_holds_for_every_slice(bundle, tolerance):
    fluid = np.concatenate([bundle.fluid] * 4)  # more than are solved at once, and all but five of them alike
    fluid[7, 3:] = False  # a slice that lets a thousandth of the others' resin through
    fluid[7, 2] = True
    medium = Microstructure(fluid, bundle.spacing)
    loose, exact = (stokes.planar_flow(medium, tolerance=level).velocity[0].mean(axis=(1, 2)) for level in (tolerance, TIGHT))
    assert (np.abs(loose / exact - 1) < tolerance).all()


def test_nothing_passes_between_slices_or_drags_across_them(bundle):
    """A slice has the same flow whatever the others are."""
    other = np.roll(bundle.fluid, 7, axis=2)
    other[2] = bundle.fluid[2]
    flows = [stokes.planar_flow(Microstructure(fluid, bundle.spacing), tolerance=TIGHT) for fluid in (bundle.fluid, other)]
    assert np.abs(flows[0].velocity[:, 2] - flows[1].velocity[:, 2]).max() < 1e-5 * flows[0].speed.max()


def test_planar_flow_of_an_extruded_medium_is_its_flow(bundle):
    extruded = Microstructure(np.repeat(bundle.fluid[2:3], 4, axis=0), bundle.spacing)
    planar = stokes.planar_flow(extruded, tolerance=TIGHT)
    whole = stokes.solve(extruded, tolerance=TIGHT)
    assert np.abs(planar.velocity - whole.velocity).max() < 2e-5 * whole.speed.max()
    assert planar.permeability == pytest.approx(whole.permeability, rel=1e-8)


def test_planar_flow_stays_in_its_slices(bundle):
    planar = stokes.planar_flow(bundle)
    assert not planar.velocity[2].any()
    assert not planar.face_velocity[2].any()


def test_slice_that_does_not_percolate_is_at_rest_and_named(bundle):
    fluid = bundle.fluid.copy()
    fluid[3, :, 10] = False
    planar = stokes.planar_flow(Microstructure(fluid, bundle.spacing))
    assert not planar.velocity[:, 3].any()
    assert planar.velocity[0, 2].any()
    assert any("3" in warning and "percolate" in warning for warning in planar.report.warnings)


def test_planar_flow_refuses_what_has_no_planar_flow(bundle):
    with pytest.raises(InvalidInputError, match="needed: x or y"):
        stokes.planar_flow(bundle, axis="z")
    fluid = bundle.fluid.copy()
    fluid[1] = True
    with pytest.raises(InvalidInputError, match="slice 1 holds no fibre"):
        stokes.planar_flow(Microstructure(fluid, bundle.spacing))
    fluid[1] = False
    with pytest.raises(InvalidInputError, match="slice 1 is all fibre"):
        stokes.planar_flow(Microstructure(fluid, bundle.spacing))


@pytest.mark.parametrize(("boundary", "lateral"), [("pressure", "symmetry"), ("pressure", "no-slip"), ("periodic", "periodic")])
@pytest.mark.parametrize("axis", ["x", "z"])
def test_response_flow_conserves_mass_and_bounds_permeability_from_below(bundle, axis, boundary, lateral):
    response = stokes.response_flow(bundle, axis=axis, boundary=boundary, lateral=lateral)
    true = stokes.solve(bundle, axis=axis, boundary=boundary, lateral=lateral, tolerance=TIGHT, wall_rule="plain")
    assert 0.5 * true.permeability < response.permeability <= true.permeability * (1 + 1e-7)
    flow_component = ("x", "y", "z").index(axis)
    others = tuple(k for k in range(3) if k != AXES.index(axis))
    flux = response.face_velocity[flow_component].sum(axis=others)
    assert np.ptp(flux) < 1e-5 * flux.mean()


def test_response_flow_does_not_enter_fibres(bundle):
    response = stokes.response_flow(bundle)
    assert not response.velocity[:, ~bundle.fluid].any()


def test_response_flow_is_close_to_the_flow(bundle, flow):
    response = stokes.response_flow(bundle)
    error = np.sqrt(((response.velocity - flow.velocity) ** 2).sum() / (flow.velocity**2).sum())
    assert error < 0.6


def test_response_flow_of_a_channel_is_exact():
    fluid = np.ones((1, 6, 4), dtype=bool)
    fluid[:, 0] = False
    micro = Microstructure(fluid, (1e-6,) * 3)
    response, true = stokes.response_flow(micro), stokes.solve(micro, tolerance=TIGHT)
    # the velocity under a uniform pressure gradient is the flow itself; the response is solved to 1 %
    assert response.permeability == pytest.approx(true.permeability, rel=1e-3)
    assert response.permeability <= true.permeability * (1 + 1e-8)  # free of divergence to single precision


def test_response_flow_of_a_blocked_medium_is_at_rest(bundle):
    fluid = bundle.fluid.copy()
    fluid[:, :, 10] = False
    response = stokes.response_flow(Microstructure(fluid, bundle.spacing))
    assert response.permeability == 0
    assert "K = 0" in response.report.warnings[0]
