"""Claims about convolutions in integers."""

from __future__ import annotations

import pytest
import torch

from resinflow.nn.integers import activated_convolution, has_integers, integer_convolutions

pytestmark = pytest.mark.skipif(not has_integers(), reason="needs a CPU with AVX-512 VNNI and BF16")


@pytest.fixture
def conv() -> torch.nn.Conv3d:
    torch.manual_seed(0)
    return torch.nn.Conv3d(16, 24, 3, padding=1)


def by_integers(conv: torch.nn.Conv3d, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode(), integer_convolutions():
        return activated_convolution(conv, x).float()


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_integers_change_a_convolution_by_less_than_two_percent(conv: torch.nn.Conv3d, size: float) -> None:
    with torch.no_grad():
        conv.bias.mul_(size)  # pyright: ignore[reportOptionalMemberAccess]
        x = size * torch.randn(2, 16, 3, 8, 8)
        exact = conv(torch.nn.functional.silu(x))
    assert (by_integers(conv, x) - exact).norm() < 0.02 * exact.norm()


def test_outside_of_the_context_nothing_is_rounded(conv: torch.nn.Conv3d) -> None:
    x = torch.randn(1, 16, 3, 8, 8)
    by_integers(conv, x)
    assert torch.equal(activated_convolution(conv, x), conv(torch.nn.functional.silu(x)))


def test_weights_that_are_trained_on_are_rounded_anew(conv: torch.nn.Conv3d) -> None:
    x = torch.randn(1, 16, 3, 8, 8)
    before = by_integers(conv, x)
    with torch.no_grad():
        conv.weight.zero_()
    after = by_integers(conv, x)
    assert torch.allclose(after, conv.bias.detach().view(1, -1, 1, 1, 1).expand_as(after), atol=1e-2)  # pyright: ignore
    assert not torch.allclose(before, after, atol=1e-2)


def test_fields_that_are_no_numbers_stay_so(conv: torch.nn.Conv3d) -> None:
    x = torch.full((1, 16, 3, 8, 8), torch.nan)
    assert by_integers(conv, x).isnan().all()


def test_the_input_is_left_as_it_was(conv: torch.nn.Conv3d) -> None:
    x = torch.randn(1, 16, 3, 8, 8)
    copy = x.clone()
    by_integers(conv, x)
    assert torch.equal(x, copy)


def test_an_item_does_not_depend_on_its_company(conv: torch.nn.Conv3d) -> None:
    one, other = torch.randn(1, 16, 3, 8, 8), 50 * torch.randn(1, 16, 3, 8, 8)
    assert torch.equal(by_integers(conv, torch.cat([one, other]))[:1], by_integers(conv, one))
