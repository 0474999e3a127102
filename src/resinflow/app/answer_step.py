"""The fourth step: the answer while it comes, K with its interval, the fields, and what there is to take away."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any

from nicegui import ui

from resinflow.app.answer import in_words
from resinflow.app.canvas import heading
from resinflow.app.reproduction import command_lines, python_lines
from resinflow.app.sessions import Answer, Session
from resinflow.flow import DARCY

__all__ = ["AnswerStep"]

_FILES = {
    "figure.png": ("Figure", "PNG"),
    "report.html": ("Report", "one HTML page"),
    "numbers.csv": ("Numbers", "CSV"),
    "flow.vti": ("Field", "ParaView .vti"),
    "flow.npz": ("Field", "NumPy .npz"),
    "scene.html": ("3-D page", "HTML"),
    "reproduce.sh": ("Commands", ".sh"),
    "reproduce.py": ("Python", ".py"),
}
_FIELDS = {
    "speed": "Speed",
    "vx": "vx",
    "vy": "vy",
    "vz": "vz",
    "pressure": "Pressure",
    "spread": "Spread",
}


class AnswerStep:
    """The answer of a session that is looked at.

    Args:
        session: whose answers they are.
        base: address of the session's files.
    """

    def __init__(self, session: Session, base: str) -> None:
        self._session = session
        self._base = base
        self._shown = ""
        self._field, self._slice = "speed", -1
        self._drawn: tuple[str, ...] | None = None
        with ui.element("section").classes("rf-card rf-answer").props('aria-label="Step 4: answer"') as self._card:
            heading(4, "Answer")
            self._empty = ui.label("K, its interval and the flow appear here once a question was asked.").classes("rf-soft")
            with ui.element("div").classes("rf-busy").props('role="status" aria-live="polite"') as self._busy:
                ui.spinner(size="md")
                with ui.element("div"):
                    self._stage = ui.label().mark("stage")
                    self._pace = ui.label().classes("rf-soft")
                ui.button("Cancel", on_click=session.cancel).props("outline no-caps").mark("cancel")
            self._trouble = ui.label().classes("rf-trouble").props('role="alert"').mark("answer-trouble")
            self._list = ui.element("div").classes("rf-row").props('role="group" aria-label="Answers so far"')
            self._body = ui.element("div")

    @property
    def _answer(self) -> Answer | None:
        """The answer that is shown: the last one, unless another was chosen."""
        with_numbers = [each for each in self._session.answers if "permeability" in each.job.result]
        return next((each for each in with_numbers if each.run == self._shown), with_numbers[-1] if with_numbers else None)

    def show(self) -> None:
        """Show how far the answer is, and what there is of it."""
        running, last = self._session.running, self._session.answers[-1] if self._session.answers else None
        self._busy.visible = running is not None
        if running is not None:
            self._stage.text, self._pace.text = _progress(running, self._session.desk.place(running.job))
        failed = last is not None and last.job.state in ("refused", "failed", "cancelled")
        self._trouble.visible = failed
        if failed and last is not None:
            self._trouble.text = "Cancelled." if last.job.state == "cancelled" else last.job.line
        answer = self._answer
        self._empty.visible = answer is None and running is None and not failed
        self._draw_list()
        drawn = None if answer is None else (answer.run, *answer.job.result)  # the keys: parts come one by one
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._body.clear()
        if answer is not None:
            with self._body:
                self._draw(answer)

    def _draw_list(self) -> None:
        """The answers so far, of which one is shown."""
        self._list.clear()
        answers = [each for each in self._session.answers if "permeability" in each.job.result]
        if len(answers) < 2:
            return
        present = self._answer
        with self._list:
            for each in answers:
                text = f"{each.choices.task}, {each.choices.axis}: {each.job.result['permeability']:.4g} m²"
                button = ui.button(text, on_click=partial(self._choose, each.run)).props("no-caps dense outline")
                if present is each:
                    button.props("unelevated").props(remove="outline").props('aria-current="true"')

    def _choose(self, run: str) -> None:
        self._shown = run
        self.show()

    def _draw(self, answer: Answer) -> None:
        numbers = answer.job.result
        with ui.element("div").classes("rf-k"):
            with ui.element("div"):
                ui.html(_headline(numbers), sanitize=False).mark("permeability")
                ui.html(_scale(numbers), sanitize=False)
            with ui.element("div").classes("rf-stack"):
                ui.html(_table(numbers), sanitize=False)
                for sentence in in_words(numbers).values():
                    ui.label(sentence).classes("rf-soft")
                for warning in numbers["warnings"]:
                    ui.label(warning).classes("rf-warning")
        if numbers.get("maps"):
            with ui.element("div").classes("rf-fields"):
                with ui.element("div"):
                    self._draw_fields(answer)
                with ui.element("div"):
                    self._draw_scene(answer)
        if "files" in numbers:
            self._draw_files(answer)

    def _draw_fields(self, answer: Answer) -> None:
        """One field of one slice with its colours."""
        maps = {each["name"]: each for each in answer.job.result["maps"]}
        names = {name: text for name, text in _FIELDS.items() if name in maps}
        self._field = self._field if self._field in names else "speed"
        count = maps[self._field]["slices"]
        self._slice = self._slice if 0 <= self._slice < count else count // 2
        ui.label("Fields").classes("rf-title")
        toggle = ui.toggle(names, value=self._field).props("dense unelevated no-caps toggle-color=primary aria-label=Field")
        picture = ui.html(sanitize=False).mark("field-map")
        bar = ui.html(sanitize=False)
        slider = ui.slider(min=0, max=max(count - 1, 1), value=self._slice).props('label aria-label="Slice of the fields"')
        slider.visible = count > 1

        def draw() -> None:
            one = maps[self._field]
            name = f"{self._field}-{min(self._slice, one['slices'] - 1):04d}.png"
            picture.content = (
                f'<img class="rf-map" src="{self._base}{answer.run}/maps/{name}" '
                f'alt="{escape(names[self._field])} in slice {self._slice}, fibres grey">'
            )
            bar.content = _colour_bar(one, f"slice {self._slice}" if count > 1 else "every slice")

        def take_field() -> None:
            self._field = str(toggle.value)
            draw()

        def take_slice() -> None:
            self._slice = int(slider.value or 0)
            draw()

        toggle.on_value_change(take_field)
        slider.on_value_change(take_slice)
        draw()

    def _draw_scene(self, answer: Answer) -> None:
        """The streamlines in 3-D, in a frame of their own."""
        ui.label("Streamlines in 3-D").classes("rf-title")
        files = answer.job.result.get("files", ())
        if "scene.html" in files:
            ui.html(
                f'<iframe class="rf-scene" sandbox="allow-scripts" title="Streamlines between the fibres in 3-D" '
                f'src="{self._base}{answer.run}/scene.html"></iframe>',
                sanitize=False,
            )
        else:
            ui.label(answer.job.result.get("missing", "They are being drawn.")).classes("rf-soft")

    def _draw_files(self, answer: Answer) -> None:
        heading(5, "Take away")
        files = answer.job.result.get("files", ())
        links = "".join(
            f'<a href="{self._base}{answer.run}/{name}?download=1" download>{text} <small>{kind}</small></a>'
            for name, (text, kind) in _FILES.items()
            if name in files
        )
        ui.html(f'<div class="rf-files">{links}</div>', sanitize=False).mark("files")
        ui.label(f"All of it lies in {self._session.folder / answer.run}").classes("rf-soft")
        folder = f"cd {self._session.folder}"
        commands = "\n".join([folder, *command_lines(answer.choices, "again.npz")])
        for title, text in (
            ("The same from a shell", commands),
            ("The same in Python", python_lines(answer.choices, "again.npz")),
        ):
            ui.label(title).classes("rf-label")
            ui.html(f'<pre class="rf-code" tabindex="0">{escape(text)}</pre>', sanitize=False)


def _progress(answer: Answer, before: int) -> tuple[str, str]:
    """What is being done, and how far it is."""
    job = answer.job
    if job.state == "queued":
        return ("Waiting for its turn" if before == 0 else f"{before} others wait before this one"), ""
    pace = f"{job.seconds:.0f} s"
    if job.iteration is not None and job.residual is not None:
        pace = f"iteration {job.iteration}, residual {job.residual:.1e} of the first, {pace}"
    return (job.stage or "starting").capitalize(), pace


def _headline(numbers: dict[str, Any]) -> str:
    axis, value = numbers["axis"], numbers["permeability"]
    return (
        f'<div class="rf-soft">Permeability K<sub>{axis}{axis}</sub></div><div class="rf-big">{_power(value)} '
        f'<small>m²</small></div><div class="rf-soft">{value * 1e12:.4g} µm² = {value / DARCY:.4g} darcy</div>'
    )


def _power(value: float) -> str:
    """A number with a power of ten, as HTML."""
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    return f"{mantissa} &middot; 10<sup>{int(exponent)}</sup>" if value else "0"


def _table(numbers: dict[str, Any]) -> str:
    """K, its interval and Gebart's value in three units, as HTML."""
    rows = [("K", numbers["permeability"])]
    if numbers["interval"] is not None:
        kind = "90 % interval" if numbers["error"] is None else "iteration"
        rows += [(f"{kind}, from", numbers["interval"][0]), (f"{kind}, to", numbers["interval"][1])]
    if numbers["gebart"] is not None:
        rows.append(("Gebart", numbers["gebart"]["permeability"]))
    body = "".join(
        f"<tr><th scope=row>{name}</th><td>{value:.4g}</td><td>{value * 1e12:.4g}</td><td>{value / DARCY:.4g}</td></tr>"
        for name, value in rows
    )
    head = "<tr><th></th><th scope=col>m²</th><th scope=col>µm²</th><th scope=col>darcy</th></tr>"
    return f'<table class="rf-numbers"><thead>{head}</thead><tbody>{body}</tbody></table>'


def _scale(numbers: dict[str, Any]) -> str:
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


def _colour_bar(one: dict[str, Any], place: str) -> str:
    """The colours of a map with its limits, as HTML."""
    stops = ", ".join(one["colours"])
    return (
        f'<div class="rf-bar"><span>{one["low"]:.3g}</span><i style="background:linear-gradient(90deg, {stops})"></i>'
        f"<span>{one['high']:.3g} {escape(one['unit'])}</span><span>{place}; fibres grey</span></div>"
    )
