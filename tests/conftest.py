"""Small data and models that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from resinflow.data.generate import generate
from resinflow.data.recipe import DataRecipe
from resinflow.data.store import FlowStore

TINY_RECIPE = {
    "samples": 8,
    "seed": 7,
    "shape": (3, 16, 16),
    "width": 25e-6,
    "depth": (12e-6, 15e-6),
    "volume_fraction": (0.3, 0.45),
    "diameter": (8e-6, 10e-6),
    "misalignment": (0.0, 12.0),
}


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> FlowStore:
    """A generated data set of eight small media, complete with split and statistics; tests only read it."""
    path: Path = tmp_path_factory.mktemp("data") / "tiny.zarr"
    generate(DataRecipe.model_validate(TINY_RECIPE), path, workers=1)
    return FlowStore.open(path)


TINY_STAGE = {"epochs": 2, "batch_size": 2, "precision": "32-true"}
TINY_TRAINING = {
    "name": "tiny",
    "model": {
        "base": "response",
        "latent_channels": 2,
        "width": 8,
        "blocks": [1, 1, 1, 1],
        "denoiser_blocks": 1,
        "sampler_steps": 2,
        "samples": 3,
    },
    "vae3d": TINY_STAGE,
    "vae2d": TINY_STAGE,
    "diffusion": TINY_STAGE,
}


@pytest.fixture(scope="session")
def tiny_run(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory in which all three stages of a very small model are trained; tests only read it."""
    from resinflow.presets.latent.recipe import STAGES, LatentRecipe
    from resinflow.presets.training import train

    run: Path = tmp_path_factory.mktemp("run")
    for stage in STAGES:
        train(stage, tiny_store.path, run, LatentRecipe.model_validate(TINY_TRAINING))
    return run
