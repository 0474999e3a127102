"""Claims about the trust in a prediction: its certificate, its refinement by the solver, and what both print and save."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resinflow import stokes
from resinflow.data.check_flow import passable_voxels
from resinflow.flow.drive import Drive
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport, SolverReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.micrograph import draw_micrograph, save_stack
from resinflow.stokes.finer import certified, refine_flow, solve_finer
from tests.commands import refusal, run

SETTINGS = BundleSettings(volume_fraction=0.4, diameter=8e-6, misalignment=8)
SIZES = ["--pixel-size", "0.9375e-6", "--depth", "12e-6"]


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    return fibre_bundle((4, 32, 32), (16e-6, 25e-6, 25e-6), seed=4, settings=SETTINGS)


@pytest.fixture(scope="module")
def prediction(micro: Microstructure) -> FlowField:
    """What a model could predict: the flow on the stored grid with errors of a tenth, not free of divergence."""
    flow = stokes.grid_flow(micro)
    noise = np.random.default_rng(1).standard_normal(flow.velocity.shape)
    velocity = flow.velocity * (1 + 0.1 * noise)
    return replace(flow, velocity=velocity, face_velocity=None, report=ModelReport("noisy", "none", 0, 0, 1, 0.0))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey stack of three slices of 32 x 32 pixels."""
    drawn = fibre_bundle((3, 32, 32), (12e-6, 30e-6, 30e-6), seed=6, settings=SETTINGS)
    return save_stack(tmp_path_factory.mktemp("images") / "stack.tif", draw_micrograph(drawn, seed=1))


@pytest.mark.parametrize("tolerance", [0.1, 1e-2, 1e-3])
def test_refined_prediction_meets_the_tolerance(micro: Microstructure, prediction: FlowField, tolerance: float) -> None:
    exact = solve_finer(micro, Drive(), tolerance=1e-8).permeability
    refinement = refine_flow(prediction, tolerance)
    error = 1 - refinement.flow.permeability / exact
    assert refinement.work.permeability_error <= tolerance
    assert -1e-6 <= error <= refinement.work.permeability_error + 1e-6


def test_refined_flow_conserves_mass_and_leaves_its_fibres_alone(micro: Microstructure, prediction: FlowField) -> None:
    flow = refine_flow(prediction, 0.05).flow
    assert flow.microstructure is micro
    assert not flow.velocity[:, ~passable_voxels(micro)].any()
    rates = flow.face_velocity[0].sum(axis=(0, 1))
    assert np.ptp(rates) < 1e-5 * rates.mean()


def test_refinement_is_nearer_to_the_truth_than_its_start(micro: Microstructure, prediction: FlowField) -> None:
    refinement = refine_flow(prediction, 1e-2, compare=True)
    truth = refinement.truth
    errors = [np.linalg.norm(flow.velocity - truth.velocity) for flow in (prediction, refinement.flow)]
    assert errors[1] < 0.3 * errors[0]
    assert refinement.work.iterations < refinement.cold.iterations


def test_truth_beside_a_refinement_is_the_flow_of_the_finer_grid(micro: Microstructure, prediction: FlowField) -> None:
    truth = refine_flow(prediction, 0.1, compare=True).truth
    again = solve_finer(micro, Drive())
    assert truth.permeability == pytest.approx(again.permeability, rel=1e-4)
    assert np.abs(truth.velocity - again.velocity).max() < 0.02 * again.speed.max()


def test_cold_start_is_run_only_when_asked(prediction: FlowField) -> None:
    refinement = refine_flow(prediction, 0.1)
    assert refinement.cold is None
    assert refinement.truth is None


@pytest.mark.parametrize("tolerance", [0.0, -0.1, 0.5, 2.0, float("nan")])
def test_tolerance_out_of_range_is_refused(prediction: FlowField, tolerance: float) -> None:
    with pytest.raises(InvalidInputError, match="needed: above 0 and below 0.5"):
        refine_flow(prediction, tolerance)


def test_refinement_says_whether_the_fibre_surfaces_are_known(micro: Microstructure, prediction: FlowField) -> None:
    masked = replace(prediction, microstructure=Microstructure(micro.fluid, micro.spacing))
    for flow, words in ((prediction, "surfaces known"), (masked, "surfaces estimated from the mask")):
        assert any(words in warning for warning in refine_flow(flow, 0.1).flow.report.warnings)


def test_refining_what_does_not_percolate_is_refused() -> None:
    fluid = np.ones((2, 12, 12), bool)
    fluid[:, :, 5:8] = False
    dam = Microstructure(fluid, (1e-6,) * 3)
    rest = FlowField(dam, np.zeros((3, *dam.shape)), np.zeros(dam.shape), "x", 1e5, 0.1)
    with pytest.raises(InvalidInputError, match="does not percolate along x"):
        refine_flow(rest, 0.1)


def test_certificate_is_below_the_solver(micro: Microstructure, prediction: FlowField) -> None:
    certificate = certified(prediction).report.certificate
    exact = stokes.solve(micro, tolerance=1e-9, wall_rule="surface").permeability
    assert certificate.wall_rule == "surface"
    assert 0.3 * exact < certificate.permeability_bound <= exact * (1 + 1e-7)
    assert 0.01 < certificate.correction < 0.5
    assert certificate.divergence < 1e-10


def test_flow_without_report_has_no_place_for_a_certificate(prediction: FlowField) -> None:
    with pytest.raises(InvalidInputError, match="no report"):
        certified(replace(prediction, report=None))


@pytest.mark.parametrize("suffix", [".npz", ".zarr"])
def test_certificate_is_saved_with_the_field(prediction: FlowField, tmp_path: Path, suffix: str) -> None:
    flow = certified(prediction)
    assert FlowField.load(flow.save(tmp_path / f"flow{suffix}")).report == flow.report


def test_predict_prints_and_saves_certificate_and_refinement(
    stack: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--certify", "--refine", "0.05", "--compare", "-o", tmp_path / "flow.npz", "--figure", tmp_path / "flow.png"]
    run("predict", stack, *SIZES, "--model", tiny_run / "model", *asked)
    printed = capsys.readouterr().out
    for words in (
        "walls by the rule plain",
        "its K is at least",
        "error of K at most",
        "judge K by the bound",
        "from a cold start",
        "the prediction saved",
    ):
        assert words in printed
    for row in ("model", "refined", "solver"):
        assert any(row in line and "e-1" in line for line in printed.splitlines()), row
    report = FlowField.load(tmp_path / "flow.npz").report
    assert isinstance(report, SolverReport)
    assert report.permeability_error <= 0.05
    assert f"{report.certificate.permeability_bound:.4e}" in printed


def test_predict_certifies_the_model_alone(
    stack: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--certify", "-o", tmp_path / "flow.npz", "--figure", tmp_path / "flow.png"]
    run("predict", stack, *SIZES, "--model", tiny_run / "model", *asked)
    report = FlowField.load(tmp_path / "flow.npz").report
    assert isinstance(report, ModelReport)
    assert f"{report.certificate.permeability_bound:.4e}" in capsys.readouterr().out


@pytest.mark.parametrize("tolerance", ["0", "0.5", "-0.01", "nan"])
def test_predict_refuses_a_tolerance_out_of_range(stack: Path, capsys: pytest.CaptureFixture[str], tolerance: str) -> None:
    assert "--refine 0.01" in refusal(capsys, "predict", stack, *SIZES, "--refine", tolerance)
