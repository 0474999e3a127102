"""Claims about the commands `model calibrate` and `model novelty`, and about the calibrated rows of an evaluation."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from resinflow.data.division import Division
from resinflow.data.store import FlowStore
from resinflow.evaluate.calibrate import collect_cases, fit_calibration
from resinflow.evaluate.choices import CalibrationOptions
from resinflow.evaluate.evaluation import evaluate_model
from resinflow.evaluate.records import save_scores
from resinflow.evaluate.tables import spread_rows, summary
from resinflow.models.calibration import FEATURES, load_calibration
from resinflow.models.directory import CALIBRATION
from resinflow.presets.families import load_model
from resinflow.view.page import compose_report, markdown_page
from resinflow.view.uncertainty import compose_calibration
from tests.commands import refusal, run


@pytest.fixture(scope="module")
def calibrated_model(tiny_run: Path, repeated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("calibrated") / "model"
    shutil.copytree(tiny_run / "model", model)
    run("model", "calibrate", model, "--data", repeated)
    return model


def test_the_file_holds_laws_that_cover_the_media_of_the_fit(calibrated_model: Path, repeated: Path) -> None:
    document = load_calibration(calibrated_model)
    assert document is not None
    assert (document.split, document.cases, document.calibration.samples) == ("validation", 24, 3)
    predictor, store = load_model(calibrated_model), FlowStore.open(repeated)
    cases, samples = collect_cases(predictor, store, store.indices("validation").tolist(), CalibrationOptions())
    assert fit_calibration(cases, samples) == document.calibration
    laws = document.calibration
    for place, law in enumerate((laws.along, laws.across, laws.normal, laws.pressure)):
        covered = [np.abs(case.errors[place]) <= 1.645 * law.deviation(case.deviations[place]) for case in cases]
        assert np.mean(covered) == pytest.approx(0.9, abs=0.01)
    relative = np.array([case.permeability_error for case in cases])
    within = np.abs(relative) <= 1.645 * laws.permeability.deviation(np.stack([case.features for case in cases]))
    assert within.mean() >= 0.9


def test_what_was_fitted_is_printed(tiny_run: Path, repeated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(tiny_run / "model", tmp_path / "model")
    run("model", "calibrate", tmp_path / "model", "--data", repeated, "--samples", "2", "--seed", "3")
    printed = capsys.readouterr().out
    for words in ("along the flow", "pressure", "as drawn", "calibrated", "exp(", "unlike the training media"):
        assert words in printed
    assert json.loads((tmp_path / "model" / CALIBRATION).read_text())["calibration"]["samples"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_evaluation_shows_the_spread_as_drawn_and_calibrated(calibrated_model: Path, repeated: Path) -> None:
    document, predictor = load_calibration(calibrated_model), load_model(calibrated_model)
    assert document is not None
    vars(predictor)["calibration"] = document.calibration
    evaluation = evaluate_model(predictor, FlowStore.open(repeated))  # pyright: ignore
    table = spread_rows(evaluation)
    assert [row[:3] for row in table.rows] == [("latent diffusion", kind, "8") for kind in ("as drawn", "calibrated")]
    numbers = {name: found["mean"] for name, found in summary(evaluation.scores["latent diffusion"]).items()}
    assert numbers["calibrated_coverage"] == pytest.approx(0.9, abs=0.03)
    assert numbers["drawn_coverage"] < numbers["calibrated_coverage"]
    assert numbers["calibrated_crps"] < numbers["drawn_crps"]
    assert numbers["calibrated_permeability_coverage"] >= 0.8
    assert numbers["calibrated_permeability_error"] == pytest.approx(numbers["permeability_error"], rel=1e-6)
    assert "Spread as a measure of the error" in markdown_page(compose_report(evaluation, {}), "figures")
    assert len(compose_calibration(evaluation).axes) == 6
    saved = save_scores(evaluation.scores, repeated.parent / "scores.csv")
    rows = {row["method"]: row for row in csv.DictReader(saved.open())}
    assert float(rows["latent diffusion"]["calibrated_spread"]) > 0
    assert rows["planar flow"]["calibrated_spread"] == ""


def test_foreign_media_are_compared_with_the_test_split(
    calibrated_model: Path, repeated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(repeated, tmp_path / "deeper.zarr")
    deeper = FlowStore.open(tmp_path / "deeper.zarr", writable=True)
    group = zarr.open_group(str(deeper.path), mode="r+")
    spacing = group["spacing"]
    spacing[:] = np.asarray(spacing[:]) * np.array([40.0, 1.0, 1.0])
    figure = tmp_path / "roc.png"
    against = ["--against", tmp_path / "deeper.zarr", repeated, "-o", figure]
    run("model", "novelty", calibrated_model, "--data", repeated, *against)
    printed = capsys.readouterr().out
    assert re.search(r"deeper.*100\.0.*1\.000.*anisotropy", printed)
    assert re.search(r"repeated .*0\.500", printed)
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_calibrated_is_refused_in_one_line(
    tiny_run: Path, tiny_store: FlowStore, repeated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_run / "model", model)
    calibrate = ("model", "calibrate")
    assert "no folder" in refusal(capsys, *calibrate, tmp_path / "nowhere", "--data", repeated)
    few = refusal(capsys, *calibrate, model, "--data", tiny_store.path)
    assert re.search(r"the validation split of .* has \d media; needed: at least 20 to calibrate a model", few)
    limited = refusal(capsys, *calibrate, model, "--data", repeated, "--limit", "3")
    assert "has 3 media within --limit 3; needed: at least 20" in limited
    lacking = Path(shutil.copytree(repeated, tmp_path / "few.zarr"))
    everyone = tuple(range(8))
    FlowStore.open(lacking, writable=True).set_attribute("splits", Division((0, 1, 2), everyone * 3, everyone).to_attribute())
    line = refusal(capsys, *calibrate, model, "--data", lacking)
    assert re.search(r"the train split of .* has 3 media; needed: at least \d\d to calibrate a model", line)
    assert "samples is 0" in refusal(capsys, *calibrate, model, "--data", repeated, "--samples", "0")
    novelty = ("model", "novelty", model, "--data", repeated, "--against")
    assert "model calibrate first" in refusal(capsys, *novelty, repeated)
    assert "all different" in refusal(capsys, *novelty, repeated, repeated)
    assert "suffix" in refusal(capsys, *novelty, repeated, "-o", "roc.txt")
    assert not (model / CALIBRATION).exists()


def test_a_run_is_calibrated_and_compared_by_its_own_name(
    tiny_run: Path, repeated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    run("model", "calibrate", begun, "--data", repeated)
    assert (begun / "model" / CALIBRATION).is_file()
    run("model", "novelty", begun, "--data", repeated, "--against", repeated, "-o", tmp_path / "roc.png")
    shutil.rmtree(begun / "model")
    for command in (("calibrate", begun), ("novelty", begun, "--against", repeated)):
        assert "has no model yet" in refusal(capsys, "model", *command, "--data", repeated)


def test_another_split_of_the_training_recipe_is_refused(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_store.path, tmp_path / "other.zarr")
    store = FlowStore.open(tmp_path / "other.zarr", writable=True)
    everyone = tuple(range(len(store)))
    store.set_attribute("splits", Division(everyone, everyone, everyone).to_attribute())
    line = refusal(capsys, "model", "calibrate", tiny_run / "model", "--data", store.path)
    assert "may hold training samples" in line


def test_every_feature_of_k_has_its_coefficient(calibrated_model: Path) -> None:
    document = load_calibration(calibrated_model)
    assert document is not None
    assert len(document.calibration.permeability.coefficients) == 1 + len(FEATURES)
