"""From the words of a command line to values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import Token, convert

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


def read_value(kind: Any, tokens: Sequence[Token]) -> Any:
    """Return the value of type ``kind`` that words mean, as cyclopts reads it, which alone would round 1.5 to a whole number.

    Raises:
        ValueError: a word in the place of a whole number that is none.
    """
    if _leaves(kind) == {int}:
        for token in tokens:
            if not _WHOLE_NUMBER.fullmatch(token.value):
                raise ValueError(f"it is {token.value!r}; needed: a whole number.")
    return convert(kind, tokens)


def _leaves(kind: Any) -> set[Any]:
    """The types that a type is made of: int of ``tuple[int, int] | None``."""
    parts = get_args(kind)
    return set().union(*map(_leaves, parts)) if parts else {kind} - {type(None), ...}
