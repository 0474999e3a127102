"""The configuration of a model directory: which kind of model it holds, and what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from resinflow.core import InvalidInputError
from resinflow.model.directory import CONFIG, LOG, WEIGHTS, read_log

Config = TypeVar("Config", bound=BaseModel)


def has_schema(directory: Path, schema: str) -> bool:
    """Return whether ``directory`` holds a model of this schema; a damaged directory does not."""
    try:
        document = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False
    return isinstance(document, dict) and document.get("schema") == schema


def read_document(directory: Path, schema: str, kind: type[Config]) -> tuple[str, Config, dict[str, Any]]:
    """Return the name, the configuration and the log of the model in ``directory``.

    Raises:
        InvalidInputError: not a model directory, one of another schema, or damaged files.
    """
    if not (directory / CONFIG).is_file():
        raise InvalidInputError(f"{directory} is no model; needed: a folder with {CONFIG}, {WEIGHTS} and {LOG}.")
    try:
        document = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        if document.get("schema") != schema:
            raise InvalidInputError(f"{directory} has schema {document.get('schema')!r}; needed: {schema!r}.")
        return str(document["name"]), kind.model_validate(document["config"]), read_log(directory)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError, ValidationError) as error:
        raise InvalidInputError(f"{directory}/{CONFIG} cannot be read ({str(error).splitlines()[0]}).") from None
