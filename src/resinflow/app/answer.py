"""The answer to a question: K in numbers and sentences first, then pictures, then files to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resinflow.app.computing import Progress, flow_of, greys_of, kept_medium
from resinflow.app.reproduction import EDITS, command_lines, python_lines
from resinflow.app.user_choices import Choices
from resinflow.app.work_folder import SO_FAR
from resinflow.flow import (
    DARCY,
    Axis,
    FlowField,
    InvalidInputError,
    Microstructure,
    MissingDependencyError,
    ModelReport,
    SolverReport,
    format_length,
)
from resinflow.media import save_strokes

__all__ = ["answer"]


def answer(folder: Path, choices: Choices, run: str, progress: Progress) -> dict[str, Any]:
    """Compute what is asked for and write all that there is to see and to take away.

    Args:
        folder: of the session.
        choices: the question.
        run: name of the answer's folder inside the session's, which keeps its medium (:func:`keep_medium`).
        progress: where K is told before the pictures are drawn.

    Raises:
        ResinflowError: what cannot be computed, in one line.
    """
    target = folder / run
    if choices.strokes:
        save_strokes(choices.strokes, target / EDITS)
    (target / "reproduce.sh").write_text("\n".join(command_lines(choices, run)) + "\n")
    (target / "reproduce.py").write_text(python_lines(choices, run))
    micro = kept_medium(folder, run)
    if choices.task == "tensor":
        _write_tensor(target, micro, choices, progress)
    elif choices.task == "tow":
        from resinflow.app.tow_answer import write_tow

        write_tow(target, micro, choices, progress)
    else:
        _write_flow(target, micro, choices, progress)
    return {"files": sorted(path.name for path in target.iterdir() if path.is_file() and not path.name.startswith("."))}


def _write_tensor(target: Path, micro: Microstructure, choices: Choices, progress: Progress) -> None:
    """Compute the permeability tensor, tell it and write it."""
    from resinflow.evaluate import write_csv, write_json
    from resinflow.stokes import permeability_tensor
    from resinflow.tow import gebart_values, tensor_rows

    def watch(axis: Axis, iteration: int, residual: float) -> None:
        if iteration == 0:
            progress.stage(f"solving the flow along {axis}")
        progress.watch(iteration, residual)

    def follow(axis: Axis, permeability: float, error: float) -> None:
        progress.follow(permeability, error)

    drive = choices.drive
    tensor = permeability_tensor(
        micro,
        boundary=drive.boundary,
        lateral=drive.lateral,
        tolerance=choices.accuracy,
        max_iterations=choices.iterations,
        wall_rule=choices.walls,
        watch=watch,
        follow=follow,
    )
    gebart = gebart_values(tensor)
    progress.part(
        permeability=tensor.diagonal[0],
        tensor={**tensor.to_dict(), "statement": tensor.statement, "conditions": tensor.conditions},
        gebart_values=None if gebart is None else list(gebart),
        axis="x",
        warnings=list(tensor.warnings),
    )
    write_json(tensor.to_dict(), target / "tensor.json")
    write_csv(tensor_rows(choices.name, tensor), target / "numbers.csv")


def _write_flow(target: Path, micro: Microstructure, choices: Choices, progress: Progress) -> None:
    """Compute a flow; tell K, then draw the fields and write the files."""
    flow = flow_of(micro, choices, Path(target.name) / SO_FAR, progress)
    numbers = describe(flow, micro)
    progress.part(**numbers)
    flow.save(target / "flow.npz")
    if flow.permeability > 0:
        progress.stage("drawing the fields")
        from resinflow.view import field_maps

        progress.part(maps=[vars(each) for each in field_maps(flow, target / "maps")])
    _write_files(target, choices, flow, numbers, progress)


def describe(flow: FlowField, micro: Microstructure) -> dict[str, Any]:
    """Return the numbers of a flow and what they mean, as plain values; of a medium, or of media drawn round it."""
    from resinflow.evaluate import THIRD_DIMENSION

    report = flow.report
    draws = report.samples if isinstance(report, ModelReport) and THIRD_DIMENSION in (report.permeability_parts or {}) else 0
    interval, error = flow.permeability_interval, None
    if isinstance(report, SolverReport) and flow.permeability > 0:
        error = report.permeability_error
        interval = (flow.permeability, flow.permeability * (1 + error))
    return {
        "permeability": flow.permeability,
        "interval": None if interval is None else list(interval),
        "error": error,
        "parts": dict(report.permeability_parts or {}) if isinstance(report, ModelReport) else {},
        "gebart": _gebart(micro, flow.axis == "z"),
        "draws": draws,
        "method": report.model if isinstance(report, ModelReport) else "solver",
        "iterations": report.iterations if isinstance(report, SolverReport) else None,
        "seconds": report.wall_time if report is not None else None,
        "axis": flow.axis,
        "fraction": micro.fibre_fraction,
        "superficial": flow.permeability * flow.pressure_drop / (flow.viscosity * flow.length),
        "warnings": [*(report.warnings if report is not None else ()), *_doubts(flow.permeability, flow.axis, micro)],
    }


def _gebart(micro: Microstructure, along: bool) -> dict[str, float] | None:
    """Gebart's K (m^2) of a hexagonal array of the same fraction and diameter (m); None where it has no value."""
    from resinflow.media import estimate_fibre_diameter, gebart_permeability

    diameter = estimate_fibre_diameter(micro)
    if diameter is None:
        return None
    try:
        value = gebart_permeability(micro.fibre_fraction, diameter, direction="longitudinal" if along else "transverse")
    except InvalidInputError:
        return None
    return {"permeability": value, "diameter": diameter}


def _doubts(permeability: float, axis: Axis, micro: Microstructure) -> list[str]:
    """What is implausible about a K, m^2."""
    from resinflow.media import estimate_fibre_diameter, gebart_warning

    diameter = estimate_fibre_diameter(micro)
    if diameter is None or permeability <= 0:
        return []
    direction = "longitudinal" if axis == "z" else "transverse"
    warning = gebart_warning(permeability, micro.fibre_fraction, diameter, direction)
    return [] if warning is None else [warning]


def _write_files(target: Path, choices: Choices, flow: FlowField, numbers: dict[str, Any], progress: Progress) -> None:
    """Write the table, and where something flows the figure, the report, the field for ParaView and the 3-D page."""
    from resinflow.evaluate import write_csv
    from resinflow.view import flow_figure, render_flow, write_flow_report

    micro = flow.microstructure
    write_csv(number_rows(choices, numbers), target / "numbers.csv")
    if flow.permeability == 0:
        return
    progress.stage("drawing the figure")
    figure = flow_figure(flow, target / "figure.png", image=greys_of(choices, micro))
    write_flow_report(
        target / "report.html",
        title=f"Resin flow through {choices.name}",
        text=(micro.describe(), *in_words(numbers).values(), *numbers["warnings"]),
        rows=[(row["quantity"], row["value"], row["unit"]) for row in number_rows(choices, numbers)],
        figure=figure,
        lines=command_lines(choices, target.name),
    )
    try:
        progress.stage("drawing the flow in 3-D")
        render_flow(flow, target / "scene.html", window=(1100, 760))
        flow.save(target / "flow.vti")
    except MissingDependencyError as error:
        progress.part(missing=str(error))


def number_rows(choices: Choices, numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of an answer as rows of a table: quantity, value, unit."""
    axis, value = numbers["axis"], numbers["permeability"]
    rows = [
        (f"K{axis}{axis}", f"{value:.6g}", "m^2"),
        (f"K{axis}{axis}", f"{value * 1e12:.6g}", "um^2"),
        (f"K{axis}{axis}", f"{value / DARCY:.6g}", "darcy"),
    ]
    if numbers["interval"] is not None:
        low, high = numbers["interval"]
        kind = "90 % interval" if numbers["error"] is None else "interval of the iteration"
        rows += [(f"{kind}, low", f"{low:.6g}", "m^2"), (f"{kind}, high", f"{high:.6g}", "m^2")]
    if numbers["gebart"] is not None:
        rows.append(("Gebart, hexagonal array", f"{numbers['gebart']['permeability']:.6g}", "m^2"))
        rows.append(("fibre diameter, median", f"{numbers['gebart']['diameter']:.6g}", "m"))
    rows += [
        ("fibre fraction", f"{numbers['fraction']:.6g}", ""),
        ("superficial velocity", f"{numbers['superficial']:.6g}", "m/s"),
        ("pressure drop", f"{choices.pressure_drop:.6g}", "Pa"),
        ("viscosity", f"{choices.viscosity:.6g}", "Pa s"),
        ("pixel size", choices.pixel_size, ""),
        ("depth", choices.depth, ""),
        ("method", numbers["method"], ""),
        *([("media drawn round the image", str(numbers["draws"]), "")] if numbers.get("draws") else []),
    ]
    return [{"quantity": name, "value": number, "unit": unit} for name, number, unit in rows]


def in_words(numbers: dict[str, Any]) -> dict[str, str]:
    """Return one sentence each on what K, its interval and Gebart's value mean."""
    sentences = {
        "K": "The mean velocity of the resin is K times the pressure gradient over the viscosity (Darcy's law); K depends on "
        "the fibres alone."
    }
    if numbers.get("draws"):
        sentences["draws"] = (
            f"K is the mean of {numbers['draws']} media drawn round the image, and so are the fields; fibres are shown where "
            "half of the media or more have one."
        )
    if numbers["error"] is not None:
        sentences["interval"] = (
            f"The solver's K is low by no more than {100 * numbers['error']:.2g} %: its iteration leaves that. What the "
            "pixels and the fibre surfaces leave comes on top; a prediction has an interval with both."
        )
    elif numbers["interval"] is not None:
        parts = ", ".join(f"{name} {100 * part:.2g} %" for name, part in numbers["parts"].items())
        sentences["interval"] = f"The true K lies in the interval with a probability of 90 %; standard deviations: {parts}."
    if numbers["gebart"] is not None:
        diameter = format_length(numbers["gebart"]["diameter"]).replace("um", "µm")
        sentences["gebart"] = (
            f"Gebart's formula for straight fibres of {diameter} in a hexagonal array of the same fraction: a check of the "
            "order of magnitude."
        )
    return sentences
