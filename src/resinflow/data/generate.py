"""Generation of data sets: random bundles, their 3-D flow, planar flow and response flow, in parallel and resumable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from resinflow.core import ConvergenceError, InvalidInputError, Microstructure
from resinflow.data.coarsen import solve_refined
from resinflow.data.config import GenerationConfig, completed_recipe
from resinflow.data.sample import Sample
from resinflow.data.schema import FIELDS, GRID_FIELDS
from resinflow.data.split import draw_splits
from resinflow.data.statistics import compute_statistics
from resinflow.data.store import FlowStore
from resinflow.data.workers import run_on_workers
from resinflow.media import BundleSettings, Fibres, draw_fibres, provenance_of
from resinflow.stokes import grid_flow, planar_flow, response_flow, solve

_DRAWS_PER_SAMPLE = 20
"""A random medium that does not percolate, or a slice without fibre, is drawn again from the sample's own seed."""


def generate(
    config: GenerationConfig,
    path: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    dashboard: str | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> FlowStore:
    """Write the data set that ``config`` describes, then draw its splits and statistics.

    Every sample depends on the recipe's seed and its own number alone, so that the result is the same at any number of
    workers. Running again continues: complete samples are kept, the others are made.

    Args:
        config: the recipe.
        path: a folder (Zarr group), made if absent.
        workers: processes of a Dask cluster on this machine; by default one a core.
        scheduler: address of a Dask scheduler (``tcp://host:8786``) whose workers make the samples instead. They write them
            themselves, so that ``path`` must mean the same folder to all of them.
        dashboard: address of Dask's dashboard (``:8787``) on this machine's cluster; None: none.
        watch: called with the numbers of complete and of all samples, after every sample.

    Raises:
        InvalidInputError: ``path`` holds a data set of another recipe, or no scheduler answers.
        MissingDependencyError: ``dashboard`` without bokeh.
    """
    store = _open_or_create(config, Path(path))
    missing = np.flatnonzero(~store.complete).tolist()
    done = len(store) - len(missing)
    if watch:
        watch(done, len(store))
    make = partial(_make_and_write, config, Path(store.path).absolute())
    for _ in run_on_workers(make, missing, workers=workers, scheduler=scheduler, dashboard=dashboard):
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
        found = completed_recipe(store.attributes["recipe"])
        if found != recipe:
            changed = [key for key, value in recipe.items() if found.get(key) != value]
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
    fields = FIELDS if config.solved_as_stored else {**FIELDS, **GRID_FIELDS}
    return FlowStore.create(path, config.samples, config.shape, attributes, fields=tuple(fields))


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


def draw_medium(config: GenerationConfig, sequence: np.random.SeedSequence) -> tuple[Fibres, Microstructure]:
    """Return a random bundle of a recipe: its fibres, and the medium they make on the stored grid.

    Raises:
        InvalidInputError: no bundle was found for the settings that were drawn.
    """
    rng = np.random.default_rng(sequence)
    settings = BundleSettings(
        volume_fraction=rng.uniform(*config.volume_fraction),
        diameter=rng.uniform(*config.diameter),
        diameter_scatter=rng.uniform(*config.diameter_scatter),
        misalignment=rng.uniform(*config.misalignment),
        minimum_gap=config.minimum_gap,
        boundary=config.boundary,
        strict_gap=config.strict_gap,
    )
    extent = (rng.uniform(*config.depth), config.width, config.width)
    seed = int(rng.integers(2**63))
    # drawn last: what recipes without waves draw must not change
    settings = replace(settings, waviness=rng.uniform(*config.waviness), wavelength=rng.uniform(*config.wavelength))
    fibres = draw_fibres(config.shape, extent, seed=seed, settings=settings)
    return fibres, fibres.microstructure(config.shape, provenance_of(fibres, seed, settings))


def _solved(config: GenerationConfig, sequence: np.random.SeedSequence) -> Sample:
    fibres, micro = draw_medium(config, sequence)
    if not micro.percolates("x"):
        raise InvalidInputError("the medium does not percolate along x")
    drop, viscosity = config.pressure_drop, config.viscosity
    planar = planar_flow(micro, pressure_drop=drop, viscosity=viscosity, tolerance=config.tolerance)
    if planar.permeability == 0:
        raise InvalidInputError("no slice percolates along x")
    response = response_flow(micro, pressure_drop=drop, viscosity=viscosity)
    drive = {"pressure_drop": drop, "viscosity": viscosity, "tolerance": config.tolerance, "wall_rule": config.wall_rule}
    if config.solved_as_stored:
        return Sample(solve(micro, **drive), planar, response)
    return Sample(solve_refined(fibres, micro, config.refinement, **drive), planar, response, grid_flow(micro, **drive))
