"""The sources keep the house rules: who imports whom, what loads torch, how long files are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "resinflow").rglob("*.py"))
PACKAGE = ROOT / "src"

MAY_IMPORT = {
    "flow": set(),
    "media": {"flow"},
    "stokes": {"flow", "media"},
    "data": {"flow", "media", "stokes"},
    "nn": set(),
    "diffusion": set(),
    "models": {"flow", "stokes", "nn", "diffusion"},
    "train": {"flow", "data", "models"},
    "presets": {"flow", "media", "data", "nn", "diffusion", "models", "train"},
    "search": {"flow", "data", "train", "presets"},
    "evaluate": {"flow", "media", "stokes", "data", "models", "presets"},
    "tow": {"flow", "media", "stokes", "data", "evaluate"},
    "view": {"flow", "evaluate", "tow"},
    "app": {"flow", "media", "stokes", "models", "presets", "evaluate", "tow", "view"},
    "cli": {"flow", "media", "stokes", "data", "models", "train", "presets", "search", "evaluate", "tow", "view", "app"},
}
"""Room -> the other rooms it may import. The façade, which lies directly in resinflow/, may import all; nobody imports cli but
``python -m resinflow``, and nobody app but cli."""

TORCH_FREE = {"flow", "media", "stokes"}
"""Rooms without torch."""
TORCH_FREE_FILES = {
    *("metrics", "conservation", "ensemble", "spread", "spread_scores", "collapse", "roc", "tables", "records", "scores"),
    "drawn_flows",
}
"""Files of evaluate/ without torch: neither they nor what they import."""
TORCH_LIBRARIES = {"torch", "lightning", "diffusers", "pytorch_lightning", "torchmetrics"}
LONGEST_FILE = 400
SHORTEST_FILE = 20
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}
SAME_NAMES_IN = {"presets", "cli"}
"""Rooms whose files may be named as those of others: the presets have the same files, a group of commands its room's name."""


def part_of(path: Path) -> str | None:
    """The part of the package that a source belongs to, None for what lies directly in resinflow/."""
    parts = path.relative_to(PACKAGE / "resinflow").parts
    return parts[0] if len(parts) > 1 else None


def imported_modules(source: str, package: tuple[str, ...] = ("resinflow",)) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, wherever it stands: in functions, under TYPE_CHECKING, by importlib."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            origin = base if node.level else node.module or ""
            yield node.lineno, origin
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "importlib.import_module",
            "import_module",
            "__import__",
        }:
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant):
                yield node.lineno, str(name.value)


def import_faults(part: str | None, source: str, package: tuple[str, ...] = ("resinflow",)) -> list[str]:
    """What a source of ``part`` imports and may not."""
    if part is None:
        return []
    faults = []
    for line, module in imported_modules(source, package):
        top, _, rest = module.partition(".")
        if top == "resinflow":
            target = rest.partition(".")[0]
            if target != part and target not in MAY_IMPORT.get(part, set()):
                faults.append(f"line {line}: {part} imports {module}")
        elif top in TORCH_LIBRARIES and part in TORCH_FREE:
            faults.append(f"line {line}: {part} imports {module}")
    return faults


def forbidden_constructs(source: str) -> list[str]:
    """Code that runs what a file or a string says: eval, exec, pickle, torch.load with weights_only=False."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
                faults.append(f"line {node.lineno}: {node.func.id}(...)")
            faults += [
                f"line {node.lineno}: {word.arg}={word.value.value}"
                for word in node.keywords
                if isinstance(word.value, ast.Constant)
                and (word.arg, word.value.value) in {("weights_only", False), ("allow_pickle", True)}
            ]
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            faults.append(f"line {node.lineno}: bare except")
    pickles = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    faults += [f"line {line}: imports {name}" for line, name in imported_modules(source) if name.split(".")[0] in pickles]
    return faults


def label(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def package_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PACKAGE).parent.parts


def module_of(path: Path) -> str:
    """Full name of a source's module; that of its package for an ``__init__``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_of_the_house() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Source and package of every module, by its name."""
    return {module_of(path): (path.read_text(), package_of(path)) for path in SOURCES}


def file_graph(files: Mapping[str, tuple[str, tuple[str, ...]]]) -> dict[str, set[str]]:
    """Every module and those that its source imports, wherever the import stands.

    ``from package import name`` leads to the file ``name`` where there is one, else to the package's ``__init__``.
    """
    graph: dict[str, set[str]] = {}
    for module, (source, package) in files.items():
        targets: set[str] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
                origin = base if node.level else node.module or ""
                targets |= {f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in files else origin for alias in node.names}
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
        graph[module] = {target for target in targets if target in files and target != module}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another: the strongly connected parts of more than one module."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph.get(module, ())
        reach[start] = seen
    inside = [module for module in graph if module in reach[module]]
    groups = {frozenset(other for other in reach[module] if module in reach[other]) for module in inside}
    return sorted(sorted(group) for group in groups)


def public_names(source: str) -> set[str] | None:
    """The names of a module's ``__all__``; None without one."""
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return set(ast.literal_eval(node.value))  # pyright: ignore
    return None


def private_imports(module: str, source: str, files: Mapping[str, tuple[str, tuple[str, ...]]]) -> list[str]:
    """Names that a module takes from another room past the ``__all__`` of the module it takes them from."""
    room = module.split(".")[1] if module.count(".") else ""
    faults = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or node.level or not (node.module or "").startswith("resinflow."):
            continue
        origin = node.module or ""
        if origin.split(".")[1] == room or origin not in files:
            continue
        public = public_names(files[origin][0]) or set()
        names = [alias.name for alias in node.names if f"{origin}.{alias.name}" not in files]  # a module is no name of another
        faults += [f"{module} takes {name} from {origin}" for name in names if name not in public]
    return faults


def repeated_names(paths: Iterable[Path]) -> dict[str, list[str]]:
    """File names that are used twice outside of the rooms that may."""
    places: dict[str, list[str]] = {}
    for path in paths:
        if path.stem not in {"__init__", "__main__"} and part_of(path) not in SAME_NAMES_IN:
            places.setdefault(path.stem, []).append(label(path))
    return {name: found for name, found in places.items() if len(found) > 1}


def test_the_sources_are_found():
    assert set(MAY_IMPORT) <= {part_of(path) for path in SOURCES}


def test_every_part_has_its_place_in_the_table_of_imports():
    assert {part_of(path) for path in SOURCES} - {None} <= set(MAY_IMPORT)


def test_every_source_imports_only_what_its_part_may():
    faults = {label(path): import_faults(part_of(path), path.read_text(), package_of(path)) for path in SOURCES}
    assert {name: found for name, found in faults.items() if found} == {}


def test_no_files_import_one_another_in_a_circle():
    assert circles(file_graph(files_of_the_house())) == []


def test_from_another_room_only_public_names_are_taken():
    files = files_of_the_house()
    assert [fault for module, (source, _) in files.items() for fault in private_imports(module, source, files)] == []


def test_every_public_name_exists_in_its_module():
    for module, (source, _) in files_of_the_house().items():
        names = public_names(source)
        if names is not None and module != "resinflow":  # the façade finds its names on first use
            nodes = list(ast.walk(ast.parse(source)))
            defined = {node.id for node in nodes if isinstance(node, ast.Name)}
            defined |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
            defined |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
            assert names <= defined, module


def test_no_file_name_is_used_twice():
    assert repeated_names(SOURCES) == {}


def test_no_source_runs_code_from_strings_or_files():
    faults = {label(path): forbidden_constructs(path.read_text()) for path in SOURCES}
    assert {name: found for name, found in faults.items() if found} == {}


def test_every_source_is_short_enough_to_have_one_purpose():
    lengths = {label(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_FILE} == {}


def test_no_source_is_so_short_that_it_is_a_corridor():
    lengths = {label(path): len(path.read_text().splitlines()) for path in SOURCES if not path.stem.startswith("__")}
    assert {name: length for name, length in lengths.items() if length < SHORTEST_FILE} == {}


def test_no_module_has_a_name_that_says_nothing():
    assert [label(path) for path in SOURCES if VAGUE_NAMES & {path.stem, path.parent.name}] == []


def test_every_module_says_what_it_is_for():
    silent = [
        label(path) for path in SOURCES if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("flow", "from resinflow.media import fibre_bundle"),
        ("flow", "def f():\n    import resinflow.stokes.solve"),
        ("flow", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from resinflow.models import StartFlows"),
        ("models", "from resinflow import data"),
        ("models", "from resinflow import solve"),
        ("nn", "from resinflow.flow import Microstructure"),
        ("diffusion", "from ..nn import blocks"),
        ("stokes", "def f():\n    import torch.nn as nn"),
        ("media", "from torch import Tensor"),
        ("train", "from resinflow.presets import load_model"),
        ("search", "from resinflow.evaluate import compare"),
        ("view", "from resinflow.data import open_flows"),
        ("evaluate", "from resinflow.cli.console import make_console"),
        ("evaluate", "from resinflow.view import flow_figure"),
        ("media", "import importlib\nimportlib.import_module('torch')"),
    ],
)
def test_a_planted_import_is_found(part, source):
    assert import_faults(part, source, ("resinflow", part))


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("flow", "from resinflow.flow.errors import InvalidInputError\nfrom . import units\nfrom .units import DARCY"),
        ("data", "from resinflow.stokes import solve"),
        ("nn", "import torch\nfrom .blocks import Block"),
        ("view", "from ..evaluate import compare"),
        ("cli", "from resinflow.view import flow_figure"),
        (None, "from .presets import load_model\nimport torch"),
    ],
)
def test_an_import_along_the_arrows_is_allowed(part, source):
    assert import_faults(part, source, ("resinflow", part) if part else ("resinflow",)) == []


PLANTED = {
    "resinflow.flow": ("from resinflow.flow.field import Field\n__all__ = ['Field']", ("resinflow", "flow")),
    "resinflow.flow.field": ("class Field: ...\nclass Inner: ...", ("resinflow", "flow")),
    "resinflow.media.images": ("def f():\n    from resinflow.media.segment import g", ("resinflow", "media")),
    "resinflow.media.segment": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .images import f",
        ("resinflow", "media"),
    ),
}


def test_a_planted_circle_is_found_behind_functions_and_type_checking():
    assert circles(file_graph(PLANTED)) == [["resinflow.media.images", "resinflow.media.segment"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize(
    ("module", "source", "faults"),
    [
        ("resinflow.media.images", "from resinflow.flow import Field", 0),
        ("resinflow.media.images", "from resinflow.flow import Inner", 1),
        ("resinflow.media.images", "def f():\n    from resinflow.flow.field import Field, Inner", 2),
        ("resinflow.flow.files", "from resinflow.flow.field import Inner", 0),
    ],
)
def test_a_planted_name_past_the_public_ones_is_found(module, source, faults):
    assert len(private_imports(module, source, PLANTED)) == faults


def test_a_planted_file_name_is_found_twice_outside_of_presets_and_cli():
    house = PACKAGE / "resinflow"
    names = ("flow/report.py", "view/report.py", "presets/a/recipe.py", "presets/b/recipe.py", "cli/report.py")
    paths = [house / name for name in names]
    assert list(repeated_names(paths)) == ["report"]


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "import pickle",
        "from pickle import loads",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "try:\n    f()\nexcept:\n    g()",
    ],
)
def test_a_planted_construct_is_found(source):
    assert forbidden_constructs(source)


def test_methods_named_eval_are_no_fault():
    assert forbidden_constructs("model.eval()\ntorch.load(path, weights_only=True)") == []


def modules_loaded_by(statement: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter holds after ``statement``."""
    code = (
        f"{statement}\nimport sys; sys.stderr.write('loaded: ' + ' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    found = re.search(r"^loaded: (.*)$", done.stderr, re.MULTILINE)
    assert found, done.stderr
    return set(found.group(1).split())


HEAVY = {"torch", "lightning", "diffusers", "matplotlib", "pyvista", "skimage"}


def test_importing_resinflow_loads_neither_torch_nor_figures():
    assert not modules_loaded_by("import resinflow") & HEAVY


@pytest.mark.parametrize("part", sorted(TORCH_FREE | {f"evaluate.{name}" for name in TORCH_FREE_FILES}))
def test_importing_a_torch_free_part_loads_neither_torch_nor_figures(part):
    assert not modules_loaded_by(f"import resinflow.{part}") & HEAVY


def test_importing_the_presets_loads_no_training_loop():
    assert not modules_loaded_by("import resinflow.presets") & {"lightning", "pytorch_lightning", "matplotlib"}


def test_the_help_of_the_command_line_loads_neither_torch_nor_figures():
    run = "import sys; sys.argv = ['resinflow', '--help']; from resinflow.cli.app import main"
    statement = f"{run}\ntry:\n    main()\nexcept SystemExit:\n    pass"
    assert not modules_loaded_by(statement) & HEAVY


def test_the_probe_sees_a_library_that_is_loaded():
    assert "scipy" in modules_loaded_by("import scipy.ndimage")
