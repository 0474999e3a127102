"""What a model directory or a published checkpoint claims is compared with its weights before memory is taken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from resinflow.flow import InvalidInputError
from resinflow.presets import load_model
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.recipe import SCHEMA, DirectArchitecture
from resinflow.presets.paper.convert import convert_published
from resinflow.presets.paper.networks.system import PaperSystem
from tests.test_model_published import SMALL, predictor_state

HUGE: dict[str, dict[str, Any]] = {
    "width": {"width": 4096},
    "latent": {"latent_channels": 4096},
    "both": {"width": 4096, "latent_channels": 4096, "blocks": [64, 64, 64, 64], "denoiser_blocks": 64},
    "decoder": {"decoder_levels": [[4096, 8]] * 16},
}
LIMIT = """
import resource, sys
from resinflow.presets import load_model
from resinflow.flow import InvalidInputError
import resinflow.presets.latent.predictor, resinflow.presets.direct.predictor
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30, taken + 2**30))
for folder in sys.argv[1:]:
    try:
        load_model(folder, "cpu")
    except InvalidInputError as error:
        print(error)
"""
"""Loads models with a gibibyte more than the libraries have taken."""


def edit(folder: Path, **values: Any) -> Path:
    document = json.loads((folder / "config.json").read_text())
    document["config"].update(values)
    (folder / "config.json").write_text(json.dumps(document))
    return folder


def loaded_in_little_memory(*folders: Path) -> list[str]:
    """The lines in which a process with little memory refuses models."""
    command = [sys.executable, "-c", LIMIT, *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_sizes_of_networks_are_compared_with_the_header_of_the_weights_before_memory_is_taken(tiny_run, tmp_path):
    folders = [edit(Path(shutil.copytree(tiny_run / "model", tmp_path / name)), **HUGE[name]) for name in HUGE]
    network = DirectNetwork(
        DirectArchitecture.model_validate({"network": {"kind": "unet", "widths": [4, 4], "blocks": [1, 1]}})
    )
    direct = tmp_path / "direct"
    direct.mkdir()
    save_file(network.state_dict(), direct / "model.safetensors")
    sizes = {"kind": "unet", "widths": [4096] * 16, "blocks": [4] * 16}
    config = {"schema": SCHEMA, "name": "a", "config": {"network": sizes}}
    (direct / "config.json").write_text(json.dumps(config))
    lines = loaded_in_little_memory(*folders, direct)
    assert len(lines) == len(folders) + 1
    assert all("does not fit the model's configuration" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop(min(state)), "it lacks "),
        (lambda state: state.update(more=torch.zeros(1)), "it has the further more"),
    ],
)
def test_weights_of_other_names_are_refused_with_the_name(change, words, tiny_run, tmp_path):
    folder = Path(shutil.copytree(tiny_run / "model", tmp_path / "model"))
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(InvalidInputError, match=words):
        load_model(folder)


def test_networks_of_endless_depth_are_refused_by_the_configuration(tiny_run, tmp_path):
    folder = edit(Path(shutil.copytree(tiny_run / "model", tmp_path / "model")), decoder_levels=[[8, 1]] * 1000)
    with pytest.raises(InvalidInputError, match="decoder_levels"):
        load_model(folder)


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, torch.Tensor]:
    """What the published diffusion program saves of small networks."""
    torch.manual_seed(0)
    return predictor_state(PaperSystem(SMALL))


KINDS: dict[str, Callable[[torch.Tensor], Any]] = {
    "0-dim": lambda value: torch.tensor(1.0),
    "empty": lambda value: torch.zeros(0),
    "empty of its axes": lambda value: torch.zeros([0] * value.ndim),
    "sparse": lambda value: value.to_sparse(),
    "sparse rows": lambda value: torch.eye(3).to_sparse_csr(),
    "meta": lambda value: value.to("meta"),
    "complex": lambda value: value.to(torch.complex64),
    "quantised": lambda value: torch.quantize_per_tensor(value.float(), 0.1, 0, torch.qint8),
    "repeated": lambda value: torch.zeros(1).expand(10**6, 10**6),
    "nested": lambda value: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "NaN": lambda value: torch.full_like(value, torch.nan),
    "beyond single precision": lambda value: torch.full_like(value, 1e300, dtype=torch.float64),
    "one axis more": lambda value: value[None],
    "one row more": lambda value: torch.cat([value, value[:1]]) if value.ndim else value[None],
    "whole numbers": lambda value: torch.ones_like(value, dtype=torch.int64),
    "a list": lambda value: [1.0],
}
NAMES = (
    "normalizer.output.scale_factors",
    "normalizer.input.scale_factors",
    "scheduler.betas",
    "scheduler.alphas",
    "vae.encoder_3d.conv_in.weight",
    "vae.encoder_3d.res1_1.conv1.weight",
    "vae.encoder_2d.norm_out.bias",
    "vae.decoder_3d.conv_in.weight",
    "model.encoder.0.0.block1.conv.weight",
    "model.encoder.1.1.norm.weight",
    "model.time_mlp.0.weight",
    "model.final_conv.weight",
)
HARMLESS = {
    ("whole numbers", "normalizer.output.scale_factors"),
    ("whole numbers", "normalizer.input.scale_factors"),
    ("0-dim", "normalizer.input.scale_factors"),
    ("one axis more", "normalizer.input.scale_factors"),
    ("one row more", "normalizer.input.scale_factors"),
}
"""One number is wanted there, and one there is."""


def refused_conversion(folder: Path, state: Any, output: Path) -> str:
    """Convert a checkpoint that must be refused, and return the one line."""
    torch.save(state, folder / "model.pt")
    with pytest.raises(InvalidInputError) as caught:
        convert_published(folder, output)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert not output.exists()
    return str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_with_a_tensor_of_another_kind_is_refused_in_one_line(kind, checkpoint, tmp_path):
    for name in NAMES:
        if (kind, name) not in HARMLESS:
            state = {**checkpoint, name: KINDS[kind](checkpoint[name])}
            line = refused_conversion(tmp_path, state, tmp_path / "model")
            assert str(tmp_path / "model.pt") in line, name


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-60, float("nan"), float("inf"), 1e60])
@pytest.mark.parametrize("name", ["normalizer.output.scale_factors", "normalizer.input.scale_factors"])
def test_factors_of_a_checkpoint_that_cannot_divide_are_refused(name, value, checkpoint, tmp_path):
    state = {**checkpoint, name: torch.full_like(checkpoint[name], value, dtype=torch.float64)}
    refused_conversion(tmp_path, state, tmp_path / "model")


@pytest.mark.parametrize("name", [1, (1, 2), None, b"bytes"])
def test_names_of_weights_that_are_no_text_are_refused(name, checkpoint, tmp_path):
    assert "a name that is" in refused_conversion(tmp_path, {**checkpoint, name: torch.ones(1)}, tmp_path / "model")


def test_widths_that_no_groups_divide_are_refused(checkpoint, tmp_path):
    state = {name: value[:31] if name.endswith("res1_1.conv1.weight") else value for name, value in checkpoint.items()}
    assert "no networks can have its configuration" in refused_conversion(tmp_path, state, tmp_path / "model")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 100 + "1" + "}" * 100,
        "[" * 100_000,
        "{" * 100_000,
        "\udcff",
        "",
        '{"params": {"training": 3}}',
        '{"a": NaN',
        "[]",
    ],
)
def test_a_log_beside_a_checkpoint_that_cannot_be_is_refused(text, checkpoint, tmp_path):
    (tmp_path / "log.json").write_bytes(text.encode(errors="surrogateescape"))
    if '"training": 3' not in text:
        assert "log.json" in refused_conversion(tmp_path, checkpoint, tmp_path / "model")
        return
    torch.save(checkpoint, tmp_path / "model.pt")  # without options in it the published defaults hold
    assert convert_published(tmp_path, tmp_path / "model").is_dir()


@pytest.mark.parametrize("attention", ["2.." + "9" * 5000, "٢..٢", [1], {"a": 1}])
def test_options_of_a_log_that_cannot_be_fall_back_or_are_refused(attention, checkpoint, tmp_path):
    kwargs = {"attention": attention}
    (tmp_path / "log.json").write_text(json.dumps({"params": {"training": {"predictor": {"model_kwargs": kwargs}}}}))
    torch.save(checkpoint, tmp_path / "model.pt")
    assert convert_published(tmp_path, tmp_path / "model").is_dir()


def test_a_checkpoint_that_grows_as_it_is_read_is_refused_before(checkpoint, tmp_path):
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    with pytest.raises(InvalidInputError, match=r"says that it holds 0\.004 GB in"):
        convert_published(tmp_path, tmp_path / "model")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_of_a_model_that_cannot_divide_are_refused(value, tiny_run, tmp_path):
    folder = Path(shutil.copytree(tiny_run / "model", tmp_path / "model"))
    for name in ("target_scale", "latent_scale"):
        state = load_file(tiny_run / "model" / "model.safetensors")
        save_file({**state, name: torch.full_like(state[name], value)}, folder / "model.safetensors")
        with pytest.raises(InvalidInputError, match=name):
            load_model(folder)
    weight = next(name for name in state if name.endswith(".weight"))
    save_file({**state, weight: torch.full_like(state[weight], torch.nan)}, folder / "model.safetensors")
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        load_model(folder)


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn, torch.bool])
def test_weights_of_other_numbers_are_refused(kind, tiny_run, tmp_path):
    folder = Path(shutil.copytree(tiny_run / "model", tmp_path / "model"))
    state = load_file(folder / "model.safetensors")
    save_file({**state, min(state): torch.ones(state[min(state)].shape).to(kind)}, folder / "model.safetensors")
    with pytest.raises(InvalidInputError, match="needed: reals of shape"):
        load_model(folder)
