"""Claims about calibrated predictions: what moves, what stays, and what of the file is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import REACH, ModelReport, RelativeSpread, Spread, report_from_dict, report_to_dict
from resinflow.models.calibration import (
    FEATURES,
    Calibration,
    CalibrationDocument,
    calibrated,
    load_calibration,
    permeability_features,
    save_calibration,
    weights_fingerprint,
)
from resinflow.models.directory import CALIBRATION, WEIGHTS

LAWS = Calibration(
    samples=4,
    along=Spread(3.0, 0.0),
    across=Spread(0.0, 0.02),
    normal=Spread(5.0, 0.1),
    pressure=Spread(2.0, 0.01),
    permeability=RelativeSpread((np.log(0.05), 0.0, 0.5, 0.0, 0.0, 0.0), (-9.0,) * 5, (0.0,) * 5),
)


def prediction(axis="x", samples: int = 4) -> FlowField:
    """An ensemble's mean with its spread, around a random flow."""
    rng = np.random.default_rng(0)
    fluid = rng.random((3, 6, 7)) < 0.7
    members = (rng.normal(size=(samples, 4, 3, 6, 7)) * 1e-6 + 1e-5) * fluid
    micro = Microstructure(fluid, (2e-6, 1e-6, 1e-6))
    flow = FlowField(
        micro,
        members[:, :3].mean(axis=0),
        members[:, 3].mean(axis=0),
        axis,
        1e5,
        0.1,
        report=ModelReport("toy", "bridge", 2, 0, samples, 0.1),
    )
    several = samples > 1
    return replace(
        flow,
        velocity_std=members[:, :3].std(axis=0, ddof=1) if several else None,
        pressure_std=members[:, 3].std(axis=0, ddof=1) if several else None,
        permeability_samples=flow.permeability * (1.0 + 0.01 * (np.arange(samples) - (samples - 1) / 2)),
    )


def base_of(flow: FlowField) -> FlowField:
    """A base flow with three quarters of the velocity."""
    return replace(flow, velocity=0.75 * flow.velocity, velocity_std=None, pressure_std=None, report=None)


def test_the_deviations_follow_their_laws_and_the_prediction_stays():
    flow = prediction()
    found = calibrated(flow, LAWS, base_of(flow))
    fluid = flow.microstructure.fluid
    speed = np.sqrt((flow.velocity**2).sum(axis=0)[fluid].mean())
    assert found.velocity_std is not None
    assert flow.velocity_std is not None
    np.testing.assert_allclose(found.velocity_std[0], 3.0 * flow.velocity_std[0])
    np.testing.assert_allclose(found.velocity_std[1][fluid], 0.02 * speed)
    np.testing.assert_allclose(found.velocity_std[2][fluid], np.hypot(5.0 * flow.velocity_std[2][fluid], 0.1 * speed))
    assert not found.velocity_std[:, ~fluid].any()
    assert found.pressure_std is not None
    assert flow.pressure_std is not None
    np.testing.assert_allclose(found.pressure_std[fluid], np.hypot(2.0 * flow.pressure_std[fluid], 1e3))
    for name in ("velocity", "pressure"):
        assert np.array_equal(getattr(found, name), getattr(flow, name))
    assert found.permeability == flow.permeability


def test_the_samples_of_k_are_moved_to_the_spread_of_the_interval():
    flow = prediction()
    found = calibrated(flow, LAWS, base_of(flow))
    deviation = flow.permeability * 0.05 * np.exp(0.5 * np.log(1.0 / 0.75 - 1.0))
    assert found.permeability_samples is not None
    assert found.permeability_samples.std(ddof=1) == pytest.approx(deviation)
    assert found.permeability_samples.mean() == pytest.approx(flow.permeability)
    low, high = found.permeability_interval or (0.0, 0.0)
    assert high - flow.permeability == pytest.approx(REACH * deviation)
    assert flow.permeability - low == pytest.approx(REACH * deviation)


def test_the_lower_end_of_the_interval_is_never_negative():
    wide = replace(LAWS, permeability=RelativeSpread((1.0,) + (0.0,) * 5, (0.0,) * 5, (0.0,) * 5))
    flow = prediction()
    low, high = calibrated(flow, wide, base_of(flow)).permeability_interval or (1.0, 0.0)
    assert low == 0.0
    assert high > flow.permeability


def test_the_law_along_the_flow_belongs_to_vy_for_a_flow_along_y():
    flow = prediction(axis="y")
    found = calibrated(flow, LAWS, base_of(flow))
    assert found.velocity_std is not None
    assert flow.velocity_std is not None
    np.testing.assert_allclose(found.velocity_std[1], 3.0 * flow.velocity_std[1])
    assert np.ptp(found.velocity_std[0][flow.microstructure.fluid]) < 1e-12


def test_the_calibration_does_not_depend_on_resin_and_drive():
    flow = prediction()
    scaled = replace(
        flow,
        viscosity=0.2,
        velocity=0.5 * flow.velocity,
        velocity_std=0.5 * np.asarray(flow.velocity_std),
    )
    one, other = (calibrated(case, LAWS, base_of(case)) for case in (flow, scaled))
    np.testing.assert_allclose(np.asarray(other.velocity_std), 0.5 * np.asarray(one.velocity_std))
    assert other.permeability_interval == pytest.approx(one.permeability_interval)


def test_a_single_sample_has_no_spread_to_calibrate_unless_the_model_draws_one_alone():
    flow = prediction(samples=1)
    assert calibrated(flow, LAWS, base_of(flow)) is flow
    found = calibrated(flow, replace(LAWS, samples=1), base_of(flow))
    assert found.velocity_std is not None
    assert found.velocity_std[1].max() > 0
    assert found.permeability_interval is not None
    assert found.permeability_samples == pytest.approx(flow.permeability_samples)


def test_a_flow_is_calibrated_once_and_only_if_a_model_made_it():
    flow = prediction()
    once = calibrated(flow, LAWS, base_of(flow))
    for foreign in (once, base_of(flow)):
        with pytest.raises(InvalidInputError, match="calibrated already"):
            calibrated(foreign, LAWS, base_of(flow))


def test_the_features_of_k_are_finite_for_flows_without_spread_correction_or_vz():
    flow = prediction(samples=1)
    flat = replace(flow, velocity=flow.velocity * np.array([1.0, 1.0, 0.0]).reshape(3, 1, 1, 1))
    found = dict(zip(FEATURES, permeability_features(flat, replace(flat, report=None)), strict=True))
    assert found["cross_flow"] == 0.0
    assert found["log_spread"] == found["log_correction"] == found["log_field_spread"] == pytest.approx(np.log(1e-4))


def test_the_interval_survives_in_the_report():
    flow = calibrated(prediction(), LAWS, base_of(prediction()))
    assert flow.report is not None
    assert report_from_dict(json.loads(json.dumps(report_to_dict(flow.report)))) == flow.report


def document(folder: Path) -> CalibrationDocument:
    (folder / WEIGHTS).write_bytes(b"weights")
    return CalibrationDocument(
        weights=weights_fingerprint(folder), data="0" * 64, split="validation", cases=90, calibration=LAWS
    )


def test_the_file_gives_back_what_was_saved(tmp_path):
    saved = document(tmp_path)
    path = save_calibration(tmp_path, saved)
    assert path == tmp_path / CALIBRATION
    assert load_calibration(tmp_path) == saved
    assert {entry.name for entry in tmp_path.iterdir()} == {WEIGHTS, CALIBRATION}


def test_a_directory_without_the_file_has_no_calibration(tmp_path):
    assert load_calibration(tmp_path) is None
    with pytest.raises(InvalidInputError, match="needed: a model directory"):
        save_calibration(tmp_path, CalibrationDocument(weights="", data="", split="x", cases=1, calibration=LAWS))


def test_a_calibration_of_other_weights_is_refused(tmp_path):
    save_calibration(tmp_path, document(tmp_path))
    (tmp_path / WEIGHTS).write_bytes(b"trained again")
    with pytest.raises(InvalidInputError, match="belongs to other weights"):
        load_calibration(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "resinflow-calibration-0"}, "schema"),
        ({"colour": "red"}, "colour"),
        ({"calibration": {**asdict(LAWS), "along": {"factor": -1.0, "floor": 0.1}}}, "factor -1.0"),
        ({"calibration": {**asdict(LAWS), "along": {"factor": "wide", "floor": 0.1}}}, "number"),
        ({"calibration": {**asdict(LAWS), "features": ["moon"]}}, "moon"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, change, message):
    save_calibration(tmp_path, document(tmp_path))
    path = tmp_path / CALIBRATION
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidInputError, match=message) as raised:
        load_calibration(tmp_path)
    assert len(str(raised.value).splitlines()) == 1
    path.write_text("{")
    with pytest.raises(InvalidInputError, match="cannot be used"):
        load_calibration(tmp_path)
