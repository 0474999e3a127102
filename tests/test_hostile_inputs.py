"""Whatever a user, a stranger's file or a machine does ends in one line and a status, and never in a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from resinflow.cli import app as application
from resinflow.cli.app import main
from resinflow.cli.console import make_console
from resinflow.data import FlowStore, export_published, open_flows
from resinflow.flow import FlowField, InvalidInputError
from resinflow.media.images import read_stack
from resinflow.presets import load_model
from tests.conftest import TINY_TRAINING


def ending(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Run a command that must fail; return its status and its one line."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert isinstance(ended.value.code, int)
    return ended.value.code, lines[0]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    status, line = ending(capsys, *arguments)
    assert status == 2, line
    assert line.startswith("error: ")
    return line


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every command end with ``error``."""

    def fail(*_: object, **__: object) -> None:
        warnings.warn("of a library", stacklevel=1)
        raise error

    monkeypatch.setattr(application, "app", fail)


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError("deep"), ValueError("a\nb"), OSError("no errno")])
def test_a_fault_of_ours_is_one_line_with_a_saved_traceback(error, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(monkeypatch, error)
    status, line = ending(capsys, "solve", "some file.tif")
    assert status == 70
    assert "resinflow solve 'some file.tif' failed by a fault of resinflow" in line
    (saved,) = tmp_path.iterdir()
    assert str(saved) in line
    assert "Traceback (most recent call last)" in saved.read_text()
    assert type(error).__name__ in saved.read_text()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (PermissionError(13, "Permission denied", "/data/a.zarr"), 2, "/data/a.zarr cannot be used: Permission denied"),
        (OSError(28, "No space left on device", "/data/b"), 2, "No space left"),
        (MemoryError("Unable to allocate 6 TiB"), 2, "memory of this machine does not suffice (Unable to allocate 6 TiB)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_the_machine_refuses_is_no_fault_of_ours(error, status, words, capsys, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # an interrupted command leaves a silent one
    failing(monkeypatch, error)
    code, line = ending(capsys, "solve", "a.tif")
    assert code == status
    assert words in line


def test_control_characters_and_surrogates_of_names_do_not_reach_the_terminal(capsys, monkeypatch):
    failing(monkeypatch, PermissionError(13, "Permission denied", "a\x1b[2J\udcff"))
    line = refused(capsys, "solve", "a.tif")
    assert r"a\x1b[2J\udcff" in line


SLOW = """
import sys, time
from pathlib import Path
from resinflow.cli import app
from resinflow.flow.atomic import replacing

def slow(*_, **__):
    with replacing(Path(sys.argv[1])) as temporary:
        temporary.mkdir()
        print("ready", flush=True)
        time.sleep(60)

app.app = slow
app.main()
"""


@pytest.mark.parametrize(("number", "status", "word"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "interrupted")])
def test_a_signal_ends_a_command_in_one_line_and_leaves_nothing(number, status, word, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "flow.zarr")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert len(errors.splitlines()) == 1
    assert word in errors
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copy(tiny_store: FlowStore, tmp_path: Path) -> Path:
    """A copy of the small data set, to be damaged."""
    return Path(shutil.copytree(tiny_store.path, tmp_path / "copy.zarr"))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file."""
    values = json.loads(path.read_text())
    changed = change(values)
    path.write_text(json.dumps(values if changed is None else changed))


def edit_attributes(store: Path, **values: Any) -> None:
    edit(store / "zarr.json", lambda metadata: metadata["attributes"].update(values))


FOREIGN: dict[str, Any] = {"null": None, "a list": [1, 2], "text": "1e5", "a number": -1, "nested": {"indices": {"a": [[]]}}}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("name", ["pressure_drop", "viscosity", "splits", "statistics", "recipe", "layout"])
def test_an_attribute_of_another_type_is_refused_on_opening(name, value, copy):
    if name in ("recipe", "layout") and (value is None or isinstance(value, dict)):
        pytest.skip("may be absent, and holds what its writer likes")
    edit_attributes(copy, **{name: value})
    with pytest.raises(InvalidInputError, match=name):
        FlowStore.open(copy)


PARTS = {"train": [0, 1, 2, 3], "validation": [4, 5], "test": [6, 7]}


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({}, "indices"),
        ({"indices": PARTS | {"test": [6, -1]}}, "at least 0"),
        ({"indices": PARTS | {"test": [6, 8]}}, "names sample 8; needed: 0 to 7"),
        ({"indices": PARTS | {"test": [6, 7.5]}}, "a whole number"),
        ({"indices": PARTS | {"test": ["6"]}}, "a whole number"),
        ({"indices": PARTS | {"test": 6}}, "a list"),
        ({"indices": {"train": [0], "validation": [1]}}, "no test"),
    ],
)
def test_splits_that_cannot_be_are_refused_on_opening(splits, words, copy):
    edit_attributes(copy, splits=splits)
    with pytest.raises(InvalidInputError, match=words):
        FlowStore.open(copy)


@pytest.mark.parametrize(
    "recipe", [{"width": "wide"}, {"width": -1.0}, {"depth": 3}, {"split": [0.5, 0.5]}, {"split": ["a"]}, {"shape": [1, 2]}]
)
def test_a_recipe_of_wrong_types_is_refused_on_opening(recipe, copy):
    edit_attributes(copy, recipe=recipe)
    with pytest.raises(InvalidInputError, match="recipe"):
        FlowStore.open(copy)


ARRAYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown codec": lambda m: m["codecs"].append({"name": "mystery", "configuration": {}}),
    "no codecs": lambda m: m.__delitem__("codecs"),
    "codecs null": lambda m: m.update(codecs=None),
    "no shape": lambda m: m.__delitem__("shape"),
    "shape of text": lambda m: m.update(shape="large"),
    "negative shape": lambda m: m.update(shape=[8, -3, 16, 16]),
    "more dimensions": lambda m: m.update(shape=[8, 3, 16, 16, 1], dimension_names=["a", "b", "c", "d", "e"]),
    "fewer dimensions": lambda m: m.update(shape=[8], dimension_names=["sample"]),
    "another shape": lambda m: m.update(shape=[8, 3, 16, 17]),
    "fewer samples": lambda m: m.update(shape=[7, 3, 16, 16]),
    "huge shape": lambda m: m.update(shape=[10**12, 3, 16, 16]),
    "huge chunks": lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[10**9, 10**9, 16, 16]),
    "text": lambda m: m.update(data_type="string", fill_value=""),
    "unknown type": lambda m: m.update(data_type="float128"),
    "a group": lambda m: {"zarr_format": 3, "node_type": "group", "attributes": {}},
    "zarr 9": lambda m: m.update(zarr_format=9),
    "a list": lambda m: [1],
    "nothing": lambda m: {},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_array_metadata_that_cannot_be_are_refused_on_opening(name, copy):
    edit(copy / "fluid" / "zarr.json", ARRAYS[name])
    with pytest.raises(InvalidInputError, match="fluid"):
        FlowStore.open(copy)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "1", '{"zarr_format": 3}', "[" * 100_000, '{"node_type": []}'])
def test_group_metadata_that_cannot_be_are_refused_on_opening(text, copy):
    (copy / "zarr.json").write_text(text)
    with pytest.raises(InvalidInputError, match="copy.zarr"):
        FlowStore.open(copy)


@pytest.mark.parametrize("length", [10**9, 10**15])
def test_samples_larger_than_the_machine_are_refused_on_opening(length, copy):
    for array in copy.glob("*/zarr.json"):
        values = json.loads(array.read_text())
        if values["shape"][1:] and values["shape"][-1] == 16:
            values["shape"][-1] = length
            values["chunk_grid"]["configuration"]["chunk_shape"][-1] = length
            array.write_text(json.dumps(values))
    with pytest.raises(InvalidInputError, match="needed: at most"):
        FlowStore.open(copy)


COMMANDS = {
    "info": ("data", "info", "COPY"),
    "check": ("data", "check", "COPY"),
    "split": ("data", "split", "COPY"),
    "stats": ("data", "stats", "COPY"),
    "card": ("data", "card", "COPY", "card.md"),
    "convert": ("data", "convert", "COPY", "out"),
    "train": ("train", "vae3d", "--data", "COPY", "--run", "run"),
    "evaluate": ("evaluate", "--data", "COPY"),
    "calibrate": ("model", "calibrate", "small", "--data", "COPY"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_opens_a_store_refuses_it_in_one_line_and_leaves_nothing(
    command, copy, capsys, monkeypatch, tmp_path
):
    edit_attributes(copy, splits={"indices": PARTS | {"test": [-1]}})
    monkeypatch.chdir(tmp_path)
    refused(capsys, *(copy if word == "COPY" else word for word in COMMANDS[command]))
    assert [entry.name for entry in tmp_path.iterdir()] == ["copy.zarr"]


@pytest.fixture(scope="session")
def published(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set in the published layout; tests damage copies."""
    return export_published(tiny_store, tmp_path_factory.mktemp("published") / "set")


@pytest.mark.parametrize("file", ["resinflow.json", "statistics.json"])
@pytest.mark.parametrize("text", ["", "[1]", "null", "3", "{", "[" * 100_000, '{"a":' * 100_000])
def test_documents_of_a_published_set_that_cannot_be_are_refused(file, text, published, tmp_path):
    folder = Path(shutil.copytree(published, tmp_path / "set"))
    (folder / file).write_text(text)
    with pytest.raises(InvalidInputError, match=file):
        open_flows(folder)


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("name", ["pressure_drop", "viscosity", "splits", "statistics"])
def test_an_attribute_of_another_type_in_a_manifest_is_refused(name, value, published, tmp_path):
    folder = Path(shutil.copytree(published, tmp_path / "set"))
    edit(folder / "resinflow.json", lambda values: values.update({name: value}))
    with pytest.raises(InvalidInputError, match=name):
        open_flows(folder)


@pytest.mark.parametrize("size", [1e9, 0.0, -1.0, float("nan"), float("inf"), 1e-30])
def test_published_sizes_that_are_no_lengths_are_refused(size, published, tmp_path):
    folder = Path(shutil.copytree(published, tmp_path / "set"))
    torch.save(torch.full((8, 3), size, dtype=torch.float64), folder / "x" / "dxyz.pt")
    with pytest.raises(InvalidInputError, match=r"dxyz.pt holds sizes"):
        open_flows(folder)


TENSORS: dict[str, Callable[[], Any]] = {
    "0-dim": lambda: torch.tensor(1.0),
    "empty": lambda: torch.zeros(0),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "complex": lambda: torch.zeros(8, 3, dtype=torch.complex64),
    "conjugated": lambda: torch.zeros(8, 3, dtype=torch.complex64).conj(),
    "meta": lambda: torch.zeros(8, 3, device="meta"),
    "bfloat16": lambda: torch.zeros(8, 3, dtype=torch.bfloat16),
    "expanded": lambda: torch.zeros(1).expand(10**6, 10**6),
    "a dictionary": lambda: {1: torch.zeros(8, 3)},
    "a list": lambda: [1],
    "text": lambda: "text",
    "nothing": lambda: None,
}


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("file", ["domain", "U", "dxyz"])
def test_a_tensor_file_of_anything_else_is_refused(file, name, published, tmp_path):
    folder = Path(shutil.copytree(published, tmp_path / "set"))
    torch.save(TENSORS[name](), folder / "x" / f"{file}.pt")
    with pytest.raises(InvalidInputError, match=rf"{file}.pt"):
        open_flows(folder)


@pytest.mark.parametrize("fault", ["no split", "empty part", "missing field"])
def test_a_refused_training_leaves_no_run_directory(fault, copy, tmp_path):
    from resinflow.presets.latent.recipe import LatentRecipe
    from resinflow.presets.training import train

    if fault == "no split":
        edit(copy / "zarr.json", lambda metadata: metadata["attributes"].__delitem__("splits"))
    elif fault == "empty part":
        edit_attributes(copy, splits={"indices": PARTS | {"validation": []}})
    else:
        shutil.rmtree(copy / "response_velocity")
    with pytest.raises(InvalidInputError):
        train("vae3d", copy, tmp_path / "run", LatentRecipe.model_validate(TINY_TRAINING))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="session")
def flow(tiny_store: FlowStore) -> FlowField:
    return tiny_store.sample(0).truth


def npy_header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def with_claim(path: Path, claim: int) -> None:
    """Let the first member of an archive claim to be ``claim`` bytes long."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 24 : place + 28] = min(claim, 2**32 - 2).to_bytes(4, "little")
    content[22:26] = content[place + 24 : place + 28]
    path.write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        npy_header("(1000000, 1000000)"),
        npy_header("(-1, 5)") + bytes(100),
        npy_header("(10, 10)") + bytes(100),
        npy_header("'abc'"),
        npy_header("(" * 300 + ")" * 300),
        npy_header("(2,)", "|O") + b"cos\nsystem\n",
        npy_header("(99999999999999999999999,)"),
        b"",
        b"\x93NUMPY",
    ],
)
def test_a_npy_header_that_claims_what_is_not_there_is_refused(content, tmp_path):
    path = tmp_path / "stack.npy"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"stack.npy"):
        read_stack(path)
    zipped(tmp_path / "flow.npz", header=content, fluid=content)
    with pytest.raises(InvalidInputError, match=r"flow.npz"):
        FlowField.load(tmp_path / "flow.npz")


def test_members_of_an_archive_that_claim_gigabytes_are_refused(tmp_path):
    path = zipped(tmp_path / "flow.npz", header=npy_header("(1500000000,)") + bytes(1000))
    with_claim(path, 6_000_000_000)
    with pytest.raises(InvalidInputError, match="which no file of"):
        FlowField.load(path)


@pytest.mark.parametrize("count", [10**6, 10**10, 10**15])
def test_a_netcdf_file_that_claims_terabytes_is_refused(count, tmp_path):
    with h5py.File(tmp_path / "flow.nc", "w") as file:
        file.create_dataset("velocity", (3, count, 1000), "f4", chunks=(1, 1, 1000))
    with pytest.raises(InvalidInputError, match=r"flow.nc"):
        FlowField.load(tmp_path / "flow.nc")


@pytest.mark.parametrize("count", [10**10, 10**15])
def test_a_zarr_flow_that_claims_terabytes_is_refused(count, flow, tmp_path):
    path = flow.save(tmp_path / "flow.zarr")
    edit(path / "velocity" / "zarr.json", lambda metadata: metadata.update(shape=[3, 3, 16, count]))
    with pytest.raises(InvalidInputError, match=r"flow.zarr"):
        FlowField.load(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('WholeExtent="0 16 0 16 0 3"', 'WholeExtent="0 100000 0 100000 0 100000"'),
        ('Extent="0 16 0 16 0 3"', 'Extent="0 2000000000 0 2000000000 0 2000000000"'),
        ('Extent="0 16 0 16 0 3"', 'Extent="0 -16 0 16 0 3"'),
        ('Extent="0 16 0 16 0 3"', 'Extent="0 16 0 16"'),
        ('Extent="0 16 0 16 0 3"', 'Extent="a b c d e f"'),
        ('type="ImageData"', 'type="PolyData"'),
        ('NumberOfComponents="3"', 'NumberOfComponents="3000000000"'),
        ("<ImageData", "<PolyData"),
    ],
)
def test_an_extent_that_cannot_be_is_refused_before_vtk_reads_the_file(before, after, flow, tmp_path, capfd):
    path = flow.save(tmp_path / "flow.vti")
    content = path.read_bytes()
    assert before.encode() in content
    path.write_bytes(content.replace(before.encode(), after.encode()))
    with pytest.raises(InvalidInputError, match=r"flow.vti"):
        FlowField.load(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "report",
    [
        [],
        3,
        {"kind": []},
        {"kind": "solver"},
        {"iterations": "many"},
        {"warnings": 3},
        {"residual_history": [None]},
        {"certificate": [1]},
        {"wall_time": {}},
        {"surprise": 1},
    ],
)
def test_a_damaged_report_is_refused(report, flow, tmp_path):
    dataset = flow.to_xarray()
    sound = {"kind": "solver", "status": "converged", "iterations": 1, "residual": 0.0, "residual_history": [1.0]}
    sound |= {"permeability_error": 0.0, "divergence": 0.0, "wall_time": 1.0}
    damaged = {**sound, **report} if isinstance(report, dict) and report != {"kind": "solver"} else report
    assert FlowField.from_xarray(dataset.assign_attrs(report=json.dumps(sound))).report is not None
    with pytest.raises(InvalidInputError, match="report"):
        FlowField.from_xarray(dataset.assign_attrs(report=json.dumps(damaged)))


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".vti", ".zarr"])
def test_a_pipe_in_the_place_of_a_flow_does_not_hang(suffix, capsys, tmp_path):
    os.mkfifo(tmp_path / f"flow{suffix}")
    assert "neither file nor folder" in refused(capsys, "view", tmp_path / f"flow{suffix}", "-o", tmp_path / "a.png")


def test_a_flow_is_never_written_over_a_data_set(copy, flow, capsys, tmp_path):
    before = sorted(path.relative_to(copy) for path in copy.rglob("*"))
    assert "something else than a flow field" in refused(capsys, "view", flow.save(tmp_path / "flow.npz"), "-o", copy)
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == before
    assert len(FlowStore.open(copy)) == 8
    target = flow.save(tmp_path / "flow.zarr")
    assert FlowField.load(flow.save(target)).permeability == flow.permeability


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_a_pipe_in_the_place_of_an_image_does_not_hang(name, capsys, tmp_path):
    os.mkfifo(tmp_path / name)
    assert "neither file nor folder" in refused(capsys, "solve", tmp_path / name, "--pixel-size", "1e-6", "--depth", "1e-5")


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)


def test_a_png_that_lacks_its_end_is_refused(grey, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(grey).save(path)
    content = path.read_bytes()
    for lost in (1, 4, 8, 12, 16, len(content) // 100):
        path.write_bytes(content[:-lost])
        with pytest.raises(InvalidInputError, match=r"a.png"):
            read_stack(path)


def test_an_archive_under_the_name_of_an_array_is_refused(grey, tmp_path):
    np.savez(tmp_path / "a.npz", grey)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(InvalidInputError, match=r"a.npy"):
        read_stack(tmp_path / "a.npy")


def test_a_link_to_an_image_is_the_image(grey, tmp_path):
    for suffix in (".png", ".tif"):
        Image.fromarray(grey).save(tmp_path / f"original{suffix}")
        (tmp_path / f"link{suffix}").symlink_to(tmp_path / f"original{suffix}")
        assert np.array_equal(read_stack(tmp_path / f"link{suffix}")[0], grey)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.png").symlink_to(tmp_path / "original.png")
    assert np.array_equal(read_stack(folder)[0], grey)


def test_digits_of_other_scripts_in_the_names_of_a_folder_are_letters(grey, tmp_path):
    for number, name in enumerate(("10", "9", "\u00b2", "\u0663", "a1b", "\udcff")):
        Image.fromarray(grey + number).save(tmp_path / f"{name}.png")
    assert read_stack(tmp_path).shape == (6, 40, 40)


@pytest.mark.parametrize("name", ["[/b].tif", "n" * 300 + ".tif", "\udcff.tif", "[red]a[/red].npy", ":smile:.png", "a\nb.tif"])
def test_names_of_any_kind_are_said_in_one_line(name, capsys, tmp_path):
    refused(capsys, "solve", f"{tmp_path}/{name}", "--pixel-size", "1e-6", "--depth", "1e-5")


def test_markup_in_a_name_is_no_markup(capsys):
    make_console().print("[/b] [red]a[/red] :smile:")
    assert capsys.readouterr().out.strip() == "[/b] [red]a[/red] :smile:"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", "[" * 100_000, '{"schema": []}', '{"schema": "resinflow-model-1", "name": 1, "config": []}'],
)
@pytest.mark.parametrize("file", ["config.json", "log.json", "calibration.json"])
def test_documents_of_a_model_that_cannot_be_are_refused(file, text, model, tmp_path):
    if (file == "log.json" and text == "{}") or (file == "log.json" and text.startswith('{"')):
        pytest.skip("a log may hold anything")
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    (folder / file).write_text(text)
    with pytest.raises(InvalidInputError):
        load_model(folder)


@pytest.fixture(scope="session")
def model(tiny_run: Path) -> Path:
    return tiny_run / "model"


@pytest.mark.parametrize("key", ["width", "latent_channels", "sampler_steps", "samples"])
@pytest.mark.parametrize("value", [10**9, 0, -1, "8", None, [8], 8.5])
def test_sizes_of_a_model_that_cannot_be_are_refused(key, value, model, tmp_path):
    if value == "8":
        pytest.skip("a number as text is a number to pydantic")
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    edit(folder / "config.json", lambda document: document["config"].update({key: value}))
    with pytest.raises(InvalidInputError, match=key):
        load_model(folder)


WEIGHTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "0-dim": lambda tensor: torch.tensor(1.0) if tensor.ndim else torch.zeros(2),
    "empty": lambda tensor: torch.zeros(0),
    "complex": lambda tensor: tensor.to(torch.complex64),
    "one dimension more": lambda tensor: tensor[None].contiguous(),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_do_not_fit_are_refused(name, model, tmp_path):
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    state = load_file(folder / "model.safetensors")
    first = next(iter(state))
    save_file(state | {first: WEIGHTS[name](state[first])}, folder / "model.safetensors")
    with pytest.raises(InvalidInputError, match=r"model.safetensors"):
        load_model(folder)


@pytest.mark.parametrize(
    "header", [b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}', b"[" * 1000, b""]
)
def test_a_header_of_weights_that_claims_what_is_not_there_is_refused(header, model, tmp_path):
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(InvalidInputError, match=r"model.safetensors"):
        load_model(folder)
