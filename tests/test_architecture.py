"""The sources keep the house rules: who imports whom, what loads torch, how long files are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "resinflow").rglob("*.py"))
PACKAGE = ROOT / "src"

MAY_IMPORT = {
    "core": set(),
    "media": {"core"},
    "stokes": {"core"},
    "data": {"core", "media", "stokes"},
    "nn": set(),
    "diffusion": set(),
    "model": {"core", "nn", "diffusion"},
    "train": {"core", "data", "nn", "diffusion", "model"},
    "evaluate": {"core"},
    "view": {"core", "evaluate"},
    "workflows": {"core", "media", "stokes", "data", "model", "train", "evaluate", "view", "registry", "verify"},
}
"""Part -> the other parts it may import. What lies directly in resinflow/ (the façade, the registry, the command line) may
import all; the workflows, which the commands call, join the parts and are imported by none of them."""

TORCH_FREE = {"core", "media", "stokes", "evaluate"}
TORCH_LIBRARIES = {"torch", "lightning", "diffusers", "pytorch_lightning", "torchmetrics"}
LONGEST_FILE = 400
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}


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


def test_the_sources_are_found():
    assert {"core", "media", "stokes"} <= {part_of(path) for path in SOURCES}


def test_every_part_has_its_place_in_the_table_of_imports():
    assert {part_of(path) for path in SOURCES} - {None} <= set(MAY_IMPORT)


def test_every_source_imports_only_what_its_part_may():
    faults = {label(path): import_faults(part_of(path), path.read_text(), package_of(path)) for path in SOURCES}
    assert {name: found for name, found in faults.items() if found} == {}


def test_no_source_runs_code_from_strings_or_files():
    faults = {label(path): forbidden_constructs(path.read_text()) for path in SOURCES}
    assert {name: found for name, found in faults.items() if found} == {}


def test_every_source_is_short_enough_to_have_one_purpose():
    lengths = {label(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_FILE} == {}


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
        ("core", "from resinflow.media import fibre_bundle"),
        ("core", "def f():\n    import resinflow.stokes.solve"),
        ("core", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from resinflow.model import FlowPredictor"),
        ("model", "from resinflow import stokes"),
        ("model", "from resinflow import solve"),
        ("nn", "from resinflow.core import Microstructure"),
        ("diffusion", "from ..nn import blocks"),
        ("stokes", "def f():\n    import torch.nn as nn"),
        ("evaluate", "from torch import Tensor"),
        ("train", "from resinflow.workflows.report import make_console"),
        ("workflows", "from resinflow.cli import main"),
        ("media", "import importlib\nimportlib.import_module('torch')"),
    ],
)
def test_a_planted_import_is_found(part, source):
    assert import_faults(part, source, ("resinflow", part))


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("core", "from resinflow.core.errors import InvalidInputError\nfrom . import units\nfrom .units import DARCY"),
        ("data", "from resinflow.stokes import solve"),
        ("nn", "import torch\nfrom .blocks import Block"),
        ("view", "from ..evaluate import compare"),
        (None, "from .model import FlowPredictor\nimport torch"),
    ],
)
def test_an_import_along_the_arrows_is_allowed(part, source):
    assert import_faults(part, source, ("resinflow", part) if part else ("resinflow",)) == []


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


@pytest.mark.parametrize("part", sorted(TORCH_FREE))
def test_importing_a_torch_free_part_loads_neither_torch_nor_figures(part):
    assert not modules_loaded_by(f"import resinflow.{part}") & HEAVY


def test_the_help_of_the_command_line_loads_neither_torch_nor_figures():
    pytest.importorskip("resinflow.cli.app")
    run = "import sys; sys.argv = ['resinflow', '--help']; from resinflow.cli import main"
    statement = f"{run}\ntry:\n    main()\nexcept SystemExit:\n    pass"
    assert not modules_loaded_by(statement) & HEAVY


def test_the_probe_sees_a_library_that_is_loaded():
    assert "scipy" in modules_loaded_by("import scipy.ndimage")
