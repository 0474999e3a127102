"""Claims about flows solved on a finer grid: what averaging and fitting to the mask keep, and what a data set then holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resinflow.data.check import check_store
from resinflow.data.generate import generate
from resinflow.data.recipe import DataRecipe
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.surface import surface_distance, with_surface
from resinflow.media.bundles import BundleSettings, draw_fibres
from resinflow.media.fibres import Fibres
from resinflow.stokes.finer import coarse_grain, solve_refined
from resinflow.stokes.solve import solve
from resinflow.stokes.stored import fit_to_mask, grid_flow
from tests.conftest import TINY_RECIPE

SHAPE = (4, 24, 24)
EXTENT = (20e-6, 30e-6, 30e-6)
FACTORS = (2, 3, 3)
DRIVE = {"pressure_drop": 1e5, "viscosity": 0.1}


@pytest.fixture(scope="module")
def fibres() -> Fibres:
    settings = BundleSettings(volume_fraction=0.45, diameter=9e-6, misalignment=12.0)
    return draw_fibres(SHAPE, EXTENT, seed=11, settings=settings)


@pytest.fixture(scope="module")
def micro(fibres: Fibres) -> Microstructure:
    return fibres.microstructure(SHAPE)


@pytest.fixture(scope="module")
def fine(fibres: Fibres) -> FlowField:
    nz, ny, nx = (count * factor for count, factor in zip(SHAPE, FACTORS, strict=True))
    return solve(fibres.microstructure((nz, ny, nx)), **DRIVE, tolerance=1e-6, wall_rule="surface")


@pytest.fixture(scope="module")
def coarse(fine: FlowField, micro: Microstructure) -> FlowField:
    return coarse_grain(fine, FACTORS, micro)


def staggered(flow: FlowField) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    assert flow.face_velocity is not None
    return flow.face_velocity


def largest_divergence(flow: FlowField) -> float:
    """Largest divergence of a voxel over the largest speed through a voxel edge."""
    assert flow.faces is not None
    speed = max(float(np.abs(field).max()) for field in flow.faces.components)
    return float(np.abs(flow.faces.divergence()).max()) / (speed / min(flow.microstructure.spacing))


def test_flow_rates_through_coarse_planes_are_those_of_the_fine_flow(fine: FlowField, coarse: FlowField) -> None:
    for component, (many, few) in enumerate(zip(staggered(fine), staggered(coarse), strict=True)):
        axis = 2 - component
        others = tuple(other for other in range(3) if other != axis)
        through = np.moveaxis(many, axis, 0)[:: FACTORS[axis]]
        largest = np.abs(few).max()
        np.testing.assert_allclose(
            few.mean(axis=others), through.reshape(len(through), -1).mean(axis=1), rtol=0, atol=1e-13 * largest
        )


def test_averages_conserve_mass_as_the_fine_flow_does(fine: FlowField, coarse: FlowField) -> None:
    assert largest_divergence(coarse) <= 1.01 * largest_divergence(fine)
    assert largest_divergence(coarse) < 1e-5


def test_averages_keep_the_permeability_of_the_fine_flow(fine: FlowField, coarse: FlowField) -> None:
    assert coarse.permeability == pytest.approx(fine.permeability, rel=1e-5)


def test_the_pressure_of_a_voxel_is_the_mean_over_the_fluid_within_it(fine: FlowField, coarse: FlowField) -> None:
    rz, ry, rx = FACTORS
    for z, y, x in np.argwhere(coarse.microstructure.fluid)[::37]:
        block = np.s_[z * rz : (z + 1) * rz, y * ry : (y + 1) * ry, x * rx : (x + 1) * rx]
        within = fine.microstructure.fluid[block]
        assert within.any()
        assert coarse.pressure[z, y, x] == pytest.approx(fine.pressure[block][within].mean(), rel=1e-12)


def test_partly_filled_voxels_carry_resin_until_the_flow_is_fitted_to_the_mask(coarse: FlowField) -> None:
    fibre = ~coarse.microstructure.fluid
    assert np.abs(coarse.velocity[:, fibre]).max() > 0
    fitted = fit_to_mask(coarse)
    assert not fitted.velocity[:, fibre].any()
    assert not fitted.pressure[fibre].any()
    assert fitted.permeability == pytest.approx(coarse.permeability, rel=1e-9)
    assert largest_divergence(fitted) < 5e-4


def test_a_flow_of_the_mask_itself_is_not_changed_by_fitting(micro: Microstructure) -> None:
    flow = solve(micro, **DRIVE, tolerance=1e-8, wall_rule="plain")
    fitted = fit_to_mask(flow)
    assert np.abs(fitted.velocity - flow.velocity).max() < 1e-4 * np.abs(flow.velocity).max()


def test_a_refined_flow_has_the_permeability_of_the_finer_grid(fibres: Fibres, micro: Microstructure, fine: FlowField) -> None:
    refined = solve_refined(fibres, micro, FACTORS, wall_rule="surface", tolerance=1e-6, **DRIVE)
    assert refined.microstructure is micro
    assert refined.permeability == pytest.approx(fine.permeability, rel=1e-5)


def test_surfaces_bring_the_stored_grid_nearer_to_the_refined_flow(micro: Microstructure, fine: FlowField) -> None:
    errors = [
        abs(grid_flow(micro, **DRIVE, wall_rule=rule).permeability / fine.permeability - 1) for rule in ("surface", "plain")
    ]
    assert errors[0] < 0.5 * errors[1]


def test_grids_that_do_not_fit_and_flows_without_faces_are_refused(fine: FlowField, micro: Microstructure) -> None:
    with pytest.raises(InvalidInputError, match=r"the flow has \(8, 72, 72\) voxels; needed"):
        coarse_grain(fine, (2, 2, 2), micro)
    with pytest.raises(InvalidInputError, match="no face_velocity"):
        coarse_grain(replace(fine, face_velocity=None), FACTORS, micro)


def test_the_surface_of_a_mask_is_estimated_to_a_fraction_of_a_pixel(micro: Microstructure) -> None:
    assert surface_distance(micro) is micro.signed_distance
    assert with_surface(micro) is micro
    mask = Microstructure(micro.fluid, micro.spacing)
    estimated = with_surface(mask)
    assert estimated.signed_distance is not None
    assert micro.signed_distance is not None
    np.testing.assert_array_equal(estimated.signed_distance > 0, mask.fluid)
    pixel = micro.spacing[2]
    near = np.abs(micro.signed_distance) < 1.5 * pixel
    error = (estimated.signed_distance - micro.signed_distance)[near] / pixel
    assert np.sqrt((error**2).mean()) < 0.5


def test_slices_without_a_surface_have_one_far_away() -> None:
    fluid = np.ones((2, 6, 6), dtype=bool)
    fluid[1, 2:4, 2:4] = False
    distance = surface_distance(Microstructure(fluid, (1e-6, 1e-6, 1e-6)))
    assert (distance[0] >= 6e-6).all()
    assert distance[1, 2, 2] < 0 < distance[1, 0, 0]


def test_a_refined_data_set_keeps_the_flow_on_its_own_grid_and_passes_the_check(tmp_path: Path) -> None:
    recipe = {**TINY_RECIPE, "samples": 4, "refinement": (1, 2, 2), "wall_rule": "surface", "tolerance": 1e-5}
    store = generate(DataRecipe.model_validate(recipe), tmp_path / "refined.zarr", workers=1)
    assert not check_store(store)
    sample = store.sample(0)
    assert sample.grid is not None
    assert sample.base("grid") is sample.grid
    assert sample.base("response") is sample.response
    assert len(store.statistics["correction_rms_grid"]) == 4
    assert sum(store.statistics["correction_rms_grid"][:3]) < sum(store.statistics["correction_rms"][:3])


def test_a_set_solved_on_its_own_grid_has_no_other_base_than_the_response_flow(tiny_store) -> None:
    with pytest.raises(InvalidInputError, match="base: response"):
        tiny_store.sample(0).base("grid")
