"""What a model directory or a published checkpoint claims is compared with its weights before memory is taken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from resinflow.flow import InvalidInputError
from resinflow.presets import load_model
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.recipe import SCHEMA, DirectArchitecture

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
    from safetensors.torch import load_file

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
