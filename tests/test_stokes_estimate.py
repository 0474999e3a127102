"""The grid's own error: gap statistics, the narrow-gap warning."""

from dataclasses import replace

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.cases import plane_channel
from resinflow.stokes.estimate import NO_GAP, gap_statistics, voxel_gaps


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
    statistics = gap_statistics(stokes.solve(plane_channel(width, length=8).microstructure, wall_rule="plain"))
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


def throat():
    fluid = np.zeros((3, 14, 20), bool)
    fluid[:, 1:13] = True
    fluid[:, :, 8:12] = False
    fluid[:, 6:8, 8:12] = True  # two voxels wide, four long
    return Microstructure(fluid, (1e-6,) * 3)


@pytest.mark.parametrize("rule", ["plain", "gap"])
def test_solver_warns_of_narrow_gaps_in_one_line_with_their_share_and_the_error_of_the_grid(rule):
    flow = stokes.solve(throat(), wall_rule=rule)
    statistics = gap_statistics(flow)
    (warning,) = flow.report.warnings
    assert "gaps below 3 voxels" in warning
    assert f"{statistics.narrow_share:.0%} of the pressure drop" in warning
    assert f"the order of {statistics.permeability_error:.0%}" in warning
    assert "\n" not in warning


def test_planar_flow_warns_once_for_all_its_slices():
    planar = stokes.planar_flow(throat())
    assert len(planar.report.warnings) == 1
    assert "gaps below 3 voxels" in planar.report.warnings[0]


def test_wide_gaps_give_no_warning():
    assert stokes.solve(plane_channel(8, length=8).microstructure, wall_rule="plain").report.warnings == ()


def test_fibres_above_and_below_are_no_walls_of_a_planar_flow():
    fluid = np.ones((3, 8, 8), bool)
    fluid[[0, 2], 2:] = False  # slice 1 lies between two fibres, one voxel apart
    fluid[1, 0] = False
    flow = stokes.planar_flow(Microstructure(fluid, (1e-6,) * 3))
    assert gap_statistics(flow).mean_gap < 2
    assert flow.report.warnings == ()


def test_estimate_of_the_grids_error_is_above_the_error_for_half_of_the_media_and_of_its_order():
    """Against the same fibres at three times the resolution with their surfaces: 20 planar bundles."""
    ratios = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        settings = BundleSettings(rng.uniform(0.3, 0.55), rng.uniform(8e-6, 14e-6), misalignment=0.0)
        coarse, fine = (fibre_bundle((1, n, n), (50e-6,) * 3, seed=seed, settings=settings) for n in (32, 96))
        change = fine.provenance["radius_change"] - coarse.provenance["radius_change"]
        distance = fine.signed_distance.astype(float) + change  # the radii of the coarse one
        exact = stokes.solve(Microstructure(distance > 0, fine.spacing, distance), wall_rule="surface", tolerance=1e-3)
        flow = stokes.solve(coarse, tolerance=1e-3, wall_rule="plain")
        if flow.permeability > 0 and exact.permeability > 0:
            ratios.append(abs(flow.permeability / exact.permeability - 1) / gap_statistics(flow).permeability_error)
    assert len(ratios) >= 18
    assert 0.1 < np.median(ratios) < 1
    assert np.quantile(ratios, 0.8) < 3


def test_statistics_do_not_depend_on_viscosity_or_staggered_storage():
    micro = fibre_bundle((4, 24, 24), (24e-6,) * 3, seed=2, settings=BundleSettings(0.45, 8e-6))
    flow, thin = stokes.solve(micro, wall_rule="plain"), stokes.solve(micro, viscosity=0.01, wall_rule="plain")
    assert gap_statistics(thin).mean_gap == pytest.approx(gap_statistics(flow).mean_gap, rel=1e-9)
    centred = gap_statistics(replace(flow, face_velocity=None))
    assert centred.narrow_share == pytest.approx(gap_statistics(flow).narrow_share, abs=0.15)


def test_finer_voxels_lower_the_expected_error():
    errors = []
    for pixels in (24, 48, 96):
        micro = fibre_bundle((1, pixels, pixels), (40e-6,) * 3, seed=3, settings=BundleSettings(0.4, 10e-6, misalignment=0.0))
        errors.append(gap_statistics(stokes.solve(micro, wall_rule="plain")).permeability_error)
    assert errors[0] > errors[1] > errors[2]


def test_flow_at_rest_has_no_gaps():
    fluid = np.ones((1, 4, 6), bool)
    fluid[:, :, 3] = False
    statistics = gap_statistics(stokes.solve(Microstructure(fluid, (1e-6,) * 3)))
    assert (statistics.narrow_share, statistics.permeability_error, statistics.warning) == (0.0, 0.0, None)


def narrow_greys() -> Microstructure:
    """A dense bundle whose surfaces are told by an image: its provenance says so."""
    micro = fibre_bundle((2, 48, 48), (25e-6, 40e-6, 40e-6), seed=3, settings=BundleSettings(0.58, 8e-6))
    return replace(micro, provenance={"surface": "read from the greys"})


def test_surfaces_of_an_image_are_warned_of_where_gaps_are_narrow_and_exact_ones_are_not():
    micro = narrow_greys()
    flow = stokes.solve(micro)
    (warning,) = flow.report.warnings
    assert f"gaps below 3 voxels take {gap_statistics(flow).narrow_share:.0%} of the pressure drop" in warning
    assert "fibre surfaces that are off by 0.1 voxels move K" in warning
    assert "--refine 1e-4" in warning
    assert "\n" not in warning
    assert stokes.solve(replace(micro, provenance={})).report.warnings == ()


def test_a_finer_grid_warns_of_the_same_gaps_and_does_not_send_to_itself():
    micro = narrow_greys()
    coarse, fine = stokes.solve(micro, tolerance=1e-3), stokes.solve_finer(micro, tolerance=1e-3)
    warning, origin = fine.report.warnings
    assert "solved on 96 x 96 x 4 voxels" in origin
    assert "below 3 voxels" in warning
    assert "--refine" not in warning
    shares = [int(text.split("take ")[1].split("%")[0]) for text in (warning, coarse.report.warnings[0])]
    assert shares[0] == pytest.approx(shares[1], abs=5)
    mask = stokes.solve_finer(Microstructure(micro.fluid, micro.spacing), tolerance=1e-3)
    assert "the grey image of the mask" in mask.report.warnings[0]


@pytest.mark.parametrize(("fraction", "seed"), [(0.4, 1), (0.5, 2), (0.58, 3)])
def test_the_warning_s_error_is_that_of_surfaces_moved_by_a_tenth_of_a_pixel(fraction, seed):
    micro = fibre_bundle((2, 64, 64), (25e-6, 50e-6, 50e-6), seed=seed, settings=BundleSettings(fraction, 8e-6))
    response = stokes.surface_response(micro)
    assert gap_statistics(response.flow).permeability_error == pytest.approx(-0.1 * response.slope_per_pixel, rel=0.2)


@pytest.mark.parametrize(("width", "narrow"), [(1.6, 1.0), (2.4, 1.0), (3.4, 0.0)])
def test_widths_between_surfaces_are_not_those_of_the_voxels(width, narrow):
    from_middle = np.abs(np.arange(9) - 4.0)
    distance = np.broadcast_to((width / 2 - from_middle)[None, :, None], (3, 9, 6)) * 1e-6
    flow = stokes.solve(Microstructure(distance > 0, (1e-6,) * 3, distance.copy()))
    statistics = gap_statistics(flow, surfaces=True)
    assert statistics.mean_gap == pytest.approx(width, rel=1e-3)
    assert statistics.narrow_share == pytest.approx(narrow, abs=1e-9)
