"""The commands of `resinflow train`: one a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App

from resinflow.cli.answer import AsJson, print_json
from resinflow.cli.console import make_console
from resinflow.cli.options import FLAT, DrawnTraining, TrainingFiles
from resinflow.cli.outputs import check_outputs

if TYPE_CHECKING:
    from resinflow.presets.drawn_training import DrawnPreset
    from resinflow.train import BaseRecipe

train_app = App(
    name="train",
    help="Train a model in three stages: vae3d, vae2d, diffusion. Each can be interrupted and resumed. The recipe decides on "
    "the preset: small, or the published system (preset: paper). Deterministic baselines (preset: direct) have one: direct. "
    "The front end that reads images has one of its own: surface; so has the law of the fibres' slopes round a slice: tilts.",
)


@train_app.command
def vae3d(files: Annotated[TrainingFiles, FLAT], *, as_json: AsJson = False) -> None:
    """Stage 1: the 3-D branch of the VAE learns to encode and decode the flow (small: its correction to the response flow)."""
    _train("vae3d", files, as_json)


@train_app.command
def vae2d(files: Annotated[TrainingFiles, FLAT], *, as_json: AsJson = False) -> None:
    """Stage 2: the 2-D branch learns the same latent from the planar fields; the 3-D branch is frozen."""
    _train("vae2d", files, as_json)


@train_app.command
def diffusion(files: Annotated[TrainingFiles, FLAT], *, as_json: AsJson = False) -> None:
    """Stage 3: the diffusion model learns the way from the latent of the 2-D branch to that of the 3-D branch."""
    _train("diffusion", files, as_json)


@train_app.command
def direct(files: Annotated[TrainingFiles, FLAT], *, as_json: AsJson = False) -> None:
    """The stage of a deterministic baseline (preset: direct): a U-Net or Fourier operator learns the correction directly."""
    _train("direct", files, as_json)


@train_app.command
def surface(files: Annotated[DrawnTraining, FLAT], *, as_json: AsJson = False) -> None:
    """The front end that finds fibre surfaces in images: it learns from random specimens, so that it needs no data set."""
    from resinflow.presets.surface.training import SURFACE

    _train_drawn(SURFACE, files, as_json)


@train_app.command
def tilts(files: Annotated[DrawnTraining, FLAT], *, as_json: AsJson = False) -> None:
    """The law of the fibres' slopes round one slice: it learns from random bundles, so that it needs no data set."""
    from resinflow.presets.tilts.training import TILTS

    _train_drawn(TILTS, files, as_json)


def _train(stage: str, files: TrainingFiles, as_json: bool) -> None:
    check_outputs((files.run, ()))

    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from resinflow.data import Fold
    from resinflow.presets import start_directory
    from resinflow.presets.training import on_machine, train
    from resinflow.train.epochs import EpochLines

    start = start_directory(files.start) if files.start is not None else None
    recipe = on_machine(_recipe(files, start), stage, devices=files.devices, workers=files.workers)
    fold = Fold(*files.fold) if files.fold is not None else None
    say = rank_zero_only(make_console(as_json=as_json).print)  # every device has a process; one of them speaks
    lines = EpochLines(stage, files.run / stage, say)
    result = train(stage, files.data, files.run, recipe, fold=fold, start=start, device=files.device, callbacks=(lines,))
    if lines.epochs:
        say(f"stage {stage} is finished: {result}")
    else:
        say(f"stage {stage} was finished before, so that nothing was trained: {result}")
    if as_json:
        rank_zero_only(print_json)(_stage_answer(stage, files.run, lines.epochs, result))


def _stage_answer(stage: str, run: Path, trained: int, result: Path) -> dict[str, Any]:
    """What a stage came to: its epochs, the losses of the last one and of the best one, and where its files are."""
    from resinflow.train.history import METRICS, read_history

    history = read_history(run / stage)
    losses = {name: history[name] for name in ("train_loss", "validation_loss") if history.get(name)}
    finite = [(loss, epoch) for epoch, loss in enumerate(losses.get("validation_loss", []), start=1) if loss is not None]
    best, epoch = min(finite, default=(None, None))
    return {
        "stage": stage,
        "epochs": max((len(values) for values in losses.values()), default=0),
        "epochs_of_this_call": trained,
        **{name: values[-1] for name, values in losses.items()},
        "best_validation_loss": best,
        "best_epoch": epoch,
        "run": str(run),
        "file": str(result),
        "history": str(run / stage / METRICS),
    }


def _recipe(files: TrainingFiles, start: Path | None) -> BaseRecipe:
    """The recipe that was given, else that of the run, else that of the model to start from, else the preset small."""
    from resinflow.presets import LatentRecipe, load_recipe, recorded_recipe_of

    if files.recipe is not None:
        return load_recipe(files.recipe)
    for directory in (files.run, start):
        recipe = recorded_recipe_of(directory) if directory is not None and directory.is_dir() else None
        if recipe is not None:
            return recipe
    return LatentRecipe()


def _train_drawn(preset: DrawnPreset[Any, Any], files: DrawnTraining, as_json: bool) -> None:
    """Train a preset that needs no data set, with a line for every epoch."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from resinflow.presets.training import on_machine
    from resinflow.train.epochs import EpochLines

    recipe = preset.read(files.recipe, files.run)
    (stage,) = recipe.stages
    say = rank_zero_only(make_console(as_json=as_json).print)
    lines = EpochLines(stage, files.run / stage, say)
    chosen = on_machine(recipe, stage, workers=files.workers)
    result = preset.train(files.run, chosen, device=files.device, callbacks=(lines,))
    say(f"stage {stage} {'is' if lines.epochs else 'was'} finished{'' if lines.epochs else ' before'}: {result}")
    if as_json:
        rank_zero_only(print_json)(_stage_answer(stage, files.run, lines.epochs, result))
