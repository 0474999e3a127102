"""Claims about the losses of the published stages: the published quotients, and finite ones where those are not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from resinflow.presets.paper.losses import LOSSES, alignment, annealed, component_error, normalised_mae, relative_error


def fields(seed: int, shape: tuple[int, ...] = (2, 3, 4, 5, 6)) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_zero_at_the_target_and_above_it_elsewhere(name: str) -> None:
    target = fields(0)
    assert torch.equal(LOSSES[name](target, target), torch.zeros(2))
    assert (LOSSES[name](target + 0.1, target) > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_sample_has_the_same_loss_in_every_batch(name: str) -> None:
    prediction, target = fields(1), fields(2)
    together = LOSSES[name](prediction, target)
    for place in (0, 1):
        assert LOSSES[name](prediction[[place]], target[[place]])[0] == pytest.approx(together[place].item(), rel=1e-5)


@pytest.mark.parametrize(("name", "power"), [("normalised_mae", 1), ("normalised_mse", 2)])
def test_normalised_losses_are_the_published_quotients(name: str, power: int) -> None:
    prediction, target = fields(3), fields(4)
    quotients = [
        float(((prediction[b, c] - target[b, c]).abs() ** power).mean() / ((target[b, c].abs() ** power).mean() + 1e-8))
        for b in range(2)
        for c in range(3)
    ]
    assert LOSSES[name](prediction, target).mean().item() == pytest.approx(sum(quotients) / 6, rel=1e-5)


@pytest.mark.parametrize("name", ["normalised_mae", "normalised_mse"])
def test_normalised_losses_do_not_depend_on_the_speed_of_the_flow(name: str) -> None:
    prediction, target = fields(3), fields(4)
    slow = LOSSES[name](1e-4 * prediction, 1e-4 * target)
    assert torch.allclose(slow, LOSSES[name](prediction, target), rtol=1e-3)


def test_a_component_at_rest_is_measured_against_the_others() -> None:
    target = fields(5)
    target[:, 2] = 0
    prediction = target.clone()
    prediction[:, 2] += 1e-5
    assert normalised_mae(prediction, target).max() < 0.01


def test_a_third_component_that_is_zero_on_both_sides_counts_as_a_hit() -> None:
    prediction, target = fields(6), fields(7)
    prediction[:, 2] = target[:, 2] = 0
    assert torch.allclose(normalised_mae(prediction, target), normalised_mae(prediction[:, :2], target[:, :2]) * 2 / 3)


def test_component_weights_choose_what_counts() -> None:
    target = torch.ones(1, 3, 4)
    prediction = target + torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1)
    assert component_error(prediction, target, torch.tensor([1.0, 0.0, 0.0])).item() == pytest.approx(1)
    assert component_error(prediction, target, torch.tensor([1.0, 0.0, 3.0])).item() == pytest.approx((1 + 3 * 4) / 4)


def test_the_relative_error_is_that_of_the_whole_vector_field() -> None:
    target = fields(8)
    assert torch.allclose(relative_error(1.25 * target, target), torch.full((2,), 0.25))
    assert torch.allclose(relative_error(torch.zeros_like(target), target), torch.ones(2))


def test_alignment_is_the_squared_distance_and_the_cosine_over_channels() -> None:
    aim = fields(9)
    assert torch.allclose(alignment(2 * aim, aim, 0.1), aim.square().flatten(1).mean(dim=1), rtol=1e-5)
    opposite = alignment(-aim, aim, 0.1)
    assert torch.allclose(opposite, 4 * aim.square().flatten(1).mean(dim=1) + 0.2, rtol=1e-5)


@pytest.mark.parametrize(("epoch", "weight"), [(0, 1e-5), (5, 1e-5 + 0.5 * 99e-5), (10, 1e-3), (80, 1e-3)])
def test_beta_rises_over_the_first_epochs_and_stays(epoch: int, weight: float) -> None:
    assert annealed(1e-5, 1e-3, 10, epoch) == pytest.approx(weight)


def test_no_epochs_of_annealing_give_the_final_weight_at_once() -> None:
    assert annealed(0.0, 0.5, 0, 0) == 0.5
