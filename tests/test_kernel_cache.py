"""Where compiled kernels are kept, and what the help of a command loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import resinflow

SOURCES = Path(resinflow.__file__).parent
KERNEL = """
import numpy as np
from resinflow.media.distance import outline_distance
fibre = np.zeros((1, 12, 12), dtype=bool)
fibre[0, 4:8, 4:8] = True
print(outline_distance(fibre, np.where(fibre, -1.0, 1.0))[0, 5, 5])
"""


def run(code: str, path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment |= {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_kernels_are_kept_in_a_temporary_folder_where_neither_package_nor_home_can_be_written(tmp_path: Path) -> None:
    shutil.copytree(
        SOURCES, tmp_path / "src" / "resinflow", ignore=shutil.ignore_patterns("__pycache__", "weights", "examples")
    )
    for folder in [place for place in (tmp_path / "src" / "resinflow").rglob("*") if place.is_dir()]:
        (folder / "__pycache__").write_text("no folder: nothing can be written into it, not even by root")
    (tmp_path / "tmp").mkdir()
    variables = {"HOME": os.devnull, "TMPDIR": str(tmp_path / "tmp")}
    first = run(KERNEL, tmp_path / "src", **variables)
    assert first.returncode == 0, first.stderr
    assert float(first.stdout) < 0
    assert len(first.stderr.splitlines()) == 1
    assert "Compiled kernels are kept in" in first.stderr
    kernels = sorted((tmp_path / "tmp").rglob("*.nbc"))
    assert kernels
    written = [kernel.stat().st_mtime_ns for kernel in kernels]
    assert run(KERNEL, tmp_path / "src", **variables).stdout == first.stdout
    assert [kernel.stat().st_mtime_ns for kernel in sorted((tmp_path / "tmp").rglob("*.nbc"))] == written


def test_a_place_that_others_can_write_to_is_not_taken_for_kernels(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "package" / "stokes").mkdir(parents=True)
    (tmp_path / "package" / "stokes" / "__pycache__").write_text("")
    own = resinflow._place_for_kernels(tmp_path / "package")
    assert own is not None
    own.chmod(0o777)
    other = resinflow._place_for_kernels(tmp_path / "package")
    assert other is not None
    assert other != own
    assert not other.stat().st_mode & 0o077


def test_a_place_that_can_be_written_stays_numbas_own(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert resinflow._place_for_kernels(tmp_path) is None


HELP = """
import sys
from resinflow.cli.app import main
try:
    main(["predict", "--help"])
except SystemExit:
    pass
heavy = ("torch", "lightning", "matplotlib", "numba", "scipy", "skimage", "xarray", "pandas", "pyvista", "tifffile", "zarr")
slow = ("pydantic", "yaml", "resinflow.view", "resinflow.media", "resinflow.stokes")
print([name for name in (*heavy, *slow) if name in sys.modules])
"""


def test_help_loads_nothing_heavy_and_no_library_that_it_does_not_need() -> None:
    answer = run(HELP, SOURCES.parent, HOME=os.environ.get("HOME", "/"))
    assert answer.stdout.splitlines()[-1] == "[]", answer.stderr
