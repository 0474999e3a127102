"""Claims about going on from a trained model: its networks and scales are taken over, and the log tells its story."""

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
from resinflow.presets.families import load_model, load_recipe, model_directory
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.presets.training import train
from tests.conftest import TINY_STAGE, TINY_TRAINING

RECIPES = Path(__file__).parents[1] / "recipes"
STILL = {"learning_rate": 1e-12, "weight_decay": 0.0, "epochs": 1}
"""Options of a stage that leave every weight where it is, but for rounding."""


def recipe(**changes: Any) -> LatentRecipe:
    return LatentRecipe.model_validate({**TINY_TRAINING, "name": "tuned", "seed": 7, **changes})


def differing(before: Path, after: Path) -> set[str]:
    first, then = load_file(before), load_file(after)
    names = {name for name in then if not torch.allclose(first[name], then[name], rtol=1e-4, atol=1e-7)}
    return {".".join(name.split(".")[: 2 if name.startswith("vae") else 1]) for name in names}


def test_stage_2_can_be_the_first_of_a_run_that_goes_on_from_a_model(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    start = tiny_run / "model"
    weights = train("vae2d", tiny_store.path, tmp_path, recipe(), start=start)
    assert differing(start / "model.safetensors", weights) == {"vae.encoder_2d", "vae.decoder_2d"}
    model = train("diffusion", tiny_store.path, tmp_path, recipe(), start=start)
    assert differing(weights, model / "model.safetensors") == {"denoiser", "latent_scale"}
    assert load_model(model).name == "tuned"


def test_stage_1_goes_on_from_the_weights_and_the_scale_of_the_start(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    start = tiny_run / "model"
    still = recipe(vae3d={**TINY_STAGE, **STILL})
    weights = train("vae3d", tiny_store.path, tmp_path, still, start=start)
    assert differing(start / "model.safetensors", weights) == set()


def test_the_log_tells_what_the_run_goes_on_from(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    train("diffusion", tiny_store.path, tmp_path, recipe(), start=tiny_run / "model")
    log, before = (json.loads((run / "model" / "log.json").read_text()) for run in (tmp_path, tiny_run))
    assert log["start"]["name"] == "tiny"
    assert len(log["start"]["sha256"]) == 64
    assert {key: log["start"][key] for key in before} == before
    assert set(log["history"]) == {"diffusion"}


def test_a_run_without_a_model_yet_is_a_start_by_its_last_finished_stage(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    for name in ("vae3d", "vae2d"):
        shutil.copytree(tiny_run / name, begun / name)
    for name in ("run.json", "log.json"):
        shutil.copy(tiny_run / name, begun / name)
    model = train("diffusion", tiny_store.path, tmp_path / "run", recipe(), start=begun)
    start = begun / "vae2d" / "networks.safetensors"
    assert differing(start, model / "model.safetensors") == {"denoiser", "latent_scale"}
    assert json.loads((model / "log.json").read_text())["start"]["name"] == "tiny"


def test_a_run_without_a_finished_stage_is_no_start(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(tiny_run / "run.json", begun / "run.json")
    with pytest.raises(InvalidInputError, match="has no finished stage; train it first"):
        train("diffusion", tiny_store.path, tmp_path / "run", recipe(), start=begun)


def test_a_run_keeps_its_start(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    train("vae2d", tiny_store.path, tmp_path, recipe(), start=tiny_run / "model")
    with pytest.raises(InvalidInputError, match="another starting model"):
        train("diffusion", tiny_store.path, tmp_path, recipe())


def test_a_start_with_other_networks_is_refused_by_the_option(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    wider = recipe(model={**TINY_TRAINING["model"], "width": 24})
    with pytest.raises(InvalidInputError, match=r"has width \d+, the recipe 24"):
        train("vae2d", tiny_store.path, tmp_path / "run", wider, start=tiny_run / "model")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["baseline-unet", "paper-toy"])
def test_another_preset_starts_from_nothing(name: str, tiny_run: Path, tmp_path: Path) -> None:
    stage = "direct" if name == "baseline-unet" else "vae3d"
    with pytest.raises(InvalidInputError, match="starts from nothing"):
        train(stage, "no-data", tmp_path, load_recipe(RECIPES / f"{name}.yaml"), start=tiny_run / "model")


def test_a_start_that_is_no_model_is_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is no model"):
        train("vae2d", tiny_store.path, tmp_path / "run", recipe(), start=tmp_path)
    with pytest.raises(InvalidInputError, match="there is no model 'large'"):
        model_directory("large")
