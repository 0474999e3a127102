"""Claims about families of models: a fourth one is one folder and one line of a table, trained like the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from resinflow.data.store import FlowStore
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import fibre_bundle
from resinflow.presets.families import FAMILIES, Family, load_model, load_recipe
from resinflow.presets.training import on_machine, stage_options, train
from resinflow.train.record import record_run
from tests.toy_preset import ToyPredictor, ToyRecipe

OPTIONS = {"epochs": 3, "batch_size": 2, "precision": "32-true", "learning_rate": 0.05}
VALUES = {"preset": "toy", "factor": OPTIONS, "shift": OPTIONS}
RECIPE = ToyRecipe.model_validate(VALUES)


class Interrupt(Callback):
    """Ends training in mid-epoch."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line of the table."""
    monkeypatch.setitem(FAMILIES, "toy", Family(ToyRecipe, ToyPredictor, "tests.toy_preset"))


def trained(run: Path, data: Path | str, *, interrupted: bool) -> Path:
    result = run
    for stage in RECIPE.stages:
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                train(stage, data, run, RECIPE, callbacks=(Interrupt(),))
            assert not (run / stage / "networks.safetensors").exists()
        result = train(stage, data, run, RECIPE)
    return result


def test_a_fourth_family_is_trained_through_every_stage_and_predicts(tiny_store: FlowStore, tmp_path: Path) -> None:
    model = trained(tmp_path, tiny_store.path, interrupted=False)
    first, second = (load_file(tmp_path / stage / "networks.safetensors") for stage in RECIPE.stages)
    assert {name for name in first if not torch.equal(first[name], second[name])} == {"shift.weight", "shift.bias"}
    log = json.loads((model / "log.json").read_text())
    assert log["recipe"] == RECIPE.model_dump(mode="json")
    assert list(log["history"]) == ["factor", "shift"]
    assert min(log["history"]["shift"]["validation_loss"]) < log["history"]["factor"]["validation_loss"][0]
    flow = load_model(model).predict(fibre_bundle((2, 16, 16), (8e-6, 25e-6, 25e-6), seed=2, volume_fraction=0.4))
    assert flow.velocity.shape == (3, 2, 16, 16)
    assert flow.permeability > 0
    assert isinstance(flow.report, ModelReport)
    assert flow.report.model == "toy"


def test_its_stages_go_on_after_an_interruption_to_the_same_weights(tiny_store: FlowStore, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", tiny_store.path, interrupted=False)
    broken = trained(tmp_path / "broken", tiny_store.path, interrupted=True)
    weights, again = (load_file(model / "model.safetensors") for model in (whole, broken))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    logs = [json.loads((model / "log.json").read_text()) for model in (whole, broken)]
    assert logs[0]["history"] == logs[1]["history"]


def test_its_recipe_is_a_file_like_the_others_and_trains_by_it(tiny_store: FlowStore, tmp_path: Path) -> None:
    path, run = tmp_path / "toy.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump(VALUES))
    assert load_recipe(path) == RECIPE
    path.write_text(yaml.safe_dump({**VALUES, "preset": "toys"}))
    with pytest.raises(
        InvalidInputError, match="there is no preset 'toys'; needed: one of latent, direct, oneslice, paper, toy"
    ):
        load_recipe(path)
    path.write_text(yaml.safe_dump({**VALUES, "shift": {"rate": 1}}))
    with pytest.raises(InvalidInputError, match="rate"):
        load_recipe(path)
    path.write_text(yaml.safe_dump(VALUES))
    train("factor", tiny_store.path, run, load_recipe(path))
    with pytest.raises(KeyboardInterrupt):
        train("shift", tiny_store.path, run, load_recipe(path), callbacks=(Interrupt(),))
    model = load_model(train("shift", tiny_store.path, run, load_recipe(path)))
    assert isinstance(model, ToyPredictor)
    assert model.log["recipe"] == RECIPE.model_dump(mode="json")


def test_it_is_refused_what_the_others_are_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no finished stage factor"):
        train("shift", tiny_store.path, tmp_path, RECIPE)
    assert not any(tmp_path.iterdir())
    record_run(tmp_path, RECIPE, tiny_store)
    with pytest.raises(InvalidInputError, match="another recipe"):
        train("factor", tiny_store.path, tmp_path, RECIPE.model_copy(update={"seed": 1}))
    with pytest.raises(InvalidInputError, match="has no stage direct; needed: factor, shift, or a recipe with preset: direct"):
        stage_options(RECIPE, "direct")
    with pytest.raises(InvalidInputError, match="starts from nothing"):
        train("factor", tiny_store.path, tmp_path, RECIPE, start=tmp_path)
    assert on_machine(RECIPE, "factor", workers=2).factor.workers == 2
