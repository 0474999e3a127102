"""The folder of an evaluation: numbers, report and figures, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resinflow.core import FlowField, InvalidInputError
from resinflow.core.files import replacing
from resinflow.evaluate import Evaluation
from resinflow.evaluate.records import evaluation_rows, evaluation_summary, write_csv, write_json
from resinflow.evaluate.report import compose_report, html_page, markdown_page
from resinflow.view import comparison_figure
from resinflow.view.calibration import compose_calibration
from resinflow.view.evaluation import compose_dependence, compose_distributions, compose_permeability, write_figure

SUMMARY, SAMPLES, HTML, MARKDOWN, FIGURES = "summary.json", "samples.csv", "report.html", "report.md", "figures"

Flows = Callable[[int], tuple[FlowField, FlowField, FlowField]]
"""Number of a sample in the data set -> prediction of the main method, truth, planar flow."""

_TEXTS = {
    "errors": (
        "How the errors are distributed",
        "Relative errors over the samples: box from the first to the third quartile with the median, whiskers from 5 to 95 %.",
    ),
    "dependence": ("On which media the errors are large", "One point a sample and method."),
    "permeability": ("Permeability", "Left: K against the true K, the line is equality. Right: its relative error, signed."),
    "calibration": (
        "Is the spread the size of the error",
        "Above, the samples themselves. Left: one point a sample; on the line the spread is the size of the error, below it "
        "the model is overconfident. Middle: share of true values between the k-th smallest and the k-th largest sample; "
        "below the line overconfident. Right: number of samples below the true value; flat at 1 if calibrated. Below, mean "
        "and deviation as drawn (hollow) and calibrated (filled). Left: share of true values in the central intervals; on "
        "the line if calibrated. Middle and right: error against deviation, one point a sample; of K two thirds of the "
        "points should lie below the line.",
    ),
}


def check_folder(folder: Path, document: str = SUMMARY) -> None:
    """Refuse a folder that is not new, empty or of an older run, before anything is computed.

    Raises:
        InvalidInputError: ``folder`` is a file, or holds something but not the file ``document``.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / document).is_file()):
        raise InvalidInputError(f"{folder} is there already and holds no {document}; needed: a new or empty folder.")


def write_report(evaluation: Evaluation, folder: Path, flows: Flows) -> Path:
    """Write ``summary.json``, ``samples.csv``, ``report.html`` (standalone), ``report.md`` and ``figures/``; return the folder.

    Args:
        evaluation: what was found.
        folder: replaced in one step if it is an older report.
        flows: gives the flows of the best, the median and the worst sample, which are drawn.

    Raises:
        InvalidInputError: a folder of something else, or one that cannot be written.
    """
    with replacing(folder) as temporary:
        figures = temporary / FIGURES
        figures.mkdir(parents=True)
        texts = _draw(evaluation, figures, flows)
        report = compose_report(evaluation, texts)
        images = {name: (figures / f"{name}.png").read_bytes() for name in report.figures}
        (temporary / HTML).write_text(html_page(report, images), encoding="utf-8")
        (temporary / MARKDOWN).write_text(markdown_page(report, FIGURES), encoding="utf-8")
        write_json(evaluation_summary(evaluation), temporary / SUMMARY)
        write_csv(evaluation_rows(evaluation), temporary / SAMPLES)
    return folder


def _draw(evaluation: Evaluation, folder: Path, flows: Flows) -> dict[str, tuple[str, str]]:
    """Write all figures and return title and caption of each by name."""
    composers = {
        "errors": compose_distributions,
        "dependence": compose_dependence,
        "permeability": compose_permeability,
    }
    if evaluation.ensembles():
        composers["calibration"] = compose_calibration
    texts = {name: _TEXTS[name] for name in composers}
    for name, compose in composers.items():
        write_figure(compose(evaluation), folder / f"{name}.png")
    ranked = evaluation.ranked()
    errors = evaluation.column(evaluation.main, "relative_l2")
    places = {"best": ranked[0], "median": ranked[(len(ranked) - 1) // 2], "worst": ranked[-1]}
    once = {int(place): name for name, place in reversed(places.items())}  # of few samples, one may be the best and the median
    for place, name in reversed(once.items()):
        traits = evaluation.traits[place]
        prediction, truth, planar = flows(traits.index)
        comparison_figure(prediction, truth, planar, path=folder / f"{name}.png")
        caption = (
            f"Sample {traits.index}, {evaluation.main}: relative L2 error {100 * errors[place]:.2f} %, porosity "
            f"{traits.porosity:.3f}, RMS vz / RMS vx {traits.cross_flow:.2f}; middle slice."
        )
        texts[name] = (f"The {name} sample", caption)
    return texts
