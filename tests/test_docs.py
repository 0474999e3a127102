"""The docs say what the code does: generated tables, commands, placeholders, links, and the names that they import."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from resinflow.cli.app import app
from resinflow.cli.reference import PAGES, blocks, command_names, option_docs, regenerated
from resinflow.flow import InvalidInputError

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDER = re.compile(r"@[A-Z]{2,}@")
IDS = [path.name for path in DOCS]


@pytest.fixture(scope="module")
def contents() -> dict[str, str]:
    return blocks()


@pytest.mark.parametrize("page", PAGES)
def test_generated_tables_are_those_of_the_code(page: str, contents: dict[str, str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- generated: " in text
    assert regenerated(text, contents) == text, "run make docs"


def test_every_generated_block_stands_on_a_page(contents: dict[str, str]) -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in contents if f"<!-- generated: {name} -->" not in text] == []


def test_a_table_that_differs_is_found_and_an_unknown_block_is_refused(contents: dict[str, str]) -> None:
    text = "<!-- generated: commands -->\n| old |\n<!-- end -->"
    assert regenerated(text, contents) != text
    with pytest.raises(InvalidInputError, match="nothing generates the block 'nothing'"):
        regenerated("<!-- generated: nothing -->\n<!-- end -->", contents)


def test_every_command_is_in_the_reference_and_in_the_readme() -> None:
    reference, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/commands.md", "README.md"))
    names = command_names()
    assert len(names) >= 25
    assert [name for name in names if f"## resinflow {name}\n" not in reference] == []
    assert [name for name in names if f"`resinflow {name}" not in readme] == []
    assert {name.split()[0] for name in names} == {name for name in app if not name.startswith("-")}


def test_every_option_says_what_it_means() -> None:
    assert [f"{command} {option}" for command, option, text in option_docs() if not text] == []


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_no_placeholder_is_left_in_the_docs(path: Path) -> None:
    assert PLACEHOLDER.findall(path.read_text(encoding="utf-8")) == []


def test_a_placeholder_is_found() -> None:
    assert PLACEHOLDER.findall("**Tuning.** @TUNING@") == ["@TUNING@"]


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_every_file_that_a_page_links_is_there(path: Path) -> None:
    links = set(re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")))
    assert [link for link in links if not link.startswith("http") and not (path.parent / link).exists()] == []


def imported_names(text: str) -> list[tuple[str, str]]:
    """Module and name of every import from resinflow in the Python blocks of a page, and of every ``rf.name``."""
    names: list[tuple[str, str]] = []
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resinflow"):
                names += [(node.module or "", alias.name) for alias in node.names]
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rf":
                names.append(("resinflow", node.attr))
    return names


def named_in_prose(text: str) -> list[str]:
    """Dotted names of resinflow in backquotes: a module, or a name of one."""
    return re.findall(r"`(resinflow(?:\.\w+)+)(?:\([^`]*\))?`", text)


def is_public(module: str, name: str) -> bool:
    """Whether a module names ``name`` in its ``__all__``."""
    return name in getattr(importlib.import_module(module), "__all__", ())


@pytest.mark.parametrize("path", DOCS, ids=IDS)
def test_the_docs_send_users_to_public_names_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    faults = [f"{module}.{name}" for module, name in imported_names(text) if not is_public(module, name)]
    for dotted in named_in_prose(text):
        module, _, name = dotted.rpartition(".")
        try:
            importlib.import_module(dotted)
        except ModuleNotFoundError:
            try:
                faults += [] if is_public(module, name) else [dotted]
            except ModuleNotFoundError:
                faults.append(dotted)
    assert faults == []


def test_a_private_name_in_the_docs_is_found() -> None:
    assert imported_names("```python\nfrom resinflow.flow import Drive\nrf.solve()\n```") == [
        ("resinflow.flow", "Drive"),
        ("resinflow", "solve"),
    ]
    assert not is_public("resinflow.flow", "json")
    assert named_in_prose("see `resinflow.stokes.solve(micro)` and `resinflow solve`") == ["resinflow.stokes.solve"]
