"""Counts are whole numbers of a least size, on the command line and in Python: nothing is rounded, and nothing hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from resinflow.cli.app import app
from resinflow.data import FlowStore
from resinflow.data.generate import generate
from resinflow.data.recipe import DataRecipe
from resinflow.data.workers import run_on_workers
from resinflow.flow import InvalidInputError
from tests.commands import refusal
from tests.conftest import TINY_RECIPE

COUNTS = {
    "view": ("view", "flow.npz", "-o", "a.png", "--slice"),
    "solve": ("solve", "stack.tif", "--max-iterations"),
    "slices": ("solve", "stack.tif", "--slices"),
    "predict": ("predict", "stack.tif", "--samples"),
    "seed": ("predict", "stack.tif", "--seed"),
    "generate": ("data", "generate", "recipe.yaml", "set.zarr", "--workers"),
    "train": ("train", "vae3d", "--data", "set.zarr", "--run", "run", "--workers"),
    "fold": ("train", "vae3d", "--data", "set.zarr", "--run", "run", "--fold", "0"),
    "search": ("search", "recipe.yaml", "--data", "set.zarr", "--run", "run", "--jobs"),
    "trials": ("search", "recipe.yaml", "--data", "set.zarr", "--run", "run", "--trials"),
    "evaluate": ("evaluate", "--data", "set.zarr", "--limit"),
    "steps": ("evaluate", "--data", "set.zarr", "--steps"),
    "convert": ("model", "convert", "a.pt", "model", "--steps"),
    "novelty": ("model", "novelty", "small", "--data", "set.zarr", "--against", "other.zarr", "--limit"),
}


@pytest.mark.parametrize("value", ["1.5", "2.0", "1e3", "0x10", "nan", "٣", "1_0", ""])
@pytest.mark.parametrize("command", COUNTS)
def test_a_word_that_is_no_whole_number_is_refused_and_never_rounded(command, value, capsys):
    line = refusal(capsys, *COUNTS[command], value)
    assert "needed: a whole number" in line


def test_whole_numbers_of_either_sign_are_read_as_they_stand():
    for word, number in (("2", 2), ("+3", 3), ("-1", -1)):
        _, bound, _ = app.parse_args(["data", "generate", "recipe.yaml", "set.zarr", f"--workers={word}"])
        assert bound.arguments["workers"] == number
    _, bound, _ = app.parse_args(["train", "vae3d", "--data", "a", "--run", "b", "--fold", "0", "5"])
    assert bound.arguments["files"].fold == (0, 5)


@pytest.mark.parametrize("workers", ["0", "-1"])
def test_a_generation_without_workers_is_refused_before_its_recipe_is_read(workers, capsys, tmp_path):
    line = refusal(capsys, "data", "generate", "no-recipe.yaml", tmp_path / "set.zarr", "--workers", workers)
    assert line == f"error: --workers is {workers}; needed: a whole number of at least 1."


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_a_generation_without_workers_is_refused_in_python_and_leaves_nothing(workers, tmp_path):
    with pytest.raises(InvalidInputError, match="needed: a whole number of at least 1"):
        generate(DataRecipe.model_validate(TINY_RECIPE), tmp_path / "set.zarr", workers=workers)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidInputError, match="needed: a whole number of at least 1"):
        list(run_on_workers(int, [1, 2], workers=workers))


@pytest.mark.parametrize("option", ["--workers", "--devices"])
def test_a_training_with_fewer_workers_than_none_is_refused(option, capsys, tiny_store, tmp_path):
    line = refusal(capsys, "train", "vae3d", "--data", tiny_store.path, "--run", tmp_path / "run", option, "-1")
    assert "needed: at least" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
@pytest.mark.parametrize("name", ["jobs", "trials"])
def test_a_search_without_jobs_or_trials_is_refused_in_python(name, count, tiny_store: FlowStore, tmp_path: Path):
    from resinflow.search import load_search, search_training

    plan = load_search("recipes/search-quick.yaml")
    with pytest.raises(InvalidInputError, match=f"{name} is .*needed: a whole number of at least 1"):
        search_training(plan, tiny_store.path, tmp_path / "search", **{name: count})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"samples": 1.5}, {"steps": "2"}, {"seed": 0.5}, {"samples": True}])
def test_a_prediction_of_half_a_sample_is_refused(options):
    import resinflow as rf

    micro = rf.fibre_bundle((2, 16, 16), (10e-6, 20e-6, 20e-6), volume_fraction=0.3, seed=0)
    with pytest.raises(InvalidInputError, match="needed: a whole number"):
        rf.load_model("small", "cpu").predict(micro, **options)
