"""Claims about what the commands say of their numbers: one K for one image, and words that hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from resinflow.cli.console import print_medium, print_plausibility
from resinflow.cli.options import PredictionOptions, SolverOptions
from resinflow.cli.predict import Prediction, predict_flows, print_prediction
from resinflow.cli.refined import saving_in_words
from resinflow.flow import Drive, FlowField, Microstructure, ModelReport
from resinflow.media import example_path
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.presets.surface.reading import from_image, read_medium
from resinflow.stokes import Work, certify, permeability_tensor, solve, solve_finer
from tests.commands import refusal, run
from tests.drawn_images import save_small_stack
from tests.test_data_layout import make_published

SIZES = ["--pixel-size", "0.9375e-6", "--depth", "12e-6"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A solve that stops leaves its field where it was called."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return save_small_stack(tmp_path / "stack.tif")


@pytest.fixture
def greys(stack: Path) -> Microstructure:
    """The medium of the stack."""
    return from_image(stack, pixel_size=0.9375e-6, depth=12e-6)


def test_python_and_the_command_give_the_same_k_for_an_image(
    stack: Path, greys: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("solve", stack, *SIZES, "-o", tmp_path / "flow.npz")
    assert FlowField.load(tmp_path / "flow.npz").permeability == solve(greys).permeability
    assert solve(greys).permeability == solve(greys, wall_rule="surface").permeability
    assert "walls: the fibre surfaces" in capsys.readouterr().out


def test_a_mask_is_solved_by_the_rule_of_masks(greys: Microstructure) -> None:
    mask = Microstructure(greys.fluid, greys.spacing)
    assert solve(mask).permeability == solve(mask, wall_rule="plain").permeability


def test_a_solved_flow_is_certified_by_its_own_walls(greys: Microstructure) -> None:
    flow = solve(greys)
    certificate = certify(flow)
    assert certificate.wall_rule == "surface"
    assert certificate.permeability_bound == pytest.approx(flow.permeability, rel=1e-4)
    assert certify(solve(greys, wall_rule="plain")).wall_rule == "plain"


def test_the_tensor_takes_the_walls_that_solve_takes(greys: Microstructure) -> None:
    tensor = permeability_tensor(greys, tolerance=1e-4)
    assert (tensor.values == permeability_tensor(greys, tolerance=1e-4, wall_rule="surface").values).all()


@pytest.mark.parametrize("rule", ["plain", "gap", "surface"])
def test_the_command_solves_with_any_wall_rule(stack: Path, greys: Microstructure, tmp_path: Path, rule: str) -> None:
    run("solve", stack, *SIZES, "--wall-rule", rule, "--tolerance", "1e-4", "-o", tmp_path / "flow.npz")
    expected = solve(greys, wall_rule=rule, tolerance=1e-4).permeability  # pyright: ignore[reportArgumentType]
    assert FlowField.load(tmp_path / "flow.npz").permeability == expected


def test_the_command_solves_the_finer_grid_that_predict_compares_with(
    stack: Path, greys: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("solve", stack, *SIZES, "--refine", "1e-4", "-o", tmp_path / "flow.npz")
    assert FlowField.load(tmp_path / "flow.npz").permeability == solve_finer(greys).permeability
    assert "grid twice as fine" in capsys.readouterr().out


def test_too_few_iterations_are_refused_with_a_remedy_of_the_command(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, "solve", stack, *SIZES, "--max-iterations", "2")
    assert "allow more iterations" in message
    assert "max_iterations" not in message


def test_refine_does_not_stand_beside_the_options_that_it_replaces(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--tolerance" in refusal(capsys, "solve", stack, *SIZES, "--refine", "1e-2", "--tolerance", "1e-3")
    assert "--wall-rule" in refusal(capsys, "solve", stack, *SIZES, "--refine", "1e-2", "--wall-rule", "gap")
    assert "--refine" in refusal(capsys, "solve", stack, *SIZES, "--refine", "0.7")


def test_a_mask_has_no_surfaces_to_solve_with_and_the_refusal_names_options(
    tmp_path: Path, greys: Microstructure, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "mask.npy", greys.fluid)
    options = ("--wall-rule", "surface", "--front-end", "classical")
    assert "--refine" in refusal(capsys, "solve", tmp_path / "mask.npy", *SIZES, *options)
    assert "--max-iterations" in refusal(capsys, "solve", tmp_path / "mask.npy", *SIZES, "--max-iterations", "0")


def test_data_info_has_the_options_that_its_refusal_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_published(tmp_path / "published")
    assert "--pressure-drop in Pa" in refusal(capsys, "data", "info", folder)
    run("data", "info", folder, "--pressure-drop", "1e5", "--viscosity", "0.1")
    assert "permeability" in capsys.readouterr().out


def test_warnings_of_a_flow_are_in_its_repr() -> None:
    dam = np.ones((2, 8, 8), dtype=bool)
    dam[:, :, 4] = False
    assert "K = 0 along x" in repr(solve(Microstructure(dam, (1e-6,) * 3)))


def calibrated(flow: FlowField, interval: tuple[float, float]) -> FlowField:
    """The flow as a calibrated model would give it."""
    return replace(flow, report=ModelReport("drawn", "none", 1, 0, 2, 0.1, permeability_interval=interval))


def printed_prediction(micro: Microstructure, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed of a calibrated prediction."""
    from resinflow.cli.console import make_console

    flow = solve(micro, tolerance=1e-2)
    prediction = Prediction(calibrated(flow, (1e-13, 2e-13)), flow, flow, "grid", None)
    print_prediction(prediction, make_console())
    return capsys.readouterr().out


def test_the_interval_says_that_the_surfaces_of_an_image_are_not_in_it(
    greys: Microstructure, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = printed_prediction(greys, capsys)
    assert "1e-13 to 2e-13 m^2" in printed
    assert "the interval leaves out the error of the fibre surfaces, which are read from the greys" in printed
    mask = printed_prediction(Microstructure(greys.fluid, greys.spacing), capsys)
    assert "the interval leaves out the error of the fibre surfaces, which are estimated from a mask" in mask


def test_the_interval_of_a_medium_with_exact_surfaces_leaves_none_out(capsys: pytest.CaptureFixture[str]) -> None:
    micro = fibre_bundle((3, 24, 24), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
    assert "leaves out" not in printed_prediction(micro, capsys)


def test_a_refined_prediction_has_one_interval_that_of_the_refined_flow(
    greys: Microstructure, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from resinflow.cli.console import make_console

    options = PredictionOptions(model=str(tiny_run / "model"), refine=0.05)
    prediction = predict_flows(greys, options, make_console())
    prediction = replace(prediction, model=calibrated(prediction.model, (1.234e-9, 5.678e-9)))
    print_prediction(prediction, make_console())
    printed = capsys.readouterr().out
    assert "1.234e-09" not in printed
    assert prediction.refinement is not None
    low, error = prediction.final.permeability, prediction.refinement.work.permeability_error
    assert f"interval of K: {low:.4g} to {low * (1 + error):.4g} m^2" in printed
    assert printed.count("interval of K:") == 1


def test_the_table_says_on_which_grid_a_flow_was_solved(greys: Microstructure, capsys: pytest.CaptureFixture[str]) -> None:
    flow = solve(greys, tolerance=1e-2)
    names = list(Prediction(flow, flow, flow, "grid", flow).flows())
    assert names == ["planar", "solver, these voxels", "model", "solver, finer grid"]
    assert list(Prediction(flow, flow, flow, None, flow).flows()) == ["planar", "model", "solver, these voxels"]


def test_work_that_a_prediction_did_not_save_is_said_in_plain_words() -> None:
    assert saving_in_words(Work(3, 1.0, 0.0), Work(2, 2.0, 0.0)) == (
        "the prediction saved no iterations (it took 1 more) and 1.00 of 2.00 seconds (50 %)"
    )


def test_along_z_the_formula_is_that_along_the_fibres(greys: Microstructure, capsys: pytest.CaptureFixture[str]) -> None:
    from resinflow.cli.console import make_console

    flow = solve(greys, axis="z", tolerance=1e-3)
    print_plausibility(make_console(), flow)
    assert "Gebart, along fibres taken to run along z" in capsys.readouterr().out


@pytest.mark.parametrize(("axis", "still", "moving"), [("x", "vz is zero", "vx"), ("z", "vx and vy are zero", "vz is zero")])
def test_what_is_said_of_an_extruded_image_holds_for_its_axis(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], axis: str, still: str, moving: str
) -> None:
    tifffile.imwrite(tmp_path / "one.tif", tifffile.imread(stack)[0])
    run("solve", tmp_path / "one.tif", *SIZES, "--slices", "3", "--axis", axis, "--tolerance", "1e-3")
    printed = capsys.readouterr().out
    assert still in printed
    assert moving not in printed
    assert "planar flow is then exact" not in printed


def test_fibres_of_a_millimetre_are_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    from resinflow.cli.console import make_console

    micro = read_medium(example_path(), pixel_size=1e-4, depth=6.4e-3)
    print_medium(make_console(), micro, "image", Drive())
    assert "check the pixel size" in capsys.readouterr().out
    bare = Microstructure(micro.fluid, micro.spacing)  # of no image: its flow is what is judged
    rest = np.zeros((3, *micro.shape))
    print_plausibility(make_console(), FlowField(bare, rest, rest[0], "x", 1e5, 0.1))
    assert "check the pixel size" in capsys.readouterr().out


def test_what_nothing_flows_through_has_k_zero_in_predict_as_in_solve(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.ones((3, 16, 16), dtype=bool)
    mask[:, :, 8] = False
    np.save(tmp_path / "dam.npy", mask)
    said = "Kxx = 0 m^2"
    run("solve", tmp_path / "dam.npy", *SIZES)
    assert said in capsys.readouterr().out
    run("predict", tmp_path / "dam.npy", *SIZES, "--model", tiny_run / "model", "-o", tmp_path / "flow.npz")
    assert said in capsys.readouterr().out
    assert FlowField.load(tmp_path / "flow.npz").permeability == 0
    run("solve", tmp_path / "dam.npy", *SIZES, "--refine", "0.01")
    assert said in capsys.readouterr().out


def test_the_warning_of_narrow_gaps_names_a_remedy_that_is_left(greys: Microstructure) -> None:
    narrow = fibre_bundle((2, 24, 24), (25e-6, 50e-6, 50e-6), seed=3, settings=BundleSettings(0.6, 8e-6))
    plain = " ".join(solve(narrow, wall_rule="plain", tolerance=1e-2).report.warnings)  # pyright: ignore
    assert "--wall-rule surface" in plain
    mask = " ".join(solve(Microstructure(narrow.fluid, narrow.spacing), tolerance=1e-2).report.warnings)  # pyright: ignore
    assert "grey image" in mask
    assert "--refine 1e-4" in mask
    assert "wall-rule" not in mask
    assert solve(narrow, tolerance=1e-2).report.warnings == ()  # pyright: ignore


def test_options_that_are_left_out_are_the_solver_s_own() -> None:
    options = SolverOptions()
    assert options.wall_rule == "auto"
    assert options.drive == Drive()
