"""Claims about training the published system: what each stage trains, what its loss is, and what a finished run holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import default_collate

from resinflow.data.open import open_flows
from resinflow.data.published.write import export_published
from resinflow.data.store import FlowStore
from resinflow.diffusion.ddpm import NoiseSchedule
from resinflow.flow.errors import InvalidInputError
from resinflow.models.physics import dimensionless, physics_losses, rms_speed
from resinflow.models.start import StartFlows
from resinflow.presets.families import load_model, load_recipe, recorded_recipe_of
from resinflow.presets.latent.recipe import STAGES
from resinflow.presets.paper.data import PaperBatch, mirrored, read_sample, velocity_factors
from resinflow.presets.paper.networks.system import PaperSystem, flattened
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import PaperModel, PaperRecipe
from resinflow.presets.paper.stages import PaperDiffusionStage, PaperVae2dStage, PaperVae3dStage
from resinflow.presets.training import train
from resinflow.train import MACHINE_OPTIONS

RECIPES = Path(__file__).parents[1] / "recipes"
PUBLISHED = ("paper-vae3d.yaml", "paper-vae2d.yaml", "paper-diffusion.yaml")
VAE_STAGE = {"epochs": 2, "batch_size": 2, "accumulate": 1, "mirrors": ["y", "z"]}
TINY: dict[str, Any] = {
    "preset": "paper",
    "name": "tiny-paper",
    "model": {
        "vae": {"widths": [32, 32, 32], "latent_channels": 2},
        "unet": {"in_channels": 5, "out_channels": 2, "features": [8], "attention_from": 1, "time_width": 16},
        "timesteps": 20,
        "sampling": {"steps": 2},
    },
    "vae3d": VAE_STAGE,
    "vae2d": VAE_STAGE,
    "diffusion": {"epochs": 2, "batch_size": 2, "validation_steps": 2, "physics": {"divergence": 0.1}, "velocity_weight": 0.1},
}
CONFIG = PaperRecipe.model_validate(TINY)


@pytest.fixture(scope="module")
def run(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with all three stages of a very small published system; tests only read it."""
    folder = tmp_path_factory.mktemp("paper")
    for stage in STAGES:
        train(stage, tiny_store.path, folder, CONFIG)
    return folder


def weights(run: Path, stage: str) -> dict[str, Tensor]:
    return load_file(run / stage / "networks.safetensors")


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    names = {name for name in before if not torch.equal(before[name], after[name])}
    return {".".join(name.split(".")[:2]) for name in names}


def batch_of(store: FlowStore, *indices: int) -> PaperBatch:
    return default_collate([read_sample(store, index) for index in indices])


def system_of(store: FlowStore, **stages: Any) -> PaperSystem:
    torch.manual_seed(0)
    system = PaperSystem(CONFIG.model.architecture(**stages))
    system.norm_factors.copy_(torch.from_numpy(velocity_factors(store, "max")[0]))
    return system


def test_stage_2_leaves_the_3d_branch_as_it_was(run: Path) -> None:
    assert changed(weights(run, "vae3d"), weights(run, "vae2d")) == {"vae.encoder_2d", "vae.decoder_2d"}


def test_stage_3_leaves_the_vae_as_it_was_and_trains_the_denoiser(run: Path) -> None:
    before, after = weights(run, "vae2d"), weights(run, "diffusion")
    assert changed(before, after) == set()
    new = {name.split(".")[0] for name in after if name not in before}
    assert new == {"model"}
    assert after["model.final_conv.weight"].abs().max() > 0  # it begins at zero


def test_stage_1_trains_the_3d_branch_alone(run: Path) -> None:
    torch.manual_seed(CONFIG.seed)
    fresh = PaperSystem(CONFIG.model.architecture(unet=None)).state_dict()
    fresh.pop("norm_factors")
    assert changed(fresh, weights(run, "vae3d")) == {"vae.encoder_3d", "vae.decoder_3d"}


def test_all_stages_scale_by_the_training_splits_factors(run: Path, tiny_store: FlowStore) -> None:
    factors, _ = velocity_factors(tiny_store, "max")
    for stage in STAGES:
        assert np.allclose(weights(run, stage)["norm_factors"].numpy(), factors)


def test_a_finished_run_is_a_model_that_predicts(run: Path, tiny_store: FlowStore) -> None:
    model = load_model(run / "model")
    assert isinstance(model, PaperPredictor)
    sample = tiny_store.sample(int(tiny_store.indices("test")[0]))
    start = StartFlows(sample.planar, sample.response)
    truth = sample.truth
    drive = {"pressure_drop": truth.pressure_drop, "viscosity": truth.viscosity}
    flows = [
        model.predict(truth.microstructure, start=start, seed=3, **drive),
        model.mean_latent(start),
        model.reconstruct(truth, start),
    ]
    for flow in flows:
        assert flow.velocity.shape == truth.velocity.shape
        assert np.abs(flow.velocity).max() > 0
        assert not flow.velocity[:, ~truth.microstructure.fluid].any()


def test_the_model_tells_its_story(run: Path, tiny_store: FlowStore) -> None:
    log = json.loads((run / "model" / "log.json").read_text())
    assert log["recipe"] == CONFIG.model_dump(mode="json")
    assert log["data"]["recipe"] == tiny_store.attributes["recipe"]
    for stage in STAGES:
        assert len(log["history"][stage]["train_loss"]) == len(log["history"][stage]["validation_velocity_error"]) == 2


def test_two_runs_of_one_recipe_give_the_same_weights(run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    for stage in STAGES:
        train(stage, tiny_store.path, tmp_path, CONFIG)
        first, again = weights(run, stage), weights(tmp_path, stage)
        assert all(torch.equal(first[name], again[name]) for name in first), stage


def test_recomputed_activations_give_the_same_weights(run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    lean = PaperRecipe.model_validate({**TINY, "vae3d": {**VAE_STAGE, "gradient_checkpointing": True}})
    train("vae3d", tiny_store.path, tmp_path, lean)
    first, again = weights(run, "vae3d"), weights(tmp_path, "vae3d")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_training_from_the_published_layout_gives_the_weights_of_the_store(
    run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    export_published(tiny_store, tmp_path / "published")
    train("vae3d", tmp_path / "published", tmp_path / "run", CONFIG)
    first, again = weights(run, "vae3d"), weights(tmp_path / "run", "vae3d")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert open_flows(tmp_path / "published").indices("test").tolist() == tiny_store.indices("test").tolist()


def test_a_finished_stage_is_not_trained_again(run: Path, tiny_store: FlowStore) -> None:
    before = (run / "vae3d" / "networks.safetensors").stat().st_mtime_ns
    train("vae3d", tiny_store.path, run, CONFIG)
    assert (run / "vae3d" / "networks.safetensors").stat().st_mtime_ns == before


def test_a_run_whose_stages_have_recipes_of_their_own_says_the_whole_one(run: Path) -> None:
    recipe = recorded_recipe_of(run)
    assert isinstance(recipe, PaperRecipe)
    machine = dict.fromkeys(MACHINE_OPTIONS)
    for stage in recipe.stages:
        assert {**recipe.options(stage).model_dump(), **machine} == {**CONFIG.options(stage).model_dump(), **machine}
    assert recipe.model_dump(exclude=set(recipe.stages)) == CONFIG.model_dump(exclude=set(recipe.stages))


def test_a_stage_before_its_turn_is_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no finished stage vae3d"):
        train("vae2d", tiny_store.path, tmp_path, CONFIG)


@pytest.mark.parametrize("change", [{"seed": 1}, {"normalisation": "mean"}, {"model": {**TINY["model"], "timesteps": 30}}])
def test_another_seed_scale_or_size_needs_another_run(run: Path, tiny_store: FlowStore, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="another recipe"):
        train("diffusion", tiny_store.path, run, PaperRecipe.model_validate({**TINY, **change}))


def test_other_options_of_a_later_stage_are_no_other_run(run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    begun = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("vae2d", "diffusion", "model", "*.ckpt"))
    vae2d = {**VAE_STAGE, "epochs": 1, "cross_weight": 10}
    later = PaperRecipe.model_validate({**TINY, "vae3d": {"epochs": 7}, "vae2d": vae2d})
    train("vae2d", tiny_store.path, begun, later)
    recipe = json.loads((begun / "log.json").read_text())["recipe"]
    assert (recipe["vae3d"]["epochs"], recipe["vae2d"]["cross_weight"]) == (2, 10)
    with pytest.raises(InvalidInputError, match="another recipe"):
        train("vae3d", tiny_store.path, begun, later)


def test_stages_copied_from_another_run_serve_as_start(run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    start = tmp_path / "run"
    for stage in ("vae3d", "vae2d"):
        shutil.copytree(run / stage, start / stage, ignore=shutil.ignore_patterns("*.ckpt"))
    other = {"epochs": 1, "batch_size": 2}
    later = PaperRecipe.model_validate({**TINY, "vae2d": {"cross_weight": 3}, "diffusion": other})
    model = PaperPredictor.load(train("diffusion", tiny_store.path, start, later))
    assert model.log["recipe"]["vae2d"] == CONFIG.model_dump(mode="json")["vae2d"]
    assert model.architecture.trained == ("encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d", "unet")


def test_a_planar_decoder_without_a_loss_is_not_trained(tiny_store: FlowStore) -> None:
    options = CONFIG.vae2d.model_copy(update={"reconstruction_2d_weight": 0.0})
    stage = PaperVae2dStage(system_of(tiny_store, unet=None), options, seed=5)
    assert "reconstruction_2d" not in stage.losses(batch_of(tiny_store, 0), "train", 0)
    assert not any(parameter.requires_grad for parameter in stage.networks.vae.decoder_2d.parameters())


def test_the_mean_normalisation_remembers_the_largest_velocity(run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    factors, largest = velocity_factors(tiny_store, "mean")
    system = system_of(tiny_store, largest_velocity=largest)
    system.norm_factors.copy_(torch.from_numpy(factors))
    sample = tiny_store.sample(0)
    flow = PaperPredictor("mean", system.architecture, system).mean_latent(StartFlows(sample.planar, sample.response))
    assert flow.report is not None
    assert not any("training data" in warning for warning in flow.report.warnings)


def test_the_published_recipes_are_one_recipe_and_the_defaults() -> None:
    first, second, third = (load_recipe(RECIPES / name) for name in PUBLISHED)
    machine = {"vae3d": {"gradient_checkpointing"}, "vae2d": {"gradient_checkpointing"}}
    default = PaperRecipe().model_dump(exclude=machine)
    for recipe in (first, second, third):
        assert recipe.model_dump(exclude=machine) == default
    assert (first.vae3d.learning_rate, first.vae3d.batch_size, first.vae3d.epochs) == (1e-4, 2, 100)
    assert (second.vae2d.align_weight, second.vae2d.cross_weight) == (5, 50)
    assert (third.diffusion.learning_rate, third.model.unet.features) == (1e-3, (64, 128, 256, 512, 1024))


def test_the_toy_recipe_takes_32_and_64_pixels_without_padding() -> None:
    config = load_recipe(RECIPES / "paper-toy.yaml").model.architecture()
    assert [config.padded_size(pixels) for pixels in (32, 64)] == [32, 64]


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ({"vae": {"latent_channels": 4}}, "needed for 4 latent channels: 9 to 4"),
        ({"vae": {"widths": [16, 32, 32]}}, "multiples of 32"),
        ({"unet": {"features": [64, 129], "attention_from": 2}}, "a divisor"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(model: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        PaperModel.model_validate(model)


def test_beta_is_annealed_in_training_and_final_in_validation(tiny_store: FlowStore) -> None:
    options = CONFIG.vae3d.model_copy(update={"kl_first": 0.25, "kl_weight": 2.0})
    stage = PaperVae3dStage(system_of(tiny_store, unet=None), options, seed=5)
    batch = batch_of(tiny_store, 0, 1)
    for part, beta in (("train", 0.25), ("validation", 2.0)):
        terms = stage.losses(batch, part, 0)
        assert (terms["loss"] - terms["reconstruction"]).item() == pytest.approx(beta * terms["kl"].item(), rel=1e-4)


def test_stage_1_draws_in_training_and_not_in_validation(tiny_store: FlowStore) -> None:
    first, second = (PaperVae3dStage(system_of(tiny_store, unet=None), CONFIG.vae3d, seed) for seed in (5, 6))
    batch = batch_of(tiny_store, 0, 1)
    assert first.losses(batch, "validation", 0)["loss"] == second.losses(batch, "validation", 0)["loss"]
    assert first.losses(batch, "train", 0)["loss"] != second.losses(batch, "train", 0)["loss"]
    assert first.losses(batch, "train", 0)["loss"] == first.losses(batch, "train", 0)["loss"]


def test_losses_under_bfloat16_are_those_of_float32_to_its_digits(tiny_store: FlowStore) -> None:
    stage = PaperVae2dStage(system_of(tiny_store, unet=None), CONFIG.vae2d, seed=5)
    batch = batch_of(tiny_store, 0, 1)
    exact = stage.losses(batch, "validation", 0)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = stage.losses(batch, "validation", 0)
    for name, value in exact.items():
        assert reduced[name].dtype == torch.float32, name
        assert reduced[name].item() == pytest.approx(value.item(), rel=0.05), name


def test_every_term_of_stage_2_enters_by_its_weight(tiny_store: FlowStore) -> None:
    values = {
        "align_weight": 5.0,
        "cross_weight": 50.0,
        "reconstruction_2d_weight": 2.0,
        "reconstruction_3d_weight": 3.0,
        "kl_weight": 0.25,
    }
    options = CONFIG.vae2d.model_copy(update={**values, "frozen_3d": False, "drawn_latents": True})
    stage = PaperVae2dStage(system_of(tiny_store, unet=None), options, seed=5)
    terms = stage.losses(batch_of(tiny_store, 0, 1), "train", 0)
    expected = sum(weight * terms[name.removesuffix("_weight")].item() for name, weight in values.items())
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-5)
    terms["loss"].backward()
    parts = (
        stage.networks.vae.encoder_2d,
        stage.networks.vae.decoder_2d,
        stage.networks.vae.encoder_3d,
        stage.networks.vae.decoder_3d,
    )
    for part in parts:
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in part.conv_out.parameters())
    moments = stage.networks.vae.encoder_2d.conv_out.weight.grad
    assert moments is not None
    assert moments[2:].any()  # the half that gives the log-variance


class Oracle(nn.Module):
    """A denoiser that knows the noise; it remembers the steps that it was asked about."""

    def __init__(self, clean: Tensor, schedule: NoiseSchedule) -> None:
        super().__init__()
        self._clean = clean
        self._schedule = schedule
        self.timesteps: list[Tensor] = []

    def forward(self, stacked: Tensor, timestep: Tensor) -> Tensor:
        self.timesteps.append(timestep)
        keep, add = (
            column[timestep].view(-1, 1, 1, 1)
            for column in (self._schedule.sqrt_alphas_cumprod, self._schedule.sqrt_one_minus_alphas_cumprod)
        )
        return (stacked[:, : self._clean.shape[1]] - keep * self._clean) / add


def diffusion_stage(store: FlowStore, batch: PaperBatch, **options: Any) -> tuple[PaperDiffusionStage, Oracle]:
    system = system_of(store)
    with torch.no_grad():
        clean = flattened(system.encode_3d(batch.flow.transpose(1, 2)))
    oracle = Oracle(clean, system.schedule)
    system.model = oracle  # pyright: ignore[reportAttributeAccessIssue]
    return PaperDiffusionStage(system, CONFIG.diffusion.model_copy(update=options), seed=9), oracle


def test_physics_see_the_estimate_of_the_very_draw_of_the_denoising_loss(tiny_store: FlowStore) -> None:
    batch = batch_of(tiny_store, 0, 3)
    stage, oracle = diffusion_stage(tiny_store, batch, noise_level="volume")
    terms = stage.losses(batch, "train", 0)
    assert terms["denoising"].item() < 1e-8
    # with the exact noise the estimate is the clean latent, whatever the time step: its decoded flow is known
    system = stage.networks
    with torch.no_grad():
        velocity = stage.unscaled(system.vae.decode_3d(system.encode_3d(batch.flow.transpose(1, 2))))
    moved, spacing = dimensionless(velocity, batch.spacing, rms_speed(batch.flow, batch.fluid))
    divergence = physics_losses(moved, batch.fluid, spacing, ["divergence"])["divergence"]
    steps = oracle.timesteps[0].view(2, -1)[:, 0]
    signal = system.schedule.alphas_cumprod[steps]
    assert terms["divergence"].item() == pytest.approx((signal * divergence).mean().item(), rel=1e-3)


def test_noise_levels_belong_to_slices_or_to_volumes(tiny_store: FlowStore) -> None:
    batch = batch_of(tiny_store, 0, 1, 2, 3)
    for level, several in (("slice", True), ("volume", False)):
        stage, oracle = diffusion_stage(tiny_store, batch, noise_level=level)
        stage.losses(batch, "train", 0)
        steps = oracle.timesteps[0].view(4, -1)
        assert (steps != steps[:, :1]).any().item() is several
        assert (steps[0] != steps[1:]).any()


def test_the_draw_of_a_sample_does_not_depend_on_its_batch(tiny_store: FlowStore) -> None:
    together = batch_of(tiny_store, 0, 1)
    stage, oracle = diffusion_stage(tiny_store, together)
    stage.losses(together, "train", 0)
    alone = batch_of(tiny_store, 1)
    lone, other = diffusion_stage(tiny_store, alone)
    lone.losses(alone, "train", 0)
    assert torch.equal(oracle.timesteps[0].view(2, -1)[1], other.timesteps[0])


def test_kept_latents_are_those_of_the_encoders_for_every_mirror_image(tiny_store: FlowStore) -> None:
    plain = batch_of(tiny_store, 0, 1)
    image = default_collate([mirrored(read_sample(tiny_store, index), ("y",)) for index in (0, 1)])
    kept, fresh = (diffusion_stage(tiny_store, plain, kept_latents=keep)[0] for keep in (True, False))
    calls: list[int] = []
    kept.networks.vae.encoder_3d.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        for batch in (plain, image):
            ours, theirs = kept.losses(batch, "validation", 0), fresh.losses(batch, "validation", 0)
            assert ours["loss"] == theirs["loss"]
    assert len(calls) == 4  # two samples, each as it is and mirrored


def test_validation_of_the_denoiser_repeats_itself(tiny_store: FlowStore) -> None:
    batch = batch_of(tiny_store, 0, 1)
    stage = PaperDiffusionStage(system_of(tiny_store), CONFIG.diffusion, seed=9)
    first, again = (stage.losses(batch, "validation", place) for place in (0, 1))
    assert {name: value.item() for name, value in first.items()} == {name: value.item() for name, value in again.items()}
    assert {"denoising", "divergence", "velocity", "velocity_error", "sampled_flow_rate"} <= set(first)


def test_the_velocity_loss_trains_the_denoiser_through_the_frozen_decoder(tiny_store: FlowStore) -> None:
    options = CONFIG.diffusion.model_copy(update={"noise_weight": 0.0, "velocity_weight": 1.0})
    stage = PaperDiffusionStage(system_of(tiny_store), options, seed=9)
    stage.losses(batch_of(tiny_store, 0, 1), "train", 0)["loss"].backward()
    assert stage.networks.model is not None
    last = stage.networks.model.final_conv.weight.grad
    assert last is not None
    assert last.abs().max() > 0
    assert all(parameter.grad is None for parameter in stage.networks.vae.parameters())
