"""The first step: the image, its scale, its depth, and the part of it that is used."""

from __future__ import annotations

from nicegui import ui

from resinflow.app.canvas import heading
from resinflow.app.fields import Fields
from resinflow.app.sessions import Session

__all__ = ["ImageStep"]


class ImageStep:
    """The controls of the image.

    Args:
        session: whose image it is.
        fields: of the page.
    """

    def __init__(self, session: Session, fields: Fields) -> None:
        self._session = session
        with ui.element("section").classes("rf-card").props('aria-label="Step 1: image and scale"'):
            heading(1, "Image and scale")
            self._facts = ui.label().classes("rf-soft")
            with ui.element("div").classes("rf-row"):
                fields.length("Pixel size", "pixel_size", "e.g. 0.47um", "Edge, with its unit")
                self._depth = fields.length("Depth of the stack", "depth", "e.g. 50um", "All slices together")
                fields.text("Part of the image", "crop", "all of it", "Left:right,top:bottom in pixels, or draw it with Crop")
            self._hint = ui.label().classes("rf-soft")
            self._tag = ui.button("", on_click=self._take_tag).props("flat dense no-caps")

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
        self._depth.props(f'hint="{"All slices together" if count > 1 else "Free: K does not depend on it"}"')
        tag = facts["tag"]
        self._tag.visible = tag is not None and tag != choices.pixel_size
        self._tag.text = f"The file says {tag} a pixel: use it"

    def _take_tag(self) -> None:
        if self._session.look is not None and (tag := self._session.look.result.get("tag")):
            self._session.change(pixel_size=tag)
