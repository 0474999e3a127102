"""The second step: how the fibres are found, and what was found."""

from __future__ import annotations

from html import escape
from typing import Any

from nicegui import ui

from resinflow.app.canvas import heading
from resinflow.app.page_words import sentence
from resinflow.app.sessions import Session
from resinflow.flow import format_length

__all__ = ["FibreStep"]

_FRONT_ENDS = {"learned": "Neural network", "classical": "Thresholds"}
_POLARITIES = {"auto": "The image decides", "dark": "Dark fibres", "bright": "Bright fibres"}
_LEVEL = 0.55
_LABELS = "--fibre-label"
"""What a line names that is about an image of labels."""
_FEWEST_PIXELS = 4
"""Across a fibre that can be told from a speck."""
_DOUBTFUL = (
    "what was found is a few pixels wide: compare the outlines with the image, which may show no fibres across; needed: an "
    "image whose fibres are 6 pixels wide or more"
)
_NEXT = (
    "Do the outlines in the image follow its fibres? If not, try the other way of finding them, or correct single ones by Add "
    "fibre and Erase above the image. Then go on to the question."
)
_SHORT = 20
"""Letters of a tile that fits a narrow one."""


class FibreStep:
    """The controls of the fibres and their numbers.

    Args:
        session: whose fibres they are.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._syncing = False
        with ui.element("section").classes("rf-card").props('aria-label="Step 2: fibres"') as self._card:
            heading(2, "Fibres")
            with ui.element("div").classes("rf-row"):
                self._front_end = self._toggle(_FRONT_ENDS, "front_end", "How the fibres are found")
                self._polarity = self._toggle(_POLARITIES, "fibres", "What the fibres look like")
            with ui.element("div") as self._settings:
                self._level_label = ui.label().classes("rf-label")
                self._level = ui.slider(min=0.2, max=0.85, step=0.01, value=_LEVEL).props(
                    'aria-label="Grey of the outline between fibres and matrix" label'
                )
                self._level.on("change", lambda: self._choose("level", self._level.value))
            self._label = ui.input("Labels that are fibres", placeholder="e.g. nonzero, or 5,6").props(
                "outlined dense stack-label"
            )
            for event in ("blur", "keydown.enter"):
                self._label.on(event, self._take_label)
            self._busy = ui.row().classes("rf-busy")
            with self._busy:
                ui.spinner(size="sm")
                self._stage = ui.label("Finding the fibres").classes("rf-soft").props('role="status"')
            self._numbers = ui.html(sanitize=False)
            self._next = ui.label(_NEXT).classes("rf-soft rf-next")
            self._strokes = ui.label().classes("rf-soft rf-next")
            self._trouble = ui.label().classes("rf-trouble").props('role="alert"')
            self._picked = ui.label().classes("rf-soft").props('role="status"')
            with ui.expansion("What was decided, and why").props("dense") as self._notes:
                self._note_text = ui.html(sanitize=False).classes("rf-soft")

    def _toggle(self, options: dict[str, str], name: str, label: str) -> ui.toggle:
        with ui.element("div"):
            ui.label(label).classes("rf-label")
            toggle = ui.toggle(options, value=next(iter(options))).props(
                f'dense unelevated no-caps toggle-color=primary aria-label="{label}"'
            )
            toggle.on_value_change(lambda event: self._choose(name, event.value))
        return toggle

    def _take_label(self) -> None:
        value = (self._label.value or "").strip() or None
        if value != self._session.choices.fibre_label:
            self._session.change(fibre_label=value)

    def _choose(self, name: str, value: Any) -> None:
        if not self._syncing:
            self._session.change(**{name: value})

    def sync(self) -> None:
        """Show the present choices."""
        self._syncing = True
        choices = self._session.choices
        self._front_end.value, self._polarity.value = choices.front_end, choices.fibres
        self._level.value = choices.level or _LEVEL
        self._level_label.text = f"Outline at {self._level.value:.2f} of the way from the fibres' grey to the matrix's"
        if not self._label.visible or choices.fibre_label is not None:
            self._label.value = choices.fibre_label or ""
        self._settings.visible = choices.front_end == "classical"
        count = len(choices.strokes)
        self._strokes.text = f"{count} {'stroke' if count == 1 else 'strokes'} of the brush; Undo takes them back."
        self._strokes.visible = count > 0
        self._syncing = False

    def show(self) -> None:
        """Show what was found."""
        session = self._session
        job = session.reading
        self._card.classes(add="waiting" if job is None else "", remove="" if job is None else "waiting")
        busy = job is not None and not job.is_over
        self._busy.visible = busy
        if busy and job is not None:
            waiting = session.desk.place(job)
            self._stage.text = f"Waiting for {waiting} before this one" if waiting else "Finding the fibres"
        self._trouble.visible = job is not None and job.state in ("refused", "failed")
        if job is not None and self._trouble.visible:
            self._trouble.text = sentence(session.with_its_name(job.line))
        self._label.visible = session.choices.fibre_label is not None or (job is not None and _LABELS in job.line)
        picked = session.picked
        self._picked.text = "" if picked is None else picked.result.get("line", picked.line)
        self._picked.visible = bool(self._picked.text)
        done = job is not None and job.state == "done"
        self._numbers.visible = self._notes.visible = self._next.visible = done
        if job is not None and done:
            self._numbers.content = _tiles(job.result)
            self._note_text.content = "".join(
                f"<p>{escape(sentence(session.with_its_name(note)))}</p>" for note in job.result["notes"]
            )


def _tiles(facts: dict[str, Any]) -> str:
    """The numbers of the fibres and the warnings, as HTML."""
    tiles = [(f"{100 * facts['fraction']:.1f} %", "fibre fraction"), (f"{facts['sections']:.0f}", "fibres in a slice")]
    if facts["diameters"] is not None:
        low, middle, high = (format_length(value).replace("um", "µm") for value in facts["diameters"])
        pixels = facts["diameters"][1] / facts["pixel"]
        tiles.append((middle, f"median diameter ({pixels:.1f} pixels); most: {low} to {high}"))
    if facts["polarity"] is not None:
        tiles.append((str(facts["polarity"]), "fibres"))
    body = "".join(
        f'<div class="rf-tile{" wide" if len(what) > _SHORT else ""}"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
        for value, what in tiles
    )
    lines = [*facts["warnings"]]
    if facts["diameters"] is not None and facts["diameters"][1] < _FEWEST_PIXELS * facts["pixel"]:
        lines.append(_DOUBTFUL)
    warnings = "".join(f'<div class="rf-warning" role="note">{escape(sentence(line))}</div>' for line in lines)
    return f'<div class="rf-stack" style="margin-top:10px"><div class="rf-tiles">{body}</div>{warnings}</div>'
