"""The engine: a run directory holds a training run; each stage goes on where it was, and starts where the one before ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from torch import nn

from resinflow.data import FlowSource, Fold, data_fingerprint, fold_division, open_flows
from resinflow.models import Device, resolve_device, save_weights
from resinflow.train.data import flow_data
from resinflow.train.fit import LAST, checkpoint_activations, fit_stage
from resinflow.train.history import write_log
from resinflow.train.preset import Preset, Start
from resinflow.train.record import (
    RAISED,
    is_finished,
    record_run,
    recorded_recipe,
    result_of,
    weights_before,
    weights_of,
)
from resinflow.train.run_directory import MODEL
from resinflow.train.stage_options import BaseRecipe

__all__ = ["train"]

Networks = TypeVar("Networks", bound=nn.Module)
Recipe = TypeVar("Recipe", bound=BaseRecipe)


def train(
    preset: Preset[Networks, Recipe, Any],
    stage: str,
    data: str | Path | FlowSource,
    run: str | Path,
    recipe: Recipe,
    *,
    fold: Fold | None = None,
    callbacks: Sequence[Callback] = (),
    start: Path | None = None,
    device: Device = "auto",
) -> Path:
    """Train one stage in the run directory and return the file of its weights (after the last one: the model directory).

    Interrupted at any moment, the same call goes on from the last finished epoch; a finished stage is left as it is.
    With more epochs than it has, or more samples, a stage goes on as long as no later stage has begun.

    Args:
        preset: the family of models.
        stage: one of the preset's, in their order.
        data: a data set with splits, in any layout, or what :func:`resinflow.data.open_flows` made of it.
        run: the run directory, made if absent.
        recipe: it must be that of the run directory, but for options that say how a machine computes; where the preset has a
            recipe for each stage, the options of a stage count for that stage alone.
        fold: divide training and validation samples anew for cross-validation; all stages of a run have the same.
        callbacks: further Lightning callbacks, e.g. to prune a trial; what they raise reaches the caller.
        start: directory of a trained model to go on from. Any stage may then be the first: a stage whose predecessor the run
            has not trained takes all networks, and their scales, from there.
        device: what to train on.

    Raises:
        InvalidInputError: another recipe, data set, fold or start than the run's, an earlier stage missing, data that lack
            what the preset needs, a starting model that does not fit, or nothing to train or to validate on.
        MissingDependencyError: networks of a package that is not installed.
        KeyboardInterrupt: stopped by the user or the queueing system.
    """
    run, chip = Path(run), resolve_device(device)
    folder, result = run / stage, result_of(run, stage, recipe.stages)
    origin = preset.start(start, recipe) if start is not None else None
    source = open_flows(data) if isinstance(data, str | Path) else data
    if fold is not None:
        source = source.with_division(fold_division(source, fold))
    _record(preset, stage, run, recipe, source, fold, origin, accepted=False)
    if is_finished(run, stage, recipe.stages):
        return result

    whole = recorded_recipe(run, recipe)  # this call's options count for its own stage alone
    torch.manual_seed(recipe.seed)
    networks = preset.networks(stage, whole, source)
    before = weights_before(run, stage, recipe.stages, origin.weights if origin else None)
    if before is not None:
        preset.load(networks, before)

    seed, options = recipe.seed_of(stage), recipe.options(stage)
    L.seed_everything(seed, verbose=False)
    samples = flow_data(source, preset, recipe, stage, device=chip)
    if not (folder / LAST).is_file():  # else the checkpoint holds the scales
        batches = samples.train_dataloader()
        preset.measure(stage, networks, recipe, batches, from_nothing=before is None, device=chip)

    if options.gradient_checkpointing:
        checkpoint_activations(networks, preset.block)
    _record(preset, stage, run, recipe, source, fold, origin)
    rank_zero_only(_write_log)(preset, run, whole, source, networks, origin)
    module = preset.stage(stage, networks, recipe)
    fit_stage(folder, module, samples, options, callbacks=callbacks, seed=seed, device=chip)
    _save(preset, stage, run, whole, source, networks, origin)
    return result


def _record(
    preset: Preset[Any, Recipe, Any],
    stage: str,
    run: Path,
    recipe: Recipe,
    source: FlowSource,
    fold: Fold | None,
    origin: Start | None,
    *,
    accepted: bool = True,
) -> None:
    """Write down what the run directory belongs to, or compare it."""
    sha256 = origin.log["sha256"] if origin else None
    if not preset.recipe_per_stage:
        record_run(run, recipe, source, fold, stage=stage, stages=recipe.stages, start=sha256, accepted=accepted)
        return
    stages = recipe.stages
    record_run(run, recipe, source, fold, stage=stage, stages=stages, start=sha256, without=stages, accepted=accepted)
    record_run(run / stage, recipe.options(stage), source, fold, stage=stage, stages=stages, accepted=accepted)


@rank_zero_only
def _save(
    preset: Preset[Networks, Recipe, Any],
    stage: str,
    run: Path,
    recipe: Recipe,
    source: FlowSource,
    networks: Networks,
    origin: Start | None,
) -> None:
    """Write the result of a finished stage last: where it is, all else is."""
    log = _write_log(preset, run, recipe, source, networks, origin)
    save_weights(networks, weights_of(run, stage))
    if stage == recipe.stages[-1]:
        preset.predictor(recipe, networks, log).save(run / MODEL)
    (run / stage / RAISED).unlink(missing_ok=True)


def _write_log(
    preset: Preset[Networks, Recipe, Any],
    run: Path,
    recipe: Recipe,
    source: FlowSource,
    networks: Networks,
    origin: Start | None,
) -> dict[str, Any]:
    """Write and return the log of the run: its recipe, its data, every stage's history, and the log of its start."""
    data = {"fingerprint": data_fingerprint(source), "recipe": source.info.recipe}
    data |= preset.describe(source, networks)
    return write_log(run, recipe.model_dump(mode="json"), data, origin.log if origin else None)
