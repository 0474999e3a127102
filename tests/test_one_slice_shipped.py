"""The shipped model of one slice, on bundles that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import resinflow as rf
from resinflow.media import BundleSettings, draw_bundle_slope, view_slices
from resinflow.nn.volumes import measured_slopes
from resinflow.presets.oneslice.engine import OneSliceEngine
from resinflow.presets.oneslice.model import SliceModel, load_slice_model

SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
DRAWS = 8


@pytest.fixture(scope="module")
def model() -> SliceModel:
    return load_slice_model(device="cpu")


def bundle(seed: int, misalignment: float) -> rf.Microstructure:
    settings = BundleSettings(volume_fraction=0.45, diameter=11e-6, misalignment=misalignment)
    return rf.fibre_bundle(SHAPE, EXTENT, seed=100_000 + seed, settings=settings)


def draws_of(model: SliceModel, micro: rf.Microstructure, misalignment: float | None, **options) -> list:
    view = view_slices(micro.slice_at(5), EXTENT[0], misalignment=misalignment)
    return list(OneSliceEngine(model, **options).volumes(view, DRAWS, seed=1))


def test_drawn_media_hold_the_slice_and_keep_its_fraction(model: SliceModel):
    for seed in range(3):
        micro = bundle(seed, 10.0)
        known = float(micro.fluid[5].mean())
        for medium, _ in draws_of(model, micro, 10.0):
            assert (medium.fluid[5] == micro.fluid[5]).all()
            assert np.abs(medium.fluid.mean(axis=(1, 2)) - known).max() < 0.12


def test_the_spread_grows_with_the_misalignment(model: SliceModel):
    spreads = []
    for misalignment in (1.0, 7.0, 15.0):
        logs = [
            np.log([flow.permeability for _, flow in draws_of(model, bundle(seed, 7.0), misalignment)]) for seed in range(3)
        ]
        spreads.append(float(np.mean([each.std(ddof=1) for each in logs])))
    assert spreads[0] < spreads[1] < spreads[2], spreads


def test_the_mean_of_all_draws_has_next_to_no_vz_and_a_single_draw_has(model: SliceModel):
    micro = bundle(5, 12.0)
    single = [flow.velocity[2] for _, flow in draws_of(model, micro, 12.0)]
    expected = draws_of(model, micro, 12.0, expected=True)[0].flow.velocity[2]
    own = float(np.mean([np.sqrt((each**2).mean()) for each in single]))
    assert np.sqrt((expected**2).mean()) < 0.6 * own


def test_drawn_bundles_lean_as_the_misalignment_says(model: SliceModel):
    micro, limit = bundle(7, 10.0), float(np.tan(np.radians(10.0)))
    pixel, heights = micro.spacing[2], (torch.arange(11)[None] - 5.0) * micro.spacing[0] / micro.spacing[2]
    errors = []
    for number, (medium, _) in enumerate(draws_of(model, micro, 10.0)):
        distance = torch.from_numpy(np.asarray(medium.signed_distance, dtype=np.float64) / pixel)[None, None].clamp(-16, 16)
        slope = measured_slopes(distance, heights).mean(dim=(0, 2, 3, 4)).numpy()
        errors.append(np.linalg.norm(slope - draw_bundle_slope(10.0, np.random.default_rng((1, number)))) / limit)
    assert np.mean(errors) < 0.25, errors
