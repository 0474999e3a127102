"""An answer as HTML: K, its interval on a line, tables, colour bars, and how far a computation is in words."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Any

from resinflow.app.page_words import sentence
from resinflow.app.reproduction import command_lines
from resinflow.app.sessions import Answer
from resinflow.app.user_choices import Choices
from resinflow.flow import DARCY

__all__ = ["colour_bar", "figures", "headline", "progress_words", "scale_line", "table", "tensor_page"]


def progress_words(answer: Answer, before: int) -> tuple[str, str]:
    """What is being done, and how far it is."""
    job = answer.job
    if job.state == "queued":
        return ("Waiting for its turn" if before == 0 else f"{before} others wait before this one"), ""
    words = [_moment(answer)] if job.permeability else []
    if job.iteration is not None and job.residual is not None:
        words.append(f"iteration {job.iteration}, residual {job.residual:.1e} of the first")
    return (job.stage or "starting").capitalize(), ", ".join([*words, f"{job.seconds:.0f} s"])


def _moment(answer: Answer) -> str:
    """K so far and about its error, in words."""
    job = answer.job
    if job.permeability is None:
        return ""
    value = f"{job.permeability:.3g} m² = {job.permeability * 1e12:.3g} µm²"
    if job.interval is not None:
        low, high = (end * 1e12 for end in job.interval)
        return f"mean K so far {value}, 90 % by their scatter {low:.3g} to {high:.3g} µm²"
    if answer.choices.task == "predict" and job.draws == 0:
        return f"K before the correction {value}"
    error = "" if job.error is None else f", error about {min(job.error, 1.0):.1%}"
    return f"K so far {value}{error}"


def about(answer: Answer) -> str:
    """What an answer is the answer to, in one line."""
    choices = answer.choices
    way = f" along {choices.axis}" if choices.task in ("predict", "solve") else ""
    part = f", part {choices.crop}" if choices.crop else ""
    strokes = f", {len(choices.strokes)} strokes of the brush" if choices.strokes else ""
    return f"{choices.task.capitalize()}{way}: {choices.name}, pixels of {choices.pixel_size}{part}{strokes}"


def stale_words(answer: Answer, present: Choices) -> str:
    """What has changed since an answer was asked for; empty where nothing has on which it depends."""
    asked = answer.choices
    if asked.image != present.image:
        return f"This answer is not of the image above, but of {asked.name}. Compute answers for the image above."
    if not asked.reads_alike(present):
        return "The image's scale, its part or its fibres have changed since this answer. Compute answers anew."
    if replace(asked, runs=1) == present or _lines(asked) == _lines(present):
        return ""
    return "The question above is another one than this answer's. Compute answers it."


def _lines(choices: Choices) -> list[str]:
    """What an answer depends on: what computes it again."""
    return command_lines(replace(choices, runs=1), "answer")


def headline(numbers: dict[str, Any]) -> str:
    """Return K in large figures, as HTML."""
    axis, value = numbers["axis"], numbers["permeability"]
    return (
        f'<div class="rf-soft">Permeability K<sub>{axis}{axis}</sub></div><div class="rf-big">{_power(value)} '
        f'<small>m²</small></div><div class="rf-soft">{value * 1e12:.4g} µm² = {value / DARCY:.4g} darcy</div>'
    )


def _power(value: float) -> str:
    """A number with a power of ten, as HTML."""
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    return f"{mantissa} &middot; 10<sup>{int(exponent)}</sup>".replace("-", "&minus;") if value else "0"


def table(numbers: dict[str, Any]) -> str:
    """K, its interval and Gebart's value in three units, as HTML."""
    rows = [("K", numbers["permeability"])]
    if numbers["interval"] is not None:
        kind = "90 % interval" if numbers["error"] is None else "iteration"
        rows += [(f"{kind}, from", numbers["interval"][0]), (f"{kind}, to", numbers["interval"][1])]
    if numbers["gebart"] is not None:
        rows.append(("Gebart", numbers["gebart"]["permeability"]))
    body = "".join(
        f"<tr><th scope=row>{name}</th><td>{figures(value)}</td><td>{figures(value * 1e12)}</td>"
        f"<td>{figures(value / DARCY)}</td></tr>"
        for name, value in rows
    )
    head = "<tr><th></th><th scope=col>m²</th><th scope=col>µm²</th><th scope=col>darcy</th></tr>"
    return f'<table class="rf-numbers"><thead>{head}</thead><tbody>{body}</tbody></table>'


def figures(value: float) -> str:
    """Return a number with four figures, also where the last of them are zeros."""
    return f"{value:#.4g}".rstrip(".")


def scale_line(numbers: dict[str, Any]) -> str:
    """K with its interval beside Gebart's value on a line, as SVG; nothing without an interval."""
    if numbers["interval"] is None or numbers["permeability"] <= 0:
        return ""
    low, high = numbers["interval"]
    gebart = numbers["gebart"]["permeability"] if numbers["gebart"] is not None else None
    values = [low, high, numbers["permeability"], *([] if gebart is None else [gebart])]
    least, most = 0.85 * min(values), 1.15 * max(values)

    def place(value: float) -> float:
        return 10 + 380 * (value - least) / (most - least)

    k, left, right = place(numbers["permeability"]), place(low), place(high)
    marks = (
        f'<line x1="10" y1="26" x2="390" y2="26" stroke="var(--rf-line)" stroke-width="2"/>'
        f'<line x1="{left:.1f}" y1="26" x2="{right:.1f}" y2="26" stroke="var(--rf-accent)" stroke-width="8" '
        f'stroke-linecap="round" opacity=".45"/><circle cx="{k:.1f}" cy="26" r="7" fill="var(--rf-accent)"/>'
        f'<text x="{k:.1f}" y="12" text-anchor="middle">K</text>'
    )
    if gebart is not None:
        g = place(gebart)
        marks += (
            f'<path d="M{g:.1f} 18 l7 8 l-7 8 l-7 -8 z" fill="var(--rf-outline)"/>'
            f'<text x="{g:.1f}" y="48" text-anchor="middle">Gebart</text>'
        )
    label = "K with its interval beside Gebart's value"
    return f'<svg class="rf-scale" viewBox="0 0 400 54" role="img" aria-label="{label}">{marks}</svg>'


def colour_bar(one: dict[str, Any], place: str) -> str:
    """The colours of a map with its limits, as HTML."""
    stops = ", ".join(one["colours"])
    return (
        f'<div class="rf-bar"><span>{one["low"]:.3g}</span><i style="background:linear-gradient(90deg, {stops})"></i>'
        f"<span>{one['high']:.3g} {escape(one['unit'])}</span><span>{place}; fibres grey</span></div>"
    )


def tensor_page(numbers: dict[str, Any]) -> str:
    """Return the permeability tensor with its principal axes and Gebart's values, as HTML."""
    tensor, gebart = numbers["tensor"], numbers["gebart_values"]
    head = "".join(f"<th scope=col>{axis}</th>" for axis in "xyz")
    rows = "".join(
        f"<tr><th scope=row>{axis}</th>{''.join(f'<td>{figures(value)}</td>' for value in row)}</tr>"
        for axis, row in zip("xyz", tensor["values_um2"], strict=True)
    )
    if gebart is not None:
        rows += f"<tr><th scope=row>Gebart</th>{''.join(f'<td>{figures(value * 1e12)}</td>' for value in gebart)}</tr>"
    principal = "".join(
        f"<tr><th scope=row>K{number}</th><td>{figures(value * 1e12)}</td>"
        f"<td>{', '.join(f'{part:.3f}' for part in way)}</td></tr>"
        for number, (value, way) in enumerate(
            zip(tensor["principal_values_m2"], tensor["principal_directions"], strict=True), 1
        )
    )
    warnings = "".join(f'<div class="rf-warning">{escape(sentence(line))}</div>' for line in numbers["warnings"])
    return (
        f'<div class="rf-k"><div><div class="rf-soft">Permeability tensor in µm² ({escape(tensor["conditions"])})</div>'
        f'<table class="rf-numbers"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<div class="rf-stack"><div class="rf-soft">Principal axes</div><table class="rf-numbers"><thead><tr><th></th>'
        f"<th scope=col>µm²</th><th scope=col>along (x, y, z)</th></tr></thead><tbody>{principal}</tbody></table>"
        f'<div class="rf-soft">The tensor is {escape(tensor["statement"])}. Its errors by the iteration are at most '
        f"{max(tensor['solver_errors']):.1e}. Gebart: fibres along z in a hexagonal array of the same fraction; along them the "
        f"formula gives about twice the K of the exact array.</div>{warnings}</div></div>"
    )
