"""The optimiser Muon."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from resinflow.train.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (1, 5), (64, 1728)])
def test_directions_of_a_step_weigh_alike(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalised(matrix)
    sizes = torch.linalg.svdvals(found)
    assert found.shape == matrix.shape
    assert 0.6 < sizes.min() <= sizes.max() < 1.25
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    aligned = (left.T @ found @ right.T).diagonal()
    assert aligned.min() > 0.6  # the singular vectors are kept


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_size_of_a_gradient_does_not_matter_for_matrices(factor: float) -> None:
    weight = nn.Parameter(torch.zeros(16, 8, 3, 3, 3))
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))
    weight.grad = factor * gradient
    Muon([weight], lr=1e-3).step()
    size = weight.square().mean().sqrt().item()
    assert size == pytest.approx(0.2e-3, rel=0.4)  # that of AdamW
    assert (weight * gradient).sum() < 0


@pytest.mark.parametrize(("shape", "kind"), [((7,), torch.float32), ((2, 3), torch.complex64)])
def test_vectors_and_complex_weights_take_the_steps_of_adamw(shape: tuple[int, ...], kind: torch.dtype) -> None:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=kind)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    first, second = Muon([ours], lr=0.1, weight_decay=0.2), torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.2)
    for step in range(5):
        for parameter, optimizer in ((ours, first), (theirs, second)):
            parameter.grad = torch.sin(parameter.detach() * (step + 1))
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_it_goes_on_from_its_saved_state_as_if_never_interrupted() -> None:
    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv3d(2, 6, 3), nn.SiLU(), nn.Conv3d(6, 1, 1))
    data = torch.randn(3, 2, 4, 5, 5)

    def train(network: nn.Module, optimizer: Muon, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            network(data).square().mean().backward()
            optimizer.step()

    optimizer = Muon(network.parameters(), lr=1e-2)
    before = network(data).square().mean().item()
    train(network, optimizer, 4)
    resumed = copy.deepcopy(network)
    continued = Muon(resumed.parameters(), lr=1e-2)
    continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(network, optimizer, 3)
    train(resumed, continued, 3)
    assert network(data).square().mean() < before
    for ours, theirs in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(ours, theirs)
