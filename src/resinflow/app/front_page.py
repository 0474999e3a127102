"""The page of a session: the image on one side, the steps on the other, the answer below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from resinflow.app.answer_step import AnswerStep
from resinflow.app.fibre_step import FibreStep
from resinflow.app.fields import Fields
from resinflow.app.image_step import ImageStep
from resinflow.app.question_step import QuestionStep
from resinflow.app.sessions import Session
from resinflow.app.uploads import Upload
from resinflow.app.workbench import Workbench

__all__ = ["FrontPage"]

_STYLE = Path(__file__).parent / "web" / "style.css"
_BEAT = 0.25
"""Seconds between two looks at what has changed."""
_THEMES = {None: "Theme: as the system", False: "Theme: light", True: "Theme: dark"}
_NEXT_THEME = {None: False, False: True, True: None}


class FrontPage:
    """One browser's view of a session.

    Args:
        session: that it shows.
        take_uploads: returns the files of the session that have come in and were not taken yet.
        example: the embedded image.
    """

    def __init__(self, session: Session, take_uploads: Callable[[], list[Upload]], example: Path) -> None:
        self._session = session
        self._stamp = -1
        self._seen: tuple[Any, ...] = ()
        self._fields = Fields(session)
        base = f"/s/{session.key}/"
        ui.add_css(_STYLE)
        ui.colors(primary="#0f6b75", accent="#0f6b75")
        self._dark = ui.dark_mode(session.dark)
        with ui.element("main").classes("rf-page"):
            self._draw_head()
            with ui.element("div").classes("rf-work"):
                self._bench = Workbench(session, base, take_uploads, example)
                with ui.element("div").classes("rf-steps"):
                    self._image = ImageStep(session, self._fields)
                    self._fibres = FibreStep(session)
                    self._question = QuestionStep(session, self._fields)
            self._answer = AnswerStep(session, base)
        self._beat()
        ui.timer(_BEAT, self._beat)
        ui.keyboard(self._key, ignore=["input", "select", "textarea"])

    def _draw_head(self) -> None:
        session = self._session
        with ui.element("header").classes("rf-head"):
            ui.html("resinflow", tag="h1", sanitize=False)
            ui.label("from a micrograph to its permeability").classes("rf-slogan")
            ui.element("div").classes("rf-space")
            self._undo = ui.button("Undo", on_click=session.undo).props('flat dense no-caps title="Ctrl+Z"')
            self._redo = ui.button("Redo", on_click=session.redo).props('flat dense no-caps title="Ctrl+Shift+Z"')
            self._theme = ui.button(_THEMES[session.dark], on_click=self._turn_theme).props("flat dense no-caps")
            ui.button("New session", on_click=lambda: ui.navigate.to("/", new_tab=True)).props("flat dense no-caps")
        ui.label(f"Work folder: {session.folder}").classes("rf-soft rf-folder")

    def _beat(self) -> None:
        """Show what has changed since the last look."""
        session = self._session
        jobs = [session.look, session.reading, session.picked, *(answer.job for answer in session.answers)]
        seen = (session.stamp, *((job.id, job.stamp, job.state) for job in jobs if job is not None))
        seen = (*seen, self._bench.line, self._fields.faulty)
        if session.stamp != self._stamp:
            self._stamp = session.stamp
            session.save()
            self._fields.sync()
            for step in (self._fibres, self._question):
                step.sync()
        if seen != self._seen:
            self._seen = seen
            for part in (self._bench, self._image, self._fibres, self._question, self._answer):
                part.show()
            self._undo.set_enabled(session.can_undo)
            self._redo.set_enabled(session.can_redo)
            if session.running is None:
                session.save()
        self._answer.tick()

    def _turn_theme(self) -> None:
        self._session.dark = _NEXT_THEME[self._session.dark]
        self._dark.value = self._session.dark
        self._theme.text = _THEMES[self._session.dark]

    def _key(self, event: KeyEventArguments) -> None:
        if not event.action.keydown or not (event.modifiers.ctrl or event.modifiers.meta):
            return
        if event.key == "y" or (event.key in ("z", "Z") and event.modifiers.shift):
            self._session.redo()
        elif event.key == "z":
            self._session.undo()
