"""Claims about the published noise schedule and its samplers: the stored numbers, and what theory says of them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from resinflow.diffusion.ddpm import CLIP, NoiseSchedule, ddim_timesteps, sample_ddim, sample_ddpm

GOLDEN = Path(__file__).parents[1].parent / "shared" / "reference" / "golden"
TOLERANCE = 1e-6

needs_reference = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the stored numbers of the published schedule are not here")


def stored(file: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / f"{file}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@needs_reference
def test_all_coefficients_are_the_published_ones_to_the_last_bit() -> None:
    schedule, expected = NoiseSchedule.linear(), stored("scheduler")
    assert {field.name for field in fields(schedule)} == set(expected)
    assert [name for name, values in expected.items() if not torch.equal(getattr(schedule, name), values)] == []


@needs_reference
@pytest.mark.parametrize("steps", [4, 20, 50])
def test_ddim_visits_the_published_steps(steps: int) -> None:
    assert ddim_timesteps(1000, steps) == stored("ddim_timesteps")[f"n{steps}"].tolist()


@needs_reference
@pytest.mark.parametrize("step", [0, 1, 500, 999])
def test_noising_and_ddpm_steps_give_the_published_latents(step: int) -> None:
    schedule, data = NoiseSchedule.linear(), stored("scheduler_steps")
    noised = schedule.noised(data["x0"], data["noise"], torch.full((2,), step))
    assert torch.allclose(noised, data[f"q_sample_t{step}"], atol=TOLERANCE)
    stepped = schedule.ddpm_step(data["x_t"], data["eps"], step, data["noise"])
    assert torch.allclose(stepped, data[f"p_sample_t{step}_clip30"], atol=TOLERANCE)


@needs_reference
def test_every_item_of_a_batch_may_have_its_own_step() -> None:
    schedule, data = NoiseSchedule.linear(), stored("scheduler_steps")
    noised = schedule.noised(data["x0"], data["noise"], data["tvec"])
    assert torch.allclose(noised, data["q_sample_tvec"], atol=TOLERANCE)


@needs_reference
@pytest.mark.parametrize(("step", "before"), [(999, 666), (666, 333), (333, 0), (0, -1)])
def test_ddim_steps_give_the_published_latents(step: int, before: int) -> None:
    data = stored("scheduler_steps")
    moved = NoiseSchedule.linear().ddim_step(data["x_t"], data["eps"], step, before)
    assert torch.allclose(moved, data[f"ddim_{step}_{before}"], atol=TOLERANCE)


def exact_noise(schedule: NoiseSchedule, clean: torch.Tensor):
    """A denoiser that knows the clean latent."""

    def noise(latent: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        keep, add = schedule.sqrt_alphas_cumprod[step], schedule.sqrt_one_minus_alphas_cumprod[step]
        return (latent - keep.view(-1, 1) * clean) / add.view(-1, 1)

    return noise


@pytest.mark.parametrize(("steps", "eta"), [(1, 0.0), (7, 0.0), (20, 0.5), (20, 1.0), (130, 0.0)])
def test_ddim_with_a_perfect_denoiser_finds_the_clean_latent_in_any_number_of_steps(steps: int, eta: float) -> None:
    schedule, clean = NoiseSchedule.linear(100), torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    found = sample_ddim(
        schedule,
        exact_noise(schedule, clean),
        torch.randn(3, 6, generator=generator),
        steps=steps,
        eta=eta,
        draw=lambda: torch.randn(3, 6, generator=generator),
    )
    assert torch.allclose(found, clean, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 100])
def test_ddpm_with_a_perfect_denoiser_finds_the_clean_latent(steps: int) -> None:
    schedule, clean = NoiseSchedule.linear(steps), torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)

    def draw() -> torch.Tensor:
        return torch.randn(3, 6, generator=generator)

    assert torch.allclose(sample_ddpm(schedule, exact_noise(schedule, clean), draw(), draw), clean, atol=1e-3)


def test_ddpm_draws_noise_for_all_steps_but_the_last() -> None:
    drawn = []

    def draw() -> torch.Tensor:
        drawn.append(1)
        return torch.zeros(1, 2)

    sample_ddpm(NoiseSchedule.linear(30), lambda latent, step: latent, torch.ones(1, 2), draw)
    assert len(drawn) == 29


def test_noise_and_clean_latent_are_recovered_from_each_other() -> None:
    schedule, generator = NoiseSchedule.linear(), torch.Generator().manual_seed(0)
    clean, noise = torch.randn(4, 8, generator=generator), torch.randn(4, 8, generator=generator)
    steps = torch.tensor([0, 10, 300, 700])
    estimate = schedule.clean_estimate(schedule.noised(clean, noise, steps), noise, steps)
    assert torch.allclose(estimate, clean, atol=1e-4)


def test_ddpm_steps_keep_the_variance_of_the_forward_process() -> None:
    """A standard normal clean latent has noised latents of unit variance, and the posterior keeps that (Ho et al., eq. 7)."""
    schedule = NoiseSchedule.linear()
    for step in (1, 100, 500, 999):
        coefficient, keep = schedule.posterior_mean_coef1[step], schedule.posterior_mean_coef2[step]
        cross = schedule.sqrt_alphas_cumprod[step]
        variance = coefficient**2 + keep**2 + 2 * coefficient * keep * cross + schedule.posterior_variance[step]
        assert float(variance) == pytest.approx(1, abs=1e-5)


def test_the_estimate_is_clipped_and_the_direction_is_not() -> None:
    schedule, step, before = NoiseSchedule.linear(), 999, 500
    latent, noise = torch.full((1, 1), 5.0), torch.full((1, 1), -3.0)
    keep, share = schedule.sqrt_alphas_cumprod[before], schedule.alphas_cumprod[before]
    expected = keep * CLIP + torch.sqrt(1 - share) * noise
    assert torch.allclose(schedule.ddim_step(latent, noise, step, before), expected)


def test_fresh_noise_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="needed: draw"):
        sample_ddim(NoiseSchedule.linear(10), lambda latent, step: latent, torch.ones(1, 2), steps=2, eta=0.5)
