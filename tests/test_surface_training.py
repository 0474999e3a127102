"""Claims about the training of the front end: from specimens that are drawn, resumed to the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from resinflow.flow.errors import InvalidInputError
from resinflow.presets.surface.model import load_surface_model
from resinflow.presets.surface.recipe import SurfaceRecipe
from resinflow.presets.surface.stages import DrawnSpecimens
from resinflow.presets.surface.training import SURFACE
from resinflow.presets.training import on_machine
from tests.commands import run

VALUES: dict[str, Any] = {
    "preset": "surface",
    "name": "tiny",
    "model": {"width": 16, "sample_width": 16, "precision": "float32"},
    "surface": {
        "epochs": 3,
        "specimens": 6,
        "validation": 2,
        "batch_size": 2,
        "precision": "32-true",
        "shapes": [[2, 16, 16], [1, 24, 24]],
    },
}
RECIPE = SurfaceRecipe.model_validate(VALUES)


class Interrupt(Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


def test_specimens_are_new_in_every_epoch_and_the_same_again_and_take_the_shapes_in_turn() -> None:
    training, validation = DrawnSpecimens(RECIPE, "train"), DrawnSpecimens(RECIPE, "validation")
    first, again, later = training[0, 1], training[0, 1], training[2, 1]
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[1], later[1])
    assert training[1, 1][0].shape == (1, 1, 24, 24)
    assert not torch.equal(validation[0, 1][1], first[1])
    assert (len(training), len(validation)) == (6, 2)


def test_a_run_learns_is_resumed_to_the_same_weights_and_ends_in_a_model(tmp_path: Path) -> None:
    whole = SURFACE.train(tmp_path / "whole", RECIPE)
    with pytest.raises(KeyboardInterrupt):
        SURFACE.train(tmp_path / "broken", RECIPE, callbacks=(Interrupt(),))
    assert not (tmp_path / "broken" / "model").exists()
    broken = SURFACE.train(tmp_path / "broken", RECIPE)
    weights, resumed = (load_file(model / "model.safetensors") for model in (whole, broken))
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    log = json.loads((whole / "log.json").read_text())
    assert log["recipe"] == RECIPE.model_dump(mode="json")
    assert len(log["history"]["surface"]["validation_wall"]) == 3
    assert load_surface_model(tmp_path / "whole").name == "tiny"
    with pytest.raises(InvalidInputError, match="another recipe: seed was 2024 and is 1"):
        SURFACE.train(tmp_path / "whole", RECIPE.model_copy(update={"seed": 1}))


def test_the_command_trains_says_what_it_does_and_goes_on_without_its_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = tmp_path / "tiny.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump({**VALUES, "surface": {**VALUES["surface"], "epochs": 1}}))
    run("train", "surface", "--run", folder, "--recipe", path)
    assert "surface epoch 1 of 1: training loss" in capsys.readouterr().out
    run("train", "surface", "--run", folder)
    assert "was finished before" in capsys.readouterr().out
    assert SURFACE.read(None, folder).name == "tiny"
    assert on_machine(SURFACE.read(path, folder), "surface", workers=2).surface.workers == 2


def test_the_shipped_front_end_has_the_recipe_of_the_repository() -> None:
    shipped = SurfaceRecipe.model_validate(load_surface_model().log["recipe"])
    assert shipped == SURFACE.read(Path(__file__).parents[1] / "recipes" / "surface.yaml", Path("nowhere"))
