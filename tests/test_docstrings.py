"""Docstrings of public functions that take or give arrays state the shapes; those with physical numbers state the units."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ROOMS = ("evaluate", "view", "media", "stokes", "flow", "data", "diffusion", "nn", "models", "presets", "train", "search")
ALLOWED: frozenset[str] = frozenset()
"""Functions that need not say it: none."""
ARRAY = re.compile(r"\b(NDArray|Tensor|Array|ndarray)\b")
SHAPE = re.compile(r"\(\s*[\w*+. ]+,[\w*+,. /]*\)|shape|scalar|[Bb]atch|[Ll]ike|same size|:class:|:func:|`[A-Z]\w+`")
"""``(nz, ny, nx)``, ``(n,)``, the word shape, or a documented type or function that says it."""
PHYSICAL = {"pressure_drop", "viscosity", "pixel_size", "depth", "density", "extent", "spacing", "diameter", "width"}
UNIT = re.compile(r"\b(m|Pa|Pa s|m/s|m\^2|kg/m\^3|um|SI|pixels?|voxels?|inches|units?|dimensionless|channels)\b|:func:|:class:")


def public_functions(room: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function of a room's ``__all__`` by its full name."""
    module = importlib.import_module(f"resinflow.{room}")
    for name in module.__all__:
        member = getattr(module, name)
        if inspect.isfunction(member):
            yield f"resinflow.{room}.{name}", member


def silent_on_shapes(function: Callable[..., Any]) -> bool:
    """Whether a function takes or gives arrays and states no shape."""
    hints = " ".join(str(hint) for hint in inspect.get_annotations(function).values())
    return bool(ARRAY.search(hints)) and not SHAPE.search(inspect.getdoc(function) or "")


def silent_on_units(function: Callable[..., Any]) -> bool:
    """Whether a function takes a physical number and names no unit."""
    hints = inspect.get_annotations(function)
    numbers = {name for name, hint in hints.items() if name in PHYSICAL and "float" in str(hint)}
    return bool(numbers) and not UNIT.search(inspect.getdoc(function) or "")


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_state_shapes_and_units(room: str) -> None:
    functions = {name: function for name, function in public_functions(room) if name not in ALLOWED}
    assert [name for name, function in functions.items() if silent_on_shapes(function)] == []
    assert [name for name, function in functions.items() if silent_on_units(function)] == []


def test_a_silent_function_is_found() -> None:
    def silent(values: "NDArray", depth: "float") -> "float":  # noqa: F821, UP037
        """Return the mean."""

    def clear(values: "NDArray", depth: "float") -> "float":  # noqa: F821, UP037
        """Return the mean of values (nz, ny, nx); ``depth`` is in m."""

    assert silent_on_shapes(silent)
    assert silent_on_units(silent)
    assert not silent_on_shapes(clear)
    assert not silent_on_units(clear)
