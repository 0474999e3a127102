"""What the solver refuses, in one line each, and what it says where there is no flow."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.errors import ConvergenceError, InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle

CUBIC = (1e-6, 1e-6, 1e-6)


@pytest.fixture(scope="module")
def bundle():
    return fibre_bundle((4, 20, 20), (20e-6, 20e-6, 20e-6), seed=1, settings=BundleSettings(0.4, 7e-6))


def refused(kind, match, call):
    with pytest.raises(kind, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert "needed" in str(caught.value)


def test_all_solid_medium_is_refused():
    refused(InvalidInputError, "all solid", lambda: stokes.solve(Microstructure(np.zeros((2, 3, 4), bool), CUBIC)))


@pytest.mark.parametrize(
    "options", [{}, {"lateral": "periodic"}, {"boundary": "periodic"}, {"boundary": "periodic", "lateral": "no-slip"}]
)
def test_all_fluid_medium_without_walls_is_refused(options):
    micro = Microstructure(np.ones((2, 3, 4), bool), CUBIC)
    refused(InvalidInputError, "unbounded", lambda: stokes.solve(micro, **options))
    refused(InvalidInputError, "unbounded", lambda: stokes.response_flow(micro, **options))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"axis": "w"}, "axis"),
        ({"boundary": "velocity"}, "boundary"),
        ({"lateral": "slip"}, "lateral"),
        ({"viscosity": 0.0}, "viscosity"),
        ({"viscosity": -0.1}, "viscosity"),
        ({"viscosity": float("nan")}, "viscosity"),
        ({"pressure_drop": 0.0}, "pressure_drop"),
        ({"pressure_drop": float("inf")}, "pressure_drop"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": 2.0}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"wall_rule": "soft"}, "wall_rule"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_bad_options_are_refused(bundle, options, match):
    refused(InvalidInputError, match, lambda: stokes.solve(bundle, **{"wall_rule": "plain", **options}))


def test_too_few_iterations_raise_and_say_what_to_change(bundle):
    refused(ConvergenceError, "allow more iterations", lambda: stokes.solve(bundle, max_iterations=2, wall_rule="plain"))


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("boundary", ["pressure", "periodic"])
def test_medium_that_does_not_percolate_has_no_permeability_and_says_so(axis, boundary):
    fluid = np.ones((6, 6, 6), bool)
    number = "zyx".index(axis)
    np.moveaxis(fluid, number, 0)[3] = False
    flow = stokes.solve(Microstructure(fluid, CUBIC), axis=axis, boundary=boundary)
    assert flow.permeability == 0
    assert not flow.velocity.any()
    assert f"K = 0 along {axis}" in flow.report.warnings[0]


def test_blocked_medium_has_the_inlet_and_outlet_pressure_on_its_sides():
    fluid = np.ones((1, 4, 9), bool)
    fluid[:, :, 4] = False
    flow = stokes.solve(Microstructure(fluid, CUBIC), pressure_drop=2e5)
    assert (flow.pressure[:, :, :4] == 2e5).all()
    assert not flow.pressure[:, :, 4:].any()


def test_voxels_that_meet_at_edges_only_do_not_percolate():
    fluid = np.zeros((1, 4, 8), bool)
    fluid[0, 0, :4] = fluid[0, 1, 4:] = True
    assert stokes.solve(Microstructure(fluid, CUBIC)).permeability == 0


def test_watch_sees_every_iteration(bundle):
    seen = []
    flow = stokes.solve(bundle, watch=lambda iteration, residual: seen.append((iteration, residual)), wall_rule="plain")
    counts = [iteration for iteration, _ in seen]
    assert counts == list(range(counts[0], flow.report.iterations + 1))
    assert seen[-1][1] == pytest.approx(flow.report.residual)
    assert flow.report.residual_history[0] == 1


def test_interruption_passes_through(bundle):
    def interrupt(iteration, residual):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stokes.solve(bundle, watch=interrupt, wall_rule="plain")
