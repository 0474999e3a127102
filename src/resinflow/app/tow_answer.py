"""The answer for a tow: K along the axes with its intervals, their budget, and the map of local K."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from resinflow.app.computing import Progress
from resinflow.app.user_choices import Choices
from resinflow.flow import COMPONENTS, DARCY, Microstructure
from resinflow.tow import TowAnswer, TowOptions, assess_tow

__all__ = ["write_tow"]

_WINDOWS = ".windows"
"""Folder of an answer's folder that holds the windows while they are solved."""


def write_tow(target: Path, micro: Microstructure, choices: Choices, progress: Progress) -> None:
    """Assess a tow, tell K with its budget, and draw and write the map.

    Args:
        target: folder of the answer.
        micro: the medium.
        choices: the question.
        progress: where K is told before the figures are drawn.

    Raises:
        ResinflowError: an image too narrow, or what cannot be solved.
    """
    from resinflow.evaluate import write_csv, write_json
    from resinflow.view import representativity_figure, window_map_figure

    def watch(what: str, done: int, total: int) -> None:
        progress.count(f"measuring {what}", done, total)

    options = TowOptions(
        choices.condition,
        tolerance=choices.accuracy,
        wall_rule=choices.walls,
        pixel_deviation=choices.pixel_deviation,
        misalignment=choices.misalignment,
    )
    answer = assess_tow(micro, options, folder=target / _WINDOWS, watch=watch)
    shutil.rmtree(target / _WINDOWS, ignore_errors=True)
    tow = _described(answer)
    warnings = [*answer.budget.warnings, *answer.tensor.warnings]
    progress.part(permeability=answer.budget.permeability[0], axis="x", tow=tow, warnings=warnings)
    write_json(answer.to_dict(), target / "tow.json")
    write_csv(_rows(choices, tow), target / "numbers.csv")
    progress.stage("drawing the map of local K")
    for suffix in ("csv", "vti"):
        answer.windows.save(target / f"map.{suffix}")
    window_map_figure(answer.windows, target / "map.png", micro=micro)
    representativity_figure(answer.representativity, target / "curve.png")


def _described(answer: TowAnswer) -> dict[str, Any]:
    """The numbers of a tow that the page shows, as plain values."""
    budget = answer.budget
    return {
        "axes": [
            {
                "axis": axis,
                "permeability": budget.permeability[place],
                "interval": list(budget.intervals[place]),
                "upscaled": float(answer.upscaled[place, place]),
                "deviation": budget.deviations[place],
            }
            for place, axis in enumerate(COMPONENTS)
        ],
        "sources": [
            {
                "name": source.name,
                "deviations": list(source.deviations),
                "share": max(budget.shares(source)),
                "basis": source.basis,
                "advice": source.advice,
            }
            for source in budget.sources
        ],
        "advice": budget.advice,
        "conditions": answer.tensor.conditions,
        "windows": list(answer.windows.shape),
        "edges_um": [1e6 * edge for edge in answer.windows.window],
        "reasons": [f"Window {row}, {column}: {reason}" for row, column, reason in answer.windows.reasons],
    }


def _rows(choices: Choices, tow: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table to take away: quantity, value, unit."""
    rows: list[tuple[str, str, str]] = []
    for each in tow["axes"]:
        name, (low, high) = f"K{each['axis']}{each['axis']}", each["interval"]
        rows += [
            (name, f"{each['permeability']:.6g}", "m^2"),
            (name, f"{each['permeability'] * 1e12:.6g}", "um^2"),
            (name, f"{each['permeability'] / DARCY:.6g}", "darcy"),
            (f"{name}, 90 % interval, low", f"{low:.6g}", "m^2"),
            (f"{name}, 90 % interval, high", f"{high:.6g}", "m^2"),
            (f"{name}, from the map of windows", f"{each['upscaled']:.6g}", "m^2"),
        ]
    for source in tow["sources"]:
        for axis, deviation in zip(COMPONENTS, source["deviations"], strict=True):
            rows.append((f"deviation of ln K{axis}{axis}: {source['name']}", f"{deviation:.6g}", ""))
    rows += [("pixel size", choices.pixel_size, ""), ("depth", choices.depth, ""), ("method", tow["conditions"], "")]
    return [{"quantity": name, "value": number, "unit": unit} for name, number, unit in rows]
