"""Which media a model knows: descriptors of data sets, and how well their distance tells foreign media."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.cli.console import counting, make_console
from resinflow.data import FlowSource, open_flows
from resinflow.evaluate.evaluation import chosen_samples, open_source
from resinflow.evaluate.methods import Predictor, start_of
from resinflow.evaluate.options import SourceOptions
from resinflow.evaluate.roc import roc_area
from resinflow.evaluate.tables import TextTable, terminal_table
from resinflow.flow import InvalidInputError
from resinflow.models import CALIBRATION, Novelty, build_conditions, describe_conditions, load_calibration
from resinflow.presets import load_model
from resinflow.view import checked_target, compose_novelty, save_figure

_CAPTION = (
    "area under the ROC: the probability that a medium of the data set is farther from the training media than one of the "
    "first row; 0.5 for a distance that tells nothing"
)


def descriptors_of(
    predictor: Predictor, source: FlowSource, indices: Sequence[int], watch: Callable[[int, int], None] | None = None
) -> NDArray[np.float64]:
    """Return the descriptors (media, descriptors) of samples of a data set as the model's start flows show them."""
    rows = []
    for done, index in enumerate(indices, start=1):
        start = start_of(source.sample(index), predictor)
        rows.append(describe_conditions(build_conditions(start.planar, start.base)))
        if watch:
            watch(done, len(indices))
    return np.stack(rows)


def compare_familiarity(
    directory: Path, source_options: SourceOptions, against: Sequence[Path], figure: Path
) -> dict[str, float]:
    """Print and draw how far the media of foreign data sets are from the training media, beside the test split's.

    Args:
        directory: a calibrated model.
        source_options: the data set whose test split is familiar.
        against: data sets that are foreign, all of their samples (up to the limit).
        figure: where the ROC goes (.png, .pdf, .svg).

    Returns:
        Area under the ROC by name of the foreign data set.

    Raises:
        InvalidInputError: a model without novelty, nothing to compare with, two data sets of one name, or another suffix.
    """
    target = checked_target(figure)
    named = {path.stem: path for path in against}
    if not against or len(named) < len(against):
        raise InvalidInputError(
            f"--against names {len(against)} data sets of {len(named)} names; needed: at least one, all different."
        )
    novelty = _novelty_of(directory)
    predictor, console = load_model(directory), make_console()
    source = open_source(source_options)
    with counting(console, "test split") as watch:
        tested = descriptors_of(predictor, source, chosen_samples(source, "test", source_options.limit), watch)
    foreign = {}
    for name, path in named.items():
        other = open_flows(path)
        with counting(console, name) as watch:
            foreign[name] = descriptors_of(predictor, other, chosen_samples(other, "all", source_options.limit), watch)
    inside = novelty.distances(tested)
    outside = {name: novelty.distances(rows) for name, rows in foreign.items()}
    areas = {name: roc_area(inside, found) for name, found in outside.items()}
    rows = [_row(f"{Path(source.path).stem}, test split", tested, novelty, None)]
    rows += [_row(name, found, novelty, areas[name]) for name, found in foreign.items()]
    header = ("data set", "media", "median distance", "above the limit, %", "area", "farthest out")
    console.print(terminal_table(TextTable(header, tuple(rows), f"limit {novelty.threshold:.2f}; {_CAPTION}")))
    drawn = compose_novelty(("the test split", inside), outside, novelty.threshold)
    console.print(f"wrote {save_figure(drawn, target)}")
    return areas


def _row(name: str, descriptors: NDArray[np.float64], novelty: Novelty, area: float | None) -> tuple[str, ...]:
    distances = novelty.distances(descriptors)
    beyond = np.abs(novelty.normal_scores(descriptors))
    return (
        name,
        str(len(descriptors)),
        f"{np.median(distances):.2f}",
        f"{100 * (distances > novelty.threshold).mean():.1f}",
        "-" if area is None else f"{area:.3f}",
        novelty.names[int(np.argmax(np.median(beyond, axis=0)))],
    )


def _novelty_of(directory: Path) -> Novelty:
    document = load_calibration(directory)
    if document is None or document.novelty is None:
        raise InvalidInputError(f"{directory} holds no {CALIBRATION} with a novelty; run resinflow model calibrate first.")
    return document.novelty
