"""Claims about epochs: diverging training ends at once, every epoch has its line, and a run goes on with more epochs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from resinflow.cli.app import main
from resinflow.data.store import FlowStore
from resinflow.flow.errors import InvalidInputError
from resinflow.models.directory import save_weights
from resinflow.presets import load_model, recorded_recipe_of, start_directory
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.presets.training import train
from resinflow.train.epochs import EpochLines, describe_seconds
from resinflow.train.history import read_history
from tests.conftest import TINY_TRAINING
from tests.test_train_trainer import Fit, fitted


def tiny(**changes: object) -> LatentRecipe:
    """The tiny recipe with other options of stage 1, and of the run where they have the name of one."""
    stage = {key: value for key, value in changes.items() if key not in ("samples", "seed")}
    rest = {key: value for key, value in changes.items() if key in ("samples", "seed")}
    vae3d = {**TINY_TRAINING["vae3d"], **stage}
    return LatentRecipe.model_validate({**TINY_TRAINING, **rest, "vae3d": vae3d})


def test_training_stops_at_the_first_epoch_that_is_not_finite_and_its_checkpoints_stay(tmp_path: Path) -> None:
    module = Fit()
    module.validation_losses = [0.5, math.inf, 0.1]
    with pytest.raises(InvalidInputError, match="validation loss of epoch 2 is inf"):
        fitted(tmp_path, module)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 0
    assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())
    assert len(read_history(tmp_path)["train_loss"]) == 2


def test_a_training_loss_that_is_not_finite_ends_the_stage_too(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="training loss of epoch 1 is (nan|inf).*no checkpoint was written"):
        fitted(tmp_path, Fit(rate=1e30), gradient_clip=None)
    assert not (tmp_path / "last.ckpt").exists()


def test_a_learning_rate_out_of_range_is_status_2_and_one_line_and_leaves_no_weights(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny(learning_rate=1e30, gradient_clip=None).model_dump(mode="json")))
    with pytest.raises(SystemExit) as ended:
        main(["train", "vae3d", "--data", str(tiny_store.path), "--run", str(tmp_path / "run"), "--recipe", str(recipe)])
    assert ended.value.code == 2
    assert "not finite" in (error := capsys.readouterr().err) or "loss of epoch" in error
    assert error.count("\n") == 1
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(module.bias, math.nan)
    with pytest.raises(InvalidInputError, match="1 of 2 weights are not finite"):
        save_weights(module, tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()


def test_every_epoch_has_one_line_with_losses_best_and_time_left(tmp_path: Path) -> None:
    lines: list[str] = []
    times = iter([0.0, 60.0, 120.0, 180.0])
    module = Fit()
    module.validation_losses = [0.5, 0.25, 0.75]
    fitted(tmp_path, module, callbacks=(EpochLines("vae3d", tmp_path, lines.append, lambda: next(times)),))
    assert lines[0] == "stage vae3d begins: 3 epochs of 4 batches"
    assert len(lines) == 4
    assert lines[1].startswith("vae3d epoch 1 of 3: training loss ")
    assert lines[1].endswith("validation loss 0.5 (best 0.5, epoch 1); 2 min left")
    assert lines[3].endswith("validation loss 0.75 (best 0.25, epoch 2); the last one")


@pytest.mark.parametrize(("seconds", "words"), [(12.3, "12 s"), (150, "2 min"), (7500, "2 h 5 min")])
def test_times_are_said_in_the_unit_that_suits_them(seconds: float, words: str) -> None:
    assert describe_seconds(seconds) == words


def test_a_stage_finished_earlier_says_so_in_another_sentence(
    tiny_run: Path, tiny_store: FlowStore, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "vae3d", "--data", str(tiny_store.path), "--run", str(tiny_run)])  # the recipe is that of the run
    out = capsys.readouterr().out
    assert "stage vae3d was finished before" in out
    assert "epoch" not in out


def test_epochs_can_be_raised_and_what_was_computed_stays(tiny_store: FlowStore, tmp_path: Path) -> None:
    train("vae3d", tiny_store.path, tmp_path, tiny())
    first = load_file(tmp_path / "vae3d/networks.safetensors")
    before = read_history(tmp_path / "vae3d")
    train("vae3d", tiny_store.path, tmp_path, tiny(epochs=3))
    after = read_history(tmp_path / "vae3d")
    assert len(after["train_loss"]) == 3
    assert {name: values[:2] for name, values in after.items()} == before
    second = load_file(tmp_path / "vae3d/networks.safetensors")
    assert any(not torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(InvalidInputError, match="epochs was 3 and is 2, but 3 epochs of vae3d are done"):
        train("vae3d", tiny_store.path, tmp_path, tiny(epochs=2))
    train("vae2d", tiny_store.path, tmp_path, tiny(epochs=3))
    with pytest.raises(InvalidInputError, match="vae2d starts from what vae3d has learned"):
        train("vae3d", tiny_store.path, tmp_path, tiny(epochs=4))


def test_samples_of_a_run_can_be_raised_and_not_lowered(tiny_store: FlowStore, tmp_path: Path) -> None:
    train("vae3d", tiny_store.path, tmp_path, tiny(samples=2))
    train("vae3d", tiny_store.path, tmp_path, tiny(samples=4, epochs=3))
    assert len(read_history(tmp_path / "vae3d")["train_loss"]) == 3
    with pytest.raises(InvalidInputError, match="samples was 4 and is 2; it can only be raised"):
        train("vae3d", tiny_store.path, tmp_path, tiny(samples=2, epochs=3))


def test_another_recipe_is_refused_with_the_key_that_differs_and_both_values(tiny_store: FlowStore, tiny_run: Path) -> None:
    with pytest.raises(InvalidInputError, match="another recipe: vae3d.learning_rate was 0.001 and is 0.5"):
        train("vae3d", tiny_store.path, tiny_run, tiny(learning_rate=0.5))


def test_the_recipe_of_a_model_to_start_from_is_the_default(tiny_run: Path) -> None:
    own = recorded_recipe_of(tiny_run)
    assert own is not None
    assert own.model_dump() == tiny().model_dump()
    assert recorded_recipe_of(tiny_run / "model") == own
    small = recorded_recipe_of(start_directory("small"))
    assert small is not None
    assert small.name == "small"
    assert small.options("diffusion").devices == 1  # that of the machine, which this one is not


def test_training_from_a_shipped_model_needs_no_recipe(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    options = ["--data", str(tiny_store.path), "--run", str(tmp_path), "--start", str(tiny_run / "model")]
    main(["train", "vae2d", *options])
    assert recorded_recipe_of(tmp_path) == recorded_recipe_of(tiny_run)


def test_a_run_directory_names_its_model(tiny_run: Path, tmp_path: Path) -> None:
    assert load_model(tiny_run, "cpu").name == load_model(tiny_run / "model", "cpu").name
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="has no model yet"):
        load_model(tmp_path)
