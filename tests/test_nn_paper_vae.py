"""Claims about the published VAE: its names, its sizes, and its outputs at full width against stored ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resinflow.nn.vae import Posterior
from resinflow.presets.paper.networks.upsampling import UpsampledConv
from resinflow.presets.paper.networks.vae import Decoder, DualBranchVAE, Encoder

REFERENCE = Path(__file__).parents[1].parent / "shared" / "reference"
GOLDEN = REFERENCE / "golden"
TOLERANCE = 2e-5
FULL = {"channels": 3, "widths": (128, 256, 512), "latent_channels": 8}

needs_reference = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the stored outputs of the published networks are not here")


def uniform(name: str, count: int) -> np.ndarray:
    """Portable pseudo-random numbers in [0, 1): splitmix64 over the element index, started at the FNV-1a hash of a name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    numbers = np.empty(count)
    block = 1 << 20  # keeps the temporaries in the cache
    for begin in range(0, count, block):
        index = np.arange(begin + 1, min(begin + block, count) + 1, dtype=np.uint64)
        z = np.uint64(state) + index * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        numbers[begin : begin + len(index)] = (z >> np.uint64(11)) * 2.0**-53
    return numbers


def filled(module: nn.Module, prefix: str) -> nn.Module:
    """Give a module built on the meta device the portable weights of its names."""
    state = {}
    for name, entry in module.state_dict().items():
        full, shape = prefix + name, tuple(entry.shape)
        deviation = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.1
        values = deviation * math.sqrt(3) * (2 * uniform(full, math.prod(shape)) - 1)
        if full.endswith(".weight") and ".norm" in full:
            values += 1
        state[name] = torch.from_numpy(values.reshape(shape).astype(np.float32))
    module.load_state_dict(state, assign=True)
    return module.eval()


def network(kind: type[Encoder | Decoder], name: str) -> nn.Module:
    with torch.device("meta"):
        empty = kind(**FULL)
    return filled(empty, f"{name}.")


def stored(file: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / f"{file}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < TOLERANCE


@needs_reference
def test_names_order_shapes_and_number_of_the_weights_are_the_published_ones() -> None:
    with torch.device("meta"):
        vae = DualBranchVAE()
    found = {name: list(entry.shape) for name, entry in vae.state_dict().items()}
    expected = json.loads((REFERENCE / "vae_state_dict.json").read_text())
    assert list(found.items()) == list(expected.items())
    assert sum(entry.numel() for entry in vae.parameters()) == 154_140_454


@needs_reference
def test_the_portable_weights_are_those_of_the_stored_outputs() -> None:
    check = stored("fill_check")
    name, count = "encoder_2d.conv_in.weight", 8
    numbers = uniform(name, count)
    assert np.array_equal(numbers, check["u_first8"].numpy())
    weights = (math.sqrt(3) / math.sqrt(81) * (2 * numbers - 1)).astype(np.float32)
    assert np.array_equal(weights, check["w_first8"].numpy())


@needs_reference
@torch.inference_mode()
def test_encoder_2d_of_full_width_gives_the_published_latent() -> None:
    data = stored("vae_encoder")
    moments = network(Encoder, "encoder_2d")(data["x_2d"])
    close(moments, torch.cat([data["mu_2d"], data["logvar_2d_raw"]], dim=1))
    close(moments[:, 8:].clamp(-10, 10), data["logvar_2d"])


@needs_reference
@torch.inference_mode()
def test_the_3d_branch_of_full_width_gives_the_published_latent_sample_and_flows() -> None:
    encoded, decoded, sampled = stored("vae_encoder"), stored("vae_decoder"), stored("vae_sample")
    moments = network(Encoder, "encoder_3d")(encoded["x_3d"])
    close(moments, torch.cat([encoded["mu_3d"], encoded["logvar_3d_raw"]], dim=1))
    decoder = network(Decoder, "decoder_3d")
    close(decoder(decoded["z"]), decoded["decode_3d"])
    close(decoder(encoded["mu_2d"]), decoded["cross_decode3d_of_mu_2d"])
    mean, log_variance = moments.chunk(2, dim=1)
    posterior = Posterior(mean, log_variance.clamp(-10, 10))
    latent = posterior.mean + torch.exp(0.5 * posterior.log_variance) * sampled["eps"]
    close(latent, sampled["z"])
    close(decoder(latent), sampled["recon"])


@needs_reference
@torch.inference_mode()
def test_decode_2d_of_full_width_gives_the_published_planar_flow_with_vz_exactly_zero() -> None:
    data = stored("vae_decoder")
    with torch.device("meta"):
        vae = DualBranchVAE()
    vae.decoder_2d = network(Decoder, "decoder_2d")
    planar = vae.decode_2d(data["z"])
    close(planar, data["decode_2d"])
    assert planar[:, 2].abs().max() == 0


def small_vae() -> DualBranchVAE:
    torch.manual_seed(0)
    return DualBranchVAE(widths=(32, 32, 64), latent_channels=2)


def test_depth_is_kept_and_the_plane_shrinks_by_four_and_grows_back() -> None:
    vae, flow = small_vae(), torch.randn(2, 3, 3, 8, 12)
    latent = vae.encode_3d(flow).mean
    assert latent.shape == (2, 2, 3, 2, 3)
    assert vae.decode_3d(latent).shape == flow.shape


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_inference_gives_what_training_differentiates(layout: torch.memory_format) -> None:
    vae = small_vae().to(memory_format=layout)
    flow = torch.randn(1, 3, 3, 8, 12).contiguous(memory_format=layout)
    differentiable = vae.decode_3d(vae.encode_2d(flow).mean)
    differentiable.square().mean().backward()
    with torch.inference_mode():
        plain = vae.decode_3d(vae.encode_2d(flow).mean)
    assert float((plain - differentiable.detach()).abs().max()) < 1e-5
    assert all(entry.grad is not None for entry in vae.decoder_3d.parameters())


def test_a_convolution_of_the_doubled_plane_needs_no_doubled_plane() -> None:
    torch.manual_seed(1)
    layer, field = UpsampledConv(3, 5), torch.randn(2, 3, 4, 5, 6)
    doubled = nn.functional.conv3d(
        field.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4), layer.weight, layer.bias, padding=1
    )
    with torch.inference_mode():
        assert torch.allclose(layer(field), doubled, atol=1e-6)
