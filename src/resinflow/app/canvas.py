"""The two parts of the page that are drawn in the browser: the image with its outlines and tools, and the place for files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

__all__ = ["DropZone", "Viewer"]


class Viewer(Element, component="web/viewer.js"):
    """The image, zoomed and shifted in the browser; it tells lengths, rectangles, strokes and places in pixels.

    Args:
        base: address of the session's files.
        label: what it is, for those who do not see it.
    """

    def __init__(self, base: str, label: str) -> None:
        super().__init__()
        self._props.update(
            {"base": base, "label": label, "slice": 0, "slices": 0, "width": 0, "height": 0, "pages": 1, "look": "", "read": ""}
        )
        self._props.update({"outlines": True, "tool": "look", "crop": None, "brush": 4, "mark": None})

    def show(self, **values: Any) -> None:
        """Set properties of the drawing, such as ``slice=3``."""
        if any(self._props.get(name) != value for name, value in values.items()):
            self._props.update(values)
            self.update()

    def hear(self, event: str, handler: Callable[[Any], None]) -> None:
        """Call a handler with what an event tells: ``measure``, ``crop``, ``slip``, ``stroke``, ``pick`` or ``slice``."""

        def take(arguments: GenericEventArguments) -> None:
            handler(arguments.args)

        self.on(event, take)


class DropZone(Element, component="web/drop_zone.js"):
    """A place to drop files on, or to choose them.

    Args:
        base: address of the session's files.
        kinds: suffixes that are offered, with commas.
        title: what to do.
        text: more on it.
        on_sent: called when all files have come in.
        on_refused: called with the line that says why one was refused.
    """

    def __init__(
        self, base: str, kinds: str, title: str, text: str, on_sent: Callable[[], None], on_refused: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._props.update({"base": base, "kinds": kinds, "title": title, "text": text})
        self.on("sent", lambda: on_sent())
        self.on("refused", lambda arguments: on_refused(str(arguments.args)))


def heading(number: int, text: str) -> None:
    """Draw the heading of a step."""
    ui.html(f'<span class="rf-number" aria-hidden="true">{number}</span>{text}', tag="h2", sanitize=False).classes("rf-step")
