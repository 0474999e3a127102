"""Verification of the solver on the terminal."""

from __future__ import annotations

import math

from rich.table import Table

from resinflow.cli.console import make_console, working
from resinflow.stokes import Check, verify


def verify_and_print(*, quick: bool) -> bool:
    """Run all checks, print their table, and return whether every one keeps its limit."""
    console = make_console()
    with working(console, "verification"):
        rows = verify(quick=quick)
    console.print(_table(rows))
    missed = [row for row in rows if not row.passed]
    limited = sum(row.limit is not None for row in rows)
    console.print(f"{limited - len(missed)} of {limited} limits kept; {len(rows) - limited} rows state a fact without a limit")
    for row in missed:
        console.print(f"missed: {row.name}, {row.method}: {row.error:.3g} (limit {row.limit:g})")
    return not missed


def _table(rows: list[Check]) -> Table:
    table = Table()
    table.add_column("check", no_wrap=True)
    table.add_column("wall rule")
    for title in ("value", "expected", "error", "limit", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        expected = "" if math.isnan(row.expected) else f"{row.expected:.5g}"
        verdict = "" if row.limit is None else ("ok" if row.passed else "MISSED")
        limit = "" if row.limit is None else f"{row.limit:g}"
        table.add_row(row.name, row.method, f"{row.value:.5g}", expected, f"{row.error:+.2e}", limit, verdict)
    return table
