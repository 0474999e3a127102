"""The commands `resinflow model calibrate` and `resinflow model novelty`: argument parsing only, as in :mod:`resinflow.cli.app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from resinflow.evaluate.options import CalibrationOptions, SourceOptions

Flat = Parameter(name="*", negative_iterable="")


def register(app: App) -> None:
    """Add both commands to ``app``, the group of model directories."""
    app.command(calibrate)
    app.command(novelty)


def calibrate(
    model: Path,
    /,
    *,
    source: Annotated[SourceOptions, Flat],
    options: Annotated[CalibrationOptions | None, Flat] = None,
) -> None:
    """Measure a model's errors on the validation split, and write calibration.json into its directory.

    Predictions then carry standard deviations that are the size of the error, a 90 % interval of K, and a warning where the
    medium is unlike the training media.

    Example: resinflow model calibrate runs/small/model --data data/small.zarr

    Parameters
    ----------
    model
        The model directory.
    """
    from resinflow.evaluate.calibrate import calibrate_and_print

    calibrate_and_print(model, source, options or CalibrationOptions())


def novelty(
    model: Path,
    /,
    *,
    source: Annotated[SourceOptions, Flat],
    against: Annotated[list[Path], Parameter(consume_multiple=True, negative="")],
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("roc.png"),
) -> None:
    """Compare data sets that a model does not know with the test split: does the distance to the training media tell them.

    Example: resinflow model novelty runs/small/model --data data/small.zarr --against data/ood-flat.zarr data/ood-thin.zarr

    Parameters
    ----------
    model
        The model directory, calibrated.
    against
        Data sets of other media.
    output
        Figure of the ROC curves (.png, .pdf, .svg).
    """
    from resinflow.evaluate.familiarity import compare_familiarity

    compare_familiarity(model, source, against, output)
