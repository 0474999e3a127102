"""Claims about sources of samples: the published layout is read as it is and gives what its converted store gives."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from resinflow.data.open import open_flows
from resinflow.data.published.flows import PublishedFlows
from resinflow.data.published.read import DERIVED, import_published
from resinflow.data.published.write import export_published
from resinflow.data.source import data_fingerprint
from resinflow.data.store import FlowStore, compute_statistics, draw_splits
from resinflow.flow.errors import InvalidInputError

DRIVE = {"pressure_drop": 1e5, "viscosity": 0.1}


@pytest.fixture(scope="module")
def folder(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set as others publish one: no pressure drop, no planar pressure, no response flow; a flow along y too."""
    path = export_published(tiny_store, tmp_path_factory.mktemp("published") / "set", plain=True)
    (path / "y").mkdir()
    for name in ("domain", "U", "U_2d", "p", "dxyz"):
        tensor = torch.load(path / "x" / f"{name}.pt", weights_only=True)[2:4]
        tensor = tensor[:, [1, 0, 2]] if name == "dxyz" else torch.rot90(tensor, -1, dims=(-2, -1))
        if name in ("U", "U_2d"):
            tensor = torch.stack([-tensor[:, :, 1], tensor[:, :, 0], tensor[:, :, 2]], dim=2)
        torch.save(tensor.contiguous(), path / "y" / f"{name}.pt")
    (path / "x" / "permeability.pt").unlink()
    return path


@pytest.fixture(scope="module")
def converted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FlowStore:
    store = import_published(folder, tmp_path_factory.mktemp("converted") / "set.zarr", **DRIVE, derive=True)
    draw_splits(store)
    compute_statistics(store)
    return FlowStore.open(store.path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "flows"


@pytest.fixture(scope="module")
def published(folder: Path, cache: Path) -> PublishedFlows:
    source = open_flows(folder, **DRIVE, cache=cache)
    assert isinstance(source, PublishedFlows)
    return source


def test_every_sample_is_that_of_the_converted_store(published: PublishedFlows, converted: FlowStore) -> None:
    assert len(published) == len(converted) == 10
    assert published.shape == converted.shape
    for index in range(len(published)):
        here, there = published.sample(index), converted.sample(index)
        assert here.truth.microstructure.fingerprint == there.truth.microstructure.fingerprint
        for name in ("truth", "planar", "response"):
            np.testing.assert_array_equal(getattr(here, name).velocity, getattr(there, name).velocity)
            np.testing.assert_array_equal(getattr(here, name).pressure, getattr(there, name).pressure)


def test_splits_and_statistics_are_those_of_the_converted_store(published: PublishedFlows, converted: FlowStore) -> None:
    assert published.attributes["splits"] == converted.attributes["splits"]
    assert published.statistics == converted.statistics
    assert data_fingerprint(published) == data_fingerprint(converted)  # a run may go on with either


def test_a_medium_with_flow_along_both_axes_stands_in_one_split(published: PublishedFlows) -> None:
    for pair in ({2, 8}, {3, 9}):
        assert any(pair <= set(published.indices(split).tolist()) for split in ("train", "validation", "test"))


def test_training_reads_the_published_layout_as_its_store(published: PublishedFlows, converted: FlowStore) -> None:
    from resinflow.presets.latent.recipe import LatentArchitecture, LatentRecipe
    from resinflow.presets.latent.stages import LatentPreset
    from resinflow.train.data import FlowDataset

    recipe = LatentRecipe(model=LatentArchitecture(base="response"))
    here, there = (FlowDataset(source, "train", LatentPreset(), recipe) for source in (published, converted))
    assert len(here) == len(there) > 0
    for place in range(len(here)):
        for one, other in zip(here[0, place], there[0, place], strict=True):
            assert torch.equal(one, other)


def test_opening_and_reading_write_nothing_beside_the_data(folder: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    source = open_flows(folder, **DRIVE)
    source.indices("test")
    source.sample(1)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_solved_flows_are_taken_from_the_cache_folder(
    published: PublishedFlows, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published.sample(4)

    def refuse(*arguments: object) -> None:
        raise RuntimeError("solved again")

    monkeypatch.setattr("resinflow.data.published.read.derive_flows", refuse)
    again = open_flows(folder, **DRIVE, cache=cache).sample(4)
    np.testing.assert_array_equal(first.response.velocity, again.response.velocity)
    with pytest.raises(RuntimeError, match="solved again"):  # the cache knows what it was solved for
        open_flows(folder, pressure_drop=2e5, viscosity=0.1, cache=cache).sample(4)


def test_a_damaged_file_of_the_cache_is_named(folder: Path, tmp_path: Path) -> None:
    open_flows(folder, **DRIVE, cache=tmp_path).sample(0)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InvalidInputError, match=f"{file.name} cannot be read"):
        open_flows(folder, **DRIVE, cache=tmp_path).sample(0)


def test_what_resinflow_published_is_opened_without_a_solve(
    tiny_store: FlowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_published(tiny_store, tmp_path / "own")
    monkeypatch.delattr("resinflow.data.published.read.planar_flow")
    source = open_flows(tmp_path / "own")
    assert source.attributes["splits"] == tiny_store.attributes["splits"]
    for name in (*DERIVED, "fingerprint", "permeability"):
        np.testing.assert_array_equal(source.read(name), tiny_store.read(name))


def test_a_source_reopens_its_files_in_another_process(published: PublishedFlows) -> None:
    sent = pickle.dumps(published)
    assert len(sent) < 10_000
    there = pickle.loads(sent)
    np.testing.assert_array_equal(there.sample(9).truth.velocity, published.sample(9).truth.velocity)


def test_pressure_drop_and_viscosity_are_never_guessed(folder: Path, tiny_store: FlowStore) -> None:
    with pytest.raises(InvalidInputError, match="needed: --viscosity in Pa s"):
        open_flows(folder, pressure_drop=1e5)
    with pytest.raises(InvalidInputError, match=r"says viscosity 0.1, the call 0.2"):
        open_flows(tiny_store.path, viscosity=0.2)


def test_a_folder_of_neither_layout_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is not a data set") as caught:
        open_flows(tmp_path)
    assert "\n" not in str(caught.value)
