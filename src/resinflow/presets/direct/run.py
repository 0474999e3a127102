"""One run directory holds the training run of a deterministic model; it ends in a model directory like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from resinflow.data import FlowSource, Fold, data_fingerprint, open_folded
from resinflow.nn import ResidualBlock
from resinflow.presets.direct.networks import VoxelNetwork
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DIRECT, VoxelTrainingConfig
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.train import (
    LAST,
    MODEL,
    FlowDataModule,
    FlowStageConfig,
    LoadingConfig,
    Part,
    Stage,
    checkpoint_activations,
    claim_run,
    fit_stage,
    measure_target_scale,
    write_log,
)


class DirectStage(Stage):
    """The one stage: the network learns the correction from the conditions, by the loss of every decoded flow."""

    def __init__(self, network: VoxelNetwork, config: FlowStageConfig) -> None:
        # all that the stages share needs of the networks is the scale of the targets, which this one has too
        super().__init__(cast("LatentDiffusion", network), [network], config)

    def losses(self, conditions: Tensor, target: Tensor, part: Part) -> dict[str, Tensor]:
        """Return the error of the correction and of its flow rate."""
        loss, logged = self.decoding(self.networks(conditions), target, conditions)
        return {"loss": loss, **logged}


def train_direct(
    data: str | Path,
    run: str | Path,
    config: VoxelTrainingConfig,
    *,
    callbacks: Sequence[Callback] = (),
    fold: Fold | None = None,
) -> Path:
    """Train the network in the run directory and return the model directory.

    Interrupted at any moment, the same call goes on from the last finished epoch; a finished model is left as it is.

    Args:
        data: a data set with splits.
        run: the run directory, made if absent.
        config: the recipe; it must be that of the run directory.
        callbacks: further Lightning callbacks; what they raise reaches the caller.
        fold: divide training and validation samples anew for cross-validation.

    Raises:
        InvalidInputError: another recipe, data set or fold than the run's, or data without the flow that is corrected.
        MissingDependencyError: a Fourier neural operator without the package that has it.
        KeyboardInterrupt: stopped by the user or the queueing system.
    """
    run = Path(run)
    source = open_folded(data, fold)
    torch.manual_seed(config.seed)
    network = VoxelNetwork(config.model)
    claim_run(run, config, source, fold)
    if (run / MODEL).is_dir():
        return run / MODEL
    options = config.direct
    L.seed_everything(config.seed, verbose=False)
    samples = FlowDataModule(
        source,
        options.batch_size // options.devices,
        seed=config.seed,
        loading=LoadingConfig(workers=options.workers),
        inputs=config.model,
    )
    if not (run / DIRECT / LAST).is_file():  # else the checkpoint holds the scale
        network.target_scale.copy_(measure_target_scale(samples))
    if options.gradient_checkpointing:
        checkpoint_activations(network, ResidualBlock)
    _write_log(run, config, source)
    fit_stage(run / DIRECT, DirectStage(network, options), samples, options, callbacks=callbacks, seed=config.seed)
    _save(run, config, source, network)
    return run / MODEL


@rank_zero_only
def _save(run: Path, config: VoxelTrainingConfig, source: FlowSource, network: VoxelNetwork) -> None:
    """Write the finished model last: where it is, all else is."""
    DirectPredictor(config.name, config.model, network, _write_log(run, config, source)).save(run / MODEL)


@rank_zero_only
def _write_log(run: Path, config: VoxelTrainingConfig, source: FlowSource) -> dict[str, Any]:
    """Write and return the story of the run: its recipe, its data and its history."""
    data = {"fingerprint": data_fingerprint(source), "recipe": source.attributes.get("recipe")}
    return write_log(run, config.model_dump(mode="json"), data)
