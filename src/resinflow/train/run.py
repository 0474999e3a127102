"""One run directory holds a training run; every stage resumes where it was and starts where the one before it ended."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import signal
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger

from resinflow.core import InvalidInputError
from resinflow.core.files import replacing
from resinflow.data import FlowStore
from resinflow.model.networks import LatentDiffusion, load_weights, save_weights
from resinflow.model.predictor import FlowPredictor
from resinflow.train.config import StageConfig, TrainingConfig
from resinflow.train.dataset import FlowDataModule
from resinflow.train.modules import DiffusionStage, Stage, Vae2dStage, Vae3dStage

StageName = Literal["vae3d", "vae2d", "diffusion"]
STAGES: tuple[StageName, ...] = ("vae3d", "vae2d", "diffusion")
_WEIGHTS = "networks.safetensors"


def train_stage(stage: StageName, data: str | Path, run: str | Path, config: TrainingConfig) -> Path:
    """Train one stage in the run directory and return the file of its weights (after ``diffusion``: the model directory).

    Interrupted at any moment, the same command goes on from the last finished epoch; a finished stage is left as it is.

    Args:
        stage: ``vae3d``, ``vae2d`` or ``diffusion``, in this order.
        data: a data set with splits and statistics.
        run: the run directory, made if absent.
        config: the recipe; it must be that of the run directory.

    Raises:
        InvalidInputError: another recipe or data set than the run's, an earlier stage missing, data without statistics.
    """
    run = Path(run)
    store = FlowStore.open(data)
    _claim_run(run, config, store)
    folder = run / stage
    if (folder / _WEIGHTS).is_file():
        return run / "model" if stage == "diffusion" else folder / _WEIGHTS
    networks = _networks_before(stage, run, config, store)
    L.seed_everything(config.seed + STAGES.index(stage), verbose=False)
    options: StageConfig = getattr(config, stage)
    module = _module(stage, networks, config)
    data_module = FlowDataModule(store.path, options.batch_size)
    if stage == "diffusion" and not (folder / "last.ckpt").is_file():
        networks.latent_scale.copy_(_latent_scale(networks, data_module))
    trainer = _trainer(folder, options)
    checkpoint = folder / "last.ckpt"
    _fit(trainer, module, data_module, checkpoint)
    if stage == "diffusion":
        FlowPredictor(config.name, config.model, networks, _log(run, config, store)).save(run / "model")
    save_weights(networks, folder / _WEIGHTS)
    return run / "model" if stage == "diffusion" else folder / _WEIGHTS


def _fit(trainer: L.Trainer, module: Stage, data: FlowDataModule, checkpoint: Path) -> None:
    """Train from the checkpoint if there is one; an interruption reaches the caller as KeyboardInterrupt."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        # the checkpoint is the run's own and holds tensors and numbers only
        trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True)
    except SystemExit:  # Lightning ends the process itself, and ignores SIGINT from then on
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _claim_run(run: Path, config: TrainingConfig, store: FlowStore) -> None:
    """Write the run's recipe on first use; refuse another recipe or data set afterwards."""
    claim = {"recipe": config.model_dump(mode="json"), "data": data_fingerprint(store)}
    path = run / "run.json"
    if not path.is_file():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(claim, indent=1) + "\n", encoding="utf-8")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    for key, name in (("recipe", "recipe"), ("data", "data set")):
        if found.get(key) != claim[key]:
            raise InvalidInputError(f"{run} was started with another {name}; needed: the same, or another run directory.")


def data_fingerprint(store: FlowStore) -> str:
    """Return one sha256 over the fingerprints of all media of a data set and its splits."""
    digest = hashlib.sha256(store.read("fingerprint").tobytes())
    digest.update(json.dumps(store.attributes.get("splits"), sort_keys=True).encode())
    return digest.hexdigest()


def _networks_before(stage: StageName, run: Path, config: TrainingConfig, store: FlowStore) -> LatentDiffusion:
    torch.manual_seed(config.seed)
    networks = LatentDiffusion(config.model)
    place = STAGES.index(stage)
    if place == 0:
        statistics = store.attributes.get("statistics")
        if statistics is None:
            raise InvalidInputError(f"{store.path} has no statistics; compute them with: resinflow data stats {store.path}.")
        networks.target_scale.copy_(torch.tensor(statistics["correction_rms"]))
        return networks
    before = STAGES[place - 1]
    if not (run / before / _WEIGHTS).is_file():
        raise InvalidInputError(f"{run} has no finished stage {before}; train it first: resinflow train {before}.")
    load_weights(networks, run / before / _WEIGHTS)
    return networks


def _module(stage: StageName, networks: LatentDiffusion, config: TrainingConfig) -> Stage:
    if stage == "vae3d":
        return Vae3dStage(networks, config.vae3d)
    if stage == "vae2d":
        return Vae2dStage(networks, config.vae2d)
    return DiffusionStage(networks, config.diffusion, config.model.bridge_noise)


def _trainer(folder: Path, options: StageConfig) -> L.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning", category=UserWarning)
    callbacks: list[Callback] = [
        ModelCheckpoint(folder, filename="last", save_top_k=1, every_n_epochs=1, enable_version_counter=False)
    ]
    terminal = sys.stdout.isatty()
    if terminal:
        callbacks.append(RichProgressBar())
    return L.Trainer(
        max_epochs=options.epochs,
        precision=options.precision,
        accelerator="auto",
        devices=1,
        gradient_clip_val=1.0,
        logger=CSVLogger(folder, name="", version="history"),
        callbacks=callbacks,
        enable_progress_bar=terminal,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1_000_000,
    )


def _latent_scale(networks: LatentDiffusion, data: FlowDataModule) -> torch.Tensor:
    """Standard deviation of encoder_3d's latent per channel over the training split."""
    squares, count = torch.zeros_like(networks.latent_scale), 0
    with torch.inference_mode():
        for conditions, target in data.train_dataloader():
            latent = networks.vae.encode_3d(networks.scaled(target), conditions).mean
            squares += latent.square().sum(dim=(0, 2, 3, 4))
            count += latent[:, 0].numel()
    return (squares / count).sqrt().clamp_min(1e-3)


def _log(run: Path, config: TrainingConfig, store: FlowStore) -> dict[str, Any]:
    """The story of a model: its recipe, its data and every stage's history."""
    return {
        "recipe": config.model_dump(mode="json"),
        "data": {
            "fingerprint": data_fingerprint(store),
            "recipe": store.attributes["recipe"],
            "statistics": store.attributes["statistics"],
        },
        "history": {stage: _history(run / stage / "history" / "metrics.csv") for stage in STAGES},
        "versions": {name: version(name) for name in ("resinflow", "torch", "lightning", "numpy")},
    }


def _history(path: Path) -> dict[str, list[float]]:
    """Columns of Lightning's CSV log, one value an epoch."""
    columns: dict[str, list[float]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        columns.setdefault(name, []).append(float(f"{float(value):.5g}"))
    return columns
