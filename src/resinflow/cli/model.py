"""The commands of `resinflow model`: model directories, their conversion, calibration and novelty."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from resinflow.cli.answer import AsJson, print_json
from resinflow.cli.console import counting_parts, make_console, working
from resinflow.cli.data import BaseUrl, DownloadFolder, download_answer, fetch_record
from resinflow.cli.options import FLAT, OUTPUT, SourceOptions
from resinflow.cli.outputs import check_outputs
from resinflow.evaluate.choices import CalibrationOptions, DeviceName
from resinflow.flow import FIGURE_SUFFIXES

model_app = App(name="model", help="Model directories.")


@model_app.command
def download(name: str, /, *, output: DownloadFolder = None, base_url: BaseUrl = None, as_json: AsJson = False) -> None:
    """Download published weights and verify them: published-3d or published-2d. Running again goes on.

    Parameters
    ----------
    name
        published-3d (3.9 GB) or published-2d.
    """
    from resinflow.data.download import MODEL_RECORDS

    console = make_console(as_json=as_json)
    output = output or Path("models") / name
    files = fetch_record(console, MODEL_RECORDS, name, output, base_url)
    console.print(f"to use them: resinflow model convert CHECKPOINT OUTPUT, with a checkpoint of {output}")
    if as_json:
        print_json({"record": name, "output": str(output), **download_answer(files)})


@model_app.command
def convert(
    checkpoint: Path,
    output: Path,
    /,
    *,
    sampler: Literal["ddim", "ddpm"] = "ddim",
    steps: int = 50,
    eta: float = 0.0,
    precision: Literal["float32", "bfloat16"] = "float32",
    as_json: AsJson = False,
) -> None:
    """Convert a published checkpoint (VAE stage 1 or 2, or diffusion) into a model directory for --model.

    Parameters
    ----------
    checkpoint
        The .pt file, or its folder: best_model.pt before vae.pt before model.pt. vae_log.json or log.json is read beside it.
    output
        The model directory.
    sampler
        How the model samples: ddim, or ddpm (all steps of the schedule).
    steps
        Denoiser calls of ddim, unless a prediction names its own.
    eta
        Fresh noise of ddim, 0 to 1.
    precision
        Of the networks: bfloat16 is quicker and less exact; the weights stay float32 on disk.
    """
    check_outputs((output, ()))

    from resinflow.presets.paper.convert import convert_published

    console = make_console(as_json=as_json)
    with working(console, "converting"):
        directory = convert_published(checkpoint, output, sampler=sampler, steps=steps, eta=eta, precision=precision)
    console.print(f"wrote {directory}")
    if as_json:
        sampling = {"sampler": sampler, "steps": steps, "eta": eta, "precision": precision}
        print_json({"checkpoint": str(checkpoint), "model": str(directory), "sampling": sampling})


@model_app.command
def calibrate(
    model: Path,
    /,
    *,
    source: Annotated[SourceOptions, FLAT],
    options: Annotated[CalibrationOptions, FLAT] = CalibrationOptions(),
    as_json: AsJson = False,
) -> None:
    """Measure a model's errors on the validation split, and write calibration.json into its directory.

    Predictions then carry standard deviations that are the size of the error, a 90 % interval of K, and a warning where the
    medium is unlike the training media.

    Example: resinflow model calibrate runs/small/model --data data/small.zarr

    Parameters
    ----------
    model
        A model directory, or a run.
    """
    from resinflow.evaluate.calibrate import SPLIT, calibrate_model, calibration_rows, calibration_scores

    console = make_console(as_json=as_json)
    with counting_parts(console) as watch:
        fit = calibrate_model(model, source.open(), options, watch=watch)
    console.print(calibration_rows(fit).terminal())
    novelty = fit.document.novelty
    if novelty is not None:
        console.print(
            f"novelty: a distance above {novelty.threshold:.2f} is called unlike the training media; {fit.above} of the "
            f"{len(fit.descriptors)} media of the {SPLIT} split are"
        )
    console.print(f"wrote {fit.path}")
    if as_json:
        known = None if novelty is None else {"threshold": novelty.threshold, "above": fit.above, "media": len(fit.descriptors)}
        rows = [asdict(row) for row in calibration_scores(fit)]
        print_json({"model": str(model), "cases": len(fit.cases), "scores": rows, "novelty": known, "file": str(fit.path)})


@model_app.command
def novelty(
    model: Path,
    /,
    *,
    source: Annotated[SourceOptions, FLAT],
    against: Annotated[list[Path], Parameter(consume_multiple=True, negative="")],
    limit: int | None = None,
    device: DeviceName = "auto",
    output: Annotated[Path, OUTPUT] = Path("roc.png"),
    as_json: AsJson = False,
) -> None:
    """Compare data sets that a model does not know with the test split: does the distance to the training media tell them.

    Example: resinflow model novelty runs/small/model --data data/small.zarr --against data/ood-flat.zarr data/ood-thin.zarr

    Parameters
    ----------
    model
        A model directory or a run, calibrated.
    against
        Data sets of other media.
    limit
        Only the first samples of the split.
    device
        Where the networks compute; auto: on a GPU if there is one.
    output
        Figure of the ROC curves (.png, .pdf, .svg).
    """
    check_outputs((output, FIGURE_SUFFIXES))

    from resinflow.evaluate.familiarity import familiarity_rows, measure_novelty
    from resinflow.view import compose_novelty, save_figure

    console = make_console(as_json=as_json)
    with counting_parts(console) as watch:
        familiarity = measure_novelty(model, source.open(), against, limit=limit, device=device, watch=watch)
    console.print(familiarity_rows(familiarity).terminal())
    distances = ("the test split", familiarity.inside)
    figure = compose_novelty(distances, familiarity.outside, familiarity.novelty.threshold)
    console.print(f"wrote {save_figure(figure, output)}")
    if as_json:
        rows = [asdict(row) for row in familiarity.rows]
        print_json({"model": str(model), "threshold": familiarity.novelty.threshold, "data": rows})
