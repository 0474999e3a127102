"""Generation of data sets: random bundles, their 3-D flow, planar flow and response flow, in parallel and resumable."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from resinflow.core import ConvergenceError, InvalidInputError
from resinflow.data.config import GenerationConfig
from resinflow.data.split import draw_splits
from resinflow.data.statistics import compute_statistics
from resinflow.data.store import FlowStore, Sample
from resinflow.data.workers import run_on_cluster, run_on_processes
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import planar_flow, response_flow, solve

_DRAWS_PER_SAMPLE = 20
"""A random medium that does not percolate, or a slice without fibre, is drawn again from the sample's own seed."""


def generate(
    config: GenerationConfig,
    path: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> FlowStore:
    """Write the data set that ``config`` describes, then draw its splits and statistics.

    Every sample depends on the recipe's seed and its own number alone, so that the result is the same at any number of
    workers. Running again continues: complete samples are kept, the others are made.

    Args:
        config: the recipe.
        path: a folder (Zarr group), made if absent.
        workers: processes on this machine; by default one a core.
        scheduler: address of a Dask scheduler (``tcp://host:8786``) whose workers make the samples instead. They write them
            themselves, so that ``path`` must mean the same folder to all of them.
        watch: called with the numbers of complete and of all samples, after every sample.

    Raises:
        InvalidInputError: ``path`` holds a data set of another recipe, or no scheduler answers.
        MissingDependencyError: ``scheduler`` without the extra ``cluster``.
    """
    store = _open_or_create(config, Path(path))
    missing = np.flatnonzero(~store.complete).tolist()
    done = len(store) - len(missing)
    if watch:
        watch(done, len(store))
    make = partial(_make_and_write, config, store.path.absolute())
    made = (
        run_on_cluster(make, missing, scheduler)
        if scheduler
        else run_on_processes(make, missing, workers or os.cpu_count() or 1)
    )
    for _ in made:
        done += 1
        if watch:
            watch(done, len(store))
    if "splits" not in store.attributes:
        draw_splits(store)
    if "statistics" not in store.attributes:
        compute_statistics(store)
    return store


def _open_or_create(config: GenerationConfig, path: Path) -> FlowStore:
    recipe = config.model_dump(mode="json")
    if path.exists():
        store = FlowStore.open(path, writable=True)
        if store.attributes["recipe"] != recipe:
            changed = [key for key, value in recipe.items() if store.attributes["recipe"].get(key) != value]
            raise InvalidInputError(
                f"{path} holds a data set of another recipe (different: {', '.join(changed) or 'keys'}); choose another folder."
            )
        store.remove_leftovers()
        return store
    attributes = {
        "recipe": recipe,
        "viscosity": config.viscosity,
        "pressure_drop": config.pressure_drop,
        "resinflow_version": version("resinflow"),
    }
    return FlowStore.create(path, config.samples, config.shape, attributes)


def _make_and_write(config: GenerationConfig, path: Path, index: int) -> int:
    FlowStore.open(path, writable=True).write_sample(index, make_sample(config, index))
    return index


def make_sample(config: GenerationConfig, index: int) -> Sample:
    """Return sample ``index`` of a recipe.

    Raises:
        InvalidInputError: no usable medium in many draws: the recipe asks for what cannot be.
    """
    reason = ""
    for draw in range(_DRAWS_PER_SAMPLE):
        sequence = np.random.SeedSequence([config.seed, index, draw])
        try:
            return _solved(config, sequence)
        except (InvalidInputError, ConvergenceError) as error:
            reason = str(error)
    raise InvalidInputError(f"sample {index}: no usable medium in {_DRAWS_PER_SAMPLE} draws; the last: {reason}")


def _solved(config: GenerationConfig, sequence: np.random.SeedSequence) -> Sample:
    rng = np.random.default_rng(sequence)
    settings = BundleSettings(
        volume_fraction=rng.uniform(*config.volume_fraction),
        diameter=rng.uniform(*config.diameter),
        diameter_scatter=rng.uniform(*config.diameter_scatter),
        misalignment=rng.uniform(*config.misalignment),
        minimum_gap=config.minimum_gap,
    )
    depth = rng.uniform(*config.depth)
    micro = fibre_bundle(config.shape, (depth, config.width, config.width), seed=int(rng.integers(2**63)), settings=settings)
    if not micro.percolates("x"):
        raise InvalidInputError("the medium does not percolate along x")
    drop, viscosity = config.pressure_drop, config.viscosity
    planar = planar_flow(micro, pressure_drop=drop, viscosity=viscosity, tolerance=config.tolerance)
    if planar.permeability == 0:
        raise InvalidInputError("no slice percolates along x")
    truth = solve(micro, pressure_drop=drop, viscosity=viscosity, tolerance=config.tolerance)
    return Sample(truth, planar, response_flow(micro, pressure_drop=drop, viscosity=viscosity))
