"""One run directory holds a training run of the published system; it ends in a model directory like any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback

from resinflow.data import FlowSource, Fold, data_fingerprint, fold_division, open_flows
from resinflow.models import load_weights, save_weights
from resinflow.presets.paper.data import PaperDataset, velocity_factors
from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.networks.vae import ResidualBlock
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import PaperConfig, PaperRunConfig, PaperStageConfig, PaperTrainingConfig
from resinflow.presets.paper.stages import PaperDiffusionStage, PaperStage, PaperVae2dStage, PaperVae3dStage
from resinflow.train import (
    CLAIM,
    MODEL,
    STAGES,
    StageData,
    StageName,
    checkpoint_activations,
    claim_run,
    fit_stage,
    result_of,
    weights_before,
    weights_of,
    write_log,
)


def train_paper_stage(
    stage: StageName,
    data: str | Path | FlowSource,
    run: str | Path,
    config: PaperTrainingConfig,
    *,
    callbacks: Sequence[Callback] = (),
    fold: Fold | None = None,
) -> Path:
    """Train one stage in the run directory and return the file of its weights (after ``diffusion``: the model directory).

    Interrupted at any moment, the same command goes on from the last finished epoch; a finished stage is left as it is. All
    stages of a run have one data set, one split, one seed and one set of sizes; the options of a stage count for that stage
    alone, so that every stage may have a recipe of its own.

    Args:
        stage: ``vae3d``, ``vae2d`` or ``diffusion``, in this order.
        data: a data set with a split, in either layout, or what :func:`resinflow.data.open.open_flows` made of it.
        run: the run directory, made if absent.
        config: the recipe.
        callbacks: further Lightning callbacks, e.g. to prune a trial; what they raise reaches the caller.
        fold: divide training and validation samples anew for cross-validation.

    Raises:
        InvalidInputError: another recipe, data set or fold than the run's, an earlier stage missing, or nothing to train or to
            validate on.
        KeyboardInterrupt: stopped by the user or the queueing system.
    """
    run = Path(run)
    source = open_flows(data) if isinstance(data, str | Path) else data
    if fold is not None:
        source = source.with_division(fold_division(source, fold))
    options: PaperStageConfig = getattr(config, stage)
    # sizes and seed belong to the run, the options of a stage to its own folder
    claim_run(run, PaperRunConfig.model_validate(config.model_dump(exclude=set(STAGES))), source, fold)
    claim_run(run / stage, options, source, fold)
    result = result_of(run, stage)
    if weights_of(run, stage).is_file():
        return result
    system = _system_before(stage, run, config, source)
    if options.gradient_checkpointing:
        checkpoint_activations(system.vae, ResidualBlock)
    seed = config.seed + STAGES.index(stage)
    L.seed_everything(seed, verbose=False)
    _write_log(run, config, source, system)
    whole = config.model.config()  # all stages see the padding that prediction has
    size = whole.padded_size(source.shape[1]), whole.padded_size(source.shape[2])
    training, validation = PaperDataset(source, "train", size, options.mirrors), PaperDataset(source, "validation", size)
    data_module = StageData(training, validation, options.batch_size)
    module = _module(stage, system, config, seed)
    fit_stage(run / stage, module, data_module, options, callbacks=callbacks, seed=seed)
    _save(stage, run, config, source, system)
    return result


@rank_zero_only
def _save(stage: StageName, run: Path, config: PaperTrainingConfig, source: FlowSource, system: PaperSystem) -> None:
    """Write the weights of a finished stage last: where they are, all else is."""
    log = _write_log(run, config, source, system)
    if stage == "diffusion":
        PaperPredictor(config.name, system.config, system, log).save(run / MODEL)
    save_weights(system, weights_of(run, stage))


def _system_before(stage: StageName, run: Path, config: PaperTrainingConfig, source: FlowSource) -> PaperSystem:
    """The networks as the stage before left them; the denoiser is there in its own stage alone."""
    torch.manual_seed(config.seed)
    vae_alone = PaperSystem(config.model.config(unet=None))
    before = weights_before(run, stage)
    if before is None:
        factors, _ = velocity_factors(source, config.normalisation)
        vae_alone.norm_factors.copy_(torch.from_numpy(factors))
        return vae_alone
    load_weights(vae_alone, before)
    if stage != "diffusion":
        return vae_alone
    _, largest = velocity_factors(source, config.normalisation)
    untrained = {"decoder_2d"} if not _recipe_of("vae2d", run, config)["reconstruction_2d_weight"] else set()
    trained = tuple(name for name in PaperConfig().trained if name not in untrained)
    system = PaperSystem(config.model.config(largest_velocity=largest, trained=trained))
    system.vae = vae_alone.vae
    system.norm_factors.copy_(vae_alone.norm_factors)
    return system


def _module(stage: StageName, system: PaperSystem, config: PaperTrainingConfig, seed: int) -> PaperStage:
    if stage == "vae3d":
        return PaperVae3dStage(system, config.vae3d, seed)
    if stage == "vae2d":
        return PaperVae2dStage(system, config.vae2d, seed)
    return PaperDiffusionStage(system, config.diffusion, seed)


@rank_zero_only
def _write_log(run: Path, config: PaperTrainingConfig, source: FlowSource, system: PaperSystem) -> dict[str, Any]:
    """Write and return the story of the run: the recipe that each stage had, its data and every stage's history."""
    recipe = config.model_dump(mode="json") | {name: _recipe_of(name, run, config) for name in STAGES}
    data = {
        "fingerprint": data_fingerprint(source),
        "recipe": source.attributes.get("recipe"),
        "norm_factors": system.norm_factors.tolist(),
    }
    return write_log(run, recipe, data)


def _recipe_of(stage: StageName, run: Path, config: PaperTrainingConfig) -> dict[str, Any]:
    """The options that a stage of the run was begun with; those of ``config`` where it was not."""
    claim = run / stage / CLAIM
    if claim.is_file():
        return json.loads(claim.read_text(encoding="utf-8"))["recipe"]
    return config.model_dump(mode="json")[stage]
