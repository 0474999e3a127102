"""Claims about finer grids: fibre surfaces between voxels are where they were, and coarser flows are good starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.drive import Drive
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.surface import refined_medium
from resinflow.media.bundles import BundleSettings, draw_fibres
from resinflow.stokes.solve import posed_stokes

SHAPE, FACTORS = (4, 32, 32), (2, 2, 2)


def bundle(seed: int, fraction: float = 0.55) -> tuple[Microstructure, Microstructure]:
    """Tilted fibres on a grid, and the same fibres on one twice as fine, each with its exact signed distance."""
    settings = BundleSettings(volume_fraction=fraction, diameter=8e-6, diameter_scatter=0.06, misalignment=8.0)
    fibres = draw_fibres(SHAPE, (16e-6, 25e-6, 25e-6), seed=seed, settings=settings)
    finer = (2 * SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2])
    return fibres.microstructure(SHAPE), fibres.microstructure(finer)


def slit(low: float, high: float, voxels: int, axis: int) -> Microstructure:
    """A gap between two flat walls at these places, in voxels along an axis; one voxel is 1 um."""
    centre = np.arange(voxels) + 0.5
    distance = np.minimum(centre - low, high - centre) * 1e-6
    shape = [6, 6, 6]
    shape[axis] = voxels
    whole = np.broadcast_to(distance.reshape([-1 if k == axis else 1 for k in range(3)]), shape)
    return Microstructure(whole > 0, (1e-6,) * 3, whole.copy())


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("low", "high"), [(3.2, 6.1), (3.0, 5.0), (2.7, 7.9), (3.4, 4.9)])
def test_gap_between_flat_walls_keeps_its_middle_on_a_finer_grid(axis: int, low: float, high: float) -> None:
    fine = refined_medium(slit(low, high, 12, axis), FACTORS)
    along = np.moveaxis(fine.signed_distance, axis, 0)[:, 0, 0] * 1e6
    centre = (np.arange(24) + 0.5) / 2
    assert along == pytest.approx(np.minimum(centre - low, high - centre), abs=1e-5)


@pytest.mark.parametrize("factors", [(1, 1, 1), (1, 3, 2)])
def test_refined_distance_follows_a_tilted_plane_exactly(factors: tuple[int, int, int]) -> None:
    def plane(shape: tuple[int, ...]) -> np.ndarray:
        z, y, x = ((np.arange(n) + 0.5) * 5 / n for n in shape)
        return (0.3 * z[:, None, None] + 0.5 * y[:, None] - 0.8 * x + 1.0) * 1e-6

    coarse = plane((5, 5, 5))
    fine = refined_medium(Microstructure(coarse > 0, (1e-6,) * 3, coarse), factors)
    shape = tuple(5 * factor for factor in factors)
    assert fine.shape == shape
    assert fine.extent == pytest.approx((5e-6,) * 3)
    assert fine.signed_distance == pytest.approx(plane(shape), abs=1e-12)


def test_surfaces_between_voxels_give_the_permeability_of_the_fibres() -> None:
    errors = []
    for seed in (1, 2):
        micro, exact = bundle(seed)
        permeability = stokes.solve(refined_medium(micro, FACTORS), wall_rule="surface", tolerance=1e-4).permeability
        errors.append(permeability / stokes.solve(exact, wall_rule="surface", tolerance=1e-4).permeability - 1)
    assert np.abs(errors).max() < 0.06


def test_refinement_below_one_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="needed: whole factors"):
        refined_medium(slit(3, 5, 8, 0), (0, 1, 1))


def test_flow_of_a_coarser_grid_saves_iterations_and_changes_no_result() -> None:
    saved = 0
    for seed in (1, 2, 3, 4):
        micro, fine = bundle(seed, 0.45)
        with posed_stokes(fine, Drive(), "surface") as posed:
            cold, warm = posed.solve(1e-3), posed.solve(1e-3, initial=stokes.grid_flow(micro))
        assert warm.permeability == pytest.approx(cold.permeability, rel=2e-3)
        assert warm.report.permeability_error <= 1e-3
        saved += cold.report.iterations - warm.report.iterations
    assert saved > 0


@pytest.mark.parametrize("drive", [{"axis": "y"}, {"axis": "z"}, {"boundary": "periodic"}], ids=str)
def test_flow_of_a_coarser_grid_leads_to_the_same_flow_in_every_direction_and_box(drive: dict[str, str]) -> None:
    micro, fine = bundle(1, 0.4)
    start = stokes.solve(micro, wall_rule="surface", tolerance=1e-3, **drive)
    with posed_stokes(fine, Drive(**drive), "surface") as posed:
        cold, warm = posed.solve(1e-3), posed.solve(1e-3, initial=start)
    assert warm.permeability == pytest.approx(cold.permeability, rel=2e-3)


def test_useless_start_costs_work_but_not_the_result() -> None:
    micro, fine = bundle(1, 0.4)
    noise = np.random.default_rng(0).standard_normal((3, *SHAPE)) * 1e-3 * micro.fluid
    rest = FlowField(micro, np.zeros_like(noise), np.zeros(SHAPE), "x", 1e5, 0.1)
    with posed_stokes(fine, Drive(), "surface") as posed:
        exact = posed.solve(1e-6).permeability
        for start in (rest, replace(rest, velocity=noise)):
            flow = posed.solve(1e-3, initial=start)
            assert -1e-6 <= 1 - flow.permeability / exact <= 1e-3 + 1e-6


def test_start_on_a_grid_that_is_no_whole_part_is_refused() -> None:
    micro, _ = bundle(1)
    field = FlowField(micro, np.zeros((3, *SHAPE)), np.zeros(SHAPE), "x", 1e5, 0.1)
    with pytest.raises(InvalidInputError, match="fewer by whole factors"):
        stokes.solve(slit(3, 5, 48, 1), initial=field, wall_rule="plain")
