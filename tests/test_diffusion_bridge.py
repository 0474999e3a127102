"""Claims about the bridge from one latent to another."""

from __future__ import annotations

import pytest
import torch

from resinflow.diffusion.bridge import Bridge


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + index) for index in range(count)]


def test_the_true_velocity_leads_from_any_draw_to_the_target() -> None:
    start, target = torch.randn(5, 2, 3, 4, 4), torch.randn(5, 2, 3, 4, 4)
    draw = Bridge(0.7).draw(start, target)
    assert torch.allclose(draw.target_estimate(draw.goal), target, atol=1e-5)


def test_the_path_starts_at_the_noisy_start_and_ends_at_the_target() -> None:
    start, target = torch.randn(2000, 1), torch.full((2000, 1), 3.0)
    draw = Bridge(0.5).draw(start, target)
    begin = draw.latent + (1 - draw.level)[:, None] * draw.goal
    assert (begin - start).std() == pytest.approx(0.5, rel=0.1)
    assert draw.level.min() >= 0
    assert draw.level.max() <= 1


def test_a_share_of_the_draws_is_at_the_noisy_start() -> None:
    start, target = torch.zeros(4000, 1), torch.ones(4000, 1)
    level = Bridge(0.5).draw(start, target, start_share=0.6).level
    assert (level == 1).float().mean() == pytest.approx(0.6, abs=0.03)
    assert level[level < 1].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("steps", [1, 2, 5, 16])
def test_sampling_along_a_straight_path_reaches_its_end_in_any_number_of_steps(steps: int) -> None:
    start, target = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    bridge = Bridge(0.3)

    def straight(latent: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return (latent - target) / level.view(-1, 1, 1)

    assert torch.allclose(bridge.sample(straight, start, steps=steps, generators=generators(3)), target, atol=1e-5)


def test_euler_steps_converge_to_the_exact_solution() -> None:
    """d x / d level = x has x(0) = x(1) / e."""
    start = torch.ones(1, 1)
    bridge = Bridge(1e-9)
    errors = [
        abs(float(bridge.sample(lambda x, _: x, start, steps=steps, generators=generators(1))) - 0.36788)
        for steps in (10, 20, 40)
    ]
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.6 * errors[1]


def test_a_sample_depends_on_its_own_generator_alone() -> None:
    start = torch.zeros(3, 2, 4)
    bridge = Bridge(1.0)
    together = bridge.sample(lambda x, _: 0 * x, start, steps=1, generators=generators(3))
    alone = bridge.sample(lambda x, _: 0 * x, start[:1], steps=1, generators=generators(3)[2:])
    assert torch.equal(together[2:], alone)
    assert not torch.equal(together[0], together[1])
