"""Small data and models that several tests share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resinflow.data.division import Division
from resinflow.data.generate import generate
from resinflow.data.recipe import DataRecipe
from resinflow.data.store import FlowStore
from tests.app_server import Server, open_page, running_app, running_browser
from tests.dask_cluster import Cluster, running_cluster

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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


_FIRST_SOLVES = """
import itertools
import resinflow as rf
from resinflow.stokes import solve
bundles = [rf.fibre_bundle((count, 24, 24), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4) for count in (1, 6)]
for micro, axis, rule, sides in itertools.product(bundles, "xz", ("plain", "surface"), ("pressure", "periodic")):
    solve(micro, axis=axis, wall_rule=rule, boundary=sides)
rf.planar_flow(bundles[1])
"""


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels once, before the processes that share the tests would do it side by side.

    A kernel that was just compiled may differ in a last bit from the same one out of the cache: what it calls is inlined then.
    """
    if config.getoption("numprocesses", None):  # the process that starts the others
        subprocess.run([sys.executable, "-c", _FIRST_SOLVES], check=True)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> FlowStore:
    """A generated data set of eight small media, complete with split and statistics; tests only read it."""
    path: Path = tmp_path_factory.mktemp("data") / "tiny.zarr"
    generate(DataRecipe.model_validate(TINY_RECIPE), path, workers=1)
    return FlowStore.open(path)


@pytest.fixture(scope="session")
def repeated(tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eight small media, each of which counts as several in every split: a fit needs more cases. Tests only read it."""
    path = tmp_path_factory.mktemp("repeated") / "repeated.zarr"
    shutil.copytree(tiny_store.path, path)
    store = FlowStore.open(path, writable=True)
    everyone = tuple(range(len(store)))
    store.set_attribute("splits", Division(everyone * 4, everyone * 3, everyone).to_attribute())
    store.set_attribute("recipe", {**store.attributes["recipe"], "seed": 99})
    return path


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


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Cluster]:
    """A Dask scheduler and two workers; a test may end them."""
    with running_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests that look at the app; a window of its own is a session of its own."""
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running app for all tests that do not end it."""
    with running_app(tmp_path_factory.mktemp("app")) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A new session in a window of its own, which asks no other machine for anything."""
    addresses: set[str] = set()
    page = open_page(browser, server, lambda request: addresses.add(request.url))
    yield page
    page.context.close()
    assert [each for each in addresses if not each.startswith((server.address, "data:", "blob:"))] == []
