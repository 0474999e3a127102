"""The report of one flow: its numbers, its figure and how it is computed again, as one standalone HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resinflow.evaluate import TextTable
from resinflow.flow import checked_target, replacing
from resinflow.view.page import Report, Section, html_page


def write_flow_report(
    path: Path,
    *,
    title: str,
    text: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    figure: Path,
    lines: Sequence[str],
) -> Path:
    """Write the report of a flow and return its path; the page needs no other file.

    Args:
        path: .html; an older file is replaced in one step.
        title: its heading.
        text: paragraphs above all else.
        rows: quantity, value and unit.
        figure: a PNG.
        lines: commands that compute the flow again.

    Raises:
        InvalidInputError: another suffix, or a folder that cannot be written.
    """
    target = checked_target(path, (".html",))
    commands = TextTable(("commands",), tuple((line,) for line in lines))
    report = Report(
        title,
        tuple(text),
        (
            Section("Numbers", table=TextTable(("quantity", "value", "unit"), tuple(rows))),
            Section("Flow in the middle slice", figure="flow", caption="Fibres are grey; lengths in micrometres."),
            Section("The same again", table=commands),
        ),
    )
    with replacing(target) as temporary:
        temporary.write_text(html_page(report, {"flow": figure.read_bytes()}), encoding="utf-8")
    return target
