"""The fields of the page that are typed into: what cannot be is told at its field, and no question is asked meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from resinflow.app.page_words import sentence
from resinflow.app.sessions import Session
from resinflow.flow import InvalidInputError

__all__ = ["Fields", "with_unit"]

_BARE = re.compile(r"[0-9]+(\.[0-9]*)?")
"""A number without a power of ten, which nobody types who thinks in metres."""


@dataclass
class _Field:
    """A box for one of the choices."""

    name: str
    box: ui.input
    read: Callable[[str], Any]
    shown: str | None = None
    """What it showed when it was last set from the choices."""


class Fields:
    """All boxes of a page for choices that are typed.

    Args:
        session: whose choices they are.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._fields: list[_Field] = []

    @property
    def faulty(self) -> str:
        """The label of a field that is seen and holds what cannot be; empty where there is none."""
        return next((str(each.box.props["label"]) for each in self._fields if each.box.error and _is_seen(each.box)), "")

    def length(self, label: str, name: str, example: str, hint: str) -> ui.input:
        """Return a new box for a length with its unit."""
        return self._add(label, name, lambda text: with_unit(label.lower(), text) if text else "", example, hint)

    def text(self, label: str, name: str, example: str, hint: str) -> ui.input:
        """Return a new box for a text that may be empty: then the choice is None."""
        return self._add(label, name, lambda text: text or None, example, hint)

    def number(self, label: str, name: str, nothing: str = "", hint: str = "") -> ui.input:
        """Return a new box for a number; where ``nothing`` says what an empty one means, it may be empty."""
        box = self._add(label, name, lambda text: None if nothing and not text else _number(text), nothing, hint)
        return box.props("inputmode=decimal")

    def sync(self) -> None:
        """Show the present choices; what is being typed into another box stays."""
        for each in self._fields:
            value = vars(self._session.choices)[each.name]
            text = "" if value is None else value if isinstance(value, str) else f"{value:g}"
            if each.shown != text:
                each.shown = each.box.value = text
                each.box.error = None

    def _add(self, label: str, name: str, read: Callable[[str], Any], example: str, hint: str = "") -> ui.input:
        box = ui.input(label, placeholder=example).classes("grow").props("outlined dense stack-label")
        if hint:
            box.props(f'hint="{hint}"')
        field = _Field(name, box, read)
        self._fields.append(field)
        box.on("blur", lambda: self._take(field))
        box.on("keydown.enter", lambda: self._take(field))
        return box

    def _take(self, field: _Field) -> None:
        """Choose what a box says, or tell why it cannot be."""
        text = (field.box.value or "").strip()
        if text == field.shown:
            field.box.error = None
            return
        try:
            value = field.read(text)
        except InvalidInputError as error:
            field.box.error = sentence(str(error))
            return
        if self._session.change(**{field.name: value}):
            field.box.error, field.shown = None, text  # what another image, or Undo, makes of it before the next look is seen
        else:
            field.box.error = sentence(self._session.trouble)


def _is_seen(box: ui.input) -> bool:
    return box.visible and all(each.visible for each in box.ancestors())


def with_unit(name: str, text: str) -> str:
    """Return a length as it was typed, with a point for a comma.

    Raises:
        InvalidInputError: a plain number, of which nobody knows what it counts.
    """
    length = text.strip().replace(",", ".")
    if _BARE.fullmatch(length):
        example = f"{length.rstrip('.')}um" if float(length) else "0.47um"
        raise InvalidInputError(f"the {name} is {text.strip()!r} without a unit; needed: one with it, e.g. {example}.")
    return length


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise InvalidInputError(f"{text!r} is no number; needed: e.g. 0.1 or 1e5.") from None
