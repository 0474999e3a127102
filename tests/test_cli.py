"""Claims about the commands: they do the job end to end, and bad input ends in one clear line and exit status 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from resinflow.cli.app import main
from resinflow.data.store import FlowStore
from resinflow.flow.field import FlowField
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.micrograph import draw_micrograph, save_stack
from tests.commands import refusal, run

SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A grey stack of three slices of 32 x 32 pixels."""
    settings = BundleSettings(volume_fraction=0.4, diameter=10e-6, misalignment=8)
    micro = fibre_bundle((3, 32, 32), (12e-6, 30e-6, 30e-6), seed=6, settings=settings)
    return save_stack(tmp_path / "stack.tif", draw_micrograph(micro, seed=1))


SIZES = ["--pixel-size", "0.9375e-6", "--depth", "12e-6"]


def test_solve_writes_field_and_figure_and_prints_k(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("solve", stack, *SIZES, "-o", tmp_path / "flow.npz", "-o", tmp_path / "flow.vti", "--figure", tmp_path / "flow.png")
    printed = capsys.readouterr().out
    flow = FlowField.load(tmp_path / "flow.npz")
    assert f"{flow.permeability:.4g} m^2" in printed
    assert "Gebart" in printed
    assert "converged" in printed
    assert (tmp_path / "flow.png").stat().st_size > 10_000
    assert FlowField.load(tmp_path / "flow.vti").permeability == pytest.approx(flow.permeability)


def test_solve_takes_the_medium_of_a_saved_flow(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("solve", stack, *SIZES, "-o", tmp_path / "x.npz")
    run("solve", tmp_path / "x.npz", "--axis", "y", "-o", tmp_path / "y.npz")
    first, second = (FlowField.load(tmp_path / name) for name in ("x.npz", "y.npz"))
    assert second.axis == "y"
    assert np.array_equal(first.microstructure.fluid, second.microstructure.fluid)
    assert "voxel size" in refusal(capsys, "solve", tmp_path / "x.npz", *SIZES)


def test_view_draws_and_converts_a_saved_flow(stack: Path, tmp_path: Path) -> None:
    run("solve", stack, *SIZES, "-o", tmp_path / "flow.zarr")
    run("view", tmp_path / "flow.zarr", "-o", tmp_path / "flow.png", "--slice", "0")
    run("view", tmp_path / "flow.zarr", "-o", tmp_path / "flow.nc")
    assert (tmp_path / "flow.png").is_file()
    assert FlowField.load(tmp_path / "flow.nc").permeability == FlowField.load(tmp_path / "flow.zarr").permeability


def test_predict_with_compare_prints_the_table_and_draws(
    stack: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("predict", stack, *SIZES, "--model", tiny_run / "model", "--compare", "-o", tmp_path / "flow.vti")
    printed = capsys.readouterr().out
    for row in ("planar", "response", "model", "solver"):
        assert any(row in line and "e-1" in line for line in printed.splitlines()), row
    assert (tmp_path / "stack_flow.png").is_file()
    assert FlowField.load(tmp_path / "flow.vti").permeability_samples is not None


def test_a_single_image_is_extruded_and_the_output_says_so_beside_a_planar_flow_by_the_same_walls(
    stack: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "one.tif", tifffile.imread(stack)[0])
    options = [*SIZES, "--slices", "4", "--model", tiny_run / "model", "--compare", "--figure", tmp_path / "one.png"]
    run("predict", tmp_path / "one.tif", *options)
    printed = capsys.readouterr().out
    assert "the flow is the same in every slice" in printed
    planar = next(line for line in printed.splitlines() if "planar" in line and "e-1" in line)
    assert "0.00 %" in planar


def test_evaluate_prints_all_rows_and_saves_every_sample(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("evaluate", "--data", tiny_store.path, "--model", tiny_run / "model", "--split", "test", "-o", tmp_path / "scores.csv")
    printed = capsys.readouterr().out
    for row in ("zero", "planar flow", "response flow", "D3D(E2D)", "latent diffusion", "D3D(E3D)"):
        assert row in printed
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 6 * len(tiny_store.indices("test"))


def test_data_info_shows_samples_and_splits(tiny_store: FlowStore, capsys: pytest.CaptureFixture[str]) -> None:
    run("data", "info", tiny_store.path)
    printed = capsys.readouterr().out
    assert "8 of 8 samples of 16 x 16 x 3 voxels" in printed
    assert "train 6" in printed


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["solve", "--help"],
        ["predict", "--help"],
        ["evaluate", "--help"],
        ["view", "--help"],
        ["demo", "--help"],
        ["data", "generate", "--help"],
        ["train", "vae3d", "--help"],
        ["train", "vae2d", "--help"],
        ["train", "diffusion", "--help"],
    ],
)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(command)
    assert "Usage: resinflow" in capsys.readouterr().out


def test_a_missing_pixel_size_is_refused(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--pixel-size" in refusal(capsys, "solve", stack, "--depth", "12e-6")


def test_a_pixel_size_in_micrometres_is_refused(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "m" in refusal(capsys, "solve", stack, "--pixel-size", "0.47", "--depth", "12e-6")


def test_colours_of_noise_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", rgb, photometric="rgb")
    assert "needed: " in refusal(capsys, "solve", tmp_path / "rgb.tif", *SIZES)


@pytest.mark.parametrize(("value", "word"), [(False, "solid"), (True, "fluid")])
def test_all_solid_and_all_fluid_media_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: bool, word: str
) -> None:
    np.save(tmp_path / "mask.npy", np.full((3, 16, 16), value))
    line = refusal(capsys, "solve", tmp_path / "mask.npy", *SIZES)
    assert word in line or "fibre" in line


def test_nan_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey = np.random.default_rng(0).random((3, 16, 16))
    grey[1, 2, 3] = np.nan
    np.save(tmp_path / "grey.npy", grey)
    assert "NaN" in refusal(capsys, "solve", tmp_path / "grey.npy", *SIZES)


def test_a_truncated_file_is_refused(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack.write_bytes(stack.read_bytes()[:500])
    assert stack.name in refusal(capsys, "solve", stack, *SIZES)


def test_a_missing_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.tif" in refusal(capsys, "predict", tmp_path / "nowhere.tif", *SIZES)


def test_an_unknown_key_in_a_recipe_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text("samples: 2\nfibers: 3\n")
    assert "fibers" in refusal(capsys, "data", "generate", tmp_path / "recipe.yaml", tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()


def test_an_unknown_option_is_refused(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "colour" in refusal(capsys, "solve", stack, *SIZES, "--colour", "red")


def test_a_pickle_in_an_npy_file_is_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "objects.npy" in refusal(capsys, "solve", tmp_path / "objects.npy", *SIZES)


def test_a_medium_that_does_not_percolate_has_k_zero_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.ones((3, 16, 16), dtype=bool)
    mask[:, :, 8] = False
    np.save(tmp_path / "dam.npy", mask)
    run("solve", tmp_path / "dam.npy", *SIZES)
    assert "K = 0 along x" in capsys.readouterr().out


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared CT slice is not here")
def test_predict_runs_on_a_real_ct_slice_at_its_native_size(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = SHARED / "real" / "ud_composite_ct_slice.tif"
    sizes = ["--pixel-size", "0.47e-6", "--depth", "50e-6", "--slices", "2"]
    run("predict", image, *sizes, "--model", tiny_run / "model", "--samples", "2", "--figure", tmp_path / "real.png")
    printed = capsys.readouterr().out
    assert "150 x 300 x 2 voxels" in printed
    assert "150 x 300 pixels were continued by their edge to 152 x 300" in printed
    assert (tmp_path / "real.png").is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["predict", "evaluate", "reconstruct"])
def test_a_device_that_is_not_there_is_refused(
    command: str, stack: Path, tiny_run: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [stack, *SIZES] if command == "predict" else ["--data", tiny_store.path, "-o", tmp_path / "out"]
    assert "no GPU" in refusal(capsys, command, *place, "--model", tiny_run / "model", "--device", "cuda")


def test_the_cpu_is_what_auto_takes_without_a_gpu(
    stack: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    for device in ("auto", "cpu"):
        run("predict", stack, *SIZES, "--model", tiny_run / "model", "--device", device, "-o", tmp_path / f"{device}.npz")
    flows = [FlowField.load(tmp_path / f"{device}.npz") for device in ("auto", "cpu")]
    assert np.array_equal(flows[0].velocity, flows[1].velocity)
