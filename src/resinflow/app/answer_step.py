"""The fourth step: the answer while it comes, K with its interval, the fields, and what there is to take away."""

from __future__ import annotations

from functools import partial
from html import escape

from nicegui import ui

from resinflow.app.answer import in_words
from resinflow.app.answer_markup import (
    about,
    colour_bar,
    headline,
    progress_words,
    scale_line,
    stale_words,
    table,
    tensor_page,
)
from resinflow.app.canvas import heading
from resinflow.app.page_words import sentence
from resinflow.app.remedies import Offer, offers
from resinflow.app.reproduction import command_lines, python_lines
from resinflow.app.sessions import Answer, Session
from resinflow.app.tow_markup import tow_figures, tow_page
from resinflow.flow import InvalidInputError

__all__ = ["AnswerStep"]

_FILES = {
    "figure.png": ("Figure", "PNG"),
    "report.html": ("Report", "one HTML page"),
    "numbers.csv": ("Numbers", "CSV"),
    "tensor.json": ("Tensor", "JSON"),
    "tow.json": ("Tow", "JSON"),
    "map.png": ("Map of local K", "PNG"),
    "map.csv": ("Map of local K", "CSV"),
    "map.vti": ("Map of local K", "ParaView .vti"),
    "curve.png": ("K against the window", "PNG"),
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


_ENDED_BADLY = ("refused", "failed", "cancelled")


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
        self._offered, self._count = "", 0
        with ui.element("section").classes("rf-card rf-answer").props('aria-label="Step 4: answer"') as self._card:
            heading(4, "Answer")
            self._empty = ui.label("K, its interval and the flow appear here after Compute.").classes("rf-soft")
            with ui.element("div").classes("rf-busy").props('role="status" aria-live="polite"') as self._busy:
                ui.spinner(size="md")
                with ui.element("div"):
                    self._stage = ui.label()
                    self._pace = ui.label().classes("rf-soft")
                ui.button("Cancel", on_click=session.cancel).props("outline no-caps")
            self._trouble = ui.label().classes("rf-trouble").props('role="alert"')
            self._offers = ui.element("div").classes("rf-row rf-offers").props('role="group" aria-label="What helps"')
            self._cancelled = ui.label("Cancelled. Compute asks again.").classes("rf-soft").props('role="status"')
            self._list = ui.element("div").classes("rf-row").props('role="group" aria-label="Answers so far"')
            self._about = ui.label().classes("rf-soft")
            self._stale = ui.label().props('role="status"')
            self._body = ui.element("div")

    @property
    def _answers(self) -> list[Answer]:
        """The answers that have numbers."""
        return [each for each in self._session.answers if "permeability" in each.job.result]

    @property
    def _answer(self) -> Answer | None:
        """The answer that is shown: the last one, unless another was chosen."""
        answers = self._answers
        return next((each for each in answers if each.run == self._shown), answers[-1] if answers else None)

    def show(self) -> None:
        """Show how far the answer is, and what there is of it."""
        running, last = self._session.running, self._session.answers[-1] if self._session.answers else None
        if len(self._answers) != self._count:  # a new one is looked at
            self._count, self._shown = len(self._answers), ""
        self._busy.visible = running is not None
        self.tick()
        failed = last is not None and last.job.state in _ENDED_BADLY and last.choices.image == self._session.choices.image
        cancelled = last is not None and last.job.state == "cancelled"
        self._trouble.visible, self._cancelled.visible = failed and not cancelled, cancelled
        if failed and last is not None:
            self._trouble.text = sentence(last.choices.with_its_name(last.job.line))
        self._draw_offers(last if failed else None)
        answer = self._answer
        self._about.text = "" if answer is None else about(answer)
        self._stale.text = "" if answer is None else stale_words(answer, self._session.question)
        self._stale.classes(replace="rf-soft" if answer is None or self._reads_alike(answer) else "rf-warning")
        self._about.visible, self._stale.visible = answer is not None, bool(self._stale.text)
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

    def tick(self) -> None:
        """Show the time that passes."""
        running = self._session.running
        if running is not None:
            stage, self._pace.text = progress_words(running, self._session.desk.place(running.job))
            other = running.choices.image != self._session.choices.image
            self._stage.text = f"{stage} ({running.choices.name})" if other else stage

    def _reads_alike(self, answer: Answer) -> bool:
        return answer.choices.reads_alike(self._session.choices)

    def _draw_offers(self, last: Answer | None) -> None:
        """What helps where the solver stopped before its goal, a button each."""
        session = self._session
        ways = [] if last is None else offers(last, single=session.is_single, current=self._reads_alike(last))
        names = "" if last is None else " ".join([last.run, *(way.text for way in ways)])
        if names == self._offered:
            return
        self._offered = names
        self._offers.clear()
        self._offers.visible = bool(ways)
        if last is None:
            return
        with self._offers:
            for way in ways:
                ui.button(way.text, on_click=partial(self._take_offer, last, way)).props("outline no-caps")

    def _take_offer(self, answer: Answer, way: Offer) -> None:
        session = self._session
        try:
            if not way.values:
                session.go_on(answer)
            elif way.asks:
                session.ask_again(answer, **way.values)
            elif not session.change(**way.values):
                ui.notify(sentence(session.trouble), type="warning")
        except InvalidInputError as error:
            ui.notify(sentence(str(error)), type="warning")

    def _draw_list(self) -> None:
        """The answers so far, of which one is shown."""
        self._list.clear()
        answers = self._answers
        if len(answers) < 2:
            return
        present = self._answer
        names = {each.choices.name for each in answers}
        with self._list:
            for number, each in enumerate(answers, 1):
                image = f" of {each.choices.name}" if len(names) > 1 else ""
                value = f"K{each.job.result['axis'] * 2} {each.job.result['permeability'] * 1e12:.4g} µm²"
                text = f"{number}. {each.choices.task.capitalize()}{image}: {value}"
                button = ui.button(text, on_click=partial(self._choose, each.run)).props("no-caps dense outline")
                if present is each:
                    button.props("unelevated").props(remove="outline").props('aria-current="true"')

    def _choose(self, run: str) -> None:
        self._shown = run
        self.show()

    def _draw(self, answer: Answer) -> None:
        numbers = answer.job.result
        if "tensor" in numbers or "tow" in numbers:
            ui.html(tensor_page(numbers) if "tensor" in numbers else tow_page(numbers), sanitize=False)
            if "curve.png" in numbers.get("files", ()):
                ui.html(tow_figures(f"{self._base}{answer.run}/"), sanitize=False)
            if "files" in numbers:
                self._draw_files(answer)
            return
        with ui.element("div").classes("rf-k"):
            with ui.element("div"):
                ui.html(headline(numbers), sanitize=False)
                ui.html(scale_line(numbers), sanitize=False)
            with ui.element("div").classes("rf-stack"):
                ui.html(table(numbers), sanitize=False)
                for meaning in in_words(numbers).values():
                    ui.label(meaning).classes("rf-soft")
                for warning in numbers["warnings"]:
                    ui.label(sentence(warning)).classes("rf-warning")
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
        picture = ui.html(sanitize=False)
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
            bar.content = colour_bar(one, f"slice {self._slice}" if count > 1 else "every slice")

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
                f'src="{self._base}{answer.run}/scene.html#bare"></iframe>',
                sanitize=False,
            )
            ui.label("Drag to turn, shift and drag to move, wheel to zoom.").classes("rf-soft")
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
        ui.html(f'<div class="rf-files">{links}</div>', sanitize=False)
        ui.label(f"All of it lies in {self._session.folder / answer.run}").classes("rf-soft")
        folder = f"cd {self._session.folder}"
        commands = "\n".join([folder, *command_lines(answer.choices, answer.run)])
        for title, text in (
            ("The same numbers again, bit for bit, from the command line", commands),
            ("The same in Python, to be run in the work folder", python_lines(answer.choices, answer.run)),
        ):
            ui.label(title).classes("rf-label")
            ui.html(f'<pre class="rf-code" tabindex="0">{escape(text)}</pre>', sanitize=False)
