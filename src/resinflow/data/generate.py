"""Generation of data sets: random bundles, their 3-D flow, planar flow and response flow, in parallel and resumable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.data.recipe import DataRecipe, completed_recipe
from resinflow.data.sample import Sample
from resinflow.data.schema import FIELDS, GRID_FIELDS
from resinflow.data.source import Watch, watched
from resinflow.data.store import FlowStore, compute_statistics, draw_splits
from resinflow.data.workers import run_on_workers
from resinflow.flow import ConvergenceError, InvalidInputError, Microstructure, check_whole
from resinflow.media import BundleSettings, Fibres, draw_fibres, provenance_of
from resinflow.stokes import grid_flow, planar_flow, response_flow, solve, solve_refined

_DRAWS_PER_SAMPLE = 20
"""A random medium that does not percolate, or a slice without fibre, is drawn again from the sample's own seed."""


def generate(
    recipe: DataRecipe,
    path: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    dashboard: str | None = None,
    watch: Watch | None = None,
) -> FlowStore:
    """Write the data set that ``recipe`` describes, then draw its splits and statistics.

    Every sample depends on the recipe's seed and its own number alone, so that the result is the same at any number of
    workers. Running again continues: complete samples are kept, the others are made.

    Args:
        recipe: of the data set.
        path: a folder (Zarr group), made if absent.
        workers: processes of a Dask cluster on this machine; by default one a core.
        scheduler: address of a Dask scheduler (``tcp://host:8786``) whose workers make the samples instead. They write them
            themselves, so that ``path`` must mean the same folder to all of them.
        dashboard: address of Dask's dashboard (``:8787``) on this machine's cluster; None: none.
        watch: called with the numbers of complete and of all samples, after every sample.

    Raises:
        InvalidInputError: ``path`` holds a data set of another recipe, fewer than one worker, or no scheduler answers.
        MissingDependencyError: ``dashboard`` without bokeh.
    """
    if workers is not None:
        check_whole("workers", workers, 1)
    store = _open_or_create(recipe, Path(path))
    missing = np.flatnonzero(~store.complete).tolist()
    make = partial(_make_and_write, recipe, Path(store.path).absolute())
    samples = run_on_workers(make, missing, workers=workers, scheduler=scheduler, dashboard=dashboard)
    for _ in watched(samples, watch, len(store), len(store) - len(missing)):
        pass
    if "splits" not in store.attributes:
        draw_splits(store)
    if "statistics" not in store.attributes:
        compute_statistics(store)
    return store


def _open_or_create(recipe: DataRecipe, path: Path) -> FlowStore:
    options = recipe.model_dump(mode="json")
    if path.exists():
        store = FlowStore.open(path, writable=True)
        stored = completed_recipe(store.attributes["recipe"])
        if stored != options:
            raise InvalidInputError(_difference(path, stored, options))
        store.remove_leftovers()
        return store
    attributes = {
        "recipe": options,
        "viscosity": recipe.viscosity,
        "pressure_drop": recipe.pressure_drop,
        "resinflow_version": version("resinflow"),
    }
    fields = FIELDS if recipe.solved_as_stored else {**FIELDS, **GRID_FIELDS}
    return FlowStore.create(path, recipe.samples, recipe.shape, attributes, fields=tuple(fields))


def _difference(path: Path, stored: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    changed = [key for key, value in options.items() if stored.get(key) != value]
    if changed == ["samples"]:
        return (
            f"{path} is a data set of {stored['samples']} samples, and {options['samples']} are asked for; their number is "
            "fixed, since the split is drawn over all of them. Choose another folder for the larger one."
        )
    key = changed[0] if changed else "keys"
    return (
        f"{path} holds a data set of another recipe (different: {', '.join(changed) or 'keys'}; {key} was {stored.get(key)} "
        f"and is {options.get(key)}); choose another folder."
    )


def _make_and_write(recipe: DataRecipe, path: Path, index: int) -> int:
    FlowStore.open(path, writable=True).write_sample(index, make_sample(recipe, index))
    return index


def make_sample(recipe: DataRecipe, index: int) -> Sample:
    """Return sample ``index`` of a recipe.

    Raises:
        InvalidInputError: no usable medium in many draws: the recipe asks for what cannot be.
    """
    reason = ""
    for draw in range(_DRAWS_PER_SAMPLE):
        sequence = _sequence(recipe, index, draw)
        try:
            return _solved(recipe, sequence)
        except (InvalidInputError, ConvergenceError) as error:
            reason = str(error)
    raise InvalidInputError(f"sample {index}: no usable medium in {_DRAWS_PER_SAMPLE} draws; the last: {reason}")


def draw_medium(recipe: DataRecipe, sequence: np.random.SeedSequence) -> tuple[Fibres, Microstructure]:
    """Return a random bundle of a recipe: its fibres, and the medium they make on the stored grid.

    Raises:
        InvalidInputError: no bundle was found for the settings that were drawn.
    """
    settings, extent, seed = _draw_settings(recipe, sequence)
    fibres = draw_fibres(recipe.shape, extent, seed=seed, settings=settings)
    return fibres, fibres.microstructure(recipe.shape, provenance_of(fibres, seed, settings))


def _draw_settings(
    recipe: DataRecipe, sequence: np.random.SeedSequence
) -> tuple[BundleSettings, tuple[float, float, float], int]:
    """Settings, extent (z, y, x) in m and seed of a bundle; waves are drawn last, so that no other draw moved."""
    rng = np.random.default_rng(sequence)
    volume_fraction, diameter = rng.uniform(*recipe.volume_fraction), rng.uniform(*recipe.diameter)
    diameter_scatter, misalignment = rng.uniform(*recipe.diameter_scatter), rng.uniform(*recipe.misalignment)
    extent = (rng.uniform(*recipe.depth), recipe.width, recipe.width)
    seed = int(rng.integers(2**63))
    waviness, wavelength = rng.uniform(*recipe.waviness), rng.uniform(*recipe.wavelength)
    settings = recipe.settings(volume_fraction, diameter, diameter_scatter, misalignment, waviness, wavelength)
    return settings, extent, seed


def count_drawn_anew(recipe: DataRecipe, store: FlowStore) -> int:
    """Return how many media of a data set are not the first that was drawn for them.

    The first one did not percolate, was not packed in the attempts that a bundle has, or was given up by the solver.

    Args:
        recipe: of the data set.
        store: its complete samples count.
    """
    seeds = store.read("seed")
    firsts = (_draw_settings(recipe, _sequence(recipe, index, 0))[2] for index in range(len(store)))
    return sum(bool(made) and int(seed) != first for made, seed, first in zip(store.complete, seeds, firsts, strict=True))


def _sequence(recipe: DataRecipe, index: int, draw: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([recipe.seed, index, draw])


def _solved(recipe: DataRecipe, sequence: np.random.SeedSequence) -> Sample:
    fibres, micro = draw_medium(recipe, sequence)
    if not micro.percolates("x"):
        raise InvalidInputError("the medium does not percolate along x")
    drive, tolerance, walls = recipe.drive, recipe.tolerance, recipe.wall_rule
    planar = planar_flow(micro, drive, tolerance=tolerance)
    if planar.permeability == 0:
        raise InvalidInputError("no slice percolates along x")
    response = response_flow(micro, drive)
    if recipe.solved_as_stored:
        return Sample(solve(micro, drive, tolerance=tolerance, wall_rule=walls), planar, response)
    truth = solve_refined(fibres, micro, recipe.refinement, drive, tolerance=tolerance, wall_rule=walls)
    return Sample(truth, planar, response, grid_flow(micro, drive, tolerance=tolerance, wall_rule=walls))
