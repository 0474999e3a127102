"""Claims about the networks."""

from __future__ import annotations

import pytest
import torch

from resinflow.nn.blocks import ChannelNorm, Trunk, convolve_folded, fold, unfold
from resinflow.nn.denoiser import Denoiser
from resinflow.nn.vae import DualBranchVAE


@pytest.fixture
def vae() -> DualBranchVAE:
    torch.manual_seed(0)
    return DualBranchVAE(
        target_channels=4,
        condition_channels=5,
        geometry_channels=2,
        planar_channels=3,
        latent_channels=2,
        width=8,
        blocks=(1, 2, 1, 1),
    )


def perturbed(module: torch.nn.Module) -> torch.nn.Module:
    """Blocks start as the identity: give every weight a value, as after training."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return module


def test_unfolding_undoes_folding() -> None:
    x = torch.arange(2 * 3 * 2 * 8 * 12.0).reshape(2, 3, 2, 8, 12)
    assert fold(x).shape == (2, 48, 2, 2, 3)
    assert torch.equal(unfold(fold(x)), x)


def test_folding_keeps_each_block_of_pixels_together() -> None:
    x = torch.zeros(1, 1, 1, 8, 8)
    x[0, 0, 0, 4:, :4] = 1
    assert fold(x)[0, :, 0].sum(0).tolist() == [[0.0, 0.0], [16.0, 0.0]]


@pytest.mark.parametrize("latent_channels", [0, 2])
def test_a_convolution_over_blocks_is_that_of_the_folded_fields(latent_channels: int) -> None:
    conv = torch.nn.Conv3d(latent_channels + 3 * 16, 5, 1)
    fields, latent = torch.randn(2, 3, 2, 8, 12), torch.randn(2, latent_channels, 2, 2, 3) if latent_channels else None
    folded = convolve_folded(conv, 4, fields, latent)
    with torch.no_grad():
        assert torch.allclose(convolve_folded(conv, 4, fields, latent), folded, atol=1e-5)


def test_channel_norm_gives_each_voxel_unit_mean_square() -> None:
    x = 5 * torch.randn(2, 16, 3, 4, 4)
    assert torch.allclose(ChannelNorm(16)(x).square().mean(dim=1), torch.ones(2, 3, 4, 4), atol=1e-3)


def test_networks_take_any_size_that_their_strides_divide(vae: DualBranchVAE) -> None:
    for depth, height, width in ((1, 8, 8), (3, 12, 20), (5, 16, 4)):
        conditions, target = torch.randn(2, 5, depth, height, width), torch.randn(2, 4, depth, height, width)
        latent = vae.encode_3d(target, conditions).mean
        assert latent.shape == (2, 2, depth, height // 4, width // 4)
        assert vae.encode_2d(conditions).shape == latent.shape
        assert vae.decode_3d(latent, conditions).shape == target.shape
        assert vae.decode_2d(latent, conditions).shape == (2, 3, depth, height, width)


def test_far_away_voxels_do_not_change_the_output() -> None:
    """No statistics over the volume: a network's answer does not depend on how large the domain around it is."""
    trunk = perturbed(Trunk(3, 8, 1, 2))
    x = torch.randn(1, 3, 3, 20, 20)
    changed = x.clone()
    changed[..., 10:, :] = 3.0
    near, far = trunk(x), trunk(changed)
    assert torch.allclose(near[..., :7, :], far[..., :7, :], atol=1e-6)
    assert not torch.allclose(near[..., 10:, :], far[..., 10:, :], atol=1e-2)


def test_the_2d_decoder_sees_of_the_conditions_the_geometry_alone(vae: DualBranchVAE) -> None:
    perturbed(vae)
    conditions, latent = torch.randn(1, 5, 2, 8, 8), torch.randn(1, 2, 2, 2, 2)
    changed = conditions.clone()
    changed[:, 2:] += 1
    assert torch.equal(vae.decode_2d(latent, conditions), vae.decode_2d(latent, changed))
    assert not torch.equal(vae.decode_3d(latent, conditions), vae.decode_3d(latent, changed))


def test_slices_are_coupled_in_the_denoiser() -> None:
    denoiser = perturbed(Denoiser(latent_channels=2, condition_channels=3, width=8, blocks=1))
    noisy, start, conditions = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4), torch.randn(1, 3, 3, 16, 16)
    changed = noisy.clone()
    changed[:, :, 2] += 1
    level = torch.tensor([0.5])
    before, after = denoiser(noisy, start, conditions, level), denoiser(changed, start, conditions, level)
    assert (before[:, :, 1] - after[:, :, 1]).abs().max() > 1e-4


def test_the_denoiser_knows_the_noise_level() -> None:
    denoiser = perturbed(Denoiser(latent_channels=2, condition_channels=3, width=8, blocks=1))
    inputs = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4), torch.randn(1, 3, 3, 16, 16)
    difference = denoiser(*inputs, torch.tensor([0.1])) - denoiser(*inputs, torch.tensor([0.9]))
    assert difference.abs().max() > 1e-4


def test_kl_of_a_standard_normal_posterior_is_zero_and_grows_with_the_mean(vae: DualBranchVAE) -> None:
    from resinflow.nn.vae import Posterior

    zero = torch.zeros(1, 2, 1, 2, 2)
    assert Posterior(zero, zero).kl() == 0
    assert Posterior(zero + 2, zero).kl() == pytest.approx(2.0)


@pytest.fixture
def u_shaped() -> DualBranchVAE:
    torch.manual_seed(0)
    return DualBranchVAE(
        target_channels=4,
        condition_channels=5,
        geometry_channels=2,
        planar_channels=3,
        latent_channels=2,
        width=8,
        blocks=(1, 1, 1, 1),
        decoder_levels=((6, 1), (8, 1), (10, 2)),
    )


def test_a_u_shaped_decoder_takes_any_size_that_its_stride_divides(u_shaped: DualBranchVAE) -> None:
    assert u_shaped.stride == 8
    for depth, height, width in ((1, 8, 8), (3, 16, 24)):
        conditions, latent = torch.randn(2, 5, depth, height, width), torch.randn(2, 2, depth, height // 4, width // 4)
        assert u_shaped.decode_3d(latent, conditions).shape == (2, 4, depth, height, width)


def test_a_u_shaped_decoder_sees_the_conditions_at_full_resolution_and_the_latent(u_shaped: DualBranchVAE) -> None:
    perturbed(u_shaped)
    conditions, latent = torch.randn(1, 5, 2, 16, 16), torch.randn(1, 2, 2, 4, 4)
    decoded = u_shaped.decode_3d(latent, conditions)
    sharper = conditions.clone()
    sharper[0, 3, 1, 9, 6] += 1.0  # a single voxel
    other = latent.clone()
    other[0, 1, 0, 2, 1] += 1.0
    for changed in (u_shaped.decode_3d(latent, sharper), u_shaped.decode_3d(other, conditions)):
        assert (changed - decoded).abs().max() > 1e-3
