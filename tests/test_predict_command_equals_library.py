"""The claim that the command `predict` and the library give one flow: same start flows, same noise, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import resinflow as rf
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from tests.commands import run


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=10)
    return fibre_bundle((3, 16, 24), (12e-6, 20e-6, 30e-6), seed=5, settings=settings)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_the_command_and_the_library_predict_the_same_flow_bit_for_bit(
    axis: str, micro: Microstructure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    still = np.zeros((3, *micro.shape))
    FlowField(micro, still, still[0], axis="x", pressure_drop=1e5, viscosity=0.1).save("medium.npz")
    options = ["--axis", axis, "--pressure-drop", "2e5", "--viscosity", "0.2", "--samples", "2", "--seed", "3"]
    run("predict", "medium.npz", *options, "-o", "command.npz")
    drive = {"axis": axis, "pressure_drop": 2e5, "viscosity": 0.2}
    flow = rf.load_model("small").predict(micro, samples=2, seed=3, **drive)  # pyright: ignore[reportArgumentType]
    flow.save("library.npz")
    command, library = np.load("command.npz"), np.load("library.npz")
    arrays = [name for name in library.files if library[name].dtype.kind == "f"]
    assert {"velocity", "pressure", "velocity_std", "permeability_samples", "face_velocity_x"}.issubset(arrays)
    assert [name for name in arrays if not np.array_equal(command[name], library[name])] == []
