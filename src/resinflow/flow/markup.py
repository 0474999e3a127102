"""How values show themselves in a notebook: small tables, everything in them escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def html_table(caption: str, rows: Sequence[tuple[str, ...]], header: tuple[str, ...] = (), notes: Sequence[str] = ()) -> str:
    """Return a table as HTML, whatever its texts hold.

    Args:
        caption: above the table.
        rows: cells; the first of each is its name.
        header: titles of the columns; none by default.
        notes: lines below the table.
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    lines = [f"<tr>{head}</tr>"] if header else []
    for name, *cells in rows:
        lines.append(f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<table><caption>{escape(caption)}</caption>{''.join(lines)}</table>{below}"
