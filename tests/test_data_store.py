"""Claims about data sets: generation, resumption, splits and statistics."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray

from resinflow.data.check import check_store
from resinflow.data.division import canonical_fingerprint
from resinflow.data.generate import count_drawn_anew, draw_medium, generate
from resinflow.data.recipe import DataRecipe, load_data_recipe
from resinflow.data.store import FlowStore, compute_statistics, draw_splits
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.solve import solve
from tests.conftest import TINY_RECIPE
from tests.tamper import tamper, without_attribute

RECIPE_TEXT = """
samples: 4
seed: 7
shape: [3, 16, 16]
width: 25.0e-6
depth: [12.0e-6, 15.0e-6]
volume_fraction: [0.3, 0.45]
diameter: [8.0e-6, 10.0e-6]
misalignment: [0.0, 12.0]
"""


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_stored_sample_is_the_solved_flow_of_its_medium(tiny_store: FlowStore) -> None:
    sample = tiny_store.sample(0)
    micro = sample.truth.microstructure
    again = solve(micro, tolerance=tiny_store.attributes["recipe"]["tolerance"], wall_rule="plain")
    assert sample.truth.permeability == pytest.approx(again.permeability, rel=1e-5)
    assert np.abs(sample.truth.velocity - again.velocity).max() < 1e-4 * np.abs(again.velocity).max()
    assert sample.planar.permeability == pytest.approx(planar_flow(micro).permeability, rel=1e-4)
    assert tiny_store.read("permeability", 0) == pytest.approx(sample.truth.permeability, rel=1e-5)


def test_xarray_opens_a_data_set_with_named_dimensions_and_units(tiny_store: FlowStore) -> None:
    dataset = xarray.open_zarr(tiny_store.path, consolidated=False)
    assert dataset["velocity"].dims == ("sample", "component", "z", "y", "x")
    assert dataset["permeability"].attrs["units"] == "m2"
    assert dataset.attrs["recipe"]["seed"] == TINY_RECIPE["seed"]


@pytest.mark.slow
def test_generation_gives_the_same_bytes_with_two_workers(tiny_store: FlowStore, tmp_path: Path) -> None:
    generate(DataRecipe.model_validate(TINY_RECIPE), tmp_path / "two.zarr", workers=2)
    assert contents(tmp_path / "two.zarr") == contents(tiny_store.path)


def test_generation_killed_half_way_ends_with_the_same_bytes(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE_TEXT)
    data_recipe = load_data_recipe(recipe)
    whole = generate(data_recipe, tmp_path / "whole.zarr", workers=1)
    path = tmp_path / "killed.zarr"
    command = [sys.executable, "-m", "resinflow", "data", "generate", str(recipe), str(path), "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.is_dir() and FlowStore.open(path).complete.any():
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert FlowStore.open(path).complete.any()
    generate(data_recipe, path, workers=1)
    assert contents(path) == contents(whole.path)


def test_generation_refuses_the_folder_of_another_recipe(tiny_store: FlowStore) -> None:
    other = DataRecipe.model_validate({**TINY_RECIPE, "seed": 8})
    with pytest.raises(InvalidInputError, match="another recipe.*seed"):
        generate(other, tiny_store.path)


def test_another_number_of_samples_is_refused_with_both_numbers_and_what_to_do(tiny_store: FlowStore) -> None:
    more = DataRecipe.model_validate({**TINY_RECIPE, "samples": 12})
    with pytest.raises(InvalidInputError, match="of 8 samples, and 12 are asked for; .* Choose another folder"):
        generate(more, tiny_store.path)
    assert len(FlowStore.open(tiny_store.path)) == 8


def test_no_medium_stands_in_two_splits_and_all_stand_in_one(tiny_store: FlowStore) -> None:
    parts = [set(tiny_store.indices(name).tolist()) for name in ("train", "validation", "test")]
    assert sorted(index for part in parts for index in part) == list(range(len(tiny_store)))


def test_mirrored_and_rotated_copies_share_a_canonical_fingerprint() -> None:
    fluid = np.random.default_rng(0).random((2, 5, 7)) > 0.4
    micro = Microstructure(fluid, (3e-6, 1e-6, 2e-6))
    copies = [
        Microstructure(fluid[::-1], (3e-6, 1e-6, 2e-6)),
        Microstructure(fluid[:, :, ::-1], (3e-6, 1e-6, 2e-6)),
        Microstructure(np.rot90(fluid, 1, axes=(1, 2)), (3e-6, 2e-6, 1e-6)),
        Microstructure(np.rot90(fluid, 3, axes=(1, 2))[::-1], (3e-6, 2e-6, 1e-6)),
    ]
    assert {canonical_fingerprint(copy) for copy in copies} == {canonical_fingerprint(micro)}
    changed = fluid.copy()
    changed[0, 0, 0] = ~changed[0, 0, 0]
    assert canonical_fingerprint(Microstructure(changed, micro.spacing)) != canonical_fingerprint(micro)


def test_a_mirrored_copy_falls_into_the_split_of_its_original(tiny_store: FlowStore, tmp_path: Path) -> None:
    path = tmp_path / "copies.zarr"
    shutil.copytree(tiny_store.path, path)
    store = FlowStore.open(path, writable=True)
    for name in ("fluid", "spacing"):  # sample 1 becomes the mirror image of sample 0
        value = store.read(name, 0)
        tamper(store, name, 1, value[::-1] if name == "fluid" else value)
    parts = draw_splits(without_attribute(store, "splits")).parts()
    assert any({0, 1} <= set(part) for part in parts.values())


def test_a_recipe_decides_on_the_shares_of_the_split(tmp_path: Path) -> None:
    data_recipe = DataRecipe(samples=5, shape=(2, 16, 16), width=30e-6, volume_fraction=(0.3, 0.3), split=(0.8, 0.2, 0.0))
    store = generate(data_recipe, tmp_path / "training.zarr", workers=1)
    assert [len(store.indices(part)) for part in ("train", "validation", "test")] == [4, 1, 0]
    assert check_store(store) == []


def test_shares_that_are_no_whole_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sums to 0.9; needed: shares that sum to 1"):
        DataRecipe(samples=5, split=(0.7, 0.2, 0.0))


def test_statistics_come_from_the_training_split_alone(tiny_store: FlowStore, tmp_path: Path) -> None:
    path = tmp_path / "changed.zarr"
    shutil.copytree(tiny_store.path, path)
    store = FlowStore.open(path, writable=True)
    before = store.attributes["statistics"]
    held_out = int(store.indices("test")[0])
    tamper(store, "velocity", held_out, 100 * store.read("velocity", held_out))
    assert compute_statistics(store) == before
    trained = int(store.indices("train")[0])
    tamper(store, "velocity", trained, 100 * store.read("velocity", trained))
    assert compute_statistics(store) != before


def test_opening_a_data_set_writes_nothing(tiny_store: FlowStore) -> None:
    before = {file: file.stat().st_mtime_ns for file in tiny_store.path.rglob("*")}
    FlowStore.open(tiny_store.path).sample(2)
    assert {file: file.stat().st_mtime_ns for file in tiny_store.path.rglob("*")} == before


def test_a_truncated_chunk_is_named_with_its_sample(tiny_store: FlowStore, tmp_path: Path) -> None:
    path = tmp_path / "cut.zarr"
    shutil.copytree(tiny_store.path, path)
    chunk = next(file for file in (path / "velocity" / "c" / "3").rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(InvalidInputError, match="velocity of sample 3 cannot be read"):
        FlowStore.open(path).sample(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("samples: 4\ncolour: red\n", "colour.*[Kk]nown options"),
        ("samples: 0\n", "samples"),
        ("samples: 4\ndepth: [2.0e-6, 1.0e-6]\n", "depth runs from"),
        ("- 1\n", "mapping"),
        ("samples: [\n", "not YAML"),
    ],
)
def test_a_faulty_recipe_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_data_recipe(recipe)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"volume_fraction": (0.5, 0.9)}, "volume_fraction is 0.9; needed: 0.02 to 0.7"),
        ({"volume_fraction": (0.5, 0.7), "diameter": (4e-6, 8e-6)}, "cannot be packed beyond 0.648"),
        ({"diameter": (8e-6, 60e-6)}, "diameter goes up to 6e-05 m in a box of width 5e-05 m"),
        ({"misalignment": (0.0, 50.0)}, "misalignment is 50.0 degrees; needed: 0 to 30"),
    ],
)
def test_ranges_that_hold_impossible_media_are_refused_before_the_work(ranges: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DataRecipe(samples=4, **ranges)


def test_media_drawn_anew_are_counted(tiny_store: FlowStore, tmp_path: Path) -> None:
    recipe = DataRecipe.model_validate(TINY_RECIPE)
    before = count_drawn_anew(recipe, tiny_store)
    shutil.copytree(tiny_store.path, tmp_path / "copy.zarr")
    copy = FlowStore.open(tmp_path / "copy.zarr", writable=True)
    made = next(index for index in range(8) if draw_medium(recipe, np.random.SeedSequence([recipe.seed, index, 0])))
    tamper(copy, "seed", made, 12345)
    assert count_drawn_anew(recipe, copy) == before + 1
