"""Claims about prediction: reproducible, linear in the drive, right in every axis, and honest about what it is given."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from resinflow.data.check_flow import passable_voxels
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.start import start_flows
from resinflow.presets.families import load_model
from resinflow.presets.latent.predictor import LatentPredictor


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> LatentPredictor:
    return load_model(tiny_run / "model")


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=10)
    return fibre_bundle((3, 16, 20), (12e-6, 20e-6, 25e-6), seed=5, settings=settings)


def test_the_same_seed_gives_the_same_prediction_and_another_seed_another(
    model: LatentPredictor, micro: Microstructure
) -> None:
    first, again, other = (model.predict(micro, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.velocity, again.velocity)
    assert not np.array_equal(first.velocity, other.velocity)


def test_a_sample_does_not_depend_on_how_many_are_drawn(model: LatentPredictor, micro: Microstructure) -> None:
    few, many = (model.predict(micro, samples=count).permeability_samples for count in (2, 5))
    assert few is not None
    assert many is not None
    assert np.array_equal(few, many[:2])


def test_samples_are_told_as_they_come_and_change_nothing(model: LatentPredictor, micro: Microstructure) -> None:
    told: list[tuple[list[float], int]] = []
    watched = model.predict(micro, samples=5, watch=lambda values, total: told.append((list(values), total)))
    silent = model.predict(micro, samples=5)
    assert np.array_equal(watched.velocity, silent.velocity)
    assert [len(values) for values, _ in told] == [2, 4, 5]  # two are drawn at once
    assert {total for _, total in told} == {5}
    assert told[-1][0] == pytest.approx(silent.permeability_samples, rel=1e-6)


def test_velocity_scales_exactly_with_pressure_drop_over_viscosity(model: LatentPredictor, micro: Microstructure) -> None:
    base = model.predict(micro, pressure_drop=1e5, viscosity=0.1)
    other = model.predict(micro, pressure_drop=3e5, viscosity=0.5)
    scale = np.abs(base.velocity).max()
    assert np.abs(other.velocity / 0.6 - base.velocity).max() < 1e-4 * scale
    assert other.permeability == pytest.approx(base.permeability, rel=1e-4)


def test_a_smaller_copy_of_a_medium_has_the_permeability_of_its_scale(model: LatentPredictor, micro: Microstructure) -> None:
    dz, dy, dx = micro.spacing
    small = Microstructure(micro.fluid, (dz / 10, dy / 10, dx / 10))
    assert model.predict(small).permeability == pytest.approx(model.predict(micro).permeability / 100, rel=1e-4)


def test_no_resin_flows_in_the_fibres(model: LatentPredictor, micro: Microstructure) -> None:
    flow = model.predict(micro)
    assert np.abs(flow.velocity[:, ~passable_voxels(micro)]).max() == 0
    assert np.abs(flow.pressure[~micro.fluid]).max() == 0


def test_flow_along_y_is_the_turned_flow_along_x(model: LatentPredictor, micro: Microstructure) -> None:
    turned = Microstructure(micro.fluid.swapaxes(1, 2), micro.spacing)
    along_x, along_y = model.predict(micro, axis="x"), model.predict(turned, axis="y")
    assert along_y.permeability == pytest.approx(along_x.permeability, rel=1e-5)
    expected = along_x.velocity[[1, 0, 2]].swapaxes(2, 3)
    assert np.abs(along_y.velocity - expected).max() < 2e-3 * np.abs(expected).max()


def test_the_reported_permeability_is_the_mean_of_the_samples(model: LatentPredictor, micro: Microstructure) -> None:
    flow = model.predict(micro, samples=4)
    assert flow.permeability_samples is not None
    assert flow.velocity_std is not None
    assert flow.permeability == pytest.approx(flow.permeability_samples.mean(), rel=1e-6)
    assert isinstance(flow.report, ModelReport)
    assert (flow.report.samples, flow.report.model) == (4, "tiny")


def test_sizes_that_the_strides_do_not_divide_are_padded_cropped_and_told(model: LatentPredictor) -> None:
    odd = fibre_bundle((2, 18, 21), (8e-6, 20e-6, 23.3e-6), seed=2, volume_fraction=0.4)
    odd = Microstructure(odd.fluid, (4e-6, 1.1e-6, 1.1e-6))
    flow = model.predict(odd)
    assert flow.velocity.shape == (3, 2, 18, 21)
    assert flow.report is not None
    assert "21 x 18 pixels were continued by their edge to 24 x 20" in flow.report.warnings[0]


def test_a_model_directory_moved_elsewhere_predicts_the_same(tiny_run: Path, tmp_path: Path, micro: Microstructure) -> None:
    shutil.copytree(tiny_run / "model", tmp_path / "moved")
    first, second = (load_model(path).predict(micro) for path in (tiny_run / "model", tmp_path / "moved"))
    assert np.array_equal(first.velocity, second.velocity)


def test_start_flows_that_are_solved_at_once_are_those_one_after_the_other(
    micro: Microstructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, solved = start_flows(micro, base="grid"), []
    monkeypatch.setattr("resinflow.models.start._AT_ONCE", 1)
    monkeypatch.setattr("resinflow.models.start.threads_at_hand", lambda: solved.append(1) or 2)
    at_once = start_flows(micro, base="grid")
    assert solved
    assert np.array_equal(after.planar.velocity, at_once.planar.velocity)
    assert np.array_equal(after.base.velocity, at_once.base.velocity)


def test_what_is_wrong_with_a_slice_is_said_first_also_when_flows_are_solved_at_once(
    micro: Microstructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    fluid = micro.fluid.copy()
    fluid[1] = False
    monkeypatch.setattr("resinflow.models.start._AT_ONCE", 1)
    monkeypatch.setattr("resinflow.models.start.threads_at_hand", lambda: 2)
    with pytest.raises(InvalidInputError, match="slice 1 is all fibre"):
        start_flows(Microstructure(fluid, micro.spacing), base="grid")


def test_start_flows_that_are_solved_already_change_nothing(tiny_run: Path, micro: Microstructure) -> None:
    alone = LatentPredictor.load(tiny_run / "model")
    start = start_flows(micro, axis="x", pressure_drop=1e5, viscosity=0.1)
    assert np.array_equal(alone.predict(micro, start=start).velocity, alone.predict(micro).velocity)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"axis": "z"}, "x or y"), ({"samples": -1}, "at least 1"), ({"steps": -2}, "at least 1")],
)
def test_options_that_cannot_be_are_refused(model: LatentPredictor, micro: Microstructure, options: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        model.predict(micro, **options)


def test_pixels_that_are_not_square_are_refused(model: LatentPredictor, micro: Microstructure) -> None:
    with pytest.raises(InvalidInputError, match="square pixels"):
        model.predict(Microstructure(micro.fluid, (4e-6, 1e-6, 1.2e-6)))


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign", "unknown key"])
def test_a_damaged_model_is_refused_in_one_line(tiny_run: Path, tmp_path: Path, damage: str) -> None:
    directory = tmp_path / "model"
    shutil.copytree(tiny_run / "model", directory)
    weights, config = directory / "model.safetensors", directory / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "missing":
        weights.unlink()
    elif damage == "foreign":
        config.write_text("not json")
    else:
        config.write_text(config.read_text().replace('"width"', '"girth"'))
    with pytest.raises(InvalidInputError) as caught:
        load_model(directory)
    assert "\n" not in str(caught.value)


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="no model 'tremendous'"):
        load_model("tremendous")
