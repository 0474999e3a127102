"""Recipes: YAML files of options, read into typed models."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from resinflow.flow.errors import InvalidInputError

T = TypeVar("T", bound=BaseModel)


def read_config(path: Path, model: type[T]) -> T:
    """Return the YAML file ``path`` as a ``model``; every fault is one line that names file, key and cause."""
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: a YAML recipe.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} is not YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path} holds {type(values).__name__}; needed: a mapping of options.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "recipe"
        known = f" Known options: {', '.join(model.model_fields)}." if first["type"] == "extra_forbidden" else ""
        raise InvalidInputError(f"{path}: {key}: {first['msg']} (found {first['input']!r}).{known}") from None
