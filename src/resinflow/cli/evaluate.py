"""The commands `resinflow evaluate` and `resinflow reconstruct`: argument parsing only, as in :mod:`resinflow.cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from resinflow.cli.console import counting, make_console
from resinflow.data import Sample
from resinflow.evaluate import (
    SUFFIXES,
    Evaluation,
    component_table,
    cost_rows,
    ensemble_rows,
    evaluation_table,
    save_scores,
    spread_rows,
    terminal_table,
)
from resinflow.evaluate.evaluation import _sample, evaluate_model, open_source
from resinflow.evaluate.methods import Method
from resinflow.evaluate.options import EvaluationOptions, ReconstructionOptions, SourceOptions
from resinflow.flow import FlowField, InvalidInputError
from resinflow.view import check_folder, worse_line, write_report


def evaluate_and_print(source_options: SourceOptions, options: EvaluationOptions, output: Path | None) -> None:
    """Evaluate, print the tables, and save the numbers (.json, .csv) or a whole report (a folder) where asked.

    Raises:
        InvalidInputError: as :func:`evaluate_model`, or an output that is neither; found before anything is computed.
    """
    console = make_console()
    if output is not None:
        _check_output(output)
    with counting(console, f"{options.split} split") as watch:
        evaluation, methods = evaluate_model(source_options, options, watch)
    print_evaluation(evaluation, console)
    if output is None:
        return
    if output.suffix in SUFFIXES:
        console.print(f"wrote {save_scores(evaluation.scores, output)}")
        return
    method = next(method for method in methods if method.name == evaluation.main)
    source = open_source(source_options)
    made = write_report(evaluation, output, lambda index: _shown(method, _sample(source, index, options.surfaces)))
    console.print(f"wrote {made}: report.html, report.md, summary.json, samples.csv, figures")


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print all tables and how often a method is worse than the planar flow."""
    console.print(evaluation_table(evaluation.scores))
    console.print(component_table(evaluation.scores))
    console.print(terminal_table(cost_rows(evaluation.scores)))
    if evaluation.ensembles():
        console.print(terminal_table(ensemble_rows(evaluation.scores)))
        console.print(terminal_table(spread_rows(evaluation)))
    console.print(worse_line(evaluation))
    for note in evaluation.notes:
        console.print(f"note: {note}", style="yellow")


def _shown(method: Method, sample: Sample) -> tuple[FlowField, FlowField, FlowField]:
    """Prediction, truth and planar flow of a sample."""
    return method.run(sample).flow, sample.truth, sample.planar


def _check_output(output: Path) -> None:
    if output.suffix in SUFFIXES:
        return
    if output.suffix and not output.is_dir():
        raise InvalidInputError(
            f"the suffix of {output.name} is {output.suffix!r}; needed: .json, .csv, or a folder (a name without suffix)."
        )
    check_folder(output)


Flat = Parameter(name="*", negative_iterable="")


def register(app: App) -> None:
    """Add both commands to ``app``."""
    app.command(evaluate)
    app.command(reconstruct)


def evaluate(
    *,
    source: Annotated[SourceOptions, Flat],
    options: Annotated[EvaluationOptions | None, Flat] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Compare a model with the solved flows of a data set, beside the planar flow, the response flow and the VAE alone.

    Example: resinflow evaluate --data data/small.zarr --model runs/paper/model --sampler ddim --steps 10 --steps 50 -o report

    Parameters
    ----------
    output
        A folder for the whole report (report.html, report.md, summary.json, samples.csv, figures), or a file for all numbers
        of every sample (.json or .csv).
    """
    evaluate_and_print(source, options or EvaluationOptions(), output)


def reconstruct(
    *,
    source: Annotated[SourceOptions, Flat],
    options: Annotated[ReconstructionOptions | None, Flat] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
) -> None:
    """Send flows of a data set through the VAE alone, and say whether it keeps vz or lets it collapse to zero.

    Example: resinflow reconstruct --data data/small.zarr --mode cross --sample 12 --output cross

    Parameters
    ----------
    output
        Folder for reconstruction.json, slices.csv and the figures.
    """
    from resinflow.evaluate.reconstruct import reconstruct_and_print

    reconstruct_and_print(source, options or ReconstructionOptions(), output)
