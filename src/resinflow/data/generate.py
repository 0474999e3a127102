"""Generation of data sets: random bundles, their 3-D flow, planar flow and response flow, in parallel and resumable."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib.metadata import version
from pathlib import Path

import numpy as np

from resinflow.core import ConvergenceError, InvalidInputError
from resinflow.data.config import GenerationConfig
from resinflow.data.split import draw_splits
from resinflow.data.statistics import compute_statistics
from resinflow.data.store import FlowStore, Sample
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import planar_flow, response_flow, solve

_DRAWS_PER_SAMPLE = 20
"""A random medium that does not percolate, or a slice without fibre, is drawn again from the sample's own seed."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def generate(
    config: GenerationConfig, path: str | Path, *, workers: int | None = None, watch: Callable[[int, int], None] | None = None
) -> FlowStore:
    """Write the data set that ``config`` describes, then draw its splits and statistics.

    Every sample depends on the recipe's seed and its own number alone, so that the result is the same at any number of
    workers. Running again continues: complete samples are kept, the others are made.

    Args:
        config: the recipe.
        path: a folder (Zarr group), made if absent.
        workers: processes; by default one a core.
        watch: called with the numbers of complete and of all samples, after every sample.

    Raises:
        InvalidInputError: ``path`` holds a data set of another recipe.
    """
    store = _open_or_create(config, Path(path))
    missing = np.flatnonzero(~store.complete).tolist()
    done = len(store) - len(missing)
    if watch:
        watch(done, len(store))
    for _ in _made(config, store.path, missing, workers or os.cpu_count() or 1):
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
        return store
    attributes = {
        "recipe": recipe,
        "viscosity": config.viscosity,
        "pressure_drop": config.pressure_drop,
        "resinflow_version": version("resinflow"),
    }
    return FlowStore.create(path, config.samples, config.shape, attributes)


def _made(config: GenerationConfig, path: Path, indices: list[int], workers: int) -> Iterator[int]:
    """Make the samples and yield their numbers as they are on disk."""
    if not indices:
        return
    if workers == 1:
        for index in indices:
            yield _make_and_write(config, path, index)
        return
    # fresh processes with one thread each: two OpenMP pools on one core wait for each other
    saved = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        with ProcessPoolExecutor(min(workers, len(indices)), multiprocessing.get_context("spawn")) as pool:
            yield from _as_they_come(pool, config, path, indices, 2 * workers)
    finally:
        for name, value in saved.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _as_they_come(
    pool: ProcessPoolExecutor, config: GenerationConfig, path: Path, indices: list[int], in_flight: int
) -> Iterator[int]:
    waiting = iter(indices)
    running: set[Future[int]] = set()
    try:
        while True:
            for index in waiting:
                running.add(pool.submit(_make_and_write, config, path, index))
                if len(running) >= in_flight:
                    break
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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
