"""The grid's own error: gap statistics, the narrow-gap warning, Richardson's value."""

from dataclasses import replace

import numpy as np
import pytest

from resinflow import stokes
from resinflow.core import InvalidInputError, Microstructure
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.media.cases import fibre_array, plane_channel, rectangular_duct
from resinflow.stokes.estimate import gap_statistics, richardson
from resinflow.stokes.gaps import NO_GAP, voxel_gaps


def test_gap_of_a_voxel_is_its_shortest_run_between_walls():
    fluid = np.zeros((1, 8, 7), bool)
    fluid[0, 1:4, 1:6] = True  # 3 high, 5 wide, walls all round
    fluid[0, 5, :] = True  # 1 high, from side to side
    gaps = voxel_gaps(fluid)
    assert (gaps[0, 1:4, 1:6] == 3).all()
    assert (gaps[0, 5] == 1).all()
    assert (gaps[~fluid] == 0).all()


def test_run_that_ends_at_the_box_is_no_gap():
    fluid = np.ones((1, 4, 4), bool)
    fluid[0, 0] = False
    assert (voxel_gaps(fluid)[0, 1:] == NO_GAP).all()


@pytest.mark.parametrize(("width", "narrow"), [(1, 1.0), (2, 1.0), (3, 0.0), (6, 0.0)])
def test_channel_dissipates_in_a_gap_of_its_own_width(width, narrow):
    statistics = gap_statistics(stokes.solve(plane_channel(width, length=8).microstructure))
    assert statistics.mean_gap == pytest.approx(width, rel=1e-6)
    assert statistics.narrow_share == pytest.approx(narrow, abs=1e-9)
    assert (statistics.warning is not None) == (narrow > 0.5)


def test_throat_takes_most_of_the_power():
    fluid = np.zeros((1, 14, 20), bool)
    fluid[0, 1:13] = True
    fluid[0, :, 8:12] = False
    fluid[0, 6:8, 8:12] = True  # two voxels wide, four long
    statistics = gap_statistics(stokes.solve(Microstructure(fluid, (1e-6,) * 3)))
    assert statistics.narrow_share > 0.7
    assert "below 3 voxels" in statistics.warning
    assert "\n" not in statistics.warning


def test_statistics_do_not_depend_on_viscosity_or_staggered_storage():
    micro = fibre_bundle((4, 24, 24), (24e-6,) * 3, seed=2, settings=BundleSettings(0.45, 8e-6))
    flow, thin = stokes.solve(micro), stokes.solve(micro, viscosity=0.01)
    assert gap_statistics(thin).mean_gap == pytest.approx(gap_statistics(flow).mean_gap, rel=1e-9)
    centred = gap_statistics(replace(flow, face_velocity=None))
    assert centred.narrow_share == pytest.approx(gap_statistics(flow).narrow_share, abs=0.15)


def test_finer_voxels_lower_the_expected_error():
    errors = []
    for pixels in (24, 48, 96):
        micro = fibre_bundle((1, pixels, pixels), (40e-6,) * 3, seed=3, settings=BundleSettings(0.4, 10e-6, misalignment=0.0))
        errors.append(gap_statistics(stokes.solve(micro)).permeability_error)
    assert errors[0] > errors[1] > errors[2]


def test_flow_at_rest_has_no_gaps():
    fluid = np.ones((1, 4, 6), bool)
    fluid[:, :, 3] = False
    statistics = gap_statistics(stokes.solve(Microstructure(fluid, (1e-6,) * 3)))
    assert (statistics.narrow_share, statistics.permeability_error, statistics.warning) == (0.0, 0.0, None)


def test_richardson_of_the_duct_is_closer_than_either_grid():
    flows = []
    for width in (8, 16):
        case = rectangular_duct(width, width, length=width // 4, spacing=(1e-6 * 8 / width,) * 3)
        flows.append(stokes.solve(case.microstructure, lateral="no-slip", tolerance=1e-10))
    result = richardson(*flows)
    exact = case.permeability
    assert abs(result.extrapolated / exact - 1) < 0.2 * abs(result.fine / exact - 1)
    assert result.error == pytest.approx(abs(flows[0].permeability / exact - 1), rel=0.1)


def test_richardson_refuses_grids_that_are_no_refinement():
    flow = stokes.solve(fibre_array("square", 0.3, 8).microstructure, boundary="periodic")
    with pytest.raises(InvalidInputError, match="twice as fine"):
        richardson(flow, flow)
