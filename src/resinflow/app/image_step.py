"""The first step: the image, its scale, its depth, and the part of it that is used."""

from __future__ import annotations

from nicegui import ui

from resinflow.app.canvas import heading
from resinflow.app.page_words import sentence
from resinflow.app.sessions import Session

__all__ = ["ImageStep"]


class ImageStep:
    """The controls of the image.

    Args:
        session: whose image it is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._synced: dict[ui.input, str] = {}
        with ui.element("section").classes("rf-card").props('aria-label="Step 1: image and scale"'):
            heading(1, "Image and scale")
            self._facts = ui.label().classes("rf-soft")
            with ui.element("div").classes("rf-row"):
                self._pixel = self._length("Pixel size", "pixel_size", "e.g. 0.47um", "Edge, with its unit")
                self._depth = self._length("Depth of the stack", "depth", "e.g. 50um", "All slices together")
                self._crop = self._length("Part of the image", "crop", "all of it", "X0:X1,Y0:Y1 in pixels")
            self._hint = ui.label().classes("rf-soft")
            self._tag = ui.button("", on_click=self._take_tag).props("flat dense no-caps")

    def _length(self, label: str, name: str, example: str, hint: str) -> ui.input:
        box = ui.input(label, placeholder=example).classes("grow").props(f'outlined dense stack-label hint="{hint}"')

        def commit() -> None:
            text = (box.value or "").strip()
            value = text or (None if name == "crop" else "")
            if value != vars(self._session.choices)[name]:
                box.error = None if self._session.change(**{name: value}) else sentence(self._session.trouble)

        box.on("blur", commit)
        box.on("keydown.enter", commit)
        return box

    def sync(self) -> None:
        """Show the present choices."""
        choices = self._session.choices
        for box, value in ((self._pixel, choices.pixel_size), (self._depth, choices.depth), (self._crop, choices.crop or "")):
            if self._synced.get(box) != value:  # what is being typed into another box stays
                self._synced[box] = box.value = value
                box.error = None

    def show(self) -> None:
        """Show what is known of the image."""
        look, choices = self._session.look, self._session.choices
        if look is None or look.state != "done":
            self._facts.text = "No image yet." if look is None else ""
            self._tag.visible = self._hint.visible = False
            return
        facts = look.result
        count = facts["slices"]
        size = f"{facts['width']} x {facts['height']} pixels"
        self._facts.text = f"{choices.name}: {size}, {f'{count} slices' if count > 1 else 'one slice, extruded along z'}"
        self._hint.text = (
            ""
            if choices.has_sizes
            else "Type the pixel size, or measure the scale bar in the image; the depth follows."
            if count == 1
            else "Type the depth of the stack and the pixel size, or measure the scale bar in the image."
        )
        self._hint.visible = bool(self._hint.text)
        tag = facts["tag"]
        self._tag.visible = tag is not None and tag != choices.pixel_size
        self._tag.text = f"The file says {tag} a pixel: use it"

    def _take_tag(self) -> None:
        if self._session.look is not None and (tag := self._session.look.result.get("tag")):
            self._session.change(pixel_size=tag)
