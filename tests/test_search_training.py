"""Claims about searches that really train, from recipes on disk to the table on the terminal."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from resinflow.cli.app import main
from resinflow.data.store import FlowStore
from resinflow.presets.training import train
from resinflow.train.history import best_validation_loss
from tests.conftest import TINY_TRAINING


def written(folder: Path, **search: Any) -> Path:
    """A search recipe beside its training recipe."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY_TRAINING), encoding="utf-8")
    path = folder / "search.yaml"
    path.write_text(yaml.safe_dump({"name": "tiny", "base": "tiny.yaml", "mode": "grid", **search}), encoding="utf-8")
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def weights_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".ckpt", ".safetensors")]


def test_a_search_trains_every_fold_and_its_value_is_their_best_validation_loss(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {"vae3d.learning_rate": {"values": [1e-3, 3e-2]}}
    recipe = written(tmp_path, stage="vae3d", space=space, folds=2, epochs=1)
    run = tmp_path / "run"
    main(["search", str(recipe), "--data", str(tiny_store.path), "--run", str(run)])
    shown = capsys.readouterr().out
    assert "2 of 2 trials finished" in shown
    assert "vae3d.learning_rate" in shown
    for row in table(run / "results.csv"):
        losses = [best_validation_loss(run / "trials" / f"{int(row['number']):04d}" / f"fold-{k}", "vae3d") for k in (0, 1)]
        assert losses[0] != losses[1]
        assert float(row["value"]) == pytest.approx(sum(losses) / 2)
    claim = json.loads((run / "trials" / "0001" / "fold-1" / "run.json").read_text())
    assert claim["fold"] == {"index": 1, "count": 2}
    assert claim["recipe"]["vae3d"]["learning_rate"] == 3e-2
    assert claim["recipe"]["vae3d"]["epochs"] == 1
    assert weights_in(run) == []


def test_a_search_of_the_last_stage_starts_from_the_stages_of_a_run(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path
) -> None:
    space = {"diffusion.learning_rate": {"values": [1e-3, 1e-2]}}
    recipe = written(tmp_path, stage="diffusion", space=space, start=str(tiny_run), keep_weights=True)
    run = tmp_path / "run"
    main(["search", str(recipe), "--data", str(tiny_store.path), "--run", str(run)])
    first = run / "trials" / "0000"
    begun = (tiny_run / "vae2d" / "networks.safetensors").read_bytes()
    assert (first / "vae2d" / "networks.safetensors").read_bytes() == begun
    # the first point is the recipe of the run itself
    assert best_validation_loss(first, "diffusion") == pytest.approx(best_validation_loss(tiny_run, "diffusion"), rel=1e-6)
    assert (first / "model" / "model.safetensors").is_file()


def test_a_trial_below_its_equals_is_stopped_after_the_epoch_that_shows_it(tiny_store: FlowStore, tmp_path: Path) -> None:
    space = {"vae3d.learning_rate": {"values": [1e-2, 1e-12]}}
    recipe = written(tmp_path, stage="vae3d", space=space, epochs=2, pruner="median", pruner_trials=1, pruner_epochs=0)
    run = tmp_path / "run"
    main(["search", str(recipe), "--data", str(tiny_store.path), "--run", str(run)])
    assert [row["state"] for row in table(run / "results.csv")] == ["complete", "pruned"]
    assert len(table(run / "trials" / "0000" / "vae3d" / "history" / "metrics.csv")) == 2
    assert len(table(run / "trials" / "0001" / "vae3d" / "history" / "metrics.csv")) == 1
    assert weights_in(run) == []


def test_what_was_trained_before_a_kill_is_not_trained_again(
    tiny_store: FlowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = written(tmp_path, stage="vae3d", space={"model.width": {"values": [8]}}, folds=2, epochs=1)
    folds: list[int] = []

    def interrupted(stage: Any, data: Any, run: Any, recipe: Any, **options: Any) -> Path:
        folds.append(options["fold"].index)
        if folds == [0, 1]:
            raise KeyboardInterrupt
        return train(stage, data, run, recipe, **options)

    monkeypatch.setattr("resinflow.search.objective.train", interrupted)
    command = ["search", str(recipe), "--data", str(tiny_store.path), "--run", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="130"):
        main(command)
    main(command)
    assert folds == [0, 1, 1]


def test_a_search_of_which_every_trial_fails_ends_with_the_error(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # steps of a million make the loss overflow
    space = {"vae3d.learning_rate": {"values": [1e30]}}
    recipe = written(tmp_path, stage="vae3d", space=space, epochs=2)
    with pytest.raises(SystemExit, match="2"):
        main(["search", str(recipe), "--data", str(tiny_store.path), "--run", str(tmp_path / "run")])
    assert "every trial failed, the first with InvalidInputError" in capsys.readouterr().err
    assert [row["state"] for row in table(tmp_path / "run" / "results.csv")] == ["failed"]


def test_a_search_on_a_device_that_is_not_there_is_refused_before_the_first_trial(
    tiny_store: FlowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = written(tmp_path, stage="vae3d", space={"model.width": {"values": [8]}})
    run = tmp_path / "run"
    with pytest.raises(SystemExit, match="2"):
        main(["search", str(recipe), "--data", str(tiny_store.path), "--run", str(run), "--device", "cuda"])
    assert "PyTorch sees no GPU here; needed: auto or cpu" in capsys.readouterr().err
    assert not run.exists()


def test_a_start_without_the_earlier_stages_is_refused_before_the_first_trial(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = written(tmp_path, stage="vae2d", space={"vae2d.align_weight": {"values": [0.1]}}, start="nowhere")
    with pytest.raises(SystemExit, match="2"):
        main(["search", str(recipe), "--data", str(tiny_store.path), "--run", str(tmp_path / "run")])
    assert "has no finished stage vae3d" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
