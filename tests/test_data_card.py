"""Claims about the data card, the recipes of companion sets, and the pace that a long generation shows."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from resinflow.cli.app import main
from resinflow.cli.console import Pace, showing_pace
from resinflow.data.generate import make_sample
from resinflow.data.open import open_flows
from resinflow.data.published.write import export_published
from resinflow.data.recipe import DataRecipe, load_data_recipe
from resinflow.data.store import FlowStore
from resinflow.data.summary import QUANTITIES, sample_numbers, summarise
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.recipe_file import read_variants
from resinflow.view.histograms import Histogram, histogram_figure

FILES = sorted((Path(__file__).parents[1] / "recipes").glob("data-*.yaml"))
RECIPES = {path.stem: str(path) for path in FILES if not read_variants(path)}
RECIPES |= {f"{path.stem}-{name}": f"{path}:{name}" for path in FILES for name in read_variants(path)}
BEFORE = json.loads(Path(__file__).with_name("recipes-before.json").read_text(encoding="utf-8"))
"""Companion recipes as they were when each had a file of its own."""


def test_a_summary_holds_every_sample_once_and_by_its_part(tiny_store: FlowStore) -> None:
    summary = summarise(tiny_store)
    assert set(summary.values) == set(QUANTITIES)
    assert all(values.shape == (len(tiny_store),) for values in summary.values.values())
    assert sorted(np.concatenate(list(summary.parts.values()))) == list(range(len(tiny_store)))
    np.testing.assert_allclose(summary.values["permeability"], tiny_store.read("permeability"), rtol=1e-5)


def test_the_numbers_of_a_sample_are_those_of_its_fields(tiny_store: FlowStore) -> None:
    sample = tiny_store.sample(3)
    numbers = sample_numbers(sample)
    velocity = sample.truth.velocity.astype(float)
    assert numbers["lateral_ratio"] == pytest.approx(np.linalg.norm(velocity[2]) / np.linalg.norm(velocity[0]))
    error = np.linalg.norm(sample.planar.velocity - velocity) / np.linalg.norm(velocity)
    assert numbers["planar_error"] == pytest.approx(error, rel=1e-5)
    assert numbers["porosity"] == pytest.approx(tiny_store.read("fluid", 3).mean())
    dz, _, dx = tiny_store.read("spacing", 3)
    assert numbers["aspect"] == pytest.approx(dz / dx)


def test_the_card_names_what_was_asked_and_what_came_out(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "card.md"
    main(["data", "card", str(tiny_store.path), str(page), "--figure", str(tmp_path / "images" / "card.png")])
    assert "wrote" in capsys.readouterr().out
    text = page.read_text()
    median = np.median(tiny_store.read("permeability"))
    for expected in (
        "8 samples of 16 x 16 x 3 voxels",
        "| depth | 12 um to 15 um |",
        "| tolerance | 1e-08 |",
        f"| train | {len(tiny_store.indices('train'))} |",
        f"{median:.3g}",
        "(../images/card.png)",
    ):
        assert expected in text
    with Image.open(tmp_path / "images" / "card.png") as figure:
        assert len(set(figure.convert("RGB").resize((200, 100)).tobytes())) > 20


def test_a_card_of_a_published_folder_says_where_it_comes_from(tiny_store: FlowStore, tmp_path: Path) -> None:
    folder = export_published(tiny_store, tmp_path / "set", plain=True)
    (tmp_path / "set.yaml").write_text("path: set\npressure_drop: 1.0e+5\nviscosity: 0.1\ncache: solved\n")
    main(["data", "card", str(tmp_path / "set.yaml"), str(tmp_path / "card.md")])
    text = (tmp_path / "card.md").read_text()
    assert "| converted from the published layout | 8 along x |" in text
    assert "| viscosity | 0.1 Pa s |" in text
    assert (tmp_path / "card.png").is_file()
    assert len(list((tmp_path / "solved").glob("*.npz"))) == 8
    assert sorted(path.name for path in folder.iterdir()) == ["statistics.json", "x"]


def test_a_card_that_is_no_page_is_refused_in_one_line(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["data", "card", str(tiny_store.path), str(tmp_path / "card.html")])
    assert stopped.value.code == 2
    assert "needed: one of .md" in capsys.readouterr().err


def test_info_reads_the_published_layout_through_a_yaml_file(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_published(tiny_store, tmp_path / "set", plain=True)
    named = tmp_path / "set.yaml"
    named.write_text("path: set\npressure_drop: 1.0e+5\nviscosity: 0.1\n")
    main(["data", "info", str(named)])
    printed = capsys.readouterr().out
    assert "8 of 8 samples of 16 x 16 x 3 voxels" in printed
    assert "in the published layout: 8 along x" in printed
    assert open_flows(named).sample(2).truth.viscosity == 0.1


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_read_and_its_first_sample_is_as_asked(recipe: str) -> None:
    data_recipe = load_data_recipe(recipe)
    nz, ny, nx = data_recipe.shape
    small = data_recipe.model_copy(update={"shape": (2, min(ny, 40), min(nx, 40)), "tolerance": 1e-4})
    micro = make_sample(small, 0).truth.microstructure
    fraction = micro.provenance["volume_fraction"]
    assert data_recipe.volume_fraction[0] <= fraction <= data_recipe.volume_fraction[1]
    assert micro.fibre_fraction == pytest.approx(fraction, abs=0.006)
    assert data_recipe.diameter[0] <= micro.provenance["diameter"] <= data_recipe.diameter[1]
    assert data_recipe.depth[0] <= micro.extent[0] <= data_recipe.depth[1]
    assert micro.extent[1:] == pytest.approx((data_recipe.width, data_recipe.width))


@pytest.mark.parametrize("name", BEFORE)
def test_a_variant_is_the_recipe_that_had_a_file_of_its_own(name: str) -> None:
    assert load_data_recipe(RECIPES[name]) == DataRecipe.model_validate(BEFORE[name])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data-ood.yaml", r"samples: it is not there.*name one: .*data-ood.yaml:dense, "),
        ("data-ood.yaml:deeper", "no variant 'deeper'; needed: one of dense, thin"),
        ("data-small.yaml:dense", "no variant 'dense'; needed: one of none"),
    ],
)
def test_a_variant_that_there_is_not_or_that_is_not_named_is_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_data_recipe(FILES[0].with_name(name))


def test_companion_sets_lie_outside_the_ranges_of_the_training_data_where_their_names_say() -> None:
    recipes = {name: load_data_recipe(recipe) for name, recipe in RECIPES.items()}
    base = recipes["data-small"]
    assert recipes["data-ood-dense"].volume_fraction[0] >= 0.65
    assert recipes["data-ood-thin"].diameter[1] < base.diameter[0]
    assert recipes["data-ood-tilted"].misalignment[0] >= base.misalignment[1]
    assert recipes["data-ood-deep"].depth[0] >= base.depth[1]
    assert recipes["data-ood-flat"].depth[1] <= base.depth[0]
    wide = recipes["data-ood-wide"]
    assert wide.width == 2 * base.width
    assert wide.width / wide.shape[2] == base.width / base.shape[2]
    for pixels in (48, 96, 128):
        data_recipe = recipes[f"data-resolution-{pixels}"]
        assert data_recipe.shape == (11, pixels, pixels)
        assert data_recipe.width == base.width
    seeds = [data_recipe.seed for name, data_recipe in recipes.items() if name != "data-stored"]
    assert len(set(seeds)) == len(seeds)  # no companion repeats the media of another


def test_pace_counts_this_run_alone() -> None:
    times = iter([0.0, 30.0, 60.0])
    pace = Pace(clock=lambda: next(times))
    pace.note(100, 400)
    assert pace.rate is None
    assert pace.describe() == ""
    pace.note(150, 400)
    pace.note(200, 400)
    assert pace.rate == pytest.approx(100.0)
    assert pace.count == 100
    assert pace.describe() == "100 a minute, 2 min left"


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resinflow.cli.console._INTERVAL", 0.0)
    written = io.StringIO()
    times = iter([0.0, 6.0, 12.0])
    with showing_pace(Console(file=written, width=120), "samples", Pace(clock=lambda: next(times))) as show:
        for done in (0, 1, 3):
            show(done, 3)
    assert "1 of 3 samples: 10 a minute, 12 s left" in written.getvalue()


def test_a_histogram_of_equal_values_is_drawn(tmp_path: Path) -> None:
    same = {"train": np.full(5, 2.0), "test": np.full(3, 2.0)}
    path = histogram_figure([Histogram("a", same), Histogram("b", same, logarithmic=True)], tmp_path / "same.png")
    assert path.stat().st_size > 1000
