"""The answer for a tow as HTML: K along the axes with its intervals, the budget source by source, and figures."""

from __future__ import annotations

from html import escape
from typing import Any

from resinflow.app.answer_markup import figures
from resinflow.app.page_words import in_page_words, sentence

__all__ = ["tow_figures", "tow_page"]

_LEAST_SHARE = 0.005
"""Share of the variance below which a source is not worth reducing."""


def tow_page(numbers: dict[str, Any]) -> str:
    """Return K of a tow with its intervals, what to do first, and the budget, as HTML."""
    tow = numbers["tow"]
    warnings = "".join(
        f'<div class="rf-warning">{escape(sentence(line))}</div>' for line in (*numbers["warnings"], *tow["reasons"])
    )
    rows, columns = tow["windows"]
    return (
        f'<div class="rf-stack"><div class="rf-soft">Permeability of the tow in µm², {escape(tow["conditions"])}</div>'
        f'<div class="rf-scroll">{_axes(tow)}</div>'
        f'<div class="rf-soft">The K of the tow that the image was taken from lies in the interval with a probability of 90 %. '
        f"From the map: K of {rows} x {columns} windows of {tow['edges_um'][0]:.4g} x {tow['edges_um'][1]:.4g} µm, joined by a "
        f"Darcy flow; far from K of the whole image, windows are too small.</div>"
        f'<div class="rf-advice"><b>What to do first</b><br>{escape(sentence(tow["advice"]))}</div>'
        f'<h3 class="rf-title">Budget: what makes K uncertain</h3><div class="rf-scroll">{_budget(tow)}</div>'
        f'<div class="rf-soft">Standard deviations of ln K, near those of K itself; their squares add up.</div>{warnings}</div>'
    )


def tow_figures(place: str) -> str:
    """Return the map of local K and K against the size of the window, as HTML.

    Args:
        place: address of the answer's folder.
    """
    return (
        '<h3 class="rf-title">Map of local K</h3>'
        f'<img class="rf-figure" src="{place}map.png" alt="Kxx, Kyy and Kzz of the windows, fibres dark">'
        '<h3 class="rf-title">K against the size of the window</h3>'
        f'<img class="rf-figure narrow" src="{place}curve.png" alt="K with its scatter against the size of the window">'
    )


def _axes(tow: dict[str, Any]) -> str:
    body = "".join(
        f"<tr><th scope=row>K<sub>{each['axis']}{each['axis']}</sub></th><td><b>{figures(each['permeability'] * 1e12)}</b></td>"
        f"<td>{figures(each['interval'][0] * 1e12)} to {figures(each['interval'][1] * 1e12)}</td>"
        f"<td>{figures(each['permeability'])}</td><td>{figures(each['upscaled'] * 1e12)}</td></tr>"
        for each in tow["axes"]
    )
    titles = ("K, µm²", "90 % interval, µm²", "K, m²", "from the map, µm²")
    head = "".join(f"<th scope=col>{title}</th>" for title in titles)
    return f'<table class="rf-numbers"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'


def _budget(tow: dict[str, Any]) -> str:
    """The sources as a table, the largest one first."""
    rows = ""
    for source in sorted(tow["sources"], key=lambda each: -each["share"]):
        share = source["share"]
        advice = sentence(source["advice"]) if share >= _LEAST_SHARE else ""
        cells = "".join(f"<td>{deviation:.1%}</td>" for deviation in source["deviations"])
        rows += (
            f"<tr><th scope=row>{escape(source['name'])}</th>{cells}"
            f'<td><span class="rf-share" style="--share:{share:.3f}">{share:.0%}</span></td>'
            f'<td class="rf-words">{escape(in_page_words(source["basis"]))}</td><td class="rf-words">{escape(advice)}</td></tr>'
        )
    cells = "".join(f"<td><b>{each['deviation']:.1%}</b></td>" for each in tow["axes"])
    rows += f"<tr><th scope=row><b>all together</b></th>{cells}<td></td><td></td><td></td></tr>"
    titles = ("x", "y", "z", "share")
    head = "".join(f"<th scope=col>{title}</th>" for title in titles)
    words = "".join(f'<th scope=col class="rf-words">{title}</th>' for title in ("measured on", "what reduces it"))
    table = f"<thead><tr><th scope=col>source</th>{head}{words}</tr></thead><tbody>{rows}</tbody>"
    return f'<table class="rf-numbers rf-budget">{table}</table>'
