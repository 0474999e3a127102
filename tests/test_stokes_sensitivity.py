"""How far K moves with the fibre surfaces, and where: against solves with the surfaces moved."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from resinflow import stokes
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Axis, Microstructure
from resinflow.flow.surface import with_surface
from resinflow.media.bundles import BundleSettings, draw_fibres
from resinflow.media.fibres import Fibres
from resinflow.stokes.drag import face_drag
from resinflow.stokes.sensitivity import displaced, surface_response, wall_sensitivity

SHAPE, EXTENT = (4, 48, 48), (20e-6, 40e-6, 40e-6)
PIXEL = EXTENT[2] / SHAPE[2]


def bundle(fraction: float, seed: int) -> Fibres:
    settings = BundleSettings(fraction, 8e-6, misalignment=8.0)
    return draw_fibres(SHAPE, EXTENT, seed=seed, settings=settings)


def channel(width: float) -> Microstructure:
    """Two flat walls ``width`` voxels apart, between the voxels."""
    height = 12
    from_middle = np.abs(np.arange(height) + 0.5 - height / 2)
    distance = np.broadcast_to((width / 2 - from_middle)[None, :, None], (3, height, 4)) * 1e-6
    return Microstructure(distance > 0, (1e-6,) * 3, distance.copy())


@pytest.mark.parametrize("width", [1.7, 2.5, 6.3])
def test_k_between_flat_walls_goes_with_the_cube_of_their_distance(width: float) -> None:
    response = surface_response(channel(width), pixels=0.02)
    assert response.slope_per_pixel == pytest.approx(-6 / width, rel=2e-3)
    assert wall_sensitivity(response.flow).sum() * 1e-6 == pytest.approx(-6 / width, rel=0.08)


def test_both_walls_of_a_channel_share_the_sensitivity_evenly_and_no_other_voxel_has_any() -> None:
    weights = wall_sensitivity(stokes.solve(channel(4.6)))
    walls = weights.sum(axis=(0, 2))
    used = np.flatnonzero(walls)
    assert len(used) == 2
    assert walls[used[0]] == pytest.approx(walls[used[1]], rel=1e-6)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(("fraction", "seed"), [(0.35, 1), (0.5, 2), (0.58, 3)])
def test_the_derivative_from_one_flow_is_that_of_the_solver(fraction: float, seed: int, axis: Axis) -> None:
    response = surface_response(bundle(fraction, seed).microstructure(SHAPE), axis=axis)
    assert wall_sensitivity(response.flow).sum() == pytest.approx(response.slope, rel=0.07)
    scaled = wall_sensitivity(response.flow, response=response)
    assert scaled.sum() == pytest.approx(response.slope, rel=1e-12)


def test_the_derivative_of_a_flow_along_straight_fibres_is_that_of_the_solver() -> None:
    settings = BundleSettings(0.45, 8e-6, misalignment=0.0)
    micro = draw_fibres(SHAPE, EXTENT, seed=4, settings=settings).microstructure(SHAPE)
    response = surface_response(micro, axis="z")
    assert wall_sensitivity(response.flow).sum() == pytest.approx(response.slope, rel=0.1)


@pytest.mark.parametrize(("fraction", "seed"), [(0.35, 1), (0.5, 12), (0.58, 3)])
def test_the_weights_foretell_k_where_one_half_of_the_fibres_grows(fraction: float, seed: int) -> None:
    fibres = bundle(fraction, seed)
    weights = wall_sensitivity(stokes.solve(fibres.microstructure(SHAPE)))
    rng = np.random.default_rng(seed)
    for _ in range(3):
        half = rng.permutation(len(fibres)) < len(fibres) // 2
        thin, thick = (
            replace(fibres, radius=fibres.radius + way * 0.05 * PIXEL * half).microstructure(SHAPE) for way in (-1, 1)
        )
        assert thin.signed_distance is not None
        assert thick.signed_distance is not None
        growth = 0.5 * (thin.signed_distance.astype(float) - thick.signed_distance)
        change = 0.5 * math.log(stokes.solve(thick).permeability / stokes.solve(thin).permeability)
        assert (weights * growth).sum() == pytest.approx(change, rel=0.1)


def test_weights_stand_in_the_outermost_voxels_of_the_fibres_and_are_negative() -> None:
    micro = bundle(0.5, 2).microstructure(SHAPE)
    weights = wall_sensitivity(stokes.solve(micro))
    assert not weights[micro.fluid].any()
    assert weights[weights > 0].sum() < 1e-3 * -weights.sum()


def test_turning_the_medium_turns_its_weights() -> None:
    micro = bundle(0.45, 5).microstructure(SHAPE)
    other = Microstructure(micro.fluid.swapaxes(1, 2), micro.spacing, np.asarray(micro.signed_distance).swapaxes(1, 2))
    weights = wall_sensitivity(stokes.solve(micro, axis="y", tolerance=1e-9))
    turned = wall_sensitivity(stokes.solve(other, axis="x", tolerance=1e-9))
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), turned.sum(axis=(1, 2)), rtol=1e-3)
    np.testing.assert_allclose(weights, turned.swapaxes(1, 2), atol=1e-3 * np.abs(weights).max())


def test_the_sensitivity_knows_no_viscosity_and_no_pressure() -> None:
    micro = bundle(0.5, 2).microstructure(SHAPE)
    weights = [wall_sensitivity(stokes.solve(micro, pressure_drop=p, viscosity=v)) for p, v in ((1e5, 0.1), (3.0, 7.0))]
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6, atol=1e-6 * np.abs(weights[0]).max())


def test_a_displacement_that_closes_the_medium_leaves_no_k_and_no_slope() -> None:
    response = surface_response(channel(1.1), pixels=0.55)
    assert response.thicker == 0
    assert response.thinner > response.permeability > 0
    assert math.isnan(response.slope)


def test_a_flow_at_rest_has_no_sensitivity() -> None:
    fluid = np.ones((1, 8, 8), bool)
    fluid[:, :, 3:5] = False
    micro = with_surface(Microstructure(fluid, (1e-6,) * 3))
    assert not wall_sensitivity(stokes.solve(micro)).any()
    assert face_drag(stokes.solve(micro)) is None


def test_displaced_surfaces_are_where_they_were_asked_to_be() -> None:
    micro = bundle(0.4, 1).microstructure(SHAPE)
    grown = displaced(micro, 0.2e-6)
    assert grown.signed_distance is not None
    np.testing.assert_allclose(grown.signed_distance, np.asarray(micro.signed_distance) - 0.2e-6, atol=1e-13)
    assert (grown.fluid <= micro.fluid).all()
    assert displaced(micro, 0.0).fingerprint == micro.fingerprint


@pytest.mark.parametrize("pixels", [0.0, -0.1, 1.5, math.nan])
def test_a_displacement_out_of_range_is_refused(pixels: float) -> None:
    with pytest.raises(InvalidInputError, match="the displacement is"):
        surface_response(channel(4), pixels=pixels)
