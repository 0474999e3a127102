"""Recipes: YAML files of options, read into typed models, and what is wrong with them as one line."""

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
        unknown = error.errors(include_url=False)[0]["type"] == "extra_forbidden"
        options = f" Known options: {', '.join(model.model_fields)}." if unknown else ""
        raise InvalidInputError(f"{path}: {first_fault(error, 'recipe')}.{options}") from None


def first_fault(error: ValidationError, whole: str, *, value: bool = True) -> str:
    """Return the first fault that pydantic reports as one line, ``key: message (found value)``.

    Args:
        error: of a model.
        whole: what stands in the place of the key where the fault is one of the whole model.
        value: whether the value is told.
    """
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"]) or whole
    message = fault["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (found {fault['input']!r})" if value else f"{key}: {message}"
