"""Everything that a command is told is checked before its work, and before heavy libraries are loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resinflow.data import FlowStore
from resinflow.media import fibre_bundle
from resinflow.stokes import solve
from tests.commands import refusal, run

SIZES = ["--pixel-size", "1e-6", "--depth", "12e-6"]
HEAVY = ("torch", "numba", "matplotlib", "scipy", "xarray")


def stderr_and_modules(*words: object) -> tuple[str, str]:
    """Run a command that fails in a process of its own; return its line and the heavy libraries that it loaded."""
    code = (
        "import sys\nfrom resinflow.cli.app import main\n"
        f"try:\n    main({[str(word) for word in words]!r})\n"
        f"except SystemExit:\n    print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr, done.stdout.strip()


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    mask = np.ones((3, 16, 16), dtype=bool)
    mask[:, 6:10, 6:10] = False
    np.save(tmp_path / "stack.npy", mask)
    return tmp_path / "stack.npy"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--depth", "1e-5"], "the pixel size is missing"),
        (["--pixel-size", "1e-6"], "the depth is missing"),
        ([*SIZES, "-o", "flow.foo"], "the suffix of flow.foo is '.foo'; needed: one of .zarr, .nc, .npz, .vti"),
        ([*SIZES, "--figure", "f.gif"], "the suffix of f.gif is '.gif'; needed: one of .png, .pdf, .svg"),
        ([*SIZES, "-o", "good.npz", "-o", "bad.foo"], "bad.foo"),
        ([*SIZES, "-o", "flow.npz", "-o", "./flow.npz"], "written twice"),
        ([*SIZES, "-o", "stack.npy/flow.npz"], "is no folder"),
    ],
)
@pytest.mark.parametrize("command", ["solve", "predict"])
def test_what_is_missing_or_cannot_be_written_is_refused_before_anything_heavy_is_loaded(
    command: str, words: list[str], message: str, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line, loaded = stderr_and_modules(command, stack, *words)
    assert message in line
    assert line.count("\n") == 1
    assert loaded == "[]"
    assert [path.name for path in tmp_path.iterdir()] == ["stack.npy"]


def test_a_negative_seed_is_refused_in_one_line(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", stack, *SIZES, "--figure", tmp_path / "flow.png"]
    assert "seed is -1; needed: a whole number of at least 0" in refusal(capsys, *words, "--seed", "-1")


def test_a_folder_in_the_place_of_a_file_is_refused_before_the_work(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flow.npz").mkdir()
    assert "it is a folder" in refusal(capsys, "solve", stack, *SIZES, "-o", tmp_path / "flow.npz")


def test_the_demo_view_plot_and_novelty_check_their_outputs_first(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "is no folder" in refusal(capsys, "demo", "-o", tmp_path / "file")
    listed = refusal(capsys, "view", tmp_path / "no.npz", "-o", "x.csv")
    for suffix in (".png", ".pdf", ".svg", ".jpg", ".html", ".zarr", ".nc", ".npz", ".vti"):
        assert suffix in listed
    assert "is no folder" in refusal(capsys, "plot", tmp_path, "-o", tmp_path / "file" / "curves")
    assert "'.gif'" in refusal(capsys, "model", "novelty", "no", "--data", "no", "--against", "no", "-o", "roc.gif")
    assert "'.gif'" in refusal(capsys, "data", "card", "no.zarr", "card.md", "--figure", "card.gif")


def test_slices_are_refused_for_a_stack_which_has_its_own(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "stack.npy is a stack of 3 images" in refusal(capsys, "solve", stack, *SIZES, "--slices", "7")
    run("solve", stack, *SIZES, "--slices", "3", "-o", tmp_path / "flow.npz")
    assert "its own slices" in refusal(capsys, "solve", tmp_path / "flow.npz", "--slices", "3")


def test_a_rule_for_the_sides_of_a_periodic_box_is_refused(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["solve", stack, *SIZES, "--boundary", "periodic", "--lateral"]
    assert "--lateral no-slip goes with --boundary pressure" in refusal(capsys, *words, "no-slip")
    run(*words, "periodic")


def test_a_flow_of_ours_carries_its_own_voxel_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = solve(fibre_bundle((2, 16, 16), (10e-6, 20e-6, 20e-6), volume_fraction=0.3, seed=0))
    assert "carries its own voxel size" in refusal(capsys, "solve", flow.save(tmp_path / "flow.npz"), *SIZES)


OTHER_FOLDERS = {
    "generate": ("data", "generate", "no-recipe.yaml", "PLACE"),
    "convert": ("data", "convert", "no-set", "PLACE"),
    "convert to a store": ("data", "convert", "no-set", "PLACE.zarr"),
    "download": ("data", "download", "fibres-2d", "-o", "PLACE", "--base-url", "http://127.0.0.1:9"),
    "weights": ("model", "download", "published-2d", "-o", "PLACE", "--base-url", "http://127.0.0.1:9"),
    "model": ("model", "convert", "no-checkpoint", "PLACE"),
    "train": ("train", "vae3d", "--data", "no-set", "--run", "PLACE"),
    "search": ("search", "no-recipe.yaml", "--data", "no-set", "--run", "PLACE"),
}


@pytest.mark.parametrize("command", OTHER_FOLDERS)
@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_the_place_of_a_folder_is_refused_before_the_work(
    place: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("file", "file.zarr"):
        (tmp_path / name).write_text("text")
    line = refusal(capsys, *(word.replace("PLACE", place) for word in OTHER_FOLDERS[command]))
    assert line.startswith("error: cannot write file")
    assert "is no folder" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "file.zarr"]


def test_a_flow_over_a_data_set_is_refused_before_the_medium_is_read(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("solve",), ("predict",)):
        words = (*command, tmp_path / "gone.tif", "--pixel-size", "1e-6", "--depth", "1e-5", "-o", str(tiny_store.path))
        assert "something else than a flow field (a data set?)" in refusal(capsys, *words)
