"""Predictions of many media: each is the one that the medium has alone, and what fails is an error in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resinflow.flow import BlockedMediumError, FlowField, InvalidInputError, Microstructure
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.models import Sampling
from resinflow.presets import load_model
from resinflow.presets.latent import predictor
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.prediction import predict_many


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> LatentPredictor:
    return load_model(tiny_run / "model")


def bundle(seed: int, width: int = 20) -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=10)
    return fibre_bundle((3, 16, width), (12e-6, 20e-6, width * 1.25e-6), seed=seed, settings=settings)


def flow_of(value: object) -> FlowField:
    assert isinstance(value, FlowField)
    return value


def test_each_flow_is_the_one_of_the_medium_alone_whatever_stands_beside_it(model: LatentPredictor) -> None:
    media = [bundle(1), bundle(2, 24), bundle(3)]
    sampling = Sampling(samples=3, seed=5)
    flows = predict_many(media, model, sampling=sampling, batch=2, axis="y")
    for micro, value in zip(media, flows, strict=True):
        alone = model.predict(micro, sampling=sampling, axis="y")
        assert np.array_equal(flow_of(value).velocity, alone.velocity)
        assert np.array_equal(flow_of(value).permeability_samples, alone.permeability_samples)  # pyright: ignore


def test_members_of_several_media_that_are_drawn_together_are_those_of_each(
    model: LatentPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    media, sampling = [bundle(1), bundle(2, 24), bundle(3), bundle(4)], Sampling(samples=3, seed=5)
    # as on a GPU: on a CPU that multiplies integers every member is drawn by itself
    monkeypatch.setattr(predictor, "quickest", lambda device, precision: precision)
    alone = [model.predict(micro, sampling=sampling) for micro in media]
    calls: list[int] = []
    sampled = LatentPredictor.sampled

    def counted(self: LatentPredictor, fields, seeds, steps):
        calls.append(len(seeds))
        return sampled(self, fields, seeds, steps)

    monkeypatch.setattr(predictor, "members_at_once", lambda device, voxels: 8)
    monkeypatch.setattr(LatentPredictor, "sampled", counted)
    together = predict_many(media, model, sampling=sampling)
    assert sorted(calls) == [3, 3, 6]  # two of the three media of one shape in one pass, and the others after it
    for own, value in zip(alone, together, strict=True):
        scale = np.abs(own.velocity).max()
        assert np.abs(flow_of(value).velocity - own.velocity).max() < 5e-3 * scale
        assert flow_of(value).permeability_samples == pytest.approx(own.permeability_samples, rel=5e-3)
    assert len({flow_of(value).permeability for value in together}) == 4


def test_what_fails_is_an_error_in_its_place_and_the_others_go_on(model: LatentPredictor) -> None:
    dam = np.ones((3, 16, 20), dtype=bool)
    dam[:, :, 8] = False
    empty = Microstructure(np.ones((3, 16, 20), dtype=bool), (4e-6, 1.25e-6, 1.25e-6))
    media = [bundle(1), Microstructure(dam, empty.spacing), "no medium", empty, bundle(2)]
    done: list[int] = []
    flows = predict_many(media, model, batch=3, watch=done.append)  # pyright: ignore[reportArgumentType]
    assert [type(flow) for flow in flows] == [FlowField, BlockedMediumError, InvalidInputError, InvalidInputError, FlowField]
    assert "K = 0" in str(flows[1])
    assert done == [3, 5]
    assert np.array_equal(flow_of(flows[4]).velocity, model.predict(bundle(2)).velocity)


def test_what_no_medium_could_have_is_refused_at_once(model: LatentPredictor) -> None:
    with pytest.raises(InvalidInputError, match="batch"):
        predict_many([bundle(1)], model, batch=0)
    with pytest.raises(InvalidInputError, match="axis"):
        predict_many([bundle(1)], model, axis="z")
    with pytest.raises(InvalidInputError):
        predict_many([bundle(1)], model, sampling=Sampling(samples=0))
    assert predict_many([], model) == []
