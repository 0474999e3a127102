"""Claims about training: each stage trains its own networks, runs can be resumed, and one recipe gives one model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from resinflow.data.store import FlowStore
from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import fibre_bundle
from resinflow.presets.families import load_model, load_recipe
from resinflow.presets.flow_stage import masked_rmse, velocity_error
from resinflow.presets.latent.recipe import STAGES, LatentRecipe
from resinflow.presets.latent.stages import Vae3dStage
from resinflow.presets.training import train
from tests.conftest import TINY_STAGE, TINY_TRAINING
from tests.tamper import without_attribute

CONFIG = LatentRecipe.model_validate(TINY_TRAINING)


def weights(run: Path, stage: str) -> dict[str, torch.Tensor]:
    return load_file(run / stage / "networks.safetensors")


def changed_parts(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    names = {name for name in after if not torch.equal(before[name], after[name])}
    return {".".join(name.split(".")[: 2 if name.startswith("vae") else 1]) for name in names}


def test_stage_2_leaves_the_3d_branch_as_it_was(tiny_run: Path) -> None:
    assert changed_parts(weights(tiny_run, "vae3d"), weights(tiny_run, "vae2d")) == {"vae.encoder_2d", "vae.decoder_2d"}


def test_stage_2_with_a_volume_weight_trains_the_3d_decoder_along(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    recipe = {**TINY_TRAINING, "vae2d": {**TINY_STAGE, "epochs": 1, "volume_weight": 0.5}}
    config = LatentRecipe.model_validate(recipe)
    train("vae3d", tiny_store.path, tmp_path, config)
    train("vae2d", tiny_store.path, tmp_path, config)
    changed = changed_parts(weights(tmp_path, "vae3d"), weights(tmp_path, "vae2d"))
    assert changed == {"vae.encoder_2d", "vae.decoder_2d", "vae.decoder_3d"}


@pytest.mark.parametrize(("options", "parts"), [({}, set()), ({"train_decoder": True}, {"vae.decoder_3d"})])
def test_stage_3_trains_the_denoiser_and_the_3d_decoder_where_it_is_told_to(
    options: dict[str, Any], parts: set[str], tiny_run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    config = LatentRecipe.model_validate({**TINY_TRAINING, "diffusion": {**TINY_STAGE, "start_share": 0.5, **options}})
    shutil.copytree(tiny_run / "vae2d", tmp_path / "vae2d")
    train("diffusion", tiny_store.path, tmp_path, config)
    changed = changed_parts(weights(tmp_path, "vae2d"), weights(tmp_path, "diffusion"))
    assert changed == {"denoiser", "latent_scale"} | parts


def test_a_u_shaped_decoder_learns_in_both_stages_and_predicts_any_size(tiny_store: FlowStore, tmp_path: Path) -> None:
    model = {**TINY_TRAINING["model"], "decoder_levels": [[6, 1], [8, 1], [8, 1]]}
    stages = {stage: {**TINY_STAGE, "epochs": 1} for stage in STAGES}
    stages["vae2d"]["volume_weight"] = 0.5
    config = LatentRecipe.model_validate({**TINY_TRAINING, **stages, "model": model})
    results = [train(stage, tiny_store.path, tmp_path, config) for stage in STAGES]
    changed = changed_parts(weights(tmp_path, "vae3d"), weights(tmp_path, "vae2d"))
    assert changed == {"vae.encoder_2d", "vae.decoder_2d", "vae.decoder_3d"}
    flow = load_model(results[-1]).predict(fibre_bundle((2, 18, 21), (8e-6, 20e-6, 23.3e-6), seed=2, volume_fraction=0.4))
    assert flow.velocity.shape == (3, 2, 18, 21)
    assert flow.report is not None
    assert "continued by their edge to 24 x 24" in flow.report.warnings[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder_levels": [[8, 1]]}, "one level"),
        ({"decoder_levels": [[8, 1]] * 2, "decoder_sees": "nothing"}, "needed: decoder_sees"),
    ],
)
def test_a_u_shape_that_cannot_be_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"model": options}))
    with pytest.raises(InvalidInputError, match=message):
        load_recipe(recipe)


@pytest.mark.parametrize("model", [{"learns": "flow"}, {"hidden": ["base_vy"]}])
@pytest.mark.parametrize("head", [{}, {"preset": "voxel"}, {"preset": "direct"}])
def test_physics_losses_of_networks_that_do_not_see_the_flow_are_refused(
    head: dict[str, Any], model: dict[str, Any], tmp_path: Path
) -> None:
    stage = "direct" if head else "vae2d"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({**head, "model": model, stage: {"physics": {"divergence": 1.0}}}))
    with pytest.raises(InvalidInputError, match="needed: no physics"):
        load_recipe(recipe)
    recipe.write_text(json.dumps({**head, "model": model}))
    assert load_recipe(recipe).model.base == "grid"


def test_stage_3_leaves_the_vae_as_it_was(tiny_run: Path) -> None:
    assert changed_parts(weights(tiny_run, "vae2d"), weights(tiny_run, "diffusion")) == {"denoiser", "latent_scale"}


def test_the_finished_run_holds_a_model_with_its_story(tiny_run: Path, tiny_store: FlowStore) -> None:
    log = json.loads((tiny_run / "model" / "log.json").read_text())
    assert log["recipe"] == CONFIG.model_dump(mode="json")
    assert log["data"]["recipe"] == tiny_store.attributes["recipe"]
    for stage in STAGES:
        history = log["history"][stage]
        assert len(history["train_loss"]) == len(history["validation_velocity_error"]) == 2


def test_an_interrupted_stage_says_so_and_goes_on_from_its_last_epoch(
    tiny_store: FlowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def interrupt_second_epoch(stage: Vae3dStage) -> None:
        started.append(stage.current_epoch)
        if started == [0, 1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(Vae3dStage, "on_train_epoch_start", interrupt_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train("vae3d", tiny_store.path, tmp_path / "run", CONFIG)
    assert not (tmp_path / "run" / "vae3d" / "networks.safetensors").exists()
    train("vae3d", tiny_store.path, tmp_path / "run", CONFIG)
    assert started == [0, 1, 1]
    assert (tmp_path / "run" / "vae3d" / "networks.safetensors").exists()


def test_a_finished_stage_is_not_trained_again(tiny_run: Path, tiny_store: FlowStore) -> None:
    before = (tiny_run / "vae3d" / "networks.safetensors").stat().st_mtime_ns
    train("vae3d", tiny_store.path, tiny_run, CONFIG)
    assert (tiny_run / "vae3d" / "networks.safetensors").stat().st_mtime_ns == before


def test_two_runs_of_one_recipe_give_the_same_weights(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    train("vae3d", tiny_store.path, tmp_path / "again", CONFIG)
    first, again = weights(tiny_run, "vae3d"), weights(tmp_path / "again", "vae3d")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_stage_before_its_turn_is_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no finished stage vae3d"):
        train("vae2d", tiny_store.path, tmp_path / "run", CONFIG)


def test_a_run_of_another_recipe_is_refused(tiny_run: Path, tiny_store: FlowStore) -> None:
    other = LatentRecipe.model_validate({**TINY_TRAINING, "seed": 1})
    with pytest.raises(InvalidInputError, match="another recipe"):
        train("vae2d", tiny_store.path, tiny_run, other)


def test_a_data_set_without_statistics_is_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    path = tmp_path / "bare.zarr"
    shutil.copytree(tiny_store.path, path)
    without_attribute(FlowStore.open(path), "statistics")
    with pytest.raises(InvalidInputError, match="no statistics"):
        train("vae3d", path, tmp_path / "run", CONFIG)


def test_an_unknown_key_in_a_recipe_is_refused_by_name(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("vae3d:\n  epoch: 3\n")
    with pytest.raises(InvalidInputError, match="vae3d.epoch"):
        load_recipe(recipe)


def test_the_shipped_recipe_is_read(tmp_path: Path) -> None:
    config = load_recipe(Path(__file__).parents[1] / "recipes" / "small.yaml")
    assert config.name == "small"


def test_losses_look_at_the_fluid_alone_and_vanish_at_the_target() -> None:
    target, fluid = torch.randn(2, 4, 3, 4, 4), (torch.rand(2, 1, 3, 4, 4) > 0.4).float()
    prediction = target + 5 * (1 - fluid)
    assert masked_rmse(prediction, target, fluid) < 1e-5
    assert velocity_error(prediction, target, fluid) == 0
    off = target + 2 * fluid
    assert masked_rmse(off, target, fluid) == pytest.approx(2.0, rel=1e-5)
    assert velocity_error(off, target, fluid) == pytest.approx(2 * 3**0.5, rel=1e-5)


def test_a_large_correction_weighs_no_more_than_a_small_one() -> None:
    target, fluid = torch.zeros(2, 1, 1, 4, 4), torch.ones(2, 1, 1, 4, 4)
    one, two = target.clone(), target.clone()
    one[0] += 10
    two[0] += 10
    two[1] += 1
    assert masked_rmse(two, target, fluid) - masked_rmse(one, target, fluid) == pytest.approx(0.5, rel=1e-4)
