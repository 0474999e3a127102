"""One run directory holds a training run; every stage resumes where it was and starts where the one before it ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback

from resinflow.data import FlowSource, Fold, data_fingerprint, open_folded
from resinflow.models import load_weights, save_weights
from resinflow.nn import ResidualBlock
from resinflow.presets.latent.networks import LatentDiffusion, process_of
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import TrainingConfig
from resinflow.presets.latent.stages import DiffusionStage, Vae2dStage, Vae3dStage
from resinflow.presets.latent.start import StartModel, open_start
from resinflow.train import (
    LAST,
    MODEL,
    STAGES,
    FlowDataModule,
    LoadingConfig,
    Stage,
    StageConfig,
    StageName,
    checkpoint_activations,
    claim_run,
    fit_stage,
    measure_target_scale,
    result_of,
    weights_before,
    weights_of,
    write_log,
)


def train_stage(
    stage: StageName,
    data: str | Path,
    run: str | Path,
    config: TrainingConfig,
    *,
    callbacks: Sequence[Callback] = (),
    fold: Fold | None = None,
    start: Path | None = None,
) -> Path:
    """Train one stage in the run directory and return the file of its weights (after ``diffusion``: the model directory).

    Interrupted at any moment, the same command goes on from the last finished epoch; a finished stage is left as it is.

    Args:
        stage: ``vae3d``, ``vae2d`` or ``diffusion``, in this order.
        data: a data set with splits and statistics.
        run: the run directory, made if absent.
        config: the recipe; it must be that of the run directory.
        callbacks: further Lightning callbacks, e.g. to prune a trial; what they raise reaches the caller.
        fold: divide training and validation samples anew for cross-validation; all stages of a run have the same.
        start: directory of a trained model to go on from. Any stage may then be the first: a stage whose predecessor the run
            has not trained takes all networks, and the scale of the target, from there.

    Raises:
        InvalidInputError: another recipe, data set, fold or start than the run's, an earlier stage missing, data without
            statistics, a starting model with other networks than the recipe's, or fewer training samples than the recipe asks
            for.
        KeyboardInterrupt: stopped by the user or the queueing system.
    """
    run = Path(run)
    source = open_folded(data, fold)
    begun = open_start(start, config.model)
    claim_run(run, config, source, fold, start=begun.story["sha256"] if begun else None)
    folder = run / stage
    result = result_of(run, stage)
    if weights_of(run, stage).is_file():
        return result
    networks = _networks_before(stage, run, config, begun)
    seed = config.seed + STAGES.index(stage)
    L.seed_everything(seed, verbose=False)
    options: StageConfig = getattr(config, stage)
    loading = LoadingConfig(workers=options.workers)
    batch = options.batch_size // options.devices
    samples = FlowDataModule(source, batch, seed=seed, loading=loading, inputs=config.model, samples=config.samples)
    if not (folder / LAST).is_file():  # else the checkpoint holds the scales
        if stage == "vae3d" and begun is None:
            networks.target_scale.copy_(measure_target_scale(samples))
        if stage == "diffusion":
            networks.latent_scale.copy_(_latent_scale(networks, samples, options.precision))
    if options.gradient_checkpointing:
        checkpoint_activations(networks, ResidualBlock)
    _write_log(run, config, source, begun)
    fit_stage(folder, _module(stage, networks, config), samples, options, callbacks=callbacks, seed=seed)
    _save(stage, run, config, source, networks, begun)
    return result


@rank_zero_only
def _save(
    stage: StageName,
    run: Path,
    config: TrainingConfig,
    source: FlowSource,
    networks: LatentDiffusion,
    begun: StartModel | None,
) -> None:
    """Write the weights of a finished stage last: where they are, all else is."""
    log = _write_log(run, config, source, begun)
    if stage == "diffusion":
        LatentPredictor(config.name, config.model, networks, log).save(run / MODEL)
    save_weights(networks, weights_of(run, stage))


def _networks_before(stage: StageName, run: Path, config: TrainingConfig, begun: StartModel | None) -> LatentDiffusion:
    torch.manual_seed(config.seed)
    networks = LatentDiffusion(config.model)
    before = weights_before(run, stage, begun.weights if begun else None)
    if before is not None:
        load_weights(networks, before)
    return networks


def _module(stage: StageName, networks: LatentDiffusion, config: TrainingConfig) -> Stage:
    if stage == "vae3d":
        return Vae3dStage(networks, config.vae3d)
    if stage == "vae2d":
        return Vae2dStage(networks, config.vae2d)
    return DiffusionStage(networks, config.diffusion, process_of(config.model))


def _latent_scale(networks: LatentDiffusion, samples: FlowDataModule, precision: str) -> torch.Tensor:
    """Standard deviation of encoder_3d's latent per channel over the training split, computed where the stage will train."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks.to(device)
    squares, count = torch.zeros_like(networks.latent_scale), 0
    reduced = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
    with torch.inference_mode(), reduced:
        for batch in samples.train_dataloader():
            conditions, target = (tensor.to(device) for tensor in batch)
            latent = networks.vae.encode_3d(networks.scaled(target), conditions).mean.float()
            squares += latent.square().sum(dim=(0, 2, 3, 4))
            count += latent[:, 0].numel()
    networks.cpu()
    return (squares / count).sqrt().clamp_min(1e-3).cpu()


@rank_zero_only
def _write_log(run: Path, config: TrainingConfig, source: FlowSource, begun: StartModel | None) -> dict[str, Any]:
    """Write and return the story of the run: its recipe, its data, every stage's history, and the story of its start."""
    data = {
        "fingerprint": data_fingerprint(source),
        "recipe": source.attributes.get("recipe"),
        "statistics": source.statistics,
    }
    return write_log(run, config.model_dump(mode="json"), data, begun.story if begun else None)
