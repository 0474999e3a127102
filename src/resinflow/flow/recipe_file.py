"""Recipes: YAML files that may hold several variants, options by their dotted keys, and faults as one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from resinflow.flow.errors import InvalidInputError

if TYPE_CHECKING:  # both libraries take as long to load as all of this room: whoever reads a recipe loads them
    import yaml
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound="BaseModel")
VARIANTS, TITLE = "variants", "title"
"""Keys of a recipe file: ``variants`` holds name -> dotted options, ``title`` among these is the variant's name in tables."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


def read_recipe(path: Path, model: type[Model]) -> Model:
    """Return the YAML recipe ``path`` or ``FILE:VARIANT`` as a ``model``; every fault is one line with file, key and cause."""
    from pydantic import ValidationError

    values = read_values(path)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        unknown = _first(error)["type"] == _UNKNOWN
        names = ", ".join(_fields_at(model, _first(error)["loc"][:-1]))
        options = f" Known options: {names}." if unknown else ""
        file, name = split_variant(path)
        variants = {} if name else read_variants(file)
        choice = f" It has variants; name one: {', '.join(f'{path}:{name}' for name in variants)}." if variants else ""
        raise InvalidInputError(f"{path}: {first_fault(error, 'recipe', model=model)}.{options}{choice}") from None


def read_values(path: str | Path) -> dict[str, Any]:
    """Return the options in a YAML recipe, without its variants.

    ``FILE:NAME`` is the variant ``NAME`` of a file: the options of the file with those of the variant in their place.

    Raises:
        InvalidInputError: no such file, no YAML mapping, or no such variant.
    """
    file, name = split_variant(path)
    values = _read_mapping(file)
    variants = _untitled(_checked_variants(file, values.pop(VARIANTS, {})))
    if not name:
        return values
    if name not in variants:
        raise InvalidInputError(f"{file} has no variant {name!r}; needed: one of {', '.join(variants) or 'none'}.")
    for key, value in variants[name].items():
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise InvalidInputError(f"{file}: variant {name}: {key} leads through {parent}, which is no group of options.")
        place[last] = value
    return values


def read_variants(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the variants of a recipe file: name -> dotted options. Their keys and values are not checked.

    Raises:
        InvalidInputError: no such file, no YAML mapping, or variants that are no mapping of names to options.
    """
    return _untitled(_checked_variants(Path(path), _read_mapping(Path(path)).get(VARIANTS, {})))


def read_titles(path: str | Path) -> dict[str, str]:
    """Return the names of the variants in tables: their ``title``, or their own name where there is none.

    Raises:
        InvalidInputError: as :func:`read_variants`.
    """
    variants = _checked_variants(Path(path), _read_mapping(Path(path)).get(VARIANTS, {}))
    return {name: str(options.get(TITLE, name)) for name, options in variants.items()}


def split_variant(path: str | Path) -> tuple[Path, str]:
    """Return file and variant of ``FILE:NAME``; the variant is empty where none is named."""
    file, colon, name = str(path).rpartition(":")
    if not colon or Path(path).exists() or not _NAME.fullmatch(name):
        return Path(path), ""
    return Path(file), name


def with_options(model: Model, options: Mapping[str, Any], title: str = "the recipe") -> Model:
    """Return ``model`` with the dotted keys of ``options`` set; ``title`` is what messages call it.

    Raises:
        InvalidInputError: an unknown key, or a value that the model does not accept.
    """
    from pydantic import ValidationError

    values = model.model_dump(mode="json")
    for key, value in options.items():
        _check_key(model, key, title)
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place[parent]
        place[last] = value
    try:
        return type(model).model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(f"{first_fault(error, ', '.join(options), model=type(model))}.") from None


def option(model: BaseModel, key: str) -> Any:
    """Return the value at a dotted key of ``model``, as JSON has it: tuples are lists."""
    value: Any = model.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def _parsed(text: str) -> Any:
    """What PyYAML's safe loader reads; a key that is there twice is refused: otherwise the last one would win in silence."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise yaml.constructor.ConstructorError(problem=f"the key {key} is there twice")
            return super().construct_mapping(node, deep)

    return yaml.load(text, Loader)


def _read_mapping(path: Path) -> dict[str, Any]:
    from yaml import YAMLError

    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: a YAML recipe.")
    try:
        values = _parsed(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} is not YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path} holds {type(values).__name__}; needed: a mapping of options.")
    return values


def _checked_variants(path: Path, variants: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(variants, dict):
        raise InvalidInputError(f"{path}: variants is {type(variants).__name__}; needed: a mapping of names to options.")
    for name, options in variants.items():
        if not _NAME.fullmatch(str(name)):
            raise InvalidInputError(
                f"{path}: a variant is called {name!r}; needed: lower-case letters, digits, hyphens and dots."
            )
        if not isinstance(options, dict):
            raise InvalidInputError(f"{path}: variant {name} is {type(options).__name__}; needed: a mapping of dotted options.")
    return {str(name): options for name, options in variants.items()}


def _untitled(variants: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in options.items() if key != TITLE} for name, options in variants.items()}


def _check_key(model: BaseModel, key: str, title: str) -> None:
    """Raise InvalidInputError for a key that names no option; the message lists the options at that place."""
    from pydantic import BaseModel

    place: Any = model
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(place, BaseModel) or part not in type(place).model_fields:
            names = ", ".join(_option_names(place)) if isinstance(place, BaseModel) else "none"
            under = ".".join(parts[:depth]) or title
            raise InvalidInputError(f"{key} is no option of {title}; needed: one of those known under {under}: {names}.")
        place = getattr(place, part)
    if isinstance(place, BaseModel):
        names = ", ".join(f"{key}.{name}" for name in _option_names(place))
        raise InvalidInputError(f"{key} is a group of options; needed: one of {names}.")


def _option_names(model: BaseModel) -> Iterator[str]:
    from pydantic import BaseModel

    for name in type(model).model_fields:
        yield f"{name}.*" if isinstance(getattr(model, name), BaseModel) else name


_UNKNOWN = "extra_forbidden"
_LONGEST_VALUE = 80
"""Characters of a value in a message."""
_NEEDED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "dict_type": "a group of options",
    "model_type": "a group of options",
    "model_attributes_type": "a group of options",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "literal_error": "{expected}",
}
"""What is needed, by the type of pydantic's error."""


def first_fault(error: ValidationError, whole: str, *, value: bool = True, model: type[BaseModel] | None = None) -> str:
    """Return the first fault that pydantic reports as one line, ``key: message (found value)``; unknown keys come first.

    Args:
        error: pydantic's error.
        whole: a word in the place of the key, for a fault of the whole model.
        value: whether the line holds the value.
        model: what was to be read; an unknown key is then told with the nearest one that it has.
    """
    fault = _first(error)
    key = ".".join(str(part) for part in fault["loc"]) or whole
    if fault["type"] == _UNKNOWN:
        near = get_close_matches(str(fault["loc"][-1]), _fields_at(model, fault["loc"][:-1]), 1)
        return f"{key}: there is no such option" + (f"; the nearest is {near[0]}" if near else "")
    *parents, place = fault["loc"] or ("",)
    if fault["type"] == "missing" and isinstance(place, int):
        return f"{'.'.join(map(str, parents))}: the list ends too early; needed: an entry number {place + 1}"
    if fault["type"] == "missing":
        return f"{key}: it is not there; needed: a value"
    needed = _NEEDED.get(fault["type"])
    message = (
        fault["msg"].removeprefix("Value error, ") if needed is None else f"needed: {needed.format(**fault.get('ctx', {}))}"
    )
    if not value or not fault["loc"]:
        return f"{key}: {message}"
    text = repr(fault["input"])
    return f"{key}: {message} (found {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '...'})"


def _first(error: ValidationError) -> ErrorDetails:
    """The first fault; a misspelt key comes before the key that is missing for it."""
    faults = error.errors(include_url=False)
    return next((fault for fault in faults if fault["type"] == _UNKNOWN), faults[0])


def _fields_at(model: type[BaseModel] | None, place: tuple[int | str, ...]) -> tuple[str, ...]:
    """Names of the options at a place inside a model; none where that is no group of options."""
    from pydantic import BaseModel

    for part in place:
        field = None if model is None else model.model_fields.get(str(part))
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return () if model is None else tuple(model.model_fields)
