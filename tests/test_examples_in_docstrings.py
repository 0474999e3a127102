"""Every public function of the top level has a short example in its docstring, and it runs."""

from __future__ import annotations

import doctest
import inspect
import json
import shutil
from pathlib import Path

import pytest

import resinflow
from resinflow.data import FlowStore
from resinflow.media import draw_micrograph, save_stack
from resinflow.stokes import solve
from tests.conftest import TINY_TRAINING

FUNCTIONS = [name for name in resinflow.__all__ if inspect.isfunction(getattr(resinflow, name))]


@pytest.fixture(scope="module")
def place(tiny_store: FlowStore, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name: a data set, a model, a stack and a flow."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(tiny_store.path, folder / "data" / "small.zarr")
    shutil.copytree(tiny_run / "model", folder / "runs" / "small" / "model")
    medium = tiny_store.sample(0).truth.microstructure
    save_stack(folder / "stack.tif", draw_micrograph(medium, seed=1))
    solve(medium).save(folder / "flow.npz")
    (folder / "recipes").mkdir()
    (folder / "recipes" / "tiny.yaml").write_text(json.dumps({**TINY_TRAINING, "name": "tiny"}))
    return folder


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_public_function_runs(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    function = getattr(resinflow, name)
    examples = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert sum(len(example.examples) for example in examples) > 0, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in examples:
        assert runner.run(example).failed == 0


def test_every_public_name_is_there_and_no_package_hides_one() -> None:
    import resinflow.evaluate
    import resinflow.train

    for name in resinflow.__all__:
        assert not inspect.ismodule(getattr(resinflow, name)), name
    assert set(resinflow.__all__) <= set(dir(resinflow))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = resinflow.nothing
