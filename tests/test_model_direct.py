"""Claims about deterministic models: any size, one answer, a directory that rebuilds itself, and refusals in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from resinflow.flow.errors import InvalidInputError, MissingDependencyError
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.features import CHANNELS, TARGETS
from resinflow.models.start import start_flows
from resinflow.nn.unet3d import UNet3d
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DirectArchitecture
from resinflow.presets.families import load_model

UNET = {"kind": "unet", "block": 2, "widths": [8, 12], "blocks": [1, 1]}
FNO = {"kind": "fno", "modes": [3, 5, 5], "width": 4, "layers": 2}
KINDS = [pytest.param(UNET, id="unet"), pytest.param(FNO, id="fno")]


def network_of(sizes: dict[str, Any]) -> DirectNetwork:
    """An untrained network, skipped where its package is absent; every layer has a say."""
    if sizes["kind"] == "fno":
        pytest.importorskip("neuralop")
    torch.manual_seed(0)
    network = DirectNetwork(DirectArchitecture.model_validate({"base": "response", "network": sizes}))
    for layer in network.modules():  # new residual blocks are the identity
        if isinstance(layer, nn.Conv3d) and layer.weight.abs().max() == 0:
            nn.init.normal_(layer.weight, std=0.05)
    network.target_scale.fill_(0.05)
    return network


def predictor_of(sizes: dict[str, Any]) -> DirectPredictor:
    network = network_of(sizes)
    return DirectPredictor("tiny", DirectArchitecture.model_validate({"base": "response", "network": sizes}), network)


@pytest.fixture(scope="module")
def model() -> DirectPredictor:
    return predictor_of(UNET)


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=10)
    return fibre_bundle((3, 16, 20), (12e-6, 20e-6, 25e-6), seed=5, settings=settings)


@pytest.mark.parametrize("sizes", KINDS)
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 12, 20), (5, 32, 8)])
def test_a_network_maps_conditions_of_any_size_to_a_target_of_that_size(
    sizes: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    conditions = torch.randn(2, len(CHANNELS), *shape)
    conditions[:, 0] = (conditions[:, 0] > 0).float()
    assert network_of(sizes)(conditions).shape == (2, len(TARGETS), *shape)


def test_a_new_unet_is_as_good_as_blind_to_where_it_is() -> None:
    """Without statistics over the volume and away from the edges, a shifted input gives the shifted output."""
    unet = UNet3d(channels_in=2, channels_out=1, block=2, widths=(8, 8), blocks=(1, 1)).eval()
    for layer in unet.modules():
        if isinstance(layer, nn.Conv3d) and layer.weight.abs().max() == 0:
            nn.init.normal_(layer.weight, std=0.05)
    field = torch.zeros(1, 2, 3, 64, 64)
    field[..., 28:36, 28:36] = torch.randn(8, 8)
    with torch.inference_mode():
        here, there = unet(field), unet(field.roll(unet.stride, dims=-1)).roll(-unet.stride, dims=-1)
    assert (here - there)[..., 24:40, 24:40].abs().max() < 1e-5 * here.abs().max()
    assert here[..., 24:40, 24:40].std() > 0


def test_every_level_of_the_unet_learns() -> None:
    unet = UNet3d(channels_in=2, channels_out=1, block=2, widths=(8, 12, 16), blocks=(1, 2, 1))
    optimizer = torch.optim.SGD(unet.parameters(), lr=0.1)
    x, y = torch.randn(1, 2, 3, 16, 16), torch.randn(1, 1, 3, 16, 16)
    for _ in range(2):  # in the first step the zeros at the end of new blocks hide what is before them
        optimizer.zero_grad()
        (unet(x) - y).square().mean().backward()
        optimizer.step()
    assert [name for name, each in unet.named_parameters() if each.grad is None or not each.grad.abs().max() > 0] == []


def test_a_prediction_has_one_permeability_and_says_that_nothing_was_drawn(
    model: DirectPredictor, micro: Microstructure
) -> None:
    flow = model.predict(micro)
    assert flow.permeability_samples is not None
    assert flow.velocity_std is None
    assert flow.permeability == pytest.approx(flow.permeability_samples[0], rel=1e-5)
    assert isinstance(flow.report, ModelReport)
    assert (flow.report.sampler, flow.report.steps, flow.report.samples, flow.report.model) == ("none", 1, 1, "tiny")


def test_the_seed_changes_nothing(model: DirectPredictor, micro: Microstructure) -> None:
    assert np.array_equal(model.predict(micro, seed=0).velocity, model.predict(micro, seed=1).velocity)


def test_the_network_changes_the_base_flow(model: DirectPredictor, micro: Microstructure) -> None:
    start = start_flows(micro, axis="x", pressure_drop=1e5, viscosity=0.1)
    change = np.abs(model.predict(micro, start=start).velocity - start.base.velocity).max()
    assert change > 1e-3 * np.abs(start.base.velocity).max()


def test_velocity_scales_exactly_with_pressure_drop_over_viscosity(model: DirectPredictor, micro: Microstructure) -> None:
    base = model.predict(micro, pressure_drop=1e5, viscosity=0.1)
    other = model.predict(micro, pressure_drop=3e5, viscosity=0.5)
    assert np.abs(other.velocity / 0.6 - base.velocity).max() < 1e-4 * np.abs(base.velocity).max()


def test_flow_along_y_is_the_turned_flow_along_x(model: DirectPredictor, micro: Microstructure) -> None:
    turned = Microstructure(micro.fluid.swapaxes(1, 2), micro.spacing)
    plain = Microstructure(micro.fluid, micro.spacing)
    along_x, along_y = model.predict(plain, axis="x"), model.predict(turned, axis="y")
    expected = along_x.velocity[[1, 0, 2]].swapaxes(2, 3)
    assert np.abs(along_y.velocity - expected).max() < 1e-4 * np.abs(expected).max()


def test_sizes_that_the_stride_does_not_divide_are_continued_cropped_and_told(model: DirectPredictor) -> None:
    odd = fibre_bundle((2, 18, 21), (8e-6, 20e-6, 23.3e-6), seed=2, volume_fraction=0.4)
    odd = Microstructure(odd.fluid, (4e-6, 1.1e-6, 1.1e-6))
    flow = model.predict(odd)
    assert flow.velocity.shape == (3, 2, 18, 21)
    assert flow.report is not None
    assert "21 x 18 pixels" in flow.report.warnings[0]


@pytest.mark.parametrize("sizes", KINDS)
def test_a_saved_model_loaded_again_predicts_the_same(sizes: dict[str, Any], micro: Microstructure, tmp_path: Path) -> None:
    model = predictor_of(sizes)
    directory = model.save(tmp_path / "model")
    assert isinstance(load_model(directory), DirectPredictor)
    again = DirectPredictor.load(directory)
    assert (again.name, again.architecture, again.base) == ("tiny", model.architecture, "response")
    assert np.array_equal(again.predict(micro).velocity, model.predict(micro).velocity)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"axis": "z"}, "x or y"), ({"samples": 2}, "deterministic"), ({"steps": 0}, "deterministic")],
)
def test_options_that_cannot_be_are_refused(
    model: DirectPredictor, micro: Microstructure, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        model.predict(micro, **options)


def test_start_flows_that_are_solved_already_change_nothing(model: DirectPredictor, micro: Microstructure) -> None:
    start = start_flows(micro, axis="x", pressure_drop=1e5, viscosity=0.1)
    assert np.array_equal(model.predict(micro, start=start).velocity, model.predict(micro).velocity)


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign", "unknown key", "other schema"])
def test_a_damaged_model_is_refused_in_one_line(model: DirectPredictor, tmp_path: Path, damage: str) -> None:
    directory = model.save(tmp_path / "model")
    weights, config = directory / "model.safetensors", directory / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "missing":
        weights.unlink()
    elif damage == "foreign":
        config.write_text("not json")
    elif damage == "unknown key":
        config.write_text(config.read_text().replace('"widths"', '"girths"'))
    else:
        config.write_text(config.read_text().replace("resinflow-voxel", "resinflow-pixel"))
    with pytest.raises(InvalidInputError) as caught:
        DirectPredictor.load(directory)
    assert "\n" not in str(caught.value)


def test_levels_that_do_not_agree_are_refused() -> None:
    with pytest.raises(ValidationError, match="one number a level"):
        DirectArchitecture.model_validate({"network": {"kind": "unet", "widths": [8, 8], "blocks": [1]}})


def test_a_fourier_operator_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neuralop", None)
    monkeypatch.setitem(sys.modules, "neuralop.models", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'resinflow\[fno\]'"):
        DirectNetwork(DirectArchitecture.model_validate({"network": FNO}))
