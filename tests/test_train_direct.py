"""Claims about training deterministic models: they learn, resume to the same weights, and know their one stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import default_collate

from resinflow.data.store import FlowStore
from resinflow.evaluate.choices import EvaluationOptions
from resinflow.evaluate.methods import methods_of
from resinflow.flow.errors import InvalidInputError
from resinflow.models.features import open_mask, target_mask
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DirectRecipe
from resinflow.presets.direct.stages import DirectPreset, DirectStage
from resinflow.presets.families import load_model, load_recipe
from resinflow.presets.flow_stage import flow_rate_error, masked_rmse
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.presets.paper.recipe import PaperRecipe
from resinflow.presets.training import on_machine, stage_options, train
from resinflow.train.data import FlowDataset
from tests.commands import refusal, run

RECIPES = Path(__file__).parents[1] / "recipes"
UNET = {"kind": "unet", "block": 2, "widths": [8, 12], "blocks": [1, 1]}
FNO = {"kind": "fno", "modes": [3, 7, 7], "width": 12, "layers": 3}
TINY: dict[str, Any] = {
    "preset": "voxel",
    "name": "tiny-voxel",
    "model": {"base": "response", "network": UNET},
    "direct": {"epochs": 2, "batch_size": 2, "precision": "32-true"},
}
CONFIG = DirectRecipe.model_validate(TINY)


@pytest.fixture(scope="module")
def finished(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a very small network; tests only read it."""
    folder = tmp_path_factory.mktemp("voxel")
    train("direct", tiny_store.path, folder, CONFIG)
    return folder


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def batch_of(store: FlowStore, config: DirectRecipe) -> tuple[Tensor, Tensor]:
    samples = FlowDataset(store, "train", DirectPreset(), config)
    return default_collate([samples[0, 0], samples[0, 1]])


def test_the_finished_run_holds_a_model_with_its_story(finished: Path) -> None:
    assert isinstance(load_model(finished / "model"), DirectPredictor)
    model = DirectPredictor.load(finished / "model")
    assert (model.name, model.architecture, model.base) == ("tiny-voxel", CONFIG.model, "response")
    assert model.log["recipe"] == CONFIG.model_dump(mode="json")
    history = model.log["history"]["direct"]
    assert {"train_loss", "validation_loss", "validation_velocity_error", "validation_flow_rate"} <= set(history)
    assert len(history["train_loss"]) == 2


def test_targets_are_scaled_by_their_rms_over_the_training_split(finished: Path, tiny_store: FlowStore) -> None:
    samples = FlowDataset(tiny_store, "train", DirectPreset(), CONFIG)
    squares = sum(samples[0, place][1].square().sum(dim=(1, 2, 3)) for place in range(len(samples)))
    voxels = sum(target_mask(samples[0, place][0][None])[0].sum(dim=(1, 2, 3)) for place in range(len(samples)))
    assert torch.allclose(weights(finished)["target_scale"], (squares / voxels).sqrt(), rtol=1e-4)


def test_the_loss_is_the_error_of_the_correction_plus_that_of_its_flow_rate(tiny_store: FlowStore) -> None:
    config = DirectRecipe.model_validate({**TINY, "direct": {**TINY["direct"], "flow_rate_weight": 3.0}})
    network = DirectNetwork(config.model)
    conditions, target = batch_of(tiny_store, config)
    terms = DirectStage(network, config.direct).losses((conditions, target), "train", 0)
    found, scaled = network(conditions), network.scaled(target)
    error = masked_rmse(found, scaled, target_mask(conditions))
    expected = error + 3.0 * flow_rate_error(found, scaled, open_mask(conditions))
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("sizes", [pytest.param(UNET, id="unet"), pytest.param(FNO, id="fno")])
def test_a_few_steps_lower_the_loss(sizes: dict[str, Any], tiny_store: FlowStore) -> None:
    if sizes is FNO:
        pytest.importorskip("neuralop")
    config = DirectRecipe.model_validate({**TINY, "model": {"base": "response", "network": sizes}})
    torch.manual_seed(0)
    network = DirectNetwork(config.model)
    stage = DirectStage(network, config.direct)
    batch = batch_of(tiny_store, config)
    network.target_scale.copy_(batch[1].square().mean(dim=(0, 2, 3, 4)).sqrt())
    optimizer = torch.optim.AdamW(stage.parameters(), lr=5e-3)
    losses = []
    for place in range(40):
        loss = stage.losses(batch, "train", place)["loss"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


def test_an_interrupted_run_resumed_gives_the_weights_of_one_that_ran_through(
    finished: Path, tiny_store: FlowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def interrupt_second_epoch(stage: DirectStage) -> None:
        started.append(stage.current_epoch)
        if started == [0, 1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(DirectStage, "on_train_epoch_start", interrupt_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train("direct", tiny_store.path, tmp_path, CONFIG)
    assert not (tmp_path / "model").exists()
    train("direct", tiny_store.path, tmp_path, CONFIG)
    assert started == [0, 1, 1]
    through, resumed = weights(finished), weights(tmp_path)
    assert all(torch.equal(through[name], resumed[name]) for name in through)


def test_a_fourier_operator_is_trained_resumed_and_loaded_like_any_network(tiny_store: FlowStore, tmp_path: Path) -> None:
    pytest.importorskip("neuralop")
    config = DirectRecipe.model_validate({**TINY, "model": {"base": "response", "network": FNO}})
    made = train("direct", tiny_store.path, tmp_path, config)
    assert (tmp_path / "direct" / "last.ckpt").is_file()
    before = weights(tmp_path)
    (made / "model.safetensors").unlink()
    (made / "config.json").unlink()
    (made / "log.json").unlink()
    made.rmdir()
    train("direct", tiny_store.path, tmp_path, config)  # all epochs are done: the weights come from the checkpoint
    assert all(torch.equal(before[name], after) for name, after in weights(tmp_path).items())
    assert isinstance(DirectPredictor.load(made), DirectPredictor)


def test_a_finished_run_is_not_trained_again_and_refuses_another_recipe(finished: Path, tiny_store: FlowStore) -> None:
    before = (finished / "model" / "model.safetensors").stat().st_mtime_ns
    assert train("direct", tiny_store.path, finished, CONFIG) == finished / "model"
    assert (finished / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(InvalidInputError, match="another recipe"):
        train("direct", tiny_store.path, finished, DirectRecipe.model_validate({**TINY, "seed": 1}))


def test_data_without_the_flow_that_is_corrected_are_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    grid = DirectRecipe.model_validate({**TINY, "model": {"base": "grid", "network": UNET}})
    with pytest.raises(InvalidInputError, match="own grid"):
        train("direct", tiny_store.path, tmp_path, grid)


@pytest.mark.parametrize("name", ["baseline-unet", "baseline-fno"])
def test_the_recipes_of_the_baselines_are_read_and_have_about_two_million_parameters(name: str) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    assert isinstance(recipe, DirectRecipe)
    assert (recipe.name, recipe.model.base) == (name, "grid")
    if recipe.model.network.kind == "fno":
        pytest.importorskip("neuralop")
    sizes = [each.numel() * (2 if each.is_complex() else 1) for each in DirectNetwork(recipe.model).parameters()]
    assert 1.7e6 < sum(sizes) < 2.5e6


def test_the_reduced_published_system_is_read_as_one_recipe_for_its_three_stages() -> None:
    recipe = load_recipe(RECIPES / "baseline-paper.yaml")
    assert isinstance(recipe, PaperRecipe)
    assert recipe.normalisation == "max"


@pytest.mark.parametrize(
    ("recipe", "stage", "message"),
    [
        (CONFIG, "diffusion", "has no stage diffusion; needed: direct, or a recipe with another preset"),
        (LatentRecipe(), "direct", "has no stage direct; needed: vae3d, vae2d, diffusion, or a recipe with preset: direct"),
        (PaperRecipe(), "direct", "has no stage direct"),
    ],
)
def test_a_stage_of_another_preset_is_refused(recipe: Any, stage: Any, message: str, tmp_path: Path) -> None:
    for refused in (
        lambda: stage_options(recipe, stage),
        lambda: on_machine(recipe, stage, devices=1),
        lambda: train(stage, "no-data", tmp_path, recipe),
    ):
        with pytest.raises(InvalidInputError, match=message):
            refused()


def test_the_command_line_trains_the_stage_and_refuses_mistakes_in_one_line(
    finished: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(TINY))
    files = ["--data", tiny_store.path, "--run", finished]
    run("train", "direct", "--recipe", recipe, *files)
    assert "stage direct was finished before" in capsys.readouterr().out
    assert "no stage vae2d" in refusal(capsys, "train", "vae2d", "--recipe", recipe, *files)
    run("train", "direct", *files)  # the recipe is that of the run
    elsewhere = ["--data", tiny_store.path, "--run", tmp_path / "elsewhere"]
    assert "preset: direct" in refusal(capsys, "train", "direct", *elsewhere)
    recipe.write_text(json.dumps({**TINY, "direct": {"epoch": 3}}))
    assert "direct.epoch" in refusal(capsys, "train", "direct", "--recipe", recipe, *files)


def test_an_evaluation_takes_the_model_as_a_baseline_of_one_sample(
    finished: Path, tiny_run: Path, tiny_store: FlowStore
) -> None:

    options = EvaluationOptions(baseline=[f"U-Net={finished / 'model'}"], samples=3)
    row = next(method for method in methods_of(load_model(tiny_run / "model"), options) if method.name == "U-Net")
    outcome = row.run(tiny_store.sample(0))
    assert outcome.members is None
    assert outcome.flow.permeability > 0
