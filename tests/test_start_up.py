"""What a short command loads and what it spares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resinflow.media import example_path

PREDICTION = """
import sys
from resinflow.cli.app import main
main(["predict", *sys.argv[1:]])
heavy = ("lightning", "pytorch_lightning", "torchvision", "torch._dynamo", "torch._inductor", "sklearn", "matplotlib.pyplot")
spared = ("xarray", "pandas", "dask", "zarr", "h5netcdf", "pyvista", "resinflow.data")
print([name for name in (*heavy, *spared) if name in sys.modules])
"""


@pytest.mark.parametrize("suffix", [".npz", ".vti"])
def test_a_prediction_loads_no_library_that_it_does_not_need(suffix: str, tmp_path: Path) -> None:
    options = ("--pixel-size", "0.78um", "--depth", "50um", "--samples", "1", "--output", str(tmp_path / f"flow{suffix}"))
    arguments = (str(example_path()), *options, "--figure", str(tmp_path / "flow.png"))
    done = subprocess.run([sys.executable, "-c", PREDICTION, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
