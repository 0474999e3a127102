"""The commands `resinflow evaluate` and `resinflow reconstruct`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    from resinflow.evaluate.slice_tables import SliceEvaluation

_DRAWS = 16
"""Drawn media of a sample by default, as in resinflow predict --misalignment."""


_Triple = tuple[FlowField, FlowField, FlowField]
"""Prediction, truth and planar flow of a sample."""


def evaluate(
    *,
    source: Annotated[SourceOptions, FLAT],
    model: str = "small",
    preset: Literal["oneslice"] | None = None,
    options: Annotated[EvaluationOptions, FLAT] = EvaluationOptions(),
    output: Annotated[Path | None, OUTPUT] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a model with the solved flows of a data set, beside the planar flow, the response flow and the VAE alone.

    With --preset oneslice: what is said of the flow round the middle slice of every sample, by extrusion, Monte Carlo and the
    trained model that draws media (docs/one-slice.md).

    Example: resinflow evaluate --data data/small.zarr --model runs/paper/model --sampler ddim --steps 10 --steps 50 -o report

    Parameters
    ----------
    model
        A shipped model by name, a model directory, or a run.
    preset
        Of models that predict no flow of a known medium: oneslice; --model is then another model of it, --samples the drawn
        media (16 by default), and -o a file (.json or .csv).
    output
        A folder for the whole report (report.html, report.md, summary.json, samples.csv, figures), or a file for all numbers
        of every sample (.json or .csv).
    """
    from resinflow.evaluate import evaluation_summary
    from resinflow.evaluate.evaluation import evaluate_model, flows_of_sample
    from resinflow.presets import load_model

    console = make_console(as_json=as_json)
    if preset is not None:
        table = _evaluate_slices(source, model, options, output, console)
        if as_json:
            print_json(table.to_dict())
        return
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


def _evaluate_slices(
    source: SourceOptions, model: str, options: EvaluationOptions, output: Path | None, console: Console
) -> SliceEvaluation:
    """Print, save and return the table of what is said of the flow round one slice of every sample."""
    from resinflow.evaluate import SUFFIXES, write_csv, write_json
    from resinflow.evaluate.one_slice import rivals_named
    from resinflow.evaluate.slice_tables import evaluate_slices, shape_rows, slice_rows, truths_of

    usual = replace(EvaluationOptions(), split=options.split, limit=options.limit, samples=options.samples, seed=options.seed)
    if options != usual:
        raise InvalidInputError(
            "--preset oneslice goes with --split, --limit, --samples and --seed alone; leave out the other options of evaluate."
        )
    samples = _DRAWS if options.samples is None else options.samples
    if samples < 2:
        raise InvalidInputError(f"--samples is {samples}; needed: at least 2 drawn media, whose K can scatter.")
    if output is not None:
        check_outputs((output, SUFFIXES))
    rivals = rivals_named(model="oneslice" if model == "small" else model)
    count, truths = truths_of(source.open(), options.split, options.limit)
    with counting(console, f"{options.split} split") as watch:
        evaluation = evaluate_slices(
            truths, rivals, samples=samples, seed=options.seed, watch=lambda finished: watch(finished, count)
        )
    for table in (slice_rows(evaluation), shape_rows(evaluation)):
        console.print(table.terminal(wrapped=False))
    if output is not None:
        with replacing(output) as temporary:
            if output.suffix == ".json":
                write_json(evaluation.to_dict(), temporary)
            else:
                write_csv(evaluation.rows(), temporary, ("rival", "medium"))
        console.print(f"wrote {output}")
    return evaluation


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
    from resinflow.evaluate import component_rows, condition_rows, cost_rows, ensemble_rows, score_rows, spread_rows
    from resinflow.view import worse_line

    console.print(score_rows(evaluation.scores).terminal(wrapped=False))
    console.print(component_rows(evaluation.scores).terminal())
    console.print(cost_rows(evaluation.scores).terminal())
    if evaluation.ensembles():
        console.print(ensemble_rows(evaluation.scores).terminal())
        console.print(spread_rows(evaluation).terminal())
    conditions = condition_rows(evaluation)
    if conditions.rows:
        console.print(conditions.terminal())
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
