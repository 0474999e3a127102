"""Claims about the physics losses: zero for what obeys the law, the exact number for known fields, on the true spacing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from resinflow.evaluate.conservation import divergence_at_centres, flow_rate_variation
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.models.physics import (
    LOSSES,
    dimensionless,
    divergence,
    divergence_loss,
    flow_rate_loss,
    interior,
    laplacian_loss,
    no_slip_loss,
    physics_losses,
    rms_speed,
    smoothness_loss,
)

SHAPE = (5, 6, 7)
SPACING = torch.tensor([[25.0, 1.0, 1.0]], dtype=torch.float64)
"""Voxels 25 times as deep as wide."""
OPEN = torch.ones(1, 1, *SHAPE, dtype=torch.float64)


def coordinates() -> tuple[Tensor, Tensor, Tensor]:
    """x, y, z of the voxels, in units of dx."""
    axes = [torch.arange(count, dtype=torch.float64) * float(step) for count, step in zip(SHAPE, SPACING[0], strict=True)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return x, y, z


def field(u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    return torch.stack([u, v, w])[None]


def some_medium(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(1, 1, *SHAPE, generator=generator) > 0.2).double()


def test_a_divergence_free_field_has_no_divergence_on_flat_voxels() -> None:
    x, y, z = coordinates()
    velocity = field(2 * x + y, 3 * y - z, -5 * z + x)
    assert divergence_loss(velocity, OPEN, SPACING).item() < 1e-20


def test_a_linear_field_has_the_divergence_of_calculus_at_every_interior_voxel() -> None:
    x, y, z = coordinates()
    found = divergence(field(2 * x, 3 * y, 0.5 * z), SPACING)[interior(OPEN) > 0]
    assert torch.allclose(found, torch.full_like(found, 5.5))
    assert divergence_loss(field(2 * x, 3 * y, 0.5 * z), OPEN, SPACING).item() == pytest.approx(5.5**2)


def test_the_derivative_along_z_is_taken_over_the_depth_of_a_voxel() -> None:
    steps = torch.arange(SHAPE[0], dtype=torch.float64).view(-1, 1, 1).expand(SHAPE)
    still = torch.zeros(SHAPE, dtype=torch.float64)
    assert divergence_loss(field(still, still, steps), OPEN, SPACING).item() == pytest.approx(1 / 25**2)


def test_interior_voxels_have_all_neighbours_in_the_fluid() -> None:
    fluid = OPEN.clone()
    fluid[0, 0, 2, 3, 3] = 0
    inside = interior(fluid)[0, 0]
    assert inside.sum() == 3 * 4 * 5 - 7  # the fibre voxel and its six neighbours
    assert inside[2, 3, 4] == inside[2, 2, 3] == inside[1, 3, 3] == 0
    assert inside[1, 2, 3] == 1


def test_an_axis_of_one_voxel_asks_for_no_neighbours() -> None:
    assert interior(torch.ones(1, 1, 1, 4, 4)).sum() == 4


def test_a_velocity_inside_a_fibre_does_not_count_for_the_fluid() -> None:
    fluid = some_medium()
    velocity = torch.randn(1, 3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    disturbed = velocity + 7 * (1 - fluid)
    names = [name for name in LOSSES if name != "no_slip"]
    before, after = (physics_losses(flow, fluid, SPACING, names) for flow in (velocity, disturbed))
    for name in names:
        assert torch.equal(before[name], after[name]), name


def test_slip_is_the_mean_squared_speed_in_the_fibres() -> None:
    fluid = OPEN.clone()
    fluid[..., :2] = 0
    velocity = torch.zeros(1, 3, *SHAPE, dtype=torch.float64)
    velocity[:, 1, ..., 0] = 3.0  # half of the fibre voxels
    velocity[..., 4:] = 100.0
    assert no_slip_loss(velocity, fluid).item() == pytest.approx(4.5)
    assert no_slip_loss(velocity, OPEN).item() == 0


def test_a_flow_rate_that_does_not_depend_on_x_costs_nothing() -> None:
    profile = torch.rand(1, 1, SHAPE[0], SHAPE[1], 1, dtype=torch.float64).expand(1, 3, *SHAPE)
    assert flow_rate_loss(profile, OPEN).item() < 1e-30
    x, y, z = coordinates()
    assert flow_rate_loss(field(x, y, z), OPEN).item() == pytest.approx(np.var(np.arange(SHAPE[2])))


def test_smoothness_is_the_squared_gradient_and_sees_a_checkerboard() -> None:
    x, y, z = coordinates()
    assert smoothness_loss(field(2 * x + 3 * y, 0 * y, 4 * z), OPEN, SPACING).item() == pytest.approx(4 + 9 + 16)
    board = ((x + y + z / 25) % 2).expand(1, 3, *SHAPE)
    assert smoothness_loss(board, OPEN, SPACING).item() == pytest.approx(3 * (2 + 1 / 625))


def test_the_laplacian_of_a_quadratic_is_exact_and_that_of_a_linear_field_zero() -> None:
    x, y, z = coordinates()
    assert laplacian_loss(field(x**2, 2 * y**2, z**2), OPEN, SPACING).item() == pytest.approx(2**2 + 4**2 + 2**2)
    assert laplacian_loss(field(x, y + z, 3 * z), OPEN, SPACING).item() < 1e-18


def test_each_sample_of_a_batch_has_its_own_losses() -> None:
    fluids = torch.cat([some_medium(1), some_medium(2)])
    velocities = torch.randn(2, 3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    spacings = torch.cat([SPACING, 2 * SPACING])
    together = physics_losses(velocities, fluids, spacings)
    for place in (0, 1):
        one = slice(place, place + 1)
        alone = physics_losses(velocities[one], fluids[one], spacings[one])
        for name in LOSSES:
            assert together[name][place].item() == pytest.approx(alone[name].item()), name


def test_losses_in_own_units_do_not_depend_on_resin_or_scale() -> None:
    fluid = some_medium()
    velocity = torch.randn(1, 3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    first = physics_losses(*in_own_units(velocity, fluid, SPACING))
    second = physics_losses(*in_own_units(1e-4 * velocity, fluid, 1e-6 * SPACING))
    for name in LOSSES:
        assert first[name].item() == pytest.approx(second[name].item()), name


def in_own_units(velocity: Tensor, fluid: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    moved, steps = dimensionless(velocity, spacing, rms_speed(velocity, fluid))
    return moved, fluid, steps


def test_the_losses_are_those_that_evaluation_reports() -> None:
    fluid = some_medium(4)
    velocity = torch.randn(1, 3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) * fluid + fluid
    micro = Microstructure(fluid[0, 0].numpy() > 0, (25e-6, 1e-6, 1e-6))
    flow = FlowField(micro, velocity[0].numpy(), np.zeros(SHAPE), axis="x", pressure_drop=1.0, viscosity=1.0)
    gradient = sum(
        divergence_loss(torch.roll(velocity, turn, 1) * keep, fluid, SPACING).item()
        for turn in range(3)
        for keep in torch.eye(3, dtype=torch.float64).view(3, 1, 3, 1, 1, 1)
    )  # every derivative of every component once
    assert divergence_at_centres(flow) == pytest.approx((divergence_loss(velocity, fluid, SPACING).item() / gradient) ** 0.5)
    mean = (velocity[:, 0] * fluid[:, 0]).mean().item()
    assert flow_rate_variation(flow) == pytest.approx(flow_rate_loss(velocity, fluid).item() ** 0.5 / mean)


def test_every_loss_has_finite_gradients_in_the_velocity() -> None:
    fluid = some_medium(5)
    for velocity in (torch.zeros(1, 3, *SHAPE, dtype=torch.float64), torch.randn(1, 3, *SHAPE, dtype=torch.float64)):
        velocity.requires_grad_(True)
        sum(physics_losses(velocity, fluid, SPACING).values()).backward()
        assert velocity.grad is not None
        assert velocity.grad.isfinite().all()
