"""The image on the page: the place to drop it, its slices, and the tools that measure it, crop it and correct its fibres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import ui

from resinflow.app.canvas import DropZone, Viewer
from resinflow.app.fields import with_unit
from resinflow.app.page_words import sentence
from resinflow.app.sessions import Session
from resinflow.app.uploads import KINDS, Upload
from resinflow.flow import InvalidInputError, read_length
from resinflow.media import SMALLEST_IMAGE, Stroke

__all__ = ["Workbench", "pixel_of_bar"]

_TOOLS = {"look": "Look", "measure": "Measure scale bar", "crop": "Crop", "add": "Add fibre", "erase": "Erase"}
_HINTS = {
    "look": "Drag to move, wheel to zoom; click a fibre for its diameter. By keys: Shift and arrows, then Enter.",
    "measure": "Draw a line along the scale bar, from end to end. By keys: arrows, and Enter at both ends.",
    "crop": "Draw a rectangle around the part to use. By keys: arrows, and Enter at two corners.",
    "add": "Paint a fibre; a click paints a disc of the brush's size. By keys: arrows, then Enter.",
    "erase": "Paint over what is no fibre. By keys: arrows, then Enter.",
}
_BRUSHES = ("add", "erase")


class Workbench:
    """The image of a session with its tools.

    Args:
        session: whose image it is.
        base: address of the session's files.
        take_uploads: returns the files of the session that have come in and were not taken yet.
        example: the embedded image.
    """

    def __init__(self, session: Session, base: str, take_uploads: Callable[[], list[Upload]], example: Path) -> None:
        self._session = session
        self._base = base
        self._take_uploads = take_uploads
        self._example = example
        self._pixels = 0.0
        self._slice = 0
        self.line = ""
        with ui.element("section").classes("rf-card rf-stage").props('aria-label="Image"'):
            self._draw_empty()
            self._draw_full()
            with ui.element("div").classes("rf-busy") as self._looking:
                ui.spinner(size="md")
                ui.label("Reading the image").props('role="status"')
            self._trouble = ui.label().classes("rf-trouble").props('role="alert"')

    def _zone(self, title: str, text: str) -> DropZone:
        return DropZone(self._base, ",".join(KINDS), title, text, self._sent, self._refused)

    def _draw_empty(self) -> None:
        """The place for files."""
        with ui.element("div") as self._empty:
            self._zone(
                "Drop a micrograph here",
                "or click to choose one. TIFF, PNG, JPEG, BMP or .npy; a stack of slices, or several files, one a slice. "
                "It stays on this machine.",
            )
            with ui.element("div").classes("rf-row").style("justify-content:center; margin-top:12px"):
                ui.button("Try the example", on_click=self._take_example).props("outline no-caps")

    def _draw_full(self) -> None:
        """The image with its tools."""
        with ui.element("div") as self._full:
            with ui.element("div").classes("rf-tools"):
                self._tool = ui.toggle(_TOOLS, value="look", on_change=self._take_tool).props(
                    "dense unelevated no-caps toggle-color=primary aria-label=Tools"
                )
            self._viewer = Viewer(
                self._base,
                "Image with the outlines of the fibres; page keys change the slice, + and - zoom, 0 shows all; "
                "with a tool, arrow keys move a cross and Enter uses the tool there",
            )
            self._viewer.hear("slice", self._take_slice)
            self._viewer.hear("measure", self._take_length)
            self._viewer.hear("crop", self._take_crop)
            self._viewer.hear("slip", self._take_slip)
            self._viewer.hear("stroke", self._take_stroke)
            self._viewer.hear("pick", lambda event: session_pick(self._session, event, self._slice))
            with ui.element("div").classes("rf-under"):
                self._slice_label = ui.label().classes("rf-soft")
                self._slider = ui.slider(min=0, max=1, value=0).props('aria-label="Slice of the image"')
                self._slider.on_value_change(lambda event: self._take_slice(event.value))
                self._outlines = ui.checkbox("outlines", value=True)
                self._outlines.on_value_change(lambda event: self._viewer.show(outlines=bool(event.value)))
            self._hint = ui.label(_HINTS["look"]).classes("rf-soft").props('role="status"')
            self._draw_options()
            with ui.expansion("Another image").props("dense"):
                self._zone("Drop another image, or click", "").classes("small")

    def _draw_options(self) -> None:
        """What goes with the tools: the length of the scale bar, the size of the brush."""
        with ui.element("div").classes("rf-row").style("align-items:center") as self._measure:
            self._length_label = ui.label().classes("rf-soft")
            self._length = ui.input("Length of the scale bar", placeholder="e.g. 50um").props("outlined dense")
            self._length.on("keydown.enter", self._use_length)
            ui.button("Use", on_click=self._use_length).props("unelevated no-caps")
        with ui.element("div").classes("rf-under") as self._brush:
            self._brush_label = ui.label().classes("rf-soft")
            self._radius = ui.slider(min=0.5, max=30, step=0.5, value=4).props('aria-label="Radius of the brush in pixels"')
            self._radius.on_value_change(self._take_radius)
            self._everywhere = ui.checkbox("in all slices", value=True)
        self._measure.visible = self._brush.visible = False
        self._take_radius()

    def show(self) -> None:
        """Show what is there of the image."""
        look, reading, picked = self._session.look, self._session.reading, self._session.picked
        failed = look is not None and look.state in ("refused", "failed")
        self._empty.visible = look is None or failed
        self._looking.visible = look is not None and not look.is_over
        self._full.visible = look is not None and look.state == "done"
        self._trouble.text = sentence(self._session.with_its_name(look.line) if look is not None and failed else self.line)
        self._trouble.visible = bool(self._trouble.text)
        if look is None or look.state != "done":
            return
        facts = look.result
        count = facts["slices"]
        read = reading.id if reading is not None and reading.state == "done" else ""
        self._slider.props(f"max={max(count - 1, 1)}")
        self._slider.visible = self._slice_label.visible = self._everywhere.visible = count > 1
        mark = picked.result.get("mark") if picked is not None and picked.result.get("slice") == self._slice else None
        self._viewer.show(
            width=facts["width"],
            height=facts["height"],
            slices=count,
            pages=count,
            look=look.id,
            read=read,
            crop=self._crop(),
            mark=mark,
        )
        self._take_slice(min(self._slice, count - 1))

    def _crop(self) -> list[int] | None:
        """The part of the image that is used: x0, y0, x1, y1; None for all of it."""
        reading, text, look = self._session.reading, self._session.choices.crop, self._session.look
        if reading is not None and reading.state == "done" and reading.result.get("region"):
            x0, x1, y0, y1 = reading.result["region"]
            return [x0, y0, x1, y1]
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
        self._slice = int(number or 0)
        picked = self._session.picked
        mark = picked.result.get("mark") if picked is not None and picked.result.get("slice") == self._slice else None
        self._viewer.show(slice=self._slice, mark=mark)
        self._slider.value = self._slice
        self._slice_label.text = f"slice {self._slice} of 0 to {int(self._viewer.props['slices']) - 1}"

    def _take_tool(self) -> None:
        tool = str(self._tool.value)
        self._viewer.show(tool=tool)
        self._hint.text = _HINTS[tool]
        self._measure.visible, self._length.error = False, None
        self._brush.visible = tool in _BRUSHES

    def _take_radius(self) -> None:
        radius = float(self._radius.value or 4)
        self._viewer.show(brush=radius)
        self._brush_label.text = f"Brush of {2 * radius:g} pixels"

    def _take_length(self, event: dict[str, float]) -> None:
        self._pixels = float(event["pixels"])
        self._length_label.text = f"The line is {self._pixels:.1f} pixels long."
        self._measure.visible = True

    def _use_length(self) -> None:
        try:
            pixel = pixel_of_bar(self._length.value or "", self._pixels)
        except InvalidInputError as error:
            self._length.error = sentence(str(error))
            return
        self._length.error = None if self._session.change(pixel_size=pixel) else sentence(self._session.trouble)
        if self._length.error is None:
            self._tool.value = "look"

    def _take_crop(self, corners: list[float]) -> None:
        x0, y0, x1, y1 = (round(value) for value in corners)
        if min(x1 - x0, y1 - y0) < SMALLEST_IMAGE:
            size = f"That rectangle is {x1 - x0} x {y1 - y0} pixels"
            self._hint.text = f"{size}; needed: {SMALLEST_IMAGE} or more along either edge. Draw another one."
            return
        self._session.change(crop=f"{x0}:{x1},{y0}:{y1}")
        self._tool.value = "look"

    def _take_slip(self, tool: str) -> None:
        """Say what is to be done where a line or a rectangle is next to nothing."""
        self._hint.text = f"That was too short. {_HINTS[tool]}"

    def _take_stroke(self, event: dict[str, Any]) -> None:
        session = self._session
        if not session.choices.has_sizes:
            ui.notify("First the pixel size and the depth are needed.", type="warning")
            return
        pages = (0, None) if self._everywhere.value or not self._everywhere.visible else (self._slice, self._slice)
        points = tuple((round(float(x), 2), round(float(y), 2)) for x, y in event["points"])
        try:
            stroke = Stroke(points, float(event["radius"]), event["tool"] == "add", *pages)
        except InvalidInputError as error:
            ui.notify(str(error), type="warning")
            return
        session.change(strokes=(*session.choices.strokes, stroke))

    def _take_example(self) -> None:
        self.line = ""
        self._session.take_example(self._example)

    def _sent(self) -> None:
        self.line = ""
        try:
            self._session.take(self._take_uploads())
        except InvalidInputError as error:
            self.line = str(error)

    def _refused(self, line: str) -> None:
        self._take_uploads()
        self.line = line


def session_pick(session: Session, event: dict[str, Any], index: int) -> None:
    """Measure the fibre at the place that an event tells."""
    session.pick(float(event["x"]), float(event["y"]), index)


def pixel_of_bar(length: str, pixels: float) -> str:
    """Return the edge of a pixel, with its unit, where a bar of some length is that many pixels long.

    Raises:
        InvalidInputError: no length, or one without a unit.
    """
    bar = read_length("length of the scale bar", with_unit("length of the scale bar", length))
    if not (0 < bar < float("inf")) or pixels <= 0:
        raise InvalidInputError(f"the scale bar is {length!r} long; needed: a length above 0, e.g. 50um.")
    return f"{1e6 * bar / pixels:.6g}um"
