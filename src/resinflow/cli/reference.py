"""The tables of commands, options and recipes' keys in the docs, written from the code: ``make docs``.

A generated block of a page stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; what stands between is replaced.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from cyclopts import App
from cyclopts.argument import Argument
from pydantic import BaseModel

from resinflow.cli.app import app
from resinflow.evaluate import TextTable
from resinflow.flow import InvalidInputError, replacing

__all__ = ["blocks", "command_names", "option_docs", "regenerated", "write_reference"]

PAGES = ("README.md", "docs/commands.md", "docs/recipes.md")
"""The pages that hold generated blocks."""
_HEADER = ("type", "default", "meaning")
_BLOCK = re.compile(r"(<!-- generated: ([\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ATTRIBUTE = re.compile(r"^    (\w+): (.*?)(?=^    \w|\Z)", re.DOTALL | re.MULTILINE)
_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)\.\s")


def blocks() -> dict[str, str]:
    """Return every generated block by its name: ``commands``, ``options``, and one a recipe."""
    return {"commands": _command_table(), "options": _option_tables(), **_recipe_blocks()}


def command_names() -> list[str]:
    """Return all commands as they are typed, without ``resinflow``: ``data generate``."""
    return [name for name, _ in _commands(app)]


def option_docs() -> list[tuple[str, str, str]]:
    """Return command, name and meaning of every argument and option."""
    return [
        (name, argument.name, (argument.parameter.help or "").strip())
        for name, command in _commands(app)
        for argument in _arguments(command)
    ]


def regenerated(text: str, contents: Mapping[str, str]) -> str:
    """Return a page with its generated blocks replaced.

    Raises:
        InvalidInputError: the page names a block that nothing generates.
    """

    def filled(match: re.Match[str]) -> str:
        opening, name, end = match.groups()
        if name not in contents:
            raise InvalidInputError(f"nothing generates the block {name!r}; needed: one of {', '.join(contents)}.")
        return f"{opening}\n{contents[name].strip()}\n\n{end}"

    return _BLOCK.sub(filled, text)


def write_reference(root: Path) -> list[Path]:
    """Write the generated blocks of all pages below ``root`` anew, and return the pages that changed."""
    contents, changed = blocks(), []
    for page in (root / name for name in PAGES):
        before = page.read_text(encoding="utf-8")
        after = regenerated(before, contents)
        if after != before:
            with replacing(page) as temporary:
                temporary.write_text(after, encoding="utf-8")
            changed.append(page)
    return changed


def _commands(group: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    """All commands of a group and of the groups in it, by their names."""
    for name in group:
        if name.startswith("-"):
            continue
        command = group[name]
        if command.default_command is None:
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def _arguments(command: App) -> list[Argument]:
    return [argument for argument in command.assemble_argument_collection(parse_docstring=True) if argument.show]


def _is_option(argument: Argument) -> bool:
    return argument.name.startswith("-")


def _usage(name: str, command: App) -> str:
    words = ["resinflow", name]
    for argument in _arguments(command):
        if not _is_option(argument):
            words.append(argument.name)
        elif argument.required:
            words.append(f"{argument.name} {argument.name.lstrip('-').upper()}")
    return " ".join(words)


def _command_table() -> str:
    rows = [(f"`{_usage(name, command)}`", _plain(command.help).split("\n\n")[0]) for name, command in _commands(app)]
    cells = tuple((usage, " ".join(text.split())) for usage, text in rows)
    return TextTable(("command", "what it does"), cells, names=2).markdown()


def _option_tables() -> str:
    sections = []
    for name, command in _commands(app):
        sections += [f"## resinflow {name}", f"    {_usage(name, command)}", _plain(command.help)]
        rows = [
            (
                f"`{', '.join(_positive_names(argument.names))}`",
                _type_words(argument.hint),
                _default_words(argument),
                " ".join((argument.parameter.help or "").split()),
            )
            for argument in _arguments(command)
        ]
        sections.append(TextTable(("argument or option", *_HEADER), tuple(rows), names=4).markdown() if rows else "No options.")
    return "\n\n".join(sections)


def _positive_names(names: Iterable[str]) -> list[str]:
    """The names of an option without those that deny it; all of them where it has no others, such as --no-solve."""
    present = list(names)
    return [name for name in present if not name.startswith("--no-")] or present


def _plain(text: str) -> str:
    """The help of a command without the part on its parameters."""
    return re.split(r"\n\s*Parameters\s*\n\s*-+", inspect.cleandoc(text))[0].strip()


def _default_words(argument: Argument) -> str:
    if argument.required:
        return "required"
    return _value_words(argument.field_info.default)


def _value_words(value: Any) -> str:
    if value is None or value is inspect.Parameter.empty or value == () or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(_value_words(inner).strip('`') for inner in value)}]`"
    return f"`{value}`"


def _type_words(hint: Any) -> str:
    """A type as a user reads it."""
    origin, inner = get_origin(hint), [argument for argument in get_args(hint) if argument is not type(None)]
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_words(argument) for argument in inner))
    if hasattr(hint, "__metadata__"):
        return _type_words(inner[0])
    if origin is tuple and Ellipsis in inner:
        return f"list of {_type_words(inner[0])}"
    if origin is tuple:
        return f"{len(inner)} times {_type_words(inner[0])}" if len(set(inner)) == 1 else ", ".join(map(_type_words, inner))
    if origin in (list, set, frozenset):
        return f"list of {_type_words(inner[0])}"
    if origin is dict or origin is Mapping:
        return f"{_type_words(inner[0])} to {_type_words(inner[1])}"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no", "Path": "path", "Any": "any value"}
    name = getattr(hint, "__name__", str(hint))
    return names.get(name, f"[{name}](#{name.lower()})" if _is_model(hint) else name)


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _recipe_blocks() -> dict[str, str]:
    """The keys of every recipe, with the groups of keys inside it once each."""
    from resinflow.data import DataRecipe
    from resinflow.presets import FAMILIES
    from resinflow.presets.surface.recipe import SurfaceRecipe
    from resinflow.presets.tilts.recipe import TiltRecipe
    from resinflow.search import SearchRecipe

    recipes: dict[str, type[BaseModel]] = {
        "recipe-data": DataRecipe,
        **{f"recipe-{preset}": family.recipe for preset, family in FAMILIES.items()},
        "recipe-surface": SurfaceRecipe,
        "recipe-tilts": TiltRecipe,
        "recipe-search": SearchRecipe,
    }
    written: set[type[BaseModel]] = set()
    return {name: _recipe_section(recipe, written) for name, recipe in recipes.items()}


def _recipe_section(recipe: type[BaseModel], written: set[type[BaseModel]]) -> str:
    waiting, sections = [recipe], []
    while waiting:
        model = waiting.pop(0)
        if model in written:
            continue
        written.add(model)
        docs = _field_docs(model)
        rows = []
        for name, field in model.model_fields.items():
            default = "required" if field.is_required() else _value_words(field.get_default(call_default_factory=True))
            groups = list(_models_in(field.annotation))
            waiting += groups
            rows.append((f"`{name}`", _type_words(field.annotation), "see there" if groups else default, docs.get(name, "")))
        sections += [
            f"### {model.__name__}",
            _first_sentence(inspect.getdoc(model) or "") + ".",
            TextTable(("key", *_HEADER), tuple(rows), names=4).markdown(),
        ]
    return "\n\n".join(sections)


def _models_in(hint: Any) -> Iterator[type[BaseModel]]:
    if _is_model(hint):
        yield hint
    for inner in get_args(hint):
        yield from _models_in(inner)


def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    """First sentence on every key: of the class's section Attributes, or of the text below the key; bases included."""
    docs: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind is BaseModel or not _is_model(kind):
            continue
        section = re.search(r"^Attributes:\n(.*)", inspect.getdoc(kind) or "", re.DOTALL | re.MULTILINE)
        entries = _ATTRIBUTE.findall(section.group(1) if section else "")
        docs |= {name: _first_sentence(text) for name, text in entries}
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                docs[field.target.id] = _first_sentence(str(ast.literal_eval(text.value)))
    return docs


def _first_sentence(text: str) -> str:
    sentence = _SENTENCE.split(" ".join(text.split()) + " ", maxsplit=1)[0].strip().rstrip(".")
    return re.sub(r":\w+:`(?:~?[\w.]*\.)?([\w]+)`", r"`\1`", sentence).replace("``", "`")


if __name__ == "__main__":
    for path in write_reference(Path(sys.argv[1] if len(sys.argv) > 1 else ".")):
        sys.stdout.write(f"wrote {path}\n")
