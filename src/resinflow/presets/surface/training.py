"""The one door to training of the learned front end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from pydantic import ValidationError

from resinflow.flow import InvalidInputError, read_recipe
from resinflow.models import Device, resolve_device, save_weights
from resinflow.nn import SurfaceNetwork
from resinflow.presets.surface.model import SurfaceModel, network_of
from resinflow.presets.surface.recipe import SurfaceRecipe
from resinflow.presets.surface.stages import DrawnSpecimens, SurfaceStage
from resinflow.train.data import StageData
from resinflow.train.fit import fit_stage
from resinflow.train.history import write_log
from resinflow.train.record import RAISED, is_finished, record_run, result_of, weights_of
from resinflow.train.run_directory import MODEL, RECORD, read_record

__all__ = ["surface_recipe", "train_surface"]


def surface_recipe(path: Path | None, run: Path) -> SurfaceRecipe:
    """Return the recipe of a training: that of a file, else that of the run, else the preset's own.

    Args:
        path: of the YAML recipe; None: there is none.
        run: the run directory.

    Raises:
        InvalidInputError: no such file, an unknown option, a value out of range, or a run of another preset.
    """
    if path is not None:
        return read_recipe(path, SurfaceRecipe)
    if not (run / RECORD).is_file():
        return SurfaceRecipe()
    try:
        return SurfaceRecipe.model_validate(read_record(run / RECORD).get("recipe"))
    except ValidationError:
        raise InvalidInputError(f"{run} trains no front end; needed: a run that does, or another run directory.") from None


def train_surface(
    run: str | Path, recipe: SurfaceRecipe, *, callbacks: Sequence[Callback] = (), device: Device = "auto"
) -> Path:
    """Train the front end in the run directory and return the directory of the model.

    Interrupted at any moment, the same call goes on from the last finished epoch; a finished run is left as it is.

    Args:
        run: the run directory, made if absent.
        recipe: it must be that of the run directory, but for options that say how a machine computes.
        callbacks: further Lightning callbacks; what they raise reaches the caller.
        device: what to train on.

    Raises:
        InvalidInputError: another recipe than the run's, or a device that is not there.
        KeyboardInterrupt: stopped by the user or the queueing system.
    """
    run, chip, (stage,) = Path(run), resolve_device(device), recipe.stages
    record_run(run, recipe, None, stage=stage, stages=recipe.stages)
    result = result_of(run, stage, recipe.stages)
    if is_finished(run, stage, recipe.stages):
        return result
    torch.manual_seed(recipe.seed)
    networks, seed, options = network_of(recipe.model), recipe.seed_of(stage), recipe.surface
    L.seed_everything(seed, verbose=False)
    parts = DrawnSpecimens(recipe, "train"), DrawnSpecimens(recipe, "validation")
    data = StageData(*parts, options, seed, workers=options.workers or 0, device=chip)
    fit_stage(run / stage, SurfaceStage(networks, options), data, options, callbacks=callbacks, seed=seed, device=chip)
    _save(run, stage, recipe, networks)
    return result


@rank_zero_only
def _save(run: Path, stage: str, recipe: SurfaceRecipe, networks: SurfaceNetwork) -> None:
    """Write the result last: where it is, all else is."""
    data: dict[str, Any] = {"fingerprint": None, "drawn": "random specimens (resinflow.media.draw_specimen)"}
    log = write_log(run, recipe.model_dump(mode="json"), data)
    save_weights(networks, weights_of(run, stage))
    SurfaceModel(recipe.name, recipe.model, networks, log).save(run / MODEL)
    (run / stage / RAISED).unlink(missing_ok=True)
