"""Claims about search recipes: mistakes show before the first trial, and values become what the training recipe takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from resinflow.flow.errors import InvalidInputError
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.presets.paper.recipe import PaperRecipe
from resinflow.search.plan import SearchRecipe, load_search, plan_search

RECIPES = Path(__file__).parents[1] / "recipes"
RATE = {"diffusion.learning_rate": {"values": [1e-4, 1e-3]}}
SEARCH: dict[str, Any] = {"name": "s", "base": "small.yaml", "stage": "diffusion", "mode": "grid", "space": RATE}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("search-*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_search_recipe_fits_the_training_recipe_that_it_names(path: Path) -> None:
    assert load_search(path).size > 1


def test_the_published_grid_has_four_feature_lists_times_four_rates_of_ten_epochs() -> None:
    plan = load_search(RECIPES / "search-paper-grid.yaml")
    assert isinstance(plan.base, PaperRecipe)
    assert plan.base.diffusion.epochs == 10
    assert {point["diffusion.learning_rate"] for point in plan.points} == {5e-5, 1e-4, 5e-4, 1e-3}
    assert len({str(point["model.unet.features"]) for point in plan.points}) == 4
    assert plan.size == 16
    for point in plan.points:
        recipe = plan.training(point)
        assert isinstance(recipe, PaperRecipe)
        assert list(recipe.model.unet.features) == point["model.unet.features"]


def test_numbers_that_yaml_reads_as_texts_become_numbers(tmp_path: Path) -> None:
    path = tmp_path / "search.yaml"
    text = yaml.safe_dump({**SEARCH, "base": str(RECIPES / "small.yaml"), "space": {}})
    path.write_text(text.replace("space: {}", "space: {diffusion.learning_rate: {values: [5e-5, 1e-4]}}"), encoding="utf-8")
    assert load_search(path).axes["diffusion.learning_rate"].values == (5e-5, 1e-4)


@pytest.mark.parametrize(("key", "kind"), [("diffusion.batch_size", int), ("diffusion.decoded_weight", float)])
def test_the_option_decides_whether_a_range_is_of_whole_numbers(key: str, kind: type) -> None:
    recipe = {**SEARCH, "mode": "tpe", "trials": 3, "space": {key: {"low": 1, "high": 8}}}
    axis = plan_search(SearchRecipe.model_validate(recipe), LatentRecipe()).axes[key]
    assert (type(axis.low), type(axis.high)) == (kind, kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"diffusion.lr": {"values": [1]}}}, "known under diffusion: epochs, batch_size, .*learning_rate"),
        ({"space": {"latent.width": {"values": [1]}}}, "known under the training recipe: preset, name, seed, samples, model.*"),
        ({"space": {"model": {"values": [1]}}}, "model is a group of options; needed: one of model.\\w+, "),
        ({"space": {"model.width.x": {"values": [1]}}}, "known under model.width: none"),
        ({"space": {"diffusion.learning_rate": {"values": [1e-3, -1.0]}}}, "above 0 .found -1.0"),
        ({"space": {"model.blocks": {"values": [[1, 2]]}}}, "model.blocks: the list ends too early"),
        ({"space": {"diffusion.learning_rate": {"values": [1e-3, 0.001]}}}, "names a value twice"),
        ({"fixed": {"model.widht": 8}}, "model.widht is no option"),
        ({"fixed": {"diffusion.learning_rate": 1e-3}}, "both fixed and searched"),
        ({"epochs": 2, "fixed": {"diffusion.epochs": 3}}, "epochs and diffusion.epochs are both given"),
        ({"start": "run", "space": {"vae3d.kl_weight": {"values": [1e-3]}}}, "vae3d is taken from run as it is"),
        ({"stage": "vae3d"}, "diffusion comes after the searched stage"),
        ({"space": {"diffusion.workers": {"values": [0, 1]}}}, "changes the speed, not the loss"),
        ({"fixed": {"diffusion.devices": 2}}, "diffusion.devices is 2; needed: 1"),
        (
            {"mode": "tpe", "trials": 2, "space": {"diffusion.precision": {"low": 0, "high": 1}}},
            "diffusion.precision: needed: 'bf16-mixed' or '32-true'",
        ),
    ],
)
def test_a_space_that_does_not_fit_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        plan_search(SearchRecipe.model_validate({**SEARCH, **changes}), LatentRecipe())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "random"}, "mode: .*'grid' or 'tpe'"),
        ({"stage": "unet"}, "stage: .*'vae3d', 'vae2d' or 'diffusion'"),
        ({"trials": 3}, "trials for mode tpe, and none for mode grid"),
        ({"mode": "tpe"}, "trials for mode tpe, and none for mode grid"),
        ({"space": {"diffusion.learning_rate": {"low": 0.1, "high": 1.0}}}, "a grid has no ranges"),
        ({"space": {"diffusion.learning_rate": {"low": 1.0, "high": 0.1}}}, "low < high"),
        ({"space": {"diffusion.learning_rate": {"low": 0.0, "high": 0.1, "log": True}}}, "needed: low > 0"),
        ({"space": {"diffusion.learning_rate": {"values": []}}}, "a list of values that is not empty"),
        ({"space": {}}, "space: .*at least 1"),
        ({"epoch": 3}, "epoch: .*Known options: name, base"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_by_file_and_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "search.yaml"
    path.write_text(yaml.safe_dump({**SEARCH, **changes}), encoding="utf-8")
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_search(path)
    assert re.match(re.escape(str(path)), str(caught.value))
