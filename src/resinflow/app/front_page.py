"""The page of a session: the image on one side, the steps on the other, the answer below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import ui

from resinflow.app.answer_step import AnswerStep
from resinflow.app.canvas import DropZone, Viewer
from resinflow.app.fibre_step import FibreStep
from resinflow.app.image_step import ImageStep
from resinflow.app.question_step import QuestionStep
from resinflow.app.sessions import Session
from resinflow.app.uploads import KINDS, Upload
from resinflow.flow import InvalidInputError, read_length

__all__ = ["FrontPage"]

_STYLE = Path(__file__).parent / "web" / "style.css"
_BEAT = 0.25
"""Seconds between two looks at what has changed."""
_TOOLS = {"look": "Look", "measure": "Measure scale bar", "crop": "Crop"}
_THEMES = {None: "Theme: as the system", False: "Theme: light", True: "Theme: dark"}


class FrontPage:
    """One browser's view of a session.

    Args:
        session: that it shows.
        take_uploads: returns the files of the session that have come in and were not taken yet.
        example: the embedded image.
    """

    def __init__(self, session: Session, take_uploads: Callable[[], list[Upload]], example: Path) -> None:
        self._session = session
        self._take_uploads = take_uploads
        self._example = example
        self._base = f"/s/{session.key}/"
        self._stamp = -1
        self._seen: tuple[Any, ...] = ()
        ui.add_css(_STYLE)
        ui.colors(primary="#0f6b75", accent="#0f6b75")
        self._dark = ui.dark_mode(None)
        with ui.element("main").classes("rf-page"):
            self._draw_head()
            with ui.element("div").classes("rf-work"):
                with ui.element("div").classes("rf-stage"), ui.element("section").classes("rf-card"):
                    self._draw_stage()
                with ui.element("div").classes("rf-steps"):
                    self._image = ImageStep(session)
                    self._fibres = FibreStep(session)
                    self._question = QuestionStep(session)
            self._answer = AnswerStep(session, self._base)
        self._beat()
        ui.timer(_BEAT, self._beat)
        ui.keyboard(self._key, ignore=["input", "select", "textarea"])

    def _draw_head(self) -> None:
        with ui.element("header").classes("rf-head"):
            ui.html("resinflow", tag="h1", sanitize=False)
            ui.label("from a micrograph to its permeability").classes("rf-slogan")
            ui.element("div").classes("rf-space")
            self._undo = ui.button("Undo", on_click=self._session.undo).props("flat dense no-caps").mark("undo")
            self._redo = ui.button("Redo", on_click=self._session.redo).props("flat dense no-caps").mark("redo")
            self._theme = ui.button(_THEMES[None], on_click=self._turn_theme).props("flat dense no-caps").mark("theme")
            ui.button("New session", on_click=lambda: ui.navigate.to("/", new_tab=True)).props("flat dense no-caps")

    def _draw_stage(self) -> None:
        """The place for files, or the image with its tools."""
        with ui.element("div") as self._empty:
            DropZone(
                self._base,
                ",".join(KINDS),
                "Drop a micrograph here",
                "or click to choose one. TIFF, PNG, JPEG, BMP or .npy; a stack of slices, or several files, one a slice. "
                "It stays on this machine.",
                self._sent,
                self._refused,
            ).mark("drop")
            with ui.element("div").classes("rf-row").style("justify-content:center; margin-top:12px"):
                ui.button("Try the example", on_click=lambda: self._session.take_example(self._example)).props(
                    "outline no-caps"
                ).mark("example")
        with ui.element("div") as self._full:
            with ui.element("div").classes("rf-tools"):
                self._tool = ui.toggle(_TOOLS, value="look", on_change=self._take_tool).props(
                    "dense unelevated no-caps toggle-color=primary aria-label=Tools"
                )
            self._viewer = Viewer(
                self._base, "Image with the outlines of the fibres; arrow keys change the slice, + and - zoom, 0 shows all"
            )
            self._viewer.hear("slice", self._take_slice)
            self._viewer.hear("measure", self._take_length)
            self._viewer.hear("crop", self._take_crop)
            with ui.element("div").classes("rf-under"):
                self._slice_label = ui.label().classes("rf-soft")
                self._slider = ui.slider(min=0, max=1, value=0).props('aria-label="Slice of the image"')
                self._slider.on_value_change(lambda event: self._take_slice(event.value))
                self._outlines = ui.checkbox("outlines", value=True)
                self._outlines.on_value_change(lambda event: self._viewer.show(outlines=bool(event.value)))
            with ui.element("div").classes("rf-row").style("align-items:center") as self._measure:
                self._length_label = ui.label().classes("rf-soft")
                self._length = ui.input("Length of the scale bar", placeholder="e.g. 50um").props("outlined dense").mark("bar")
                self._length.on("keydown.enter", self._use_length)
                ui.button("Use", on_click=self._use_length).props("unelevated no-caps").mark("use-bar")
            self._measure.visible = False
            with ui.expansion("Another image").props("dense"):
                DropZone(self._base, ",".join(KINDS), "Drop another image, or click", "", self._sent, self._refused).classes(
                    "small"
                )
        with ui.element("div").classes("rf-busy") as self._looking:
            ui.spinner(size="md")
            ui.label("Reading the image").props('role="status"')
        self._trouble = ui.label().classes("rf-trouble").props('role="alert"').mark("image-trouble")
        self._upload_line = ""

    def _beat(self) -> None:
        """Show what has changed since the last look."""
        session = self._session
        jobs = [session.look, session.reading, *(answer.job for answer in session.answers)]
        seen = (session.stamp, *((job.stamp, job.state) for job in jobs if job is not None), self._upload_line)
        if session.stamp != self._stamp:
            self._stamp = session.stamp
            for step in (self._image, self._fibres, self._question):
                step.sync()
        if seen != self._seen:
            self._seen = seen
            self._show_stage()
            for step in (self._image, self._fibres, self._question, self._answer):
                step.show()
            self._undo.set_enabled(session.can_undo)
            self._redo.set_enabled(session.can_redo)

    def _show_stage(self) -> None:
        look, reading = self._session.look, self._session.reading
        failed = look is not None and look.state in ("refused", "failed")
        self._empty.visible = look is None or failed
        self._looking.visible = look is not None and not look.is_over
        self._full.visible = look is not None and look.state == "done"
        self._trouble.text = look.line if look is not None and failed else self._upload_line
        self._trouble.visible = bool(self._trouble.text)
        if look is None or look.state != "done":
            return
        facts = look.result
        count = facts["slices"]
        read = reading.id if reading is not None and reading.state == "done" else ""
        self._slider.props(f"max={max(count - 1, 1)}")
        self._slider.visible = self._slice_label.visible = count > 1
        self._viewer.show(
            width=facts["width"], height=facts["height"], slices=count, pages=count, look=look.id, read=read, crop=self._crop()
        )
        self._take_slice(min(self._viewer.props["slice"], count - 1))

    def _crop(self) -> list[int] | None:
        """The part of the image that is used: x0, y0, x1, y1; None for all of it."""
        text, look = self._session.choices.crop, self._session.look
        if text is None or look is None:
            return None
        try:
            columns, rows = (part.split(":") for part in text.split(","))
            size = (look.result["width"], look.result["height"])
            (x0, x1), (y0, y1) = (
                (int(low or 0), int(high or most)) for (low, high), most in zip((columns, rows), size, strict=True)
            )
        except ValueError:
            return None
        return [x0, y0, x1, y1]

    def _take_slice(self, number: Any) -> None:
        number = int(number)
        self._viewer.show(slice=number)
        self._slider.value = number
        self._slice_label.text = f"slice {number} of 0 to {int(self._viewer.props['slices']) - 1}"

    def _take_tool(self) -> None:
        self._viewer.show(tool=self._tool.value)
        self._measure.visible = False

    def _take_length(self, event: dict[str, float]) -> None:
        self._pixels = float(event["pixels"])
        self._length_label.text = f"The line is {self._pixels:.1f} pixels long."
        self._measure.visible = True

    def _use_length(self) -> None:
        try:
            pixel = pixel_of_bar(self._length.value or "", self._pixels)
        except InvalidInputError as error:
            self._length.error = str(error)
            return
        self._length.error = None if self._session.change(pixel_size=pixel) else self._session.trouble
        if self._length.error is None:
            self._tool.value = "look"

    def _take_crop(self, corners: list[float]) -> None:
        x0, y0, x1, y1 = (round(value) for value in corners)
        self._session.change(crop=f"{x0}:{x1},{y0}:{y1}")
        self._tool.value = "look"

    def _sent(self) -> None:
        self._upload_line = ""
        try:
            self._session.take(self._take_uploads())
        except InvalidInputError as error:
            self._upload_line = str(error)

    def _refused(self, line: str) -> None:
        self._take_uploads()
        self._upload_line = line

    def _turn_theme(self) -> None:
        order = [None, False, True]
        self._dark.value = order[(order.index(self._dark.value) + 1) % 3]
        self._theme.text = _THEMES[self._dark.value]

    def _key(self, event: Any) -> None:
        if not event.action.keydown or not (event.modifiers.ctrl or event.modifiers.meta):
            return
        if event.key == "z":
            self._session.redo() if event.modifiers.shift else self._session.undo()
        elif event.key == "y":
            self._session.redo()


def pixel_of_bar(length: str, pixels: float) -> str:
    """Return the edge of a pixel, with its unit, where a bar of some length is that many pixels long.

    Raises:
        InvalidInputError: no length.
    """
    bar = read_length("length of the scale bar", length.strip())
    if bar <= 0 or pixels <= 0:
        raise InvalidInputError(f"the scale bar is {length!r} long; needed: a length above 0, e.g. 50um.")
    return f"{1e6 * bar / pixels:.6g}um"
