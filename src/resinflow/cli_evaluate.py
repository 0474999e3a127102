"""The commands `resinflow evaluate` and `resinflow reconstruct`: argument parsing only, as in :mod:`resinflow.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from resinflow.workflows.evaluation_options import EvaluationOptions, ReconstructionOptions, SourceOptions

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
    from resinflow.workflows.evaluating import evaluate_and_print

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
    from resinflow.workflows.reconstructing import reconstruct_and_print

    reconstruct_and_print(source, options or ReconstructionOptions(), output)
