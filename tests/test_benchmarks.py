"""The benchmarks fit the package: each can be imported, says what it does, and names nothing that the package does not have."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from resinflow.data import DataRecipe, generate
from tests.conftest import TINY_RECIPE

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))
NEEDS = {"solver_scipy": "pyamg"}
"""Benchmark -> the library outside the package's own that it cannot be imported without."""
names = pytest.mark.parametrize("name", [path.stem for path in FILES])


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Benchmarks import one another from their own folder; no other test sees modules that are called ``data`` or ``paper``."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for path in FILES:
        if path.stem not in before:
            sys.modules.pop(path.stem, None)


def benchmark(name: str) -> ModuleType:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return importlib.import_module(name)


def package_imports(name: str) -> list[tuple[str, str]]:
    """Module and name of all that a benchmark takes from the package, wherever in the file the import stands."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [
        (node.module, alias.name) for node in imports for alias in node.names if node.module and node.module.startswith("resin")
    ]


@names
def test_a_benchmark_can_be_imported_and_has_a_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = benchmark(name)
    assert module.__doc__
    if "command_line" not in vars(module) or "main" not in vars(module):
        return
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == 0
    assert module.__doc__.splitlines()[0][:60] in capsys.readouterr().out


@names
def test_what_a_benchmark_takes_from_the_package_is_there_and_public(name: str) -> None:
    for place, imported in package_imports(name):
        module = importlib.import_module(place)
        assert hasattr(module, imported), f"{place} has no {imported}"
        assert imported in getattr(module, "__all__", [imported]), f"{imported} is not public in {place}"


def test_no_name_in_the_figure_of_accuracy_against_time_covers_another() -> None:
    pareto = importlib.import_module("pareto_figure")
    figure = pareto.compose(pareto.read_csv(FOLDER.parent / "docs" / "images" / "pareto.csv"))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 15
        assert not any(box.overlaps(other) for number, box in enumerate(boxes) for other in boxes[:number])


def test_the_loading_rate_of_a_single_batch_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    store = generate(
        DataRecipe.model_validate({**TINY_RECIPE, "samples": 6, "refinement": (2, 2, 2)}), tmp_path / "a.zarr", workers=1
    )
    assert len(store.indices("train")) == 4
    with pytest.raises(SystemExit, match="one batch of 4 samples.*needed: two or more"):
        benchmark("data").loading_rate(str(store.path), 8, 0)


@pytest.mark.parametrize(
    ("arrangement", "direction", "fraction", "formula", "deviation"),
    [
        ("hexagonal", "transverse", 0.7, "Gebart", 0.011),
        ("square", "transverse", 0.3, "Drummond and Tahir", 0.044),
        ("hexagonal", "longitudinal", 0.7, "Drummond and Tahir", 0.001),
        ("hexagonal", "longitudinal", 0.7, "Berdichevsky and Cai", -0.145),
        ("square", "longitudinal", 0.7, "Gebart", -0.178),
        ("square", "transverse", 0.6, "Berdichevsky and Cai", 1.82),
    ],
)
def test_formulas_for_arrays_are_as_far_from_the_solver_as_the_table_says(
    arrangement: str, direction: str, fraction: float, formula: str, deviation: float
) -> None:
    arrays = benchmark("array_formulas")
    value = arrays.formulas(arrangement, direction, fraction)[formula]
    exact = arrays.solved(arrangement, direction, fraction, 48)
    assert value / exact - 1 == pytest.approx(deviation, abs=0.012 * (1 + deviation))


def test_the_solver_meets_the_tabulated_arrays() -> None:
    from resinflow.media.cases import array_permeability

    arrays = benchmark("array_formulas")
    for arrangement in ("square", "hexagonal"):
        for direction in ("transverse", "longitudinal"):
            exact = array_permeability(arrangement, 0.5, direction) * (arrays.DIAMETER / 2) ** 2
            assert arrays.solved(arrangement, direction, 0.5, 32) == pytest.approx(exact, rel=0.008)
