"""The report of an evaluation: its tables and figures as one standalone HTML page, as Markdown, and as files of numbers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from resinflow.evaluate import (
    PLANAR,
    Evaluation,
    TextTable,
    component_rows,
    condition_rows,
    cost_rows,
    ensemble_rows,
    evaluation_rows,
    evaluation_summary,
    score_rows,
    spread_rows,
    write_csv,
    write_json,
)
from resinflow.flow import FlowField, InvalidInputError, replacing
from resinflow.view.evaluation_figure import compose_dependence, compose_distributions, compose_permeability
from resinflow.view.figures import comparison_figure
from resinflow.view.output import save_figure
from resinflow.view.uncertainty import compose_calibration

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 78rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.55rem; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #888; } tr.last td { border-bottom: 1px solid #ccc; }
th.name, td.name { text-align: left; } .scroll { overflow-x: auto; }
figcaption, .caption { color: #555; font-size: 0.85rem; max-width: 60rem; } img { max-width: 100%; height: auto; }
figure { margin: 1rem 0 2rem; }
"""


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: its heading.
        table: its numbers.
        figure: name of a figure shown below that, without suffix.
        caption: of the figure.
        text: paragraphs above all that.
    """

    title: str
    table: TextTable | None = None
    figure: str | None = None
    caption: str = ""
    text: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """Title, opening paragraphs and sections."""

    title: str
    text: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures, in the order of the report."""
        return tuple(section.figure for section in self.sections if section.figure is not None)


def compose_report(evaluation: Evaluation, figures: Mapping[str, tuple[str, str]]) -> Report:
    """Return the report of an evaluation: what was compared, all tables, and the figures.

    Args:
        evaluation: its numbers.
        figures: name of a figure to its title and caption, in the order shown.
    """
    media = len(evaluation.traits)
    opening = (
        f"Model {evaluation.model} on the {evaluation.split} split of {evaluation.data}: {media} media. Every number "
        "compares with the solved 3-D flow, over the fluid voxels of one sample; the tables show statistics over the samples.",
        worse_line(evaluation),
        *(f"Note: {note.removesuffix('.')}." for note in evaluation.notes),
    )
    sections = [
        Section("Scores", table=score_rows(evaluation.scores)),
        Section("Velocity by component", table=component_rows(evaluation.scores)),
        Section("Time and memory", table=cost_rows(evaluation.scores)),
    ]
    if evaluation.ensembles():
        sections.append(Section("Calibration of the samples", table=ensemble_rows(evaluation.scores)))
        sections.append(Section("Spread as a measure of the error", table=spread_rows(evaluation)))
    conditions = condition_rows(evaluation)
    if conditions.rows:
        sections.append(Section("Permeability by condition", table=conditions))
    sections += [Section(title, figure=name, caption=caption) for name, (title, caption) in figures.items()]
    return Report(f"Evaluation of {evaluation.model}", opening, tuple(sections))


def worse_line(evaluation: Evaluation) -> str:
    """Return in one sentence on how many samples each method is worse than its own input, the planar flow."""
    worse, total = evaluation.worse_than_planar(), len(evaluation.traits)
    counts = "; ".join(f"{method}: {count}" for method, count in worse.items())
    return f"Samples of {total} on which the velocity error is above that of the {PLANAR}. {counts}."


def html_page(report: Report, images: Mapping[str, bytes]) -> str:
    """Return the report as one HTML page that needs no other file: styles and figures (PNG) are inside, scripts there are none.

    Args:
        report: what is shown.
        images: every figure of the report by name.
    """
    parts = [f"<h1>{escape(report.title)}</h1>", *(f"<p>{escape(text)}</p>" for text in report.text)]
    for section in report.sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in section.text]
        if section.table is not None:
            parts.append(_html_table(section.table))
        if section.figure is not None:
            data = base64.b64encode(images[section.figure]).decode("ascii")
            picture = f'<img alt="{escape(section.title, quote=True)}" src="data:image/png;base64,{data}">'
            parts.append(f"<figure>{picture}<figcaption>{escape(section.caption)}</figcaption></figure>")
    head = f'<meta charset="utf-8"><title>{escape(report.title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def markdown_page(report: Report, folder: str) -> str:
    """Return the report as Markdown that shows the figures ``folder/NAME.png``."""
    parts = [f"# {report.title}", *report.text]
    for section in report.sections:
        parts += [f"## {section.title}", *section.text]
        if section.table is not None:
            parts.append(section.table.markdown())
            parts.append(section.table.caption)
        if section.figure is not None:
            parts += [f"![{section.title}]({folder}/{section.figure}.png)", section.caption]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html_table(table: TextTable) -> str:
    def row(cells: tuple[str, ...], tag: str, last: bool) -> str:
        names, numbers = cells[: table.names], cells[table.names :]
        inner = [f'<{tag} class="name">{escape(cell)}</{tag}>' for cell in names]
        inner += [f"<{tag}>{escape(cell)}</{tag}>" for cell in numbers]
        return ('<tr class="last">' if last else "<tr>") + "".join(inner) + "</tr>"

    body = [row(cells, "td", table.block > 0 and number % table.block == 0) for number, cells in enumerate(table.rows, start=1)]
    caption = f'<p class="caption">{escape(table.caption)}</p>'
    lines = "\n".join([row(table.header, "th", False), *body])
    return f'<div class="scroll"><table>\n{lines}\n</table></div>\n{caption}'


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
        evaluation: its numbers.
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
        save_figure(compose(evaluation), folder / f"{name}.png", resolution=130)
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
