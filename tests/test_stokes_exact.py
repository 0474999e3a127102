"""Flows whose answer is known in closed form: plane channels and ducts."""

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.microstructure import Microstructure
from resinflow.media.cases import plane_channel, rectangular_duct

TIGHT = 1e-12


@pytest.mark.parametrize("boundary", ["pressure", "periodic"])
@pytest.mark.parametrize(("axis", "normal"), [("x", "y"), ("x", "z"), ("y", "z"), ("y", "x"), ("z", "x"), ("z", "y")])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_aligned_channels_of_any_width_are_exact(width, axis, normal, boundary):
    case = plane_channel(width, axis=axis, normal=normal, boundary=boundary, spacing=(3e-6, 2e-6, 1e-6))
    flow = stokes.solve(case.microstructure, axis=axis, boundary=boundary, wall_rule="gap", tolerance=TIGHT)
    assert flow.permeability == pytest.approx(case.permeability, rel=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_channel_halved_by_a_symmetry_plane_is_exact(width):
    fluid = np.ones((1, width + 1, 4), dtype=bool)
    fluid[:, 0] = False
    flow = stokes.solve(Microstructure(fluid, (1e-6,) * 3), wall_rule="gap", tolerance=TIGHT)
    assert flow.permeability == pytest.approx((2 * width) ** 3 * 1e-12 / (24 * (width + 1)), rel=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_channel_between_no_slip_sides_is_exact(width):
    fluid = np.ones((9, width, 3), dtype=bool)
    wide = stokes.solve(Microstructure(fluid, (1.0e-3, 1e-6, 1e-6)), lateral="no-slip", wall_rule="gap", tolerance=TIGHT)
    aspect = width / 9000
    assert wide.permeability == pytest.approx(width**2 * 1e-12 / 12 * (1 - 0.630 * aspect), rel=2e-4)


def test_plain_walls_make_narrow_channels_too_permeable_as_known():
    for width in (1, 2, 4):
        case = plane_channel(width)
        flow = stokes.solve(case.microstructure, wall_rule="plain", tolerance=TIGHT)
        assert flow.permeability / case.permeability == pytest.approx(1 + 2 / width**2, rel=1e-6)


def test_channel_profile_is_the_parabola_of_averages():
    case = plane_channel(5)
    velocity = stokes.solve(case.microstructure, wall_rule="gap", tolerance=TIGHT).velocity[0, 0, 1:-1, 2]
    edges = np.arange(6) / 5
    exact = np.diff(edges**2 / 2 - edges**3 / 3) * 6 * 5
    assert velocity / velocity.mean() == pytest.approx(exact, rel=1e-5)


def test_pressure_falls_linearly_along_a_channel():
    for boundary in ("pressure", "periodic"):
        case = plane_channel(3, boundary=boundary)
        flow = stokes.solve(case.microstructure, boundary=boundary, pressure_drop=8e4, tolerance=TIGHT, wall_rule="plain")
        assert flow.pressure[0, 2] == pytest.approx([7e4, 5e4, 3e4, 1e4], rel=1e-5)


def test_square_duct_converges_to_the_series_with_second_order():
    errors = []
    for width in (4, 8, 16):
        case = rectangular_duct(width, width)
        flow = stokes.solve(case.microstructure, lateral="no-slip", wall_rule="gap", tolerance=TIGHT)
        errors.append(flow.permeability / case.permeability - 1)
    assert abs(errors[-1]) < 0.005  # measured: 0.0643, 0.0178, 0.0046
    assert np.log2(errors[0] / errors[1]) > 1.8
    assert np.log2(errors[1] / errors[2]) > 1.9


def test_duct_of_other_proportions_and_voxels():
    case = rectangular_duct(8, 16, spacing=(2e-6, 1e-6, 3e-6))
    flow = stokes.solve(case.microstructure, lateral="no-slip", wall_rule="gap", tolerance=TIGHT)
    assert flow.permeability == pytest.approx(case.permeability, rel=0.02)
