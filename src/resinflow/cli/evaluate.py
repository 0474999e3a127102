"""The commands `resinflow evaluate` and `resinflow reconstruct`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console

from resinflow.cli.answer import AsJson, print_json
from resinflow.cli.console import counting, make_console
from resinflow.cli.options import FLAT, OUTPUT, SourceOptions
from resinflow.cli.outputs import check_outputs
from resinflow.evaluate.choices import DeviceName, EvaluationOptions, Mode, ReconstructionOptions
from resinflow.flow import FlowField, InvalidInputError, replacing

if TYPE_CHECKING:
    from resinflow.evaluate import Evaluation
    from resinflow.evaluate.reconstruct import Reconstruction


_Triple = tuple[FlowField, FlowField, FlowField]
"""Prediction, truth and planar flow of a sample."""


def evaluate(
    *,
    source: Annotated[SourceOptions, FLAT],
    model: str = "small",
    options: Annotated[EvaluationOptions, FLAT] = EvaluationOptions(),
    output: Annotated[Path | None, OUTPUT] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a model with the solved flows of a data set, beside the planar flow, the response flow and the VAE alone.

    Example: resinflow evaluate --data data/small.zarr --model runs/paper/model --sampler ddim --steps 10 --steps 50 -o report

    Parameters
    ----------
    model
        A shipped model by name, a model directory, or a run.
    output
        A folder for the whole report (report.html, report.md, summary.json, samples.csv, figures), or a file for all numbers
        of every sample (.json or .csv).
    """
    from resinflow.evaluate import evaluation_summary
    from resinflow.evaluate.evaluation import evaluate_model, flows_of_sample
    from resinflow.presets import load_model

    console = make_console(as_json=as_json)
    if output is not None:
        _check_output(output)
    predictor, flows = load_model(model, options.device), source.open()
    with counting(console, f"{options.split} split") as watch:
        evaluation = evaluate_model(predictor, flows, options, watch=watch)
    print_evaluation(evaluation, console)
    if output is not None:
        _save(console, evaluation, output, lambda index: flows_of_sample(predictor, flows, index, options))
    if as_json:
        print_json(evaluation_summary(evaluation))


def _save(console: Console, evaluation: Evaluation, output: Path, flows_of: Callable[[int], _Triple]) -> None:
    """Save all numbers in a file, or the whole report in a folder, and say so."""
    from resinflow.evaluate import SUFFIXES, save_scores
    from resinflow.view import write_report

    if output.suffix in SUFFIXES:
        console.print(f"wrote {save_scores(evaluation.scores, output)}")
        return
    report = write_report(evaluation, output, flows_of)
    console.print(f"wrote {report}: report.html, report.md, summary.json, samples.csv, figures")


def reconstruct(
    *,
    source: Annotated[SourceOptions, FLAT],
    model: str = "small",
    options: Annotated[ReconstructionOptions, FLAT] = ReconstructionOptions(),
    device: DeviceName = "auto",
    output: Annotated[Path, OUTPUT],
    as_json: AsJson = False,
) -> None:
    """Send flows of a data set through the VAE alone, and say whether it keeps vz or lets it collapse to zero.

    Example: resinflow reconstruct --data data/small.zarr --mode cross --sample 12 --output cross

    Parameters
    ----------
    model
        A shipped model by name, a model directory, or a run.
    device
        Where the networks compute; auto: on a GPU if there is one.
    output
        Folder for reconstruction.json, slices.csv and the figures.
    """
    from resinflow.evaluate.reconstruct import (
        DOCUMENT,
        FIGURES,
        NAMES,
        SLICES,
        describe,
        examples,
        reconstruct_model,
        reconstruction_views,
        save_reconstructions,
    )
    from resinflow.presets import load_model
    from resinflow.view import check_folder, reconstruction_figures, save_figure

    console = make_console(as_json=as_json)
    check_outputs((output, ()))
    check_folder(output, DOCUMENT)
    predictor, flows = load_model(model, device), source.open()
    with counting(console, NAMES[options.mode]) as watch:
        reconstructions = reconstruct_model(predictor, flows, options, watch=watch)
    document = describe(reconstructions, predictor.name, options.mode, flows)
    print_reconstructions(reconstructions, document, options.mode, console)
    with replacing(output) as temporary:
        (temporary / FIGURES).mkdir(parents=True)
        for reconstruction in examples(reconstructions):
            views = reconstruction_views(predictor, options.mode, flows.sample(reconstruction.index), reconstruction)
            for name, figure in reconstruction_figures(*views).items():
                target = temporary / FIGURES / f"sample-{reconstruction.index:05d}-{name}.png"
                save_figure(figure, target, resolution=130)
        save_reconstructions(reconstructions, document, temporary)
    console.print(f"wrote {output}: {DOCUMENT}, {SLICES}, {FIGURES}")
    if as_json:
        print_json(document)


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print all tables and how often a method is worse than the planar flow."""
    from resinflow.evaluate import component_rows, cost_rows, ensemble_rows, score_rows, spread_rows
    from resinflow.view import worse_line

    console.print(score_rows(evaluation.scores).terminal(wrapped=False))
    console.print(component_rows(evaluation.scores).terminal())
    console.print(cost_rows(evaluation.scores).terminal())
    if evaluation.ensembles():
        console.print(ensemble_rows(evaluation.scores).terminal())
        console.print(spread_rows(evaluation).terminal())
    console.print(worse_line(evaluation))
    for note in evaluation.notes:
        console.print(f"note: {note}", style="yellow")


def print_reconstructions(
    reconstructions: Sequence[Reconstruction], document: Mapping[str, Any], mode: Mode, console: Console
) -> None:
    """Print the scores and what becomes of every component."""
    from resinflow.evaluate import component_rows, score_rows
    from resinflow.evaluate.reconstruct import NAMES

    scores = {NAMES[mode]: [reconstruction.comparison for reconstruction in reconstructions]}
    console.print(score_rows(scores).terminal(wrapped=False))
    console.print(component_rows(scores).terminal())
    for component, numbers in document["components"].items():
        console.print(
            f"v{component}: amplitude ratio {numbers['amplitude_ratio']:.3f}, correlation {numbers['correlation']:.3f}, "
            f"part of the original {numbers['shrinkage']:.3f} (medians over the samples)"
        )
    console.print(f"Does the model collapse vz to zero? {document['collapses']}")


def _check_output(output: Path) -> None:
    from resinflow.evaluate import SUFFIXES
    from resinflow.view import check_folder

    if output.suffix in SUFFIXES:
        check_outputs((output, SUFFIXES))
        return
    if output.suffix and not output.is_dir():
        raise InvalidInputError(
            f"the suffix of {output.name} is {output.suffix!r}; needed: .json, .csv, or a folder (a name without suffix)."
        )
    check_outputs((output, ()))
    check_folder(output)
