"""Claims about the published denoiser: its names, its sizes, its outputs against stored ones, and what it cannot see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from resinflow.presets.paper.networks.unet import UNet, sinusoid

REFERENCE = Path(__file__).parents[1].parent / "shared" / "reference"
GOLDEN = REFERENCE / "golden"
TOLERANCE = 2e-5

needs_reference = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the stored outputs of the published networks are not here")


def stored(file: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / f"{file}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def shapes(network: UNet) -> list[tuple[str, list[int]]]:
    return [(name, list(entry.shape)) for name, entry in network.state_dict().items()]


def small_unet() -> UNet:
    return UNet(features=(8, 16, 32), attention_from=2).eval()


@needs_reference
def test_names_order_shapes_and_number_of_the_weights_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = UNet()
    assert shapes(network) == list(json.loads((REFERENCE / "unet_state_dict.json").read_text()).items())
    assert sum(entry.numel() for entry in network.parameters()) == 139_810_952


@needs_reference
@torch.inference_mode()
def test_a_small_network_gives_the_published_noise() -> None:
    network, data = small_unet(), stored("unet_small")
    assert shapes(network) == list(json.loads((GOLDEN / "unet_small_state_dict.json").read_text()).items())
    network.load_state_dict(stored("unet_small_weights"))
    assert float((network(data["x"], data["t"]) - data["y"]).abs().max()) < TOLERANCE


@needs_reference
@torch.inference_mode()
def test_the_time_embedding_is_the_published_one() -> None:
    network, data = small_unet(), stored("unet_small")
    network.load_state_dict(stored("unet_small_weights"))
    waves = sinusoid(data["t"], 64)
    assert float((waves - data["time_pos_emb"]).abs().max()) < TOLERANCE
    assert float((network.time_mlp(waves) - data["time_emb"]).abs().max()) < TOLERANCE


def test_a_new_network_returns_zero_noise() -> None:
    torch.manual_seed(0)
    assert small_unet()(torch.randn(2, 17, 16, 16), torch.tensor([3, 700])).abs().max() == 0


@torch.inference_mode()
def test_every_slice_is_denoised_by_itself() -> None:
    torch.manual_seed(0)
    network = UNet(features=(8, 16), attention_from=1)
    for entry in network.parameters():
        torch.nn.init.normal_(entry, std=0.1)
    slices, steps = torch.randn(3, 17, 8, 8), torch.tensor([1, 50, 999])
    together = network(slices, steps)
    alone = torch.cat([network(slices[i : i + 1], steps[i : i + 1]) for i in range(3)])
    assert float(together.abs().max()) > 0.01
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_gradient_reaches_every_weight_behind_the_first_step() -> None:
    torch.manual_seed(0)
    network = UNet(features=(8, 16), attention_from=2)
    for entry in network.parameters():
        torch.nn.init.normal_(entry, std=0.1)
    network(torch.randn(1, 17, 8, 8), torch.tensor([10])).square().mean().backward()
    assert [name for name, entry in network.named_parameters() if entry.grad is None] == []
